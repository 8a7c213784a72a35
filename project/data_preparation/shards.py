"""The shards of a set: files of a few classes each, so that a stopped preparation keeps what is finished.

A shard holds images, keys, and a hash ("mark") of each, by which equal ones are found later. Only a few classes are in
memory at a time. A preparation that was stopped continues with the missing shards. finalize.py makes the data set from
the shards.
"""

import contextlib
import csv
import io
import itertools
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from isal import igzip, isal_zlib

from project.data_preparation.parsing.rows import LeftOut
from project.data_preparation.publishing import READY
from project.work.common import UserError
from project.work.dataset import storage
from project.work.files import arrays, disk
from project.work.raster.raster import compiled

FOLDER = "shards"
ROWS = 4096  # of a shard, about: it has one class, or several consecutive ones with up to this many rows
SHOWN, LEFT = "shown", "left out"
_HEAD = 1 << 20  # bytes of a shard's header, at most
_PRIME, _OTHER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(0xFFFFFFFF)
_NOTHING = 0  # pads fields to their width, and is removed at the end
_TRUTH_VALUES = np.array([b"False", b"True"])
_NEEDS_CARE = np.array([not 32 <= code < 127 or chr(code) in '",' for code in range(128)])
_NEEDS_CARE[_NOTHING] = False


@dataclass
class Shard:
    """A shard that is being made.

    sections: of its file, by name; marks: of the keys and the images of each part, uint64 (2, N) each; left_out: rows
    that are not in it.
    """

    labels: range
    sections: dict[str, list[bytes]]
    marks: dict[str, list[np.ndarray]]
    left_out: list[LeftOut] = field(default_factory=list)


