"""Reads a list of picture files into one array of small squares: in threads, within memory, without warnings."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import framing, left_out
from project.data_preparation.pictures.entries import Box, Content
from project.work.common import UserError, progress
from project.work.files import disk
from project.work.machine.memory_budget import free_memory
from project.work.picture_files import decoding, pixels
from project.work.picture_files.pixels import Samples
from project.work.picture_files.threads import Allowance, large_blocks, quiet

_COPIES = 2.2  # of all pictures that are held at once while they are divided into two parts


@dataclass
class Reading:
    """images: uint8 (N, size, size, 3), undefined for files with a fault; faults: what is wrong, by row.

    deep: how many had 16 bits in their files without saying how many of them are used; bits: of those, so many are;
    black: how many of them are black all over; more: how many had further frames or pages, which were left out; narrow:
    rows of those that are one pixel wide or high.
    """

    images: np.ndarray
    faults: dict[int, str] = field(default_factory=dict)
    deep: int = 0
    bits: int = 16
    black: int = 0
    more: int = 0
    narrow: set[int] = field(default_factory=set)

    def kept(self, settings: ImageFolderSettings) -> np.ndarray:
        """Those without a fault, as the settings say: uint8 (n, size, size) or (n, size, size, 3). Changes images."""
        images = np.delete(self.images, list(self.faults), axis=0) if self.faults else self.images
        images = pixels.as_channels(images, None if settings.channels is None else int(settings.channels))
        return np.subtract(255, images, out=images) if settings.invert else images

    def remarks(self) -> dict[int, str]:
        """What a person should look at, by row. Call it before `kept`."""
        blank = (row for row, image in enumerate(self.images) if pixels.is_blank(image))
        said = {row: left_out.BLANK for row in blank if row not in self.faults}
        return said | {row: left_out.NARROW for row in sorted(self.narrow)}

    def facts(self) -> dict[str, Any]:
        """How the pictures are kept, for provenance.json: nothing, as they are arrays."""
        return {}

    def notes(self) -> dict[str, str]:
        """What a person should know of how these pictures were read, by the first word of its line."""
        said = {}
        if self.deep and self.bits < 16:
            said["depth"] = f"{self.deep} pictures of 16 bits never use more than {self.bits}: read as {self.bits} bits"
        if self.black:
            said["black"] = f"{self.black} of {self.deep} pictures of 16 bits are black all over: is their range right?"
        if self.more:
            said["frames"] = f"{self.more} files hold several frames or pages: the first of each was read"
        return said


def read_pictures(
    contents: Sequence[Content | Callable[[], Content]],
    settings: ImageFolderSettings,
    boxes: Sequence[Box | tuple[()]] = (),
) -> Reading:
    """Read, shrink and square pictures. Raises UserError where the result cannot fit in memory.

    contents: what each comes from, or what gives that when it is called; boxes: what is cut out of each. One number of
    bits is found for all pictures of 16 bits whose files do not tell, so that they stay comparable.
    """
    shape = (len(contents), settings.size, settings.size, 3)
    _check_memory(shape)
    reader = _Reader(contents, settings, Reading(np.zeros(shape, np.uint8)), boxes)
    found = reader.found
    with quiet(), large_blocks(), ThreadPoolExecutor() as pool:  # decoders let other threads run
        _watched(pool.map(reader.read, range(len(contents))), len(contents), "reading pictures")
        deep = [row for row in reader.peaks if row not in found.faults]
        found.deep, found.more = len(deep), len(reader.more)
        if deep:
            found.bits = pixels.bits_in_use(max(reader.peaks[row] for row in deep), max(reader.least.values()))
        if found.bits < 16:
            _watched(pool.map(reader.read, deep), len(deep), "reading 16 bits again")
        found.black = sum(not found.images[row].any() for row in deep)
    return found


def _watched(work: Iterable[None], total: int, what: str) -> None:
    for _ in progress(work, desc=what, total=total, unit="picture"):
        pass


class _Reader:
    """What the threads share."""

    def __init__(
        self,
        contents: Sequence[Content | Callable[[], Content]],
        settings: ImageFolderSettings,
        found: Reading,
        boxes: Sequence[Box | tuple[()]],
    ) -> None:
        self.contents, self.settings, self.found, self.boxes = contents, settings, found, boxes
        self.largest = int(settings.largest_file * 1e6)
        self.bytes, self.pixels = Allowance(self.largest), Allowance(int(settings.largest_picture * 1e6))
        self.peaks: dict[int, int] = {}
        self.least: dict[int, int] = {}
        self.more: set[int] = set()

    def read(self, row: int) -> None:
        """Put one picture into its place, or what is wrong with it among the faults."""
        try:
            self._read(self.contents[row], row)
        except (UserError, ValueError, OSError, MemoryError) as error:
            self.found.faults[row] = said_of(error)

    def _read(self, content: Content | Callable[[], Content], row: int) -> None:
        content = content() if callable(content) else content
        if isinstance(content, np.ndarray):
            self._fit(pixels.shown(Samples(content)), row)
        elif isinstance(content, bytes):
            self._decode(content, row)
        else:
            check_file(content, self.settings)
            with open(content, "rb") as file, self.bytes.of(size := os.fstat(file.fileno()).st_size):
                self._decode(file.read(size), row)

    def _decode(self, data: bytes, row: int) -> None:
        header = decoding.header(data, self.settings.largest_picture)
        with self.pixels.of(header.width * header.height):
            decoded = header.decode()
            if decoded.peak is not None:
                self.peaks[row], self.least[row] = decoded.peak, decoded.least_bits
            whole = pixels.shown(decoded, self.found.bits)
            del decoded
            self._fit(whole, row)
        if header.more:
            self.more.add(row)
        if min(header.width, header.height) == 1:
            self.found.narrow.add(row)

    def _fit(self, whole: np.ndarray, row: int) -> None:
        whole = framing.framed(whole, self.boxes[row] if self.boxes else (), self.settings)
        self.found.images[row] = pixels.fit(whole, self.settings.size, self.settings.fit)


def said_of(error: BaseException) -> str:
    """What is wrong with a picture, by what reading it raised."""
    if isinstance(error, MemoryError):
        return "too little memory to decode it"
    return str((isinstance(error, OSError) and error.strerror) or error)


def check_file(path: Path, settings: ImageFolderSettings) -> None:
    """Raise ValueError for what is no plain file, or larger than is read."""
    wrong = disk.fault(path, int(settings.largest_file * 1e6))
    if wrong is not None:
        hint = f" (--largest-file {settings.largest_file:g})" if disk.fault(path) is None else ""
        raise ValueError(f"it {wrong}{hint}")


def _check_memory(shape: tuple[int, ...]) -> None:
    need, free = int(_COPIES * np.prod(shape, dtype=float)), free_memory()
    if free is not None and need > free:
        count, size = shape[0], shape[1]
        raise UserError(
            f"{count:,} pictures of {size}x{size} take {need / 1e9:,.1f} GB while they are prepared, and"
            f" {free / 1e9:,.1f} GB are free: give a smaller --size, or fewer pictures with --per-class"
        )
