"""Drawings in a folder with one text file a class: Kaggle's CSV files, Google's ndjson files.

Lines are found by their newlines, without parsing any; rows are chosen by line, and only chosen lines are parsed.
"""

import contextlib
import dataclasses
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from project.data_preparation.parsing import strokes
from project.data_preparation.parsing.rows import (
    AT_ONCE,
    COLUMNS,
    WORD,
    BrokenLine,
    LeftOut,
    LineOrigin,
    Rows,
    Text,
    UnparsedRows,
    read_csv,
    read_json,
    text_of,
)
from project.data_preparation.sources import classes
from project.data_preparation.sources.classes import LONGEST
from project.work.common import UserError
from project.work.files import disk
from project.work.labels import naming

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


class LineFolder(ABC):
    """The base of both kinds of folder: rows are chosen by line, and only chosen lines are parsed."""

    synthetic = False

    def __init__(
        self,
        paths: Sequence[Path],
        words_in: Callable[[Path], list[str]],
        raw: bool,
        recognized: bool,
        skip_broken: bool,
    ) -> None:
        self.raw, self.recognized, self.skip_broken = raw, recognized, skip_broken
        self._classes = classes.classify(paths, words_in)

    def words(self) -> list[str]:
        """The words in the files' rows or, without words, the files' names; sorted."""
        return sorted(self._classes.files)

    def notes(self, names: Iterable[str]) -> list[str]:
        """What a person should know of the files of some classes."""
        return self._classes.notes(names)

    def rows(self, word: str, enough: int) -> int | None:
        """How many rows a class has, counted only up to `enough`; exact if there are fewer."""
        count = 0
        for path in self._classes.files[word]:
            wanted = enough - count
            if wanted > 0:
                count += wanted if self._surely_has(path, wanted) else min(len(self._scan(path, wanted)), wanted)
        return count

    def version(self, word: str) -> str:
        """Size and time of the class's files."""
        facts = [path.stat() for path in self._classes.files[word]]
        return ", ".join(
            str(each.st_size) if self.synthetic else f"{each.st_size} {each.st_mtime_ns}" for each in facts
        )

    def read(self, word: str, count: int, generator: np.random.Generator | None) -> Iterator[Rows]:
        """Draw rows as sources.Source says: walk a random order of the lines until there are enough."""
        picky = self.recognized or self.skip_broken
        limit = count if generator is None and not picky else None
        file_rows = FileRows([self._scan(path, limit) for path in self._classes.files[word]])
        order = np.arange(len(file_rows)) if generator is None else generator.permutation(len(file_rows))
        left: list[LeftOut] = []
        chosen = self._admitted(file_rows, order, count, left) if picky else order
        if len(chosen) < count:
            raise self._too_few(word, len(chosen), count, left)
        # The random order makes the sample uniform, so it is cut first and sorted afterwards.
        for lines, rows, _ in file_rows.pieces(np.sort(chosen[:count])):
            yield dataclasses.replace(self._read(lines, rows), left_out=tuple(left))
            left = []

    def _read(self, lines: Lines, rows: np.ndarray) -> Rows:
        return self._at(lines, rows).rows(lines.read(rows))

    def _admitted(self, file_rows: FileRows, order: np.ndarray, count: int, left: list[LeftOut]) -> np.ndarray:
        """The admitted rows in a given order, until there are enough; left: broken rows are appended to it."""
        found: list[np.ndarray] = [order[:0]]
        step = count + count // 4 + 16
        seen: dict[str, str] = {}
        for start in range(0, len(order), step):
            if sum(map(len, found)) >= count:
                break
            part = order[start : start + step]
            good = [
                numbers[self._admits(self._at(lines, rows), lines.read(rows), seen, left)]
                for lines, rows, numbers in file_rows.pieces(np.sort(part))
            ]
            found.append(part[np.isin(part, np.concatenate(good))])
        return np.concatenate(found)

    def _admits(self, origin: LineOrigin, text: Text, seen: dict[str, str], left: list[LeftOut]) -> np.ndarray:
        """The numbers of the admitted lines. seen: keys of earlier lines -> where each is."""
        if not self.skip_broken:
            return np.flatnonzero(origin.unparsed(text).keys["recognized"])
        faults = origin.left_out(text)
        good = np.array([number for number in range(len(text)) if number not in faults], dtype=np.int64)
        keys = origin.read(text.only(good)).keys
        for number, key in zip(good.tolist(), keys["key_id"].tolist(), strict=True):
            if key in seen:
                faults[number] = origin.fault(number, f"key_id {key} is that of {seen[key]} too")
            else:
                seen[key] = origin.place(number)
        left.extend(faults[number] for number in sorted(faults))
        taken = ~np.isin(good, list(faults)) & (keys["recognized"] | (not self.recognized))
        return good[taken]

    def _too_few(self, word: str, found: int, count: int, left: list[LeftOut]) -> UserError:
        kind = "recognised drawings" if self.recognized else "drawings"
        paths = " and ".join(map(str, self._classes.files[word]))
        broken = f" ({len(left)} are broken, {left[0].line} of {left[0].file} the first)" if left else ""
        return UserError(f"{paths} has {found} {kind}{broken}, but {count} are asked for: lower --per-class")

    def _at(self, lines: Lines, rows: np.ndarray) -> LineOrigin:
        reader = self._reader(lines.path)
        return LineOrigin(str(lines.path), lines.numbers[rows], reader, "line", "correct or delete this line", self.raw)

    def _surely_has(self, path: Path, rows: int) -> bool:
        """Whether a quick check finds this many lines; blank lines among them are found when the rows are read."""
        return os.access(disk.plain(path), os.R_OK) and has_newlines(path, rows)

    def _scan(self, path: Path, enough: int | None) -> Lines:
        return scan(path, enough)

    def _said(self, path: Path) -> str | None:
        return self._classes.said[path]

    @abstractmethod
    def _reader(self, path: Path) -> Callable[[Text], UnparsedRows]:
        """The function that parses lines of a file into rows."""


