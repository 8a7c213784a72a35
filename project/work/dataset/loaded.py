"""The files of a data set in memory, once: a second run in this process on the same files reads nothing again."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from project.work.dataset import storage
from project.work.dataset.pictures import Mapped, Resident, hold
from project.work.files import disk
from project.work.labels.by_key import packed


@dataclass(frozen=True)
class Records:
    """All that one file holds. labels: int64 (N,), where the pictures go; soft_targets: float (N, K) or None; weights:
    float (N,), how much each row counts, or None."""

    pictures: Resident | Mapped
    labels: Tensor
    soft_targets: Tensor | None = None
    weights: Tensor | None = None


@dataclass(frozen=True)
class Loaded:
    """A prepared data set on a device. keys: of the training file, (N,), see `packed`.

    truth: float64 (N,), the class that each row of the training file shows, where its source knows; -1: none of the
    classes, not a number: not known.
    """

    train: Records
    test: Records
    names: list[str]
    keys: np.ndarray
    fingerprint: str
    truth: np.ndarray | None = None


class LastLoaded:
    """The data set that was loaded last; another one takes its place."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entry: tuple[object, Loaded] | None = None

    def get(self, signature: object, read: Callable[[], Loaded]) -> Loaded:
        """The data set of this signature; threads that want the same wait for the one that reads it."""
        with self._lock:
            if self._entry is None or self._entry[0] != signature:
                self._entry = None  # its memory is needed for what is read now
                self._entry = (signature, read())
            return self._entry[1]

    def forget(self) -> None:
        """Let go of it."""
        with self._lock:
            self._entry = None


LAST = LastLoaded()


def loaded(folder: Path, side: int | None, device: torch.device, largest: float) -> Loaded:
    """Read a prepared data set onto a device, unless its unchanged files are there. Raises UserError for bad files.

    largest: GB that it may take, see `storage.read`.
    """
    states = [_state(file) for file in sorted(folder.iterdir())] if folder.is_dir() else []
    return LAST.get((folder.resolve(), states, side, device), lambda: _read(folder, side, device, largest))


def _state(path: Path) -> tuple[str, int, int]:
    """What changes when a file does; a link to nothing is left to whoever reads it."""
    facts = path.lstat() if disk.fault(path) else path.stat()
    return path.name, facts.st_size, facts.st_mtime_ns


def _read(folder: Path, side: int | None, device: torch.device, largest: float) -> Loaded:
    prepared = storage.read(folder, largest)
    train, test = (
        Records(hold(part.images, side, device), torch.as_tensor(part.labels).to(device))
        for part in (prepared.train, prepared.test)
    )
    keys, fingerprint = packed(prepared.train.keys["key_id"]), storage.fingerprint(prepared.train)
    return Loaded(train, test, prepared.names, keys, fingerprint, _truth(prepared.train.keys))


def _truth(keys: pd.DataFrame) -> np.ndarray | None:
    return pd.to_numeric(keys["true_label"], errors="coerce").to_numpy(float) if "true_label" in keys else None
