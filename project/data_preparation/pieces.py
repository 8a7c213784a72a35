"""A data set made piece by piece: what is finished stays finished, and no more than a few classes are in memory."""

import csv
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from project.data_preparation.publishing import READY
from project.work.dataset import array_files, noise_manifest, storage
from project.work.declaration import UserError

MARKS = "pieces"
ROWS = 4096  # a piece is one class, or as many that follow each other as have so many rows


@dataclass(frozen=True)
class Pieces:
    """Where the pieces of a set are collected. names: of all classes; rows: of each class in train and test."""

    scratch: Path
    names: list[str]
    rows: dict[str, int]
    side: int

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
            return
        for folder in (self.ready, self._marks):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        self._refuse_small_disk()
        for part, count in self.rows.items():
            shape = (count * len(self.names), self.side, self.side)
            array_files.create_map(storage.map_file(self.ready, part), shape)
        path.write_text(text)

    def all(self) -> list[range]:
        """The labels of every piece, in order."""
        classes = max(1, ROWS // sum(self.rows.values()))
        return [range(start, min(start + classes, len(self.names))) for start in range(0, len(self.names), classes)]

    def missing(self, version: Callable[[str], str]) -> list[range]:
        """The pieces that are not finished, or whose source has changed since."""
        return [labels for labels in self.all() if _read(self._mark(labels)) != self._versions(labels, version)]

    def put(self, label: int, part: str, first: int, images: np.ndarray) -> None:
        """Write pictures of a class, uint8 (N, side, side), from number `first` of its pictures in a part."""
        if len(images) > 0:
            array_files.write_map(storage.map_file(self.ready, part), label * self.rows[part] + first, images)

    def finish(self, labels: range, keys: dict[str, dict[str, np.ndarray]], version: Callable[[str], str]) -> None:
        """Write the keys of a piece whose pictures are all there, by part and column, and that it is finished.

        version: of each class, as it was before its drawings were read.
        """
        for part, columns in keys.items():
            rows = range(labels.start * self.rows[part], labels.stop * self.rows[part])
            _replace(self._keys(labels, part), _csv({"row": rows} | columns, header=labels.start == 0))
        _replace(self._mark(labels), self._versions(labels, version))

    def preview(self, labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
        """The first training pictures of some classes, with their labels and keys."""
        every, count = self.rows["train"], min(count, self.rows["train"])
        rows = labels[:, None] * every + np.arange(count)
        tables = []
        for piece in self.all():
            wanted = [label for label in labels if label in piece]
            if wanted:
                names, header = self._columns(), 0 if piece.start == 0 else None
                enough = (wanted[-1] - piece.start) * every + count
                tables.append(pd.read_csv(self._keys(piece, "train"), names=names, header=header, nrows=enough))
        keys = pd.concat(tables).set_index("row").loc[rows.ravel()].reset_index(drop=True)
        images = array_files.read_map(storage.map_file(self.ready, "train"))
        return np.asarray(images[rows.ravel()]), np.repeat(labels, count), keys

    def assemble(self, provenance: dict[str, Any], threads: int) -> None:
        """Make the data set of the finished pieces."""
        checksums: dict[str, str] = {}
        for part, count in self.rows.items():
            labels = np.repeat(np.arange(len(self.names)), count)
            texts = (self._keys(piece, part).read_bytes() for piece in self.all())
            checksums |= storage.write_part(self.ready, part, labels, texts, threads)
        if "true_label" in self._columns():
            checksums[noise_manifest.NAME] = self._write_manifest()
        storage.write_facts(self.ready, self.names, provenance, checksums)

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

    def _columns(self) -> list[str]:
        with open(self._keys(self.all()[0], "train")) as file:
            return file.readline().rstrip("\n").split(",")

    def _versions(self, labels: range, version: Callable[[str], str]) -> str:
        return json.dumps([version(self.names[label]) for label in labels])

    def _refuse_small_disk(self) -> None:
        needed = sum(self.rows.values()) * len(self.names) * self.side**2
        free = shutil.disk_usage(self.scratch).free
        if needed > free:
            raise UserError(f"{self.scratch.parent}: {needed:,} bytes are needed and {free:,} are free: make room")

    @property
    def _marks(self) -> Path:
        return self.scratch / MARKS

    def _mark(self, labels: range) -> Path:
        return self._marks / f"{labels.start}.json"

    def _keys(self, labels: range, part: str) -> Path:
        return self._marks / f"{labels.start}-{part}.csv"


def _csv(columns: Mapping[str, Sequence[Any] | np.ndarray], header: bool) -> str:
    """What pandas would write, in half its time."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(columns)
    values = (column.tolist() if isinstance(column, np.ndarray) else column for column in columns.values())
    writer.writerows(zip(*values, strict=True))
    return text.getvalue()


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def _replace(path: Path, text: str) -> None:
    """Whole or not at all when the process is killed; waiting for the disk would cost more than drawing again."""
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
