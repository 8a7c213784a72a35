"""A data set made piece by piece: what is finished stays finished, and no more than a few classes are in memory."""

import itertools
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from isal import igzip

from project.data_preparation.csv_text import csv_text
from project.data_preparation.publishing import READY
from project.work.dataset import array_files, noise_manifest, storage
from project.work.declaration import UserError

MARKS = "pieces"
ROWS = 4096  # a piece is one class, or as many that follow each other as have so many rows


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
        return any((scratch / MARKS).glob("*.json"))

    def open(self, plan: dict[str, Any]) -> None:
        """Go on with what the same plan made; begin anew otherwise. Raises UserError when the disk is too small."""
        text = json.dumps(plan)
        path = self.scratch / "plan.json"
        if path.exists() and path.read_text() == text:
            for partial in self.ready.glob(".*"):  # of a process that was killed while it put pieces together
                partial.unlink()
            return
        for folder in (self.ready, self._marks):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        self._refuse_small_disk()
        for part in filter(self._mapped, self.rows):
            array_files.create_map(storage.map_file(self.ready, part), self._shape(part))
        path.write_text(text)

    def all(self) -> list[range]:
        """The labels of every piece, in order."""
        classes = max(1, ROWS // sum(self.rows.values()))
        return [range(start, min(start + classes, len(self.names))) for start in range(0, len(self.names), classes)]

    def missing(self, version: Callable[[str], str]) -> list[range]:
        """The pieces that are not finished, or whose source has changed since."""
        return [labels for labels in self.all() if _read(self._mark(labels)) != self._versions(labels, version)]

    def begin(self, labels: range) -> None:
        """Begin a piece; what a process that was killed had put into it is gone."""
        for path in (self._shown(labels), *(self._images(labels, part) for part in self.rows)):
            path.write_bytes(b"")

    def put(self, labels: range, part: str, first: int, images: np.ndarray) -> None:
        """Write pictures of a class, uint8 (N, side, side), from number `first` of its piece's in a part; in order."""
        if len(images) == 0:
            return
        if part == "train":
            wanted = max(0, self.shown - first % self.rows[part])
            _append(self._shown(labels), images[:wanted].tobytes())
        if self._mapped(part):
            first += labels.start * self.rows[part]
            array_files.write_map(storage.map_file(self.ready, part), first, images)
        else:
            _append(self._images(labels, part), array_files.compressed(images))

    def finish(self, labels: range, keys: dict[str, dict[str, np.ndarray]], version: Callable[[str], str]) -> None:
        """Write the keys of a piece whose pictures are all there, by part and column, and that it is finished.

        version: of each class, as it was before its drawings were read.
        """
        for part, columns in keys.items():
            rows = np.arange(labels.start * self.rows[part], labels.stop * self.rows[part])
            text = csv_text({"row": rows} | columns, header=labels.start == 0)
            self._keys(labels, part).write_bytes(array_files.compressed(text))
        _replace(self._mark(labels), self._versions(labels, version))

    def preview(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
        """The first training pictures of some classes, `shown` of each, with their labels and keys."""
        every, count = self.rows["train"], min(self.shown, self.rows["train"])
        rows = labels[:, None] * every + np.arange(count)
        images, tables = [], []
        for piece in self.all():
            wanted = np.array([label - piece.start for label in labels if label in piece], dtype=int)
            if len(wanted):
                names, header = self._columns(), 0 if piece.start == 0 else None
                enough = wanted[-1] * every + count
                tables.append(pd.read_csv(self._keys(piece, "train"), names=names, header=header, nrows=enough))
                shown = np.fromfile(self._shown(piece), np.uint8).reshape(len(piece), count, self.side, self.side)
                images += list(shown[wanted])
        keys = pd.concat(tables).set_index("row").loc[rows.ravel()].reset_index(drop=True)
        return np.concatenate(images), np.repeat(labels, count), keys

    def assemble(self, provenance: dict[str, Any], finished: Iterable[range]) -> None:
        """Make the data set. finished: all pieces, each as soon as it is, since others are being made meanwhile."""
        ordered = itertools.tee(self._in_order(finished), 2 * len(self.rows))
        checksums: dict[str, str] = {}
        for part, count, of_images, of_keys in zip(
            self.rows, self.rows.values(), ordered[::2], ordered[1::2], strict=True
        ):
            labels = np.repeat(np.arange(len(self.names)), count)
            images = (self._images(piece, part).read_bytes() for piece in of_images)
            keys = (self._keys(piece, part).read_bytes() for piece in of_keys)
            known = None if self._mapped(part) else images
            checksums |= storage.write_part(self.ready, part, labels, keys, self._shape(part), known)
        if "true_label" in self._columns():
            checksums[noise_manifest.NAME] = self._write_manifest()
        storage.write_facts(self.ready, self.names, provenance, checksums)

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
            table = pd.read_csv(
                self._keys(piece, "train"),
                names=self._columns(),
                dtype={"key_id": str},
                skiprows=0 if piece.start else 1,
            )
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
        with igzip.open(self._keys(self.all()[0], "train"), "rt", encoding="utf-8") as file:
            return file.readline().rstrip("\n").split(",")

    def _versions(self, labels: range, version: Callable[[str], str]) -> str:
        return json.dumps([version(self.names[label]) for label in labels])

    def _refuse_small_disk(self) -> None:
        needed = sum(math.prod(self._shape(part)) for part in self.rows)  # compressed it is less
        free = shutil.disk_usage(self.scratch).free
        if needed > free:
            raise UserError(f"{self.scratch.parent}: {needed:,} bytes are needed and {free:,} are free: make room")

    @property
    def _marks(self) -> Path:
        return self.scratch / MARKS

    def _mark(self, labels: range) -> Path:
        return self._marks / f"{labels.start}.json"

    def _keys(self, labels: range, part: str) -> Path:
        return self._marks / f"{labels.start}-{part}.csv.gz"

    def _images(self, labels: range, part: str) -> Path:
        return self._marks / f"{labels.start}-{part}.gz"

    def _shown(self, labels: range) -> Path:
        return self._marks / f"{labels.start}-shown"


def _append(path: Path, data: bytes) -> None:
    if len(data) > 0:
        with open(path, "ab") as file:
            file.write(data)


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def _replace(path: Path, text: str) -> None:
    """Whole or not at all when the process is killed; waiting for the disk would cost more than drawing again."""
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
