"""Text files with one drawing a line: find the lines without parsing them, then read only those that were chosen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from project.work import files
from project.work.declaration import UserError

LONGEST = 1 << 23  # bytes of a line: a raw drawing of 20 seconds has some 100,000
MOST_LINES = 20_000_000  # of a file; what is known of each takes memory
TOGETHER = 1 << 26  # bytes of lines that are in memory at a time
_BLOCK = 1 << 16  # bytes scanned at a time, which stay in the cache
_GLANCE = 1 << 15  # bytes at either end of a file that say what it holds
_SPARSE = 8  # lines are read one by one when the stretch they lie in is so many times as long as they are
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

    def only(self, numbers: np.ndarray) -> "Text":
        """Some of the lines."""
        return Text(self.data, self.starts[numbers], self.ends[numbers])

    def part(self, start: int, end: int) -> "Text":
        """Lines start to end, of which there is at least one."""
        first, last = self.starts[start], self.ends[end - 1]
        return Text(self.data[first:last], self.starts[start:end] - first, self.ends[start:end] - first)


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

    def pieces(self, rows: np.ndarray, most: int) -> Iterator[np.ndarray]:
        """The given rows in pieces of at most so many, fewer where their lines are long."""
        sizes, start = np.cumsum(self.ends[rows] - self.starts[rows]), 0
        while start < len(rows):
            before = sizes[start - 1] if start > 0 else 0
            fitting = int(np.searchsorted(sizes, before + TOGETHER, side="right"))
            end = min(start + most, max(fitting, start + 1))
            yield rows[start:end]
            start = end


def _stretch(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def has_newlines(path: Path, count: int) -> bool:
    """Whether a file has at least so many, which is quicker to know than where they are.

    Raises UserError as `scan` does, and OSError.
    """
    block = np.empty(_BLOCK, dtype=np.uint8)
    since = 0
    with open(files.plain(path), "rb", buffering=0) as file:
        while count > 0 and (size := file.readinto(block)):
            found = np.count_nonzero(block[:size] == _NEWLINE)
            since = 0 if found else since + size
            if since > LONGEST:
                raise _too_long(path)
            count -= found
    return count <= 0


def glance(path: Path, rows: int) -> list[bytes]:
    """The first lines of a file that are not blank, and its last; none where it cannot be read."""
    if files.fault(path) is not None:
        return []
    try:
        with open(path, "rb", buffering=0) as file:
            start = file.read(_GLANCE)
            while b"\n" not in start and len(start) < LONGEST and (more := file.read(len(start))):
                start += more
            size = file.seek(0, 2)
            rest = _stretch(file, max(len(start), size - _GLANCE), size)
    except OSError:
        return []
    lines = start.split(b"\n") if size == len(start) else start.split(b"\n")[:-1]
    last = [line for line in rest.split(b"\n")[1:] if line.strip()][-1:]
    return [line for line in lines if line.strip()][:rows] + last


def odd_form(path: Path) -> str | None:
    """What a file is when it is no plain text, and what to do; None where nothing tells."""
    with files.opened(path) as file:
        start = file.read(8)
    return next((form for mark, form in _FORMS.items() if start.startswith(mark)), None)


def scan(path: Path, enough: int | None = None) -> Lines:
    """Find the lines of a file by their newlines alone; stop soon after `enough` of them.

    Raises UserError for what is no plain file, is empty or cannot be read, and for a line longer than any drawing.
    """
    size = files.plain(path).stat().st_size
    if size == 0:
        raise UserError(f"{path} is empty: fetch it again, or leave its class out with --classes")
    try:
        with open(path, "rb", buffering=0) as file:
            newlines = np.concatenate(list(_newlines(path, file, enough)))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): mend its permissions or fetch it again") from error
    # A scan that stopped early must not take the rest of the file for one last line.
    whole = len(newlines) == 0 or (newlines[-1] != size - 1 and (enough is None or len(newlines) < enough))
    ends = np.append(newlines, size) if whole else newlines
    starts = np.concatenate(([0], ends[:-1] + 1))
    blank = ends == starts
    single = np.flatnonzero(ends - starts == 1)
    if len(single) > 0:
        blank[single] = np.memmap(path, mode="r")[starts[single]] == _RETURN
    kept = np.flatnonzero(~blank)
    return Lines(path, starts[kept], ends[kept], kept + 1)


def _newlines(path: Path, file: BinaryIO, enough: int | None) -> Iterator[np.ndarray]:
    """The places of newlines, block by block, so that a file of any size takes no memory."""
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
