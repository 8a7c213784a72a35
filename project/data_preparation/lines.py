"""Text files with one drawing a line: find the lines without parsing them, then read only those that were chosen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from project.work.declaration import UserError

_BLOCK = 1 << 16  # bytes scanned at a time, which stay in the cache
_SPARSE = 8  # lines are read one by one when the stretch they lie in is so many times as long as they are
_NEWLINE = 10


@dataclass(frozen=True)
class Text:
    """Lines in memory. data: uint8; starts, ends: int64 (N,), where in it each lies."""

    data: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def line(self, number: int) -> bytes:
        """One of the lines."""
        return self.data[self.starts[number] : self.ends[number]].tobytes()


def text_of(lines: Sequence[bytes]) -> Text:
    """Lines end to end."""
    ends = np.cumsum(np.fromiter(map(len, lines), dtype=np.int64))
    return Text(np.frombuffer(bytearray(b"".join(lines)), dtype=np.uint8), np.append(0, ends)[: len(ends)], ends)


@dataclass(frozen=True)
class Lines:
    """Where each line of a file that is not blank lies: bytes [start, end), and its number in the file, from 1."""

    path: Path
    starts: np.ndarray
    ends: np.ndarray
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def read(self, rows: np.ndarray) -> Text:
        """The given lines, whose row numbers ascend."""
        starts, ends = self.starts[rows], self.ends[rows]
        with open(self.path, "rb") as file:
            if len(rows) == 0 or ends[-1] - starts[0] > _SPARSE * (ends - starts).sum():
                return text_of([_stretch(file, *span) for span in zip(starts, ends, strict=True)])
            data = np.empty(ends[-1] - starts[0], dtype=np.uint8)
            file.seek(starts[0])
            file.readinto(data)
        return Text(data, starts - starts[0], ends - starts[0])


def _stretch(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def has_newlines(path: Path, count: int) -> bool:
    """Whether a file has at least so many, which is quicker to know than where they are. Raises OSError."""
    block = np.empty(_BLOCK, dtype=np.uint8)
    with open(path, "rb", buffering=0) as file:
        while count > 0 and (size := file.readinto(block)):
            count -= np.count_nonzero(block[:size] == _NEWLINE)
    return count <= 0


def scan(path: Path, enough: int | None = None) -> Lines:
    """Find the lines of a file by their newlines alone; stop soon after `enough` of them.

    Raises UserError for a file that is empty or cannot be read.
    """
    try:
        size = path.stat().st_size
        if size == 0:
            raise UserError(f"{path} is empty: fetch it again, or leave its class out with --classes")
        with open(path, "rb", buffering=0) as file:
            newlines = np.concatenate(list(_newlines(file, enough)))
            # A scan that stopped early must not take the rest of the file for one last line.
            whole = len(newlines) == 0 or (newlines[-1] != size - 1 and (enough is None or len(newlines) < enough))
            ends = np.append(newlines, size) if whole else newlines
            starts = np.concatenate(([0], ends[:-1] + 1))
            blank = ends == starts
            for single in np.flatnonzero(ends - starts == 1):
                blank[single] = _stretch(file, starts[single], ends[single]) == b"\r"
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): mend its permissions or fetch it again") from error
    kept = np.flatnonzero(~blank)
    return Lines(path, starts[kept], ends[kept], kept + 1)


def _newlines(file: BinaryIO, enough: int | None) -> Iterator[np.ndarray]:
    """The places of newlines, block by block, so that a file of any size takes no memory."""
    found, start = 0, 0
    block = np.empty(_BLOCK, dtype=np.uint8)
    while (enough is None or found < enough) and (size := file.readinto(block)):
        part = np.flatnonzero(block[:size] == _NEWLINE) + start
        found, start = found + len(part), start + size
        yield part