class KaggleFolder(LineFolder):
    """Kaggle's train_simplified/*.csv or train_raw/*.csv; a truth.csv (key_id, true_word) beside them is joined."""

    def __init__(self, folder: Path, raw: bool = False, recognized: bool = False, skip_broken: bool = False) -> None:
        folder, raw = classes.present(folder), raw or folder.name == "train_raw"
        folder = folder.parent if folder.name in ("train_simplified", "train_raw") else folder
        there = [name for name in ("train_simplified", "train_raw") if classes.listed(folder / name, ".csv")]
        if not there or (raw and "train_raw" not in there):
            wanted = "train_raw/*.csv" if raw else "train_simplified/*.csv or train_raw/*.csv"
            raise UserError(f"{folder} has no {wanted}: unpack Kaggle's files there, or give another --input FOLDER")
        raw = raw or "train_simplified" not in there
        self._headers: dict[Path, list[str]] = {}
        self._truth_file = folder / "truth.csv"
        paths = classes.listed(folder / ("train_raw" if raw else "train_simplified"), ".csv")
        super().__init__(paths, classes.words_of_csv, raw, recognized, skip_broken)

    def _read(self, lines: Lines, rows: np.ndarray) -> Rows:
        """As LineFolder, with a column true_word if truth.csv exists."""
        drawn = super()._read(lines, rows)
        if self._truth is None:
            return drawn
        words = [self._truth.get(key) for key in drawn.keys["key_id"].tolist()]
        if None in words:
            path, key = self._truth_file, drawn.keys["key_id"][words.index(None)]
            raise UserError(f"{path} has no row for key_id {key}: add it, or move truth.csv away")
        return dataclasses.replace(drawn, keys=drawn.keys | {"true_word": np.array(words)})

    def rows(self, word: str, enough: int) -> int | None:
        """As LineFolder.rows; raises UserError for a header that lacks a column."""
        for path in self._classes.files[word]:
            self._header(path)
        return super().rows(word, enough)

    @cached_property
    def _truth(self) -> dict[str, str] | None:
        path = self._truth_file
        if not os.path.lexists(path):
            return None
        try:
            truth = pd.read_csv(disk.plain(path, disk.LARGEST), dtype=str, keep_default_na=False).set_index("key_id")[
                "true_word"
            ]
        except (KeyError, ValueError) as error:
            raise UserError(f"{path}: needs the columns key_id,true_word ({error})") from error
        if not truth.index.is_unique:
            raise UserError(f"{path}: key_id {truth.index[truth.index.duplicated()][0]} occurs twice; keep one of them")
        return {key: naming.canonical(word) for key, word in truth.to_dict().items()}

    def _surely_has(self, path: Path, rows: int) -> bool:
        return super()._surely_has(path, rows + 1)

    def _scan(self, path: Path, enough: int | None) -> Lines:
        lines = super()._scan(path, None if enough is None else enough + 1)
        return Lines(lines.path, lines.starts[1:], lines.ends[1:], lines.numbers[1:])

    def _reader(self, path: Path) -> Callable[[Text], UnparsedRows]:
        header, word = self._header(path), self._said(path)
        return lambda text: read_csv(text, header, word)

    def _header(self, path: Path) -> list[str]:
        if path not in self._headers:
            self._headers[path] = _read_header(path)
        return self._headers[path]


