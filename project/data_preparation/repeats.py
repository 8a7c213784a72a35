"""Drawings that are there twice: keys that name several, and pictures that equal one another.

They are compared by numbers a few at a time, since the set may be larger than memory; `copies` has those that are not.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from project.work.raster.raster import compiled

FEW, MANY = 1 << 20, 1 << 22  # marks that are compared at a time, so that memory does not grow with the set
_PRIME, _OTHER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(0xFFFFFFFF)
NOTHING = -1
Row = tuple[str, int]  # the part, and the row's number in it
Marks = Callable[[], Iterable[tuple[str, int, np.ndarray]]]


@dataclass
class Repeats:
    """What is there twice.

    keys: the marks of keys that several rows have, uint64, sorted; twins: of each kind of equal pictures, how many
    there are beside the first one; first: a pair of each kind.
    """

    keys: np.ndarray
    twins: dict[str, int] = field(default_factory=dict)
    first: dict[str, tuple[Row, Row]] = field(default_factory=dict)


KINDS = ("of the same class", "of test equal to one of train", "of another class")


def find(marks: Marks, counts: Mapping[str, int], classes: int) -> Repeats:
    """Compare the marks of all rows.

    marks: gives part, number of the first row and marks uint64 (2, N), of keys and of pictures, train before test; may
    be called again; counts: the rows of a class in each part. Marks are shared out by their first bits, and each share
    is compared by itself.
    """
    rows = sum(counts.values()) * classes
    bits = (rows // min(max(rows // 16, FEW), MANY)).bit_length()
    keys, result = [], Repeats(np.empty(0, np.uint64), dict.fromkeys(KINDS, 0))
    for share in range(1 << bits):
        some = [_share(counts, *each, share, bits) for each in marks()]
        keys.append(_repeated(np.concatenate([own for own, *_ in some])))
        _compare(result, [rest for _, *rest in some])
    result.keys = np.unique(np.concatenate(keys))
    return result


def _share(
    counts: Mapping[str, int], part: str, first: int, marks: np.ndarray, share: int, bits: int
) -> tuple[np.ndarray, ...]:
    """Of some rows the marks of keys and of pictures in one share, and of the latter the rows, labels and parts."""
    keys, pictures = marks
    rows = np.arange(first, first + len(keys))
    if bits > 0:
        keys = keys[keys >> np.uint64(64 - bits) == share]
        rows = rows[pictures >> np.uint64(64 - bits) == share]
        pictures = pictures[rows - first]
    return keys, pictures, rows, (rows // counts[part]).astype(np.int32), np.full(len(rows), part == "test")


def _repeated(marks: np.ndarray) -> np.ndarray:
    marks = np.sort(marks)
    return np.unique(marks[1:][marks[1:] == marks[:-1]])


def _compare(result: Repeats, some: list[list[np.ndarray]]) -> None:
    pictures, rows, labels, tested = (np.concatenate(columns) for columns in zip(*some, strict=True))
    earlier = _earlier(pictures)
    later = np.flatnonzero(earlier != NOTHING)
    earlier = earlier[later]
    same = labels[later] == labels[earlier]
    chosen = same, tested[later] & ~tested[earlier], ~same
    for kind, wanted in zip(KINDS, chosen, strict=True):
        count = int(np.count_nonzero(wanted))
        result.twins[kind] += count
        if count and kind not in result.first:
            pair = earlier[wanted.argmax()], later[wanted.argmax()]
            one, other = ((("train", "test")[int(tested[at])], int(rows[at])) for at in pair)
            result.first[kind] = one, other


def any_twice(marks: np.ndarray) -> bool:
    """Whether two marks are the same."""
    ordered = np.sort(marks)
    return bool((ordered[1:] == ordered[:-1]).any())


def key_marks(keys: np.ndarray) -> np.ndarray:
    """A number for each key, text (N,) or objects, which others seldom have; uint64 (N,)."""
    texts = np.ascontiguousarray(keys if keys.dtype.kind == "U" else keys.astype(str))
    width = texts.itemsize // 4
    return _text_marks(texts.view(np.uint32).reshape(len(texts), width))


def picture_marks(pictures: np.ndarray) -> np.ndarray:
    """A number for each picture, uint8 (N, side, side), which others seldom have; uint64 (N,)."""
    flat = np.ascontiguousarray(pictures).reshape(len(pictures), -1)
    spare = -flat.shape[1] % 8
    if spare:
        flat = np.pad(flat, ((0, 0), (0, spare)))
    words = flat.view(np.uint64)
    return _picture_marks(words, *_factors(words.shape[1] + 1))


@cache
def _factors(count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    one, other = (random.integers(0, 1 << 32, count, dtype=np.uint64) for _ in range(2))
    return one, other


@compiled
def _text_marks(codes: np.ndarray) -> np.ndarray:
    marks = np.empty(len(codes), np.uint64)
    for row in range(len(codes)):
        mark = _PRIME
        for place in range(codes.shape[1]):
            if codes[row, place] == 0:
                break
            mark = (mark ^ np.uint64(codes[row, place])) * _OTHER
        marks[row] = _mixed(mark)
    return marks


@compiled
def _picture_marks(words: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Two sums of products of 32 bits, which differ for two pictures but once in 2^32 each (NH: Black et al., 1999).

    They are added up in any order, so that compilers make them of a few wide instructions.
    """
    marks = np.empty(len(words), np.uint64)
    for row in range(len(words)):
        first, second = np.uint64(0), np.uint64(0)
        for place in range(words.shape[1]):
            low, high = words[row, place] & _HALF, words[row, place] >> np.uint64(32)
            first += ((low + one[place]) & _HALF) * ((high + other[place]) & _HALF)
            second += ((low + one[place + 1]) & _HALF) * ((high + other[place + 1]) & _HALF)
        marks[row] = _mixed(_mixed(first) ^ second)
    return marks


@compiled
def _mixed(mark: int) -> int:
    mark = (mark ^ (mark >> np.uint64(32))) * _OTHER
    mark = (mark ^ (mark >> np.uint64(29))) * _PRIME
    return mark ^ (mark >> np.uint64(32))


@compiled
def _earlier(marks: np.ndarray) -> np.ndarray:
    """For each mark where it first stood; NOTHING for one that is the first. int32 (N,)."""
    size = 16
    while size < 2 * len(marks):
        size *= 2
    table = np.full(size, NOTHING, np.int32)
    earlier = np.full(len(marks), NOTHING, np.int32)
    for at in range(len(marks)):
        place = np.int64(marks[at] & np.uint64(size - 1))
        while table[place] != NOTHING and marks[table[place]] != marks[at]:
            place = (place + 1) & (size - 1)
        if table[place] == NOTHING:
            table[place] = at
        else:
            earlier[at] = table[place]
    return earlier
