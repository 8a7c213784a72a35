"""A data set made piece by piece: what is finished stays finished, and no more than a few classes are in memory."""

import contextlib
import csv
import io
import itertools
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from isal import igzip, isal_zlib

from project.data_preparation import repeats
from project.data_preparation.csv_text import csv_text
from project.data_preparation.parsing.rows import LeftOut
from project.data_preparation.publishing import LEFT_OUT, READY
from project.data_preparation.repeats import Repeats, Row
from project.work import files
from project.work.dataset import array_files, noise_manifest, storage
from project.work.declaration import UserError

FOLDER = "pieces"
ROWS = 4096  # a piece is one class, or as many that follow each other as have so many rows
SHOWN, LEFT = "shown", "left out"
_HEAD = 1 << 20  # bytes; what stands at the head of a piece is less


@dataclass
class Piece:
    """A piece that is being made.

    sections: what its file will hold, by name; marks: of the keys and the pictures of each part, uint64 (2, N) each;
    left_out: rows that are not in it.
    """

    labels: range
    sections: dict[str, list[bytes]]
    marks: dict[str, list[np.ndarray]]
    left_out: list[LeftOut] = field(default_factory=list)


@dataclass(frozen=True)
class Pieces:
    """Where the pieces of a set are collected. names: of all classes; rows: of each class in train and test; side: of a
    picture, in pixels; shown: training pictures of each class that `preview` gives."""

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
        """Whether a scratch folder holds anything that is worth keeping."""
        return any((scratch / FOLDER).glob("*.piece"))

    def open(self, plan: dict[str, Any]) -> None:
        """Go on with what the same plan made; begin anew otherwise. Raises UserError when the disk is too small."""
        text = json.dumps(plan).encode()
        path = self.scratch / "plan.json"
        if path.is_file() and path.read_bytes() == text and self._has_maps():
            for partial in self.ready.glob(".*"):  # of a process that was killed while it put pieces together
                partial.unlink()
            return
        for folder in (self.ready, self._folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        self._refuse_small_disk()
        for part in filter(self._mapped, self.rows):
            array_files.create_map(storage.map_file(self.ready, part), self._shape(part))
        path.write_bytes(text)

    def _has_maps(self) -> bool:
        """Whether the files that pictures are put into are there and as large as they were made."""
        maps = {storage.map_file(self.ready, part): self._shape(part) for part in self.rows if self._mapped(part)}
        return self.ready.is_dir() and all(
            path.is_file() and path.stat().st_size == array_files.HEADER + math.prod(shape)
            for path, shape in maps.items()
        )

    def all(self) -> list[range]:
        """The labels of every piece, in order."""
        classes = max(1, ROWS // sum(self.rows.values()))
        return [range(start, min(start + classes, len(self.names))) for start in range(0, len(self.names), classes)]

    def missing(self, version: Callable[[str], str]) -> list[range]:
        """The pieces that are not finished, or whose source has changed since."""
        return [labels for labels in self.all() if not self._is_finished(labels, self._versions(labels, version))]

    def begin(self, labels: range) -> Piece:
        """Begin a piece."""
        names = (*self.rows, *map(_keys, self.rows), *map(_marks, self.rows), SHOWN, LEFT)
        return Piece(labels, {name: [] for name in names}, {part: [] for part in self.rows})

    def put(self, piece: Piece, part: str, first: int, images: np.ndarray, keys: np.ndarray) -> None:
        """Add pictures of a class, uint8 (N, side, side), from number `first` of the piece's in a part; in order.

        keys: the marks of their keys, uint64 (N,).
        """
        if len(images) == 0:
            return
        piece.marks[part].append(np.stack([keys, repeats.picture_marks(images)]))
        if part == "train":
            wanted = max(0, self.shown - first % self.rows[part])
            piece.sections[SHOWN].append(images[:wanted].tobytes())
        if self._mapped(part):
            first += piece.labels.start * self.rows[part]
            array_files.write_map(storage.map_file(self.ready, part), first, images)
        else:
            piece.sections[part].append(array_files.compressed(images))

    def finish(self, piece: Piece, keys: dict[str, dict[str, np.ndarray]], version: Callable[[str], str]) -> None:
        """Write the file of a piece whose pictures are all there. keys: by part and column.

        version: of each class, as it was before its drawings were read.
        """
        for part, columns in keys.items():
            rows = np.arange(piece.labels.start * self.rows[part], piece.labels.stop * self.rows[part])
            text = csv_text({"row": rows} | columns, header=piece.labels.start == 0)
            piece.sections[_keys(part)].append(array_files.compressed(text))
        for part, marks in piece.marks.items():
            piece.sections[_marks(part)].append(np.concatenate(marks, axis=1).tobytes())
        piece.sections[LEFT].append(_lines(piece.left_out))
        sizes = {name: sum(map(len, section)) for name, section in piece.sections.items()}
        body = itertools.chain.from_iterable(piece.sections.values())
        head = {"versions": self._versions(piece.labels, version), "sizes": sizes, "sum": _sum(body)}
        path = self._path(piece.labels)
        partial = path.with_suffix(".partial")
        with open(partial, "wb") as file:  # not waited for: to draw again costs less than the disk
            file.write(json.dumps(head).encode() + b"\n")
            file.writelines(itertools.chain.from_iterable(piece.sections.values()))
        os.replace(partial, path)

    def preview(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
        """The first training pictures of some classes, `shown` of each, with their labels and keys."""
        every, count = self.rows["train"], min(self.shown, self.rows["train"])
        rows = labels[:, None] * every + np.arange(count)
        images, tables = [], []
        for piece in self.all():
            wanted = np.array([label - piece.start for label in labels if label in piece], dtype=int)
            if len(wanted):
                tables.append(self._table(piece, wanted[-1] * every + count))
                shown = np.frombuffer(self._section(piece, SHOWN), np.uint8)
                images += list(shown.reshape(len(piece), count, self.side, self.side)[wanted])
        keys = pd.concat(tables).set_index("row").loc[rows.ravel()].reset_index(drop=True)
        return np.concatenate(images), np.repeat(labels, count), keys

    def assemble(self, provenance: dict[str, Any], finished: Iterable[range]) -> dict[str, Any]:
        """Make the data set. finished: all pieces, each as soon as it is, since others are being made meanwhile.

        Returns the provenance, to which is added what was left out.
        """
        ordered = itertools.tee(self._in_order(finished), 2 * len(self.rows))
        checksums: dict[str, str] = {}
        for part, count, of_images, of_keys in zip(
            self.rows, self.rows.values(), ordered[::2], ordered[1::2], strict=True
        ):
            labels = np.repeat(np.arange(len(self.names)), count)
            # Keys come last, since all must be known before one can be written.
            known = None if self._mapped(part) else (self._section(piece, part) for piece in of_images)
            every = of_keys if known is not None else list(of_keys)
            keys = (self._key_section(piece, part) for piece in every)
            checksums |= storage.write_part(self.ready, part, labels, keys, self._shape(part), known)
        if "true_label" in self._columns():
            checksums[noise_manifest.NAME] = self._write_manifest()
        left = [self._section(piece, LEFT) for piece in self.all()]
        if any(left):
            header = _lines([LeftOut("file", "line", "fault")])
            storage.replace_file(self.ready / LEFT_OUT, header + b"".join(left))
            checksums[LEFT_OUT] = array_files.file_digest(self.ready / LEFT_OUT)
            provenance = provenance | {"left_out": {"broken": sum(1 for _ in self.left_out())}}
        storage.write_facts(self.ready, self.names, provenance, checksums)
        return provenance

    def left_out(self) -> Iterator[LeftOut]:
        """The rows that were left out, class by class."""
        for piece in self.all():
            for row in csv.reader(io.StringIO(self._section(piece, LEFT).decode(), newline="")):
                yield LeftOut(*row)

    @cached_property
    def twice(self) -> Repeats:
        """What is there twice, once every piece is there."""
        return repeats.find(self._every_mark, self.rows, len(self.names))

    def key_ids(self, rows: Iterable[Row]) -> list[str]:
        """The keys of some rows."""
        found = []
        for part, row in rows:
            label = row // self.rows[part]
            piece = next(labels for labels in self.all() if label in labels)
            table = self._table(piece, None, part)
            found.append(str(table["key_id"].iloc[row - piece.start * self.rows[part]]))
        return found

    def _every_mark(self) -> Iterator[tuple[str, int, np.ndarray]]:
        for part, count in self.rows.items():
            for piece in self.all():
                yield part, piece.start * count, self._marks_of(piece, part)

    def _key_section(self, piece: range, part: str) -> bytes:
        """The keys of a piece, compressed; one that rows of other classes have too is made one by its class's name."""
        section = self._section(piece, _keys(part))
        if len(self.twice.keys) == 0:
            return section
        shared = np.isin(self._marks_of(piece, part)[0], self.twice.keys)
        if not shared.any():
            return section
        lines = list(csv.reader(io.StringIO(igzip.decompress(section).decode(), newline="")))
        place, skipped = self._columns().index("key_id"), len(lines) - len(shared)
        for row in np.flatnonzero(shared).tolist():
            name = self.names[piece.start + row // self.rows[part]]
            lines[skipped + row][place] = f"{name}/{lines[skipped + row][place]}"
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        return array_files.compressed(text.getvalue().encode())

    def _in_order(self, finished: Iterable[range]) -> Iterator[range]:
        there, waiting = set(), self.all()
        for piece in finished:
            there.add(piece)
            while waiting and waiting[0] in there:
                yield waiting.pop(0)

    def _write_manifest(self) -> str:
        """List the training rows that show something else than their label says; returns the checksum of the list."""
        path, tables = self.ready / noise_manifest.NAME, []
        for piece in self.all():
            table = self._table(piece)
            table["label"] = table["row"] // self.rows["train"]
            tables.append(table[table["true_label"] != table["label"]])
        wrong = pd.concat(tables)
        columns = (wrong[name].to_numpy() for name in ("row", "key_id", "true_label", "label"))
        storage.replace_file(path, noise_manifest.text(*columns, self.names))
        return array_files.file_digest(path)

    def _shape(self, part: str) -> tuple[int, int, int]:
        return self.rows[part] * len(self.names), self.side, self.side

    def _mapped(self, part: str) -> bool:
        return storage.mapped(self._shape(part))

    def _columns(self) -> list[str]:
        text = igzip.decompress(self._section(self.all()[0], _keys("train")))
        return text[: text.index(b"\n")].decode().split(",")

    def _table(self, piece: range, rows: int | None = None, part: str = "train") -> pd.DataFrame:
        """The first of a piece's keys; all by default."""
        file, header = io.BytesIO(self._key_section(piece, part)), None if piece.start else 0
        names, types = self._columns(), {"key_id": str}
        options = {"nrows": rows, "compression": "gzip", "keep_default_na": False}
        return pd.read_csv(file, names=names, header=header, dtype=types, **options)

    def _versions(self, labels: range, version: Callable[[str], str]) -> list[str]:
        return [version(self.names[label]) for label in labels]

    def _is_finished(self, labels: range, versions: list[str]) -> bool:
        """Whether the file of a piece is whole and of these versions; a machine that stopped may leave another."""
        broken = contextlib.suppress(UserError, OSError, LookupError, TypeError, ValueError, RecursionError)
        with broken, files.opened(self._path(labels)) as file:
            head = json.loads(file.readline(_HEAD))
            if head["versions"] != versions or list(head["sizes"]) != list(self.begin(labels).sections):
                return False
            whole = file.tell() + sum(head["sizes"].values()) == os.fstat(file.fileno()).st_size
            whole = whole and head["sum"] == _sum(iter(lambda: file.read(_HEAD), b""))
            return whole and all(self._has_pictures(labels, part) for part in self.rows if self._mapped(part))
        return False

    def _has_pictures(self, labels: range, part: str) -> bool:
        """Whether the pictures of a piece are in the part's map."""
        size, marks = self.side**2, self._marks_of(labels, part)[1]
        first, path = labels.start * self.rows[part], storage.map_file(self.ready, part)
        there = np.fromfile(path, np.uint8, len(marks) * size, offset=array_files.HEADER + first * size)
        return np.array_equal(repeats.picture_marks(there.reshape(len(marks), self.side, self.side)), marks)

    def _marks_of(self, labels: range, part: str) -> np.ndarray:
        """The marks of keys and of pictures, uint64 (2, N)."""
        return np.frombuffer(self._section(labels, _marks(part)), np.uint64).reshape(2, -1)

    def _section(self, labels: range, name: str) -> bytes:
        with open(self._path(labels), "rb") as file:
            sizes = json.loads(file.readline())["sizes"]
            before = itertools.takewhile(lambda other: other != name, sizes)
            file.seek(sum(sizes[other] for other in before), io.SEEK_CUR)
            return file.read(sizes[name])

    def _refuse_small_disk(self) -> None:
        needed = sum(math.prod(self._shape(part)) for part in self.rows)  # compressed it is less
        free = shutil.disk_usage(self.scratch).free
        if needed > free:
            raise UserError(f"{self.scratch.parent}: {needed:,} bytes are needed and {free:,} are free: make room")

    @property
    def _folder(self) -> Path:
        return self.scratch / FOLDER

    def _path(self, labels: range) -> Path:
        return self._folder / f"{labels.start}.piece"


def _keys(part: str) -> str:
    return f"{part} keys"


def _marks(part: str) -> str:
    return f"{part} marks"


def _lines(rows: Iterable[LeftOut]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(astuple, rows))
    return text.getvalue().encode()


def _sum(data: Iterable[bytes]) -> int:
    total = 0
    for some in data:
        total = isal_zlib.crc32(some, total)
    return total
