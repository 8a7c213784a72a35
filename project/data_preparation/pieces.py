"""A data set made class by class: what is finished stays finished, and no more than a few classes are in memory."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from project.data_preparation.publishing import READY
from project.work.dataset import array_files, storage
from project.work.declaration import UserError

MARKS = "pieces"


@dataclass(frozen=True)
class Pieces:
    """Where the classes of a set are collected. names: of all classes; rows: of each class in train and test."""

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
        return any((scratch / MARKS).glob("*-train.csv"))

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

    def missing(self, version: Callable[[str], str]) -> list[int]:
        """The labels of the classes that are not finished, or whose source has changed since."""
        return [label for label, name in enumerate(self.names) if _read(self._mark(label)) != version(name)]

    def put(self, label: int, part: str, first: int, images: np.ndarray) -> None:
        """Write pictures of a class, uint8 (N, side, side), from number `first` of its pictures in a part."""
        if len(images) > 0:
            array_files.write_map(storage.map_file(self.ready, part), label * self.rows[part] + first, images)

    def finish(self, label: int, keys: dict[str, pd.DataFrame], version: str) -> None:
        """Write the keys of a class whose pictures are all there, and that it is finished."""
        for part, table in keys.items():
            first = label * self.rows[part]
            table = table.set_axis(range(first, first + len(table))).rename_axis("row")
            storage.replace_file(self._keys(label, part), table.to_csv().encode())
        storage.replace_file(self._mark(label), version.encode())

    def preview(self, labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
        """The first training pictures of some classes, with their labels and keys."""
        count = min(count, self.rows["train"])
        tables = [pd.read_csv(self._keys(label, "train"), nrows=count, keep_default_na=False) for label in labels]
        images = array_files.read_map(storage.map_file(self.ready, "train"))
        rows = (labels[:, None] * self.rows["train"] + np.arange(count)).ravel()
        return np.asarray(images[rows]), np.repeat(labels, count), pd.concat(tables, ignore_index=True)

    def assemble(self, provenance: dict[str, Any]) -> None:
        """Make the data set of the finished classes."""
        checksums: dict[str, str] = {}
        for part, count in self.rows.items():
            labels = np.repeat(np.arange(len(self.names)), count)
            checksums |= storage.write_part(self.ready, part, labels, self._key_texts(part))
        storage.write_facts(self.ready, self.names, provenance, checksums)

    def _key_texts(self, part: str) -> Iterator[bytes]:
        for label in range(len(self.names)):
            text = self._keys(label, part).read_bytes()
            yield text if label == 0 else text.partition(b"\n")[2]

    def _refuse_small_disk(self) -> None:
        needed = sum(self.rows.values()) * len(self.names) * self.side**2
        free = shutil.disk_usage(self.scratch).free
        if needed > free:
            raise UserError(f"{self.scratch.parent}: {needed:,} bytes are needed and {free:,} are free: make room")

    @property
    def _marks(self) -> Path:
        return self.scratch / MARKS

    def _mark(self, label: int) -> Path:
        return self._marks / str(label)

    def _keys(self, label: int, part: str) -> Path:
        return self._marks / f"{label}-{part}.csv"


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None
