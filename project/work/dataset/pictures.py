"""All pictures of one file: resident on the device, or read from disk if they do not fit in memory.

A data set is held once: a second run in this process on the same files reads nothing again.
"""

import mmap
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from project.work.common import progress
from project.work.dataset import grouping, prepared_data, storage
from project.work.dataset.grouping import NOTHING_GIVEN, Given
from project.work.dataset.packed import PackedPictures
from project.work.dataset.prepared_data import Preparation
from project.work.files import disk
from project.work.labels.naming import packed
from project.work.machine.memory_budget import cores, free_memory

CHUNK = 2**24  # bytes that are copied or counted at once
READERS = 2  # threads: while one waits for the disk, the other reads
AHEAD = 4  # batches that are read in advance
DECODED = 64  # pictures that one thread decodes at once
UNKNOWN = 1 << 30  # bytes, where the system does not say how much memory is free


@dataclass(frozen=True)
class Resident:
    """Held on the device. pixels: uint8 (N, H, W, C)."""

    pixels: Tensor

    @property
    def home(self) -> torch.device:
        """Where the positions that `stream` takes must be."""
        return self.pixels.device

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one picture: (C, H, W)."""
        height, width, channels = self.pixels.shape[1:]
        return channels, height, width

    def stream(self, positions: Iterable[Tensor]) -> Iterator[Tensor]:
        """For each int64 (b,) of positions its pictures, uint8 (b, C, H, W)."""
        for at in positions:
            yield self.pixels.index_select(0, at).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Mapped:
    """Left on disk: batches are read ahead by threads and go to the device. pixels: uint8 (N, H, W[, C])."""

    pixels: np.memmap
    side: int | None
    device: torch.device
    home = torch.device("cpu")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one picture as `stream` gives it: (C, H, W)."""
        height, width, *channels = self.pixels.shape[1:]
        return channels[0] if channels else 1, self.side or height, self.side or width

    def stream(self, positions: Iterable[Tensor]) -> Iterator[Tensor]:
        """For each int64 (b,) of positions its pictures, uint8 (b, C, H, W) on the device."""
        return (self._arrived(batch) for batch in _read_ahead(self._read, positions, READERS))

    def _read(self, at: Tensor) -> Tensor:
        batch = torch.empty(len(at), *self.pixels.shape[1:], dtype=torch.uint8, pin_memory=self.device.type == "cuda")
        # Positions are valid; "raise" would make numpy fill a second buffer first.
        np.take(self.pixels, at.numpy(), axis=0, out=batch.numpy(), mode="clip")
        return batch

    def _arrived(self, batch: Tensor) -> Tensor:
        return resized(channels_first(batch.to(self.device, non_blocking=True)), self.side)


@dataclass(frozen=True)
class Encoded:
    """Left on disk as files that threads decode: batches come ahead and go to the device. pixels: at their side."""

    pixels: PackedPictures
    device: torch.device
    home = torch.device("cpu")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one picture: (C, H, W)."""
        side = self.pixels.view.side
        return self.pixels.view.channels, side, side

    def stream(self, positions: Iterable[Tensor]) -> Iterator[Tensor]:
        """For each int64 (b,) of positions its pictures, uint8 (b, C, H, W) on the device. Raises UserError."""
        return (self._arrived(batch) for batch in _read_ahead(self._read, positions, cores()))

    def _read(self, at: Tensor) -> Tensor:
        batch = torch.empty(len(at), *self.pixels.shape[1:], dtype=torch.uint8, pin_memory=self.device.type == "cuda")
        self.pixels.read(at.numpy(), batch.numpy())
        return batch

    def _arrived(self, batch: Tensor) -> Tensor:
        return channels_first(batch.to(self.device, non_blocking=True))


Home = Resident | Mapped | Encoded


@dataclass(frozen=True)
class Joined:
    """The pictures of two homes on one device, of one shape: those of the second are numbered after the first's, which
    has so many (count)."""

    first: Home
    second: Home
    count: int
    home = torch.device("cpu")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one picture: (C, H, W)."""
        return self.first.shape

    def stream(self, positions: Iterable[Tensor]) -> Iterator[Tensor]:
        """For each int64 (b,) of positions its pictures, uint8 (b, C, H, W) on the device."""
        parts = list(positions)
        first = self.first.stream(staged(at[at < self.count], self.first.home) for at in parts)
        second = self.second.stream(staged(at[at >= self.count] - self.count, self.second.home) for at in parts)
        for at, ours, theirs in zip(parts, first, second, strict=True):
            batch = torch.empty(len(at), *self.shape, dtype=torch.uint8, device=ours.device)
            batch[staged((at < self.count).nonzero()[:, 0], ours.device)] = ours
            batch[staged((at >= self.count).nonzero()[:, 0], ours.device)] = theirs
            yield batch