def _read_header(path: Path) -> list[str]:
    lines = scan(path, enough=1)
    header = classes.csv_cells_of(lines.read(np.array([0])).line(0)) if len(lines) > 0 else []
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        columns = f"column {missing[0]}" if len(missing) == 1 else f"columns {', '.join(missing)}"
        form = odd_form(path)
        hint = f" (it is {form})" if form else ", separated by commas" if len(header) == 1 else ""
        raise UserError(f"{path} has no {columns}: its first line must name Kaggle's columns{hint}")
    twice = next((name for name in (*COLUMNS, WORD) if header.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path} has two columns {twice}: leave one of them")
    return header


class NdjsonFolder(LineFolder):
    """Google's <class>.ndjson, in the folder itself or in its simplified/ or raw/."""

    def __init__(self, folder: Path, raw: bool = False, recognized: bool = False, skip_broken: bool = False) -> None:
        places = [folder / "raw", folder] if raw else [folder / "simplified", folder, folder / "raw"]
        here = next((place for place in places if classes.listed(place, ".ndjson")), None)
        if here is None:
            raise UserError(
                f"{classes.present(folder)} has no *.ndjson: put Google's files there, or give --input FOLDER"
            )
        super().__init__(classes.listed(here, ".ndjson"), classes.words_of_ndjson, raw, recognized, skip_broken)
        self.raw = raw or self._has_times(self._classes.files[self.words()[0]][0])

    def _has_times(self, path: Path) -> bool:
        """Whether the first drawing of a file has times. Raises UserError if no drawing can be read."""
        for line in classes.glance(path, classes.GLANCED):
            with contextlib.suppress(BrokenLine):
                return strokes.has_times(read_json(text_of([line])).drawings.line(0))
        lines = self._scan(path, None)
        if len(lines) == 0:
            raise UserError(f"{path} has no drawing: fetch it again, or move it away")
        if not self.skip_broken:
            self._at(lines, np.array([0])).unparsed(lines.read(np.array([0])))
        return False

    def _scan(self, path: Path, enough: int | None) -> Lines:
        form = odd_form(path)
        if form is not None:
            raise UserError(f"{path} is {form}")
        return super()._scan(path, enough)

    def _reader(self, path: Path) -> Callable[[Text], UnparsedRows]:
        word = self._said(path)
        return lambda text: read_json(text, word)


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
