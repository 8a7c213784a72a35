"""The lines of text files, found by their newlines without parsing any, and read by their numbers."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from project.data_preparation.parsing.rows import AT_ONCE, Text, text_of
from project.data_preparation.sources.classes import LONGEST
from project.work.common import UserError
from project.work.files import disk

MOST_LINES = 20_000_000  # of a file; the index of lines takes memory
TOGETHER = 1 << 26  # bytes of lines in memory at a time
_BLOCK = 1 << 16  # bytes scanned at a time, which stay in the cache
_SPARSE = 8  # lines are read one by one if the stretch that they span is this many times their length
_NEWLINE, _RETURN = 10, 13
_FORMS = {
    b"\x1f\x8b": "gzipped: unpack it",
    b"PK\x03\x04": "a ZIP archive or a spreadsheet: unpack it, or save it as CSV",
    b"BZh": "packed with bzip2: unpack it",
    b"\xfd7zXZ": "packed with xz: unpack it",
    b"\xff\xfe": "UTF-16: save it as UTF-8",
    b"\xfe\xff": "UTF-16: save it as UTF-8",
}


@dataclass(frozen=True)
class Lines:
    """The lines of a file that are not blank: bytes [start, end) of each, and its number in the file, from 1."""

    path: Path
    starts: np.ndarray
    ends: np.ndarray
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def read(self, rows: np.ndarray) -> Text:
        """Read the given lines; rows: ascending."""
        starts, ends = self.starts[rows], self.ends[rows]
        with open(self.path, "rb") as file:
            if len(rows) == 0 or ends[-1] - starts[0] > _SPARSE * (ends - starts).sum():
                return text_of([_stretch(file, *span) for span in zip(starts, ends, strict=True)])
            data = np.empty(ends[-1] - starts[0], dtype=np.uint8)
            file.seek(starts[0])
            file.readinto(data)
        return Text(data, starts - starts[0], ends - starts[0])

    def pieces(self, rows: np.ndarray, most: int) -> Iterator[np.ndarray]:
        """The given rows in pieces of at most `most`, fewer if their lines are long."""
        sizes, start = np.cumsum(self.ends[rows] - self.starts[rows]), 0
        while start < len(rows):
            before = sizes[start - 1] if start > 0 else 0
            fitting = int(np.searchsorted(sizes, before + TOGETHER, side="right"))
            end = min(start + most, max(fitting, start + 1))
            yield rows[start:end]
            start = end


@dataclass(frozen=True)
class FileRows:
    """The lines of a class's files, numbered consecutively over the files."""

    lines: list[Lines]

    def __len__(self) -> int:
        return sum(map(len, self.lines))

    def pieces(self, rows: np.ndarray) -> Iterator[tuple[Lines, np.ndarray, np.ndarray]]:
        """Ascending rows in pieces of one file each: its lines, the rows by its numbers, and the rows by ours."""
        first = 0
        for lines in self.lines:
            start, end = np.searchsorted(rows, (first, first + len(lines)))
            for own in lines.pieces(rows[start:end] - first, AT_ONCE):
                yield lines, own, own + first
            first += len(lines)


def _stretch(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def has_newlines(path: Path, count: int) -> bool:
    """Whether a file has at least `count` newlines, which is quicker than finding their positions.

    Raises UserError as `scan` does, and OSError.
    """
    block = np.empty(_BLOCK, dtype=np.uint8)
    since = 0
    with open(disk.plain(path), "rb", buffering=0) as file:
        while count > 0 and (size := file.readinto(block)):
            found = np.count_nonzero(block[:size] == _NEWLINE)
            since = 0 if found else since + size
            if since > LONGEST:
                raise _too_long(path)
            count -= int(found)
    return count <= 0


def odd_form(path: Path) -> str | None:
    """The format of a file that is not plain text, and what to do; None if its start shows nothing."""
    with disk.opened(path) as file:
        start = file.read(8)
    return next((form for mark, form in _FORMS.items() if start.startswith(mark)), None)


def scan(path: Path, enough: int | None = None) -> Lines:
    """Find the lines of a file by their newlines alone; stop soon after `enough` of them.

    Raises UserError for a file that is not plain, is empty or cannot be read, and for a line longer than any drawing.
    """
    size = disk.plain(path).stat().st_size
    if size == 0:
        raise UserError(f"{path} is empty: fetch it again, or leave its class out with --classes")
    try:
        with open(path, "rb", buffering=0) as file:
            newlines = np.concatenate(list(_newlines(path, file, enough)))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): fix its permissions or fetch it again") from error
    # A scan that stopped early must not read the rest of the file as one last line.
    whole = len(newlines) == 0 or (newlines[-1] != size - 1 and (enough is None or len(newlines) < enough))
    ends = np.append(newlines, size) if whole else newlines
    starts = np.concatenate(([0], ends[:-1] + 1))
    blank = ends == starts
    single = np.flatnonzero(ends - starts == 1)
    if len(single) > 0:
        blank[single] = np.memmap(path, mode="r")[starts[single]] == _RETURN
    kept = np.flatnonzero(~blank)
    return Lines(path, starts[kept], ends[kept], kept + 1)


def _newlines(path: Path, file: io.FileIO, enough: int | None) -> Iterator[np.ndarray]:
    """The positions of newlines, block by block, so that memory does not grow with the file."""
    found, start, last = 0, 0, -1
    block = np.empty(_BLOCK, dtype=np.uint8)
    while (enough is None or found < enough) and (size := file.readinto(block)):
        part = np.flatnonzero(block[:size] == _NEWLINE) + start
        found, start = found + len(part), start + size
        last = part[-1] if len(part) else last
        if start - last > LONGEST:
            raise _too_long(path, f" line {found + 1}")
        if found > MOST_LINES:
            raise UserError(f"{path} has more than {MOST_LINES:,} lines: divide it, or leave its class out")
        yield part


def _too_long(path: Path, line: str = "") -> UserError:
    what = f"a line of more than {LONGEST:,} bytes" if not line else f"more than {LONGEST:,} bytes"
    return UserError(f"{path}{line} has {what}, as no drawing has: fetch it again, or leave its class out")