def _read_ahead(read: Callable[[Tensor], Tensor], positions: Iterable[Tensor], readers: int) -> Iterator[Tensor]:
    """Read each of the positions, in order, in threads that work a few batches ahead."""
    with ThreadPoolExecutor(readers, "pictures") as pool:
        coming: deque[Future[Tensor]] = deque()
        for at in positions:
            coming.append(pool.submit(read, at))
            if len(coming) > AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def hold(images: np.ndarray | PackedPictures, side: int | None, device: torch.device) -> Home:
    """Pictures uint8 (N, H, W[, C]) for a device, `side` pixels wide and high where it is given.

    A map stays one, unless half of a GPU's free memory holds it. Encoded pictures are decoded once where half of the
    free memory holds them, the GPU's or this machine's.
    """
    if isinstance(images, PackedPictures):
        encoded = Encoded(images.at(side), device)
        return Resident(_decoded(encoded)) if _fits_decoded(encoded) else encoded
    if isinstance(images, np.memmap) and not (device.type == "cuda" and _fits(images, side, device)):
        if hasattr(mmap, "MADV_RANDOM"):  # otherwise the kernel reads 128 KB around each new picture
            images._mmap.madvise(mmap.MADV_RANDOM)  # type: ignore[attr-defined]
        return Mapped(images, side, device)
    if device.type == "cpu" and side in (None, *images.shape[1:3]) and images.shape[1] == images.shape[2]:
        pixels = torch.from_numpy(images)
        return Resident(pixels[..., None] if pixels.ndim == 3 else pixels)
    return Resident(_copied(images, side, device))


def resized(pictures: Tensor, side: int | None) -> Tensor:
    """uint8 (b, C, H, W) -> uint8 (b, C, side, side), smoothly; as they are where side is None or theirs."""
    if side is None or tuple(pictures.shape[2:]) == (side, side):
        return pictures
    smooth = functional.interpolate(pictures.float(), (side, side), mode="bilinear", antialias=True)
    return smooth.round().to(torch.uint8)


def channels_first(pixels: Tensor) -> Tensor:
    """A view (b, C, H, W) of (b, H, W) or (b, H, W, C)."""
    return pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)


