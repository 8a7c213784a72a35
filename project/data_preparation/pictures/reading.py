"""Reads a list of picture files into one array of small squares: in threads, within memory, and without a sound.

What decoders of pictures print by themselves is kept off the screen (`quiet`).
"""

import contextlib
import io
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np
from PIL import Image

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import decoding, framing, pixels
from project.data_preparation.pictures.entries import Box, Content
from project.data_preparation.pictures.pixels import Samples
from project.work.common import UserError, progress
from project.work.files import disk

_BLOCK = 64 << 20  # bytes
_COPIES = 2.2  # of all pictures that are held at once while they are divided into two parts


@dataclass
class Reading:
    """images: uint8 (N, size, size, 3), undefined for files with a fault; faults: what is wrong, by row.

    deep: how many had 16 bits in their files without saying how many of them are used; bits: of those, so many are;
    black: how many of them are black all over; more: how many had further frames or pages, which were left out.
    """

    images: np.ndarray
    faults: dict[int, str] = field(default_factory=dict)
    deep: int = 0
    bits: int = 16
    black: int = 0
    more: int = 0

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
    with quiet(), _large_blocks(), ThreadPoolExecutor() as pool:  # decoders let other threads run
        _watched(pool.map(reader.read, range(len(contents))), len(contents), "reading pictures")
        deep = [row for row in reader.peaks if row not in found.faults]
        found.deep, found.more = len(deep), len(reader.more)
        if deep:
            found.bits = pixels.bits_in_use(max(reader.peaks[row] for row in deep), max(reader.least.values()))
        if found.bits < 16:
            _watched(pool.map(reader.read, deep), len(deep), "reading 16 bits again")
        found.black = sum(not found.images[row].any() for row in deep)
    return found


@contextlib.contextmanager
def _large_blocks() -> Iterator[None]:
    """Have Pillow take memory in blocks that the system gets back; those up to 32 MB may stay with a thread for good.

    Each of many threads would keep a large picture's memory, which the others cannot use.
    """
    size = Image.core.get_block_size()
    Image.core.set_block_size(_BLOCK)
    try:
        yield
    finally:
        Image.core.set_block_size(size)


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
        except (UserError, ValueError) as error:
            self.found.faults[row] = str(error)
        except OSError as error:
            self.found.faults[row] = error.strerror or str(error)
        except MemoryError:
            self.found.faults[row] = "too little memory to decode it"

    def _read(self, content: Content | Callable[[], Content], row: int) -> None:
        content = content() if callable(content) else content
        if isinstance(content, np.ndarray):
            self._fit(pixels.shown(Samples(content)), row)
        elif isinstance(content, bytes):
            self._decode(content, row)
        else:
            self._read_file(content, row)

    def _read_file(self, path: Path, row: int) -> None:
        wrong = disk.fault(path, self.largest)
        if wrong is not None:
            hint = f" (--largest-file {self.settings.largest_file:g})" if disk.fault(path) is None else ""
            raise ValueError(f"it {wrong}{hint}")
        with open(path, "rb") as file, self.bytes.of(size := os.fstat(file.fileno()).st_size):
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

    def _fit(self, whole: np.ndarray, row: int) -> None:
        whole = framing.framed(whole, self.boxes[row] if self.boxes else (), self.settings)
        self.found.images[row] = pixels.fit(whole, self.settings.size, self.settings.fit)


class Allowance:
    """So much of something, which threads take parts of and give back; what is larger than all of it takes all."""

    def __init__(self, whole: int) -> None:
        self.whole = self.free = max(whole, 1)
        self.changed = threading.Condition()

    @contextlib.contextmanager
    def of(self, part: int) -> Iterator[None]:
        """Wait until so much is free, and hold it."""
        part = min(part, self.whole)
        with self.changed:
            self.changed.wait_for(lambda: self.free >= part)
            self.free -= part
        try:
            yield
        finally:
            with self.changed:
                self.free += part
                self.changed.notify_all()


def _check_memory(shape: tuple[int, ...]) -> None:
    need, free = int(_COPIES * np.prod(shape, dtype=float)), free_memory()
    if free is not None and need > free:
        count, size = shape[0], shape[1]
        raise UserError(
            f"{count:,} pictures of {size}x{size} take {need / 1e9:,.1f} GB while they are prepared, and"
            f" {free / 1e9:,.1f} GB are free: give a smaller --size, or fewer pictures with --per-class"
        )


def free_memory() -> int | None:
    """Bytes of memory that this process could still take; None where the system does not say."""
    try:
        facts = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(facts["MemAvailable"].split()[0]) << 10
    except (OSError, KeyError, ValueError, IndexError):
        return None
    with contextlib.suppress(OSError, ValueError):  # a container's own limit
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        free = min(free, limit - int((group / "memory.current").read_text()))
    return max(free, 0)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the decoders' own reports of broken files from the screen; what Python itself prints goes there as ever.

    The libraries below OpenCV and Pillow write to file number 2 whatever they are told, so that leads nowhere
    meanwhile, and Python's standard error goes on by another number. To be entered once around all threads: nothing is
    switched while they run.
    """
    level, most, log = cv2.utils.logging.getLogLevel(), Image.MAX_IMAGE_PIXELS, logging.getLogger("PIL")
    heard = log.level
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    Image.MAX_IMAGE_PIXELS = None  # --largest-picture says it
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), _silent_standard_error():
            warnings.simplefilter("ignore")
            yield
    finally:
        cv2.utils.logging.setLogLevel(level)
        Image.MAX_IMAGE_PIXELS = most
        log.setLevel(heard)


@contextlib.contextmanager
def _silent_standard_error() -> Iterator[None]:
    stream = sys.stderr
    try:
        kept = os.dup(2)
    except OSError:  # it is closed: nothing is to be seen anyway
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        if stream is not None:
            stream.flush()
            if _number(stream) == 2:
                sys.stderr = io.TextIOWrapper(
                    io.FileIO(kept, "w", closefd=False), stream.encoding, stream.errors, write_through=True
                )
        os.dup2(nowhere, 2)
        yield
    finally:
        if sys.stderr is not stream:
            sys.stderr.flush()
        sys.stderr = stream
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _number(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):  # a test's stand-in has none
        return None