@dataclass(frozen=True)
class Shards:
    """The shards of a set, in a scratch folder.

    names: of all classes; rows: of each class in train and test; side: of a picture, in pixels; shown: how many
    training pictures of each class a sheet of samples shows.
    """

    scratch: Path
    names: list[str]
    rows: dict[str, int]
    side: int
    shown: int

    @property
    def ready(self) -> Path:
        """The folder that becomes the data set."""
        return self.scratch / READY

    @staticmethod
    def begun(scratch: Path) -> bool:
        """Whether a scratch folder holds work that is worth keeping."""
        return any((scratch / FOLDER).glob("*.shard"))

    def open(self, plan: dict[str, Any]) -> None:
        """Continue earlier work of the same plan, or start anew. Raises UserError when the disk is too small."""
        text = json.dumps(plan).encode()
        path = self.scratch / "plan.json"
        if path.is_file() and path.read_bytes() == text and self._folder.is_dir() and self._has_maps():
            for partial in self.ready.glob(".*"):  # from a process that was killed while it joined shards
                partial.unlink()
            return
        for folder in (self.ready, self._folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        self._refuse_small_disk()
        for part in filter(self.mapped, self.rows):
            arrays.create_map(storage.map_file(self.ready, part), self.shape(part))
        path.write_bytes(text)

    def _has_maps(self) -> bool:
        """Whether the mapped files for images exist and have their full size."""
        maps = {storage.map_file(self.ready, part): self.shape(part) for part in self.rows if self.mapped(part)}
        return self.ready.is_dir() and all(
            path.is_file() and path.stat().st_size == arrays.HEADER + math.prod(shape)
            for path, shape in maps.items()
        )

    def all(self) -> list[range]:
        """The labels of every shard, in order."""
        classes = max(1, ROWS // sum(self.rows.values()))
        return [range(start, min(start + classes, len(self.names))) for start in range(0, len(self.names), classes)]

    def missing(self, version: Callable[[str], str]) -> list[range]:
        """The shards that are not finished, or whose source has changed since."""
        return [labels for labels in self.all() if not self._is_finished(labels, self._versions(labels, version))]

    def begin(self, labels: range) -> Shard:
        """Begin a shard."""
        names = (*self.rows, *map(_keys, self.rows), *map(_marks, self.rows), SHOWN, LEFT)
        return Shard(labels, {name: [] for name in names}, {part: [] for part in self.rows})

    def put(self, shard: Shard, part: str, first: int, images: np.ndarray, keys: np.ndarray) -> None:
        """Add images of a class, uint8 (N, side, side), in order; first: number of the first one in the shard's part.

        keys: the marks of their keys, uint64 (N,).
        """
        if len(images) == 0:
            return
        shard.marks[part].append(np.stack([keys, picture_marks(images)]))
        if part == "train":
            wanted = max(0, self.shown - first % self.rows[part])
            shard.sections[SHOWN].append(images[:wanted].tobytes())
        if self.mapped(part):
            first += shard.labels.start * self.rows[part]
            arrays.write_map(storage.map_file(self.ready, part), first, images)
        else:
            shard.sections[part].append(arrays.compressed(images))

    def finish(self, shard: Shard, keys: dict[str, dict[str, np.ndarray]], version: Callable[[str], str]) -> None:
        """Write the file of a shard that has all its images. keys: by part and column.

        version: of each class, as it was before its drawings were read.
        """
        for part, columns in keys.items():
            rows = np.arange(shard.labels.start * self.rows[part], shard.labels.stop * self.rows[part])
            text = csv_text({"row": rows} | columns, header=shard.labels.start == 0)
            shard.sections[_keys(part)].append(arrays.compressed(text))
        for part, marks in shard.marks.items():
            shard.sections[_marks(part)].append(np.concatenate(marks, axis=1).tobytes())
        shard.sections[LEFT].append(csv_rows(map(astuple, shard.left_out)))
        sizes = {name: sum(map(len, section)) for name, section in shard.sections.items()}
        body = itertools.chain.from_iterable(shard.sections.values())
        head = {"versions": self._versions(shard.labels, version), "sizes": sizes, "sum": _sum(body)}
        path = self._path(shard.labels)
        partial = path.with_suffix(".partial")
        with open(partial, "wb") as file:  # no fsync: drawing again costs less
            file.write(json.dumps(head).encode() + b"\n")
            file.writelines(itertools.chain.from_iterable(shard.sections.values()))
        os.replace(partial, path)

    def keys(self, labels: range, part: str, shared: np.ndarray) -> bytes:
        """The keys of a part of a finished shard, compressed CSV; the first shard's has a header.

        shared: marks, uint64, of keys that occur in several classes: such a key gets its class's name as prefix.
        """
        section = self.section(labels, _keys(part))
        renamed = np.isin(self.marks(labels, part)[0], shared) if len(shared) else shared
        if not renamed.any():
            return section
        lines = list(csv.reader(io.StringIO(igzip.decompress(section).decode(), newline="")))
        place, skipped = self.key_columns().index("key_id"), len(lines) - len(renamed)
        for row in np.flatnonzero(renamed).tolist():
            name = self.names[labels.start + row // self.rows[part]]
            lines[skipped + row][place] = f"{name}/{lines[skipped + row][place]}"
        return arrays.compressed(csv_rows(lines))

    def key_columns(self) -> list[str]:
        """The names of the columns of keys."""
        text = igzip.decompress(self.section(self.all()[0], _keys("train")))
        return text[: text.index(b"\n")].decode().split(",")

    def marks(self, labels: range, part: str) -> np.ndarray:
        """The marks of keys and of pictures of a finished shard, uint64 (2, N)."""
        return np.frombuffer(self.section(labels, _marks(part)), np.uint64).reshape(2, -1)

    def shown_pixels(self, labels: range) -> np.ndarray:
        """The first training pictures of each class of a shard, uint8 (classes, shown or fewer, side, side)."""
        count = min(self.shown, self.rows["train"])
        pixels = np.frombuffer(self.section(labels, SHOWN), np.uint8)
        return pixels.reshape(len(labels), count, self.side, self.side)

    def section(self, labels: range, name: str) -> bytes:
        """A section of a finished shard by name; the name of a part gives its images."""
        with open(self._path(labels), "rb") as file:
            sizes = json.loads(file.readline())["sizes"]
            before = itertools.takewhile(lambda other: other != name, sizes)
            file.seek(sum(sizes[other] for other in before), io.SEEK_CUR)
            return file.read(sizes[name])

    def left_out(self) -> list[LeftOut]:
        """The rows left out, by class."""
        texts = (io.StringIO(self.section(labels, LEFT).decode(), newline="") for labels in self.all())
        return [LeftOut(*row) for text in texts for row in csv.reader(text)]

    def left_out_csv(self) -> bytes:
        """Those rows as a CSV with a header."""
        return csv_rows([("file", "line", "fault"), *map(astuple, self.left_out())])

    def shape(self, part: str) -> tuple[int, int, int]:
        """The shape of the images of a part."""
        return self.rows[part] * len(self.names), self.side, self.side

    def mapped(self, part: str) -> bool:
        """Whether the images of a part go into a file for mapping, not into the shards."""
        return storage.mapped(self.shape(part))

    def _versions(self, labels: range, version: Callable[[str], str]) -> list[str]:
        return [version(self.names[label]) for label in labels]

    def _is_finished(self, labels: range, versions: list[str]) -> bool:
        """Whether the file of a shard is whole and has these versions; a machine's crash may leave a broken file."""
        broken = contextlib.suppress(UserError, OSError, LookupError, TypeError, ValueError, RecursionError)
        with broken, disk.opened(self._path(labels)) as file:
            head = json.loads(file.readline(_HEAD))
            if head["versions"] != versions or list(head["sizes"]) != list(self.begin(labels).sections):
                return False
            whole = file.tell() + sum(head["sizes"].values()) == os.fstat(file.fileno()).st_size
            whole = whole and head["sum"] == _sum(iter(lambda: file.read(_HEAD), b""))
            return whole and all(self._has_pictures(labels, part) for part in self.rows if self.mapped(part))
        return False

    def _has_pictures(self, labels: range, part: str) -> bool:
        """Whether the pictures of a shard are in the part's map."""
        size, marks = self.side**2, self.marks(labels, part)[1]
        first, path = labels.start * self.rows[part], storage.map_file(self.ready, part)
        there = np.fromfile(path, np.uint8, len(marks) * size, offset=arrays.HEADER + first * size)
        return np.array_equal(picture_marks(there.reshape(len(marks), self.side, self.side)), marks)

    def _refuse_small_disk(self) -> None:
        needed = sum(math.prod(self.shape(part)) for part in self.rows)  # an upper bound: compressed, they take less
        free = shutil.disk_usage(self.scratch).free
        if needed > free:
            raise UserError(f"{self.scratch.parent}: {needed:,} bytes are needed and {free:,} are free: make room")

    @property
    def _folder(self) -> Path:
        return self.scratch / FOLDER

    def _path(self, labels: range) -> Path:
        return self._folder / f"{labels.start}.shard"


def _keys(part: str) -> str:
    return f"{part} keys"


def _marks(part: str) -> str:
    return f"{part} marks"


def _sum(data: Iterable[bytes]) -> int:
    total = 0
    for some in data:
        total = isal_zlib.crc32(some, total)
    return total


def csv_text(columns: Mapping[str, np.ndarray], header: bool) -> bytes:
    """Columns of equal length (text, integers or bools) as CSV lines, with a header if wanted."""
    fields = [_codes(column) for column in columns.values()]
    first = csv_rows([tuple(columns)] if header else [])
    if any(codes is None for codes in fields):
        return first + csv_rows(zip(*(column.tolist() for column in columns.values()), strict=True))
    rows = len(fields[0])
    comma, newline = np.full((rows, 1), ord(","), np.uint8), np.full((rows, 1), ord("\n"), np.uint8)
    parts = [part for codes in fields for part in (codes, comma)]
    lines = np.concatenate([*parts[:-1], newline], axis=1)
    return first + lines[lines != _NOTHING].tobytes()


def _codes(column: np.ndarray) -> np.ndarray | None:
    """The characters of each field, uint8 (N, W); None if some may need quotes or are not ASCII."""
    if column.dtype == bool:
        return _matrix(_TRUTH_VALUES[column.astype(int)], np.uint8)
    if column.dtype.kind in "iu" and column.min(initial=0) >= 0:
        return _digits(column)
    if column.dtype.kind != "U":
        return None
    codes = _matrix(column, np.uint32)
    return None if codes.max(initial=0) > 127 or _NEEDS_CARE[codes].any() else codes.astype(np.uint8)


def _matrix(texts: np.ndarray, code: type[np.generic]) -> np.ndarray:
    """Fixed-width texts (N,) as characters (N, W)."""
    width = texts.itemsize // np.dtype(code).itemsize
    return np.ascontiguousarray(texts).view(code).reshape(len(texts), width)


def _digits(numbers: np.ndarray) -> np.ndarray:
    powers = 10 ** np.arange(len(str(numbers.max(initial=0))))[::-1]
    digits = (numbers[:, None] // powers % 10 + ord("0")).astype(np.uint8)
    digits[:, :-1][numbers[:, None] < powers[:-1]] = _NOTHING
    return digits


def csv_rows(rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows as CSV, quoted where needed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def any_twice(marks: np.ndarray) -> bool:
    """Whether any two marks are equal."""
    ordered = np.sort(marks)
    return bool((ordered[1:] == ordered[:-1]).any())


def key_marks(keys: np.ndarray) -> np.ndarray:
    """A hash of each key, text (N,) or objects; uint64 (N,)."""
    texts = np.ascontiguousarray(keys if keys.dtype.kind == "U" else keys.astype(str))
    width = texts.itemsize // 4
    return _text_marks(texts.view(np.uint32).reshape(len(texts), width))


def picture_marks(pictures: np.ndarray) -> np.ndarray:
    """A hash of each image, uint8 (N, side, side); uint64 (N,)."""
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
    """Two sums of products of 32 bits. Each is equal for two different images with probability 2^-32 (NH: Black et al.,
    1999).

    The terms may be added in any order, so that compilers vectorise the sums.
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