def at_once(shape: tuple[int, ...]) -> int:
    """How many pictures of a shape make one chunk."""
    return max(1, CHUNK // int(np.prod(shape)))


def staged(values: Tensor, device: torch.device) -> Tensor:
    """Values from the CPU on the device, through pinned memory where that spares waiting for it."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


def _fits(images: np.ndarray, side: int | None, device: torch.device) -> bool:
    count, height, width, *channels = images.shape
    wanted = count * int(np.prod(channels)) * ((side or height) * (side or width))
    return wanted <= torch.cuda.mem_get_info(device)[0] // 2


def _fits_decoded(encoded: Encoded) -> bool:
    cuda = encoded.device.type == "cuda"
    free = torch.cuda.mem_get_info(encoded.device)[0] if cuda else free_memory()
    return encoded.pixels.nbytes <= (UNKNOWN if free is None else free) // 2


def _decoded(encoded: Encoded) -> Tensor:
    """All of them, uint8 (N, side, side, C) on the device."""
    from project.work.picture_files.threads import quiet

    count, (channels, height, width) = len(encoded.pixels), encoded.shape
    whole = torch.empty(count, height, width, channels, dtype=torch.uint8, device=encoded.device)
    places, start = torch.arange(count).split(DECODED), 0
    with quiet(), progress(total=count, desc="decoding pictures", unit="picture") as bar:
        for some in encoded.stream(places):
            whole[start : start + len(some)] = some.permute(0, 2, 3, 1)
            start += len(some)
            bar.update(len(some))
    return whole


def _copied(images: np.ndarray, side: int | None, device: torch.device) -> Tensor:
    count, height, width, *channels = images.shape
    whole = torch.empty(
        count, side or height, side or width, channels[0] if channels else 1, dtype=torch.uint8, device=device
    )
    parts = whole.split(min(at_once(images.shape[1:]), at_once(whole.shape[1:])))  # either may be the larger
    start = 0
    for part in parts:
        some = torch.from_numpy(np.array(images[start : start + len(part)])).to(device)
        part.copy_(resized(channels_first(some), side).permute(0, 2, 3, 1))
        start += len(part)
    return whole


@dataclass(frozen=True)
class Records:
    """All that one file holds. labels: int64 (N,), where the pictures go; soft_targets: float (N, K) or None; weights:
    float (N,), how much each row counts, or None."""

    pictures: Home
    labels: Tensor
    soft_targets: Tensor | None = None
    weights: Tensor | None = None


@dataclass(frozen=True)
class Loaded:
    """A prepared data set on a device. keys: of the training file, (N,), see `packed`.

    truth: float64 (N,), the class that each row of the training file shows, where its source knows; -1: none of the
    classes, not a number: not known; given: what the source says of a split; preparation: how its pictures were made.
    """

    train: Records
    test: Records
    names: list[str]
    keys: np.ndarray
    fingerprint: str
    truth: np.ndarray | None = None
    given: Given = NOTHING_GIVEN
    preparation: Preparation | None = None


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


def loaded(
    folder: Path, side: int | None, device: torch.device, largest: float, last: LastLoaded = LAST
) -> Loaded:
    """Read a prepared data set onto a device, unless its unchanged files are there. Raises UserError for bad files.

    largest: GB that it may take, see `storage.read`; last: where it is looked for, and kept.
    """
    states = [_state(file) for file in sorted(folder.iterdir())] if folder.is_dir() else []
    return last.get((folder.resolve(), states, side, device), lambda: _read_set(folder, side, device, largest))


def _state(path: Path) -> tuple[str, int, int]:
    """A value that changes when the file does. For a broken link, reading it raises the error later."""
    facts = path.lstat() if disk.fault(path) else path.stat()
    return path.name, facts.st_size, facts.st_mtime_ns


def _read_set(folder: Path, side: int | None, device: torch.device, largest: float) -> Loaded:
    prepared = storage.read(folder, largest)
    train, test = (
        Records(hold(part.images, side, device), torch.as_tensor(part.labels).to(device))
        for part in (prepared.train, prepared.test)
    )
    keys, fingerprint = packed(prepared.train.keys["key_id"]), storage.fingerprint(prepared.train)
    said = {grouping.TOGETHER, grouping.VALIDATION} & prepared.provenance.keys()
    given = grouping.given(prepared.train.keys, prepared.provenance) if said else NOTHING_GIVEN
    fingerprint += f"-{given.fingerprint}" if said else ""  # of folds, which logits are made by
    truth, made = _truth(prepared.train.keys), prepared_as(prepared, side)
    return Loaded(train, test, prepared.names, keys, fingerprint, truth, given, made)


def prepared_as(prepared: storage.Prepared, side: int | None) -> Preparation:
    """How the pictures of a set came to be, where training reads encoded ones at a side."""
    images = prepared.test.images
    channels = images.shape[3] if images.ndim == 4 else 1
    view = images.at(side).view if isinstance(images, PackedPictures) else None
    return prepared_data.preparation_of_set(prepared.provenance, view.side if view else images.shape[1], channels, view)


def _truth(keys: pd.DataFrame) -> np.ndarray | None:
    return pd.to_numeric(keys["true_label"], errors="coerce").to_numpy(float) if "true_label" in keys else None
