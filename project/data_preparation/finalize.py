"""The end of every preparation: splits each class into train and test, and makes a data set from shards.

Duplicates are found by their marks, a few million at a time, because a set may be larger than memory: keys that name
several drawings, and equal images.
"""

import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from project.data_preparation.publishing import LEFT_OUT
from project.work.common import UserError
from project.work.dataset import storage
from project.work.files import arrays, disk
from project.work.labels import noise

if TYPE_CHECKING:  # it compiles code, which a folder of pictures does not need
    from project.data_preparation.shards import Shards

FEW, MANY = 1 << 20, 1 << 22  # marks compared at a time, so that memory does not grow with the set
NOTHING = -1
Row = tuple[str, int]  # the part, and the row in it
Marks = Callable[[], Iterable[tuple[str, int, np.ndarray]]]
KINDS = ("of the same class", "of test equal to one of train", "of another class")


def split(rows: int, train_ratio: float, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Divide the rows of one class at random: round(train_ratio x rows) for training, at least 1 on either side.

    Returns two sorted int arrays that together hold 0..rows-1; rows must be 2 or more.
    """
    count = train_count(rows, train_ratio)
    order = generator.permutation(rows)
    return np.sort(order[:count]), np.sort(order[count:])


def train_count(rows: int, train_ratio: float) -> int:
    """How many of the rows of a class are for training; rows must be 2 or more."""
    return min(max(round(train_ratio * rows), 1), rows - 1)


def check_classes(names: list[str]) -> None:
    """Raise UserError when there are too few classes to tell apart."""
    if len(names) < 2:
        given = ", ".join(names) or "none"
        raise UserError(f"a classifier needs at least 2 classes, but there is {len(names)} ({given}): add some")


def counts(train: storage.Pictures, test: storage.Pictures, names: list[str]) -> dict[str, dict[str, int]]:
    """Pictures of each class in both parts, for the provenance."""
    parts = (np.bincount(part.labels, minlength=len(names)).tolist() for part in (train, test))
    return {name: {"train": a, "test": b} for name, a, b in zip(names, *parts, strict=True)}


@dataclass
class EqualDrawings:
    """Duplicates.

    keys: the marks of keys that several rows have, uint64, sorted; twins: for each kind of equal images, their number
    without the first ones; first: an example pair of each kind.
    """

    keys: np.ndarray
    twins: dict[str, int] = field(default_factory=dict)
    first: dict[str, tuple[Row, Row]] = field(default_factory=dict)


class Assembly:
    """Makes the data set from shards. Each shard is read when needed, and none is kept in memory."""

    def __init__(self, shards: "Shards") -> None:
        self.shards = shards

    def assemble(self, provenance: dict[str, Any], finished: Iterable[range]) -> dict[str, Any]:
        """Make the data set. finished: yields every shard as soon as it is finished, while others are being made.

        Returns the provenance, with the rows left out added.
        """
        ordered = itertools.tee(self._in_order(finished), 2 * len(self.shards.rows))
        checksums: dict[str, str] = {}
        for part, count, of_images, of_keys in zip(
            self.shards.rows, self.shards.rows.values(), ordered[::2], ordered[1::2], strict=True
        ):
            labels = np.repeat(np.arange(len(self.shards.names)), count)
            # Keys come last, because all must be known before any can be written.
            known = None if self.shards.mapped(part) else (self.shards.section(shard, part) for shard in of_images)
            every = of_keys if known is not None else list(of_keys)
            keys = (self.shards.keys(shard, part, self.twice.keys) for shard in every)
            checksums |= storage.write_part(self.shards.ready, part, labels, keys, self.shards.shape(part), known)
        if "true_label" in self.shards.key_columns():
            checksums[noise.MANIFEST] = self._write_manifest()
        left = self.shards.left_out()
        if left:
            disk.replace_file(self.shards.ready / LEFT_OUT, self.shards.left_out_csv())
            checksums[LEFT_OUT] = arrays.file_digest(self.shards.ready / LEFT_OUT)
            provenance = provenance | {"left_out": {"broken": len(left)}}
        storage.write_facts(self.shards.ready, self.shards.names, provenance, checksums)
        return provenance

    @cached_property
    def twice(self) -> EqualDrawings:
        """The duplicates; needs every shard."""
        return find_equal(self._every_mark, self.shards.rows, len(self.shards.names))

    def key_ids(self, rows: Iterable[Row]) -> list[str]:
        """The keys of some rows."""
        found = []
        for part, row in rows:
            label = row // self.shards.rows[part]
            shard = next(labels for labels in self.shards.all() if label in labels)
            table = self._table(shard, None, part)
            found.append(str(table["key_id"].iloc[row - shard.start * self.shards.rows[part]]))
        return found

    def preview(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
        """The first training pictures of some classes, `shown` of each, with their labels and keys."""
        every, count = self.shards.rows["train"], min(self.shards.shown, self.shards.rows["train"])
        rows = labels[:, None] * every + np.arange(count)
        images, tables = [], []
        for shard in self.shards.all():
            wanted = np.array([label - shard.start for label in labels if label in shard], dtype=int)
            if len(wanted):
                tables.append(self._table(shard, wanted[-1] * every + count))
                images += list(self.shards.shown_pixels(shard)[wanted])
        keys = pd.concat(tables).set_index("row").loc[rows.ravel()].reset_index(drop=True)
        return np.concatenate(images), np.repeat(labels, count), keys

    def _every_mark(self) -> Iterator[tuple[str, int, np.ndarray]]:
        for part, count in self.shards.rows.items():
            for shard in self.shards.all():
                yield part, shard.start * count, self.shards.marks(shard, part)

    def _in_order(self, finished: Iterable[range]) -> Iterator[range]:
        there, waiting = set(), self.shards.all()
        for shard in finished:
            there.add(shard)
            while waiting and waiting[0] in there:
                yield waiting.pop(0)

    def _write_manifest(self) -> str:
        """Write the list of training rows with a wrong label; returns its checksum."""
        path, tables = self.shards.ready / noise.MANIFEST, []
        for shard in self.shards.all():
            table = self._table(shard)
            table["label"] = table["row"] // self.shards.rows["train"]
            tables.append(table[table["true_label"] != table["label"]])
        wrong = pd.concat(tables)
        rows, keys, true, labels = (wrong[name].to_numpy() for name in ("row", "key_id", "true_label", "label"))
        disk.replace_file(path, noise.manifest_text(rows, keys, true, labels, self.shards.names))
        return arrays.file_digest(path)

    def _table(self, shard: range, rows: int | None = None, part: str = "train") -> pd.DataFrame:
        """The first `rows` keys of a shard; all by default."""
        file, header = io.BytesIO(self.shards.keys(shard, part, self.twice.keys)), None if shard.start else 0
        names, types = self.shards.key_columns(), {"key_id": str}
        options = {"nrows": rows, "compression": "gzip", "keep_default_na": False}
        return pd.read_csv(file, names=names, header=header, dtype=types, **options)


def find_equal(marks: Marks, counts: Mapping[str, int], classes: int) -> EqualDrawings:
    """Compare the marks of all rows.

    marks: yields part, number of the first row, and marks, uint64 (2, N), of keys and images, train before test; is
    called several times; counts: the rows of a class in each part. Marks are divided into shares by their first bits,
    and each share is compared by itself.
    """
    rows = sum(counts.values()) * classes
    bits = (rows // min(max(rows // 16, FEW), MANY)).bit_length()
    keys, result = [], EqualDrawings(np.empty(0, np.uint64), dict.fromkeys(KINDS, 0))
    for share in range(1 << bits):
        some = [_share(counts, *each, share, bits) for each in marks()]
        keys.append(_repeated(np.concatenate([own for own, *_ in some])))
        _compare(result, [rest for _, *rest in some])
    result.keys = np.unique(np.concatenate(keys))
    return result


def _share(
    counts: Mapping[str, int], part: str, first: int, marks: np.ndarray, share: int, bits: int
) -> tuple[np.ndarray, ...]:
    """The marks of keys and of images in one share, and for the images also their rows, labels and parts."""
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


def _compare(result: EqualDrawings, some: list[list[np.ndarray]]) -> None:
    pictures, rows, labels, tested = (np.concatenate(columns) for columns in zip(*some, strict=True))
    earlier = earlier_places(pictures)
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


def earlier_places(marks: np.ndarray) -> np.ndarray:
    """For each mark, uint64 (N,), the position where it first occurs; NOTHING for that one. Returns int64 (N,)."""
    earlier = np.full(len(marks), NOTHING)
    repeated = _repeated(marks)
    if len(repeated) > 0:  # few marks are repeated, so finding these is faster than sorting all positions
        number = np.minimum(np.searchsorted(repeated, marks), len(repeated) - 1)
        places = np.flatnonzero(repeated[number] == marks)
        first = np.empty(len(repeated), np.int64)
        first[number[places[::-1]]] = places[::-1]
        earlier[places] = first[number[places]]
        earlier[first] = NOTHING
    return earlier
