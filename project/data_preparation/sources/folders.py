"""Drawings in a folder with one text file a class: Kaggle's CSV files, Google's ndjson files."""

import contextlib
import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import orjson
import pandas as pd

from project.data_preparation.parsing import strokes
from project.data_preparation.parsing.records import COLUMNS, WORD, BrokenLine, Records, csv_cells, read_csv, read_json
from project.data_preparation.parsing.rows import PIECE, LeftOut, Place, Rows
from project.data_preparation.sources import classes as class_files
from project.data_preparation.sources.classes import GLANCED
from project.data_preparation.sources.lines import Lines, Text, glance, has_newlines, odd_form, scan, text_of
from project.work import class_names, files
from project.work.declaration import UserError


@dataclasses.dataclass(frozen=True)
class Pool:
    """The lines of a class's files, numbered on from one to the next."""

    lines: list[Lines]

    def __len__(self) -> int:
        return sum(map(len, self.lines))

    def pieces(self, rows: np.ndarray) -> Iterator[tuple[Lines, np.ndarray, np.ndarray]]:
        """Rows, which ascend, in pieces of one file: its lines, the rows as it numbers them, and as they are here."""
        first = 0
        for lines in self.lines:
            start, end = np.searchsorted(rows, (first, first + len(lines)))
            for own in lines.pieces(rows[start:end] - first, PIECE):
                yield lines, own, own + first
            first += len(lines)


class LineFolder(ABC):
    """What both kinds of folder share: rows are chosen by line, and only chosen lines are parsed."""

    synthetic = False

    def __init__(self, folder: Path, suffix: str, raw: bool, recognized: bool, skip_broken: bool) -> None:
        self.folder, self.raw, self.recognized, self.skip_broken = folder, raw, recognized, skip_broken
        self._classes = class_files.classify(class_files.listed(folder, suffix), self._words)

    def words(self) -> list[str]:
        """The words that the files' rows say, or the files' names where they say none, sorted."""
        return sorted(self._classes.files)

    def notes(self, names: Iterable[str]) -> list[str]:
        """What a person should know of the files of some classes."""
        return self._classes.notes(names)

    def rows(self, word: str, enough: int) -> int | None:
        """How many rows a class has, counted only up to `enough`; exactly where there may be fewer."""
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
        pool = Pool([self._scan(path, limit) for path in self._classes.files[word]])
        order = np.arange(len(pool)) if generator is None else generator.permutation(len(pool))
        left: list[LeftOut] = []
        chosen = self._admitted(pool, order, count, left) if picky else order
        if len(chosen) < count:
            raise self._too_few(word, len(chosen), count, left)
        # The walk is what is uniform, so it is cut in its own order and sorted afterwards.
        for lines, rows, _ in pool.pieces(np.sort(chosen[:count])):
            yield dataclasses.replace(self._read(lines, rows), left_out=tuple(left))
            left = []

    def _read(self, lines: Lines, rows: np.ndarray) -> Rows:
        return self._at(lines, rows).rows(lines.read(rows))

    def _admitted(self, pool: Pool, order: np.ndarray, count: int, left: list[LeftOut]) -> np.ndarray:
        """The rows that may be taken, in a given order, until there are enough; left: takes those that are broken."""
        found: list[np.ndarray] = [order[:0]]
        step = count + count // 4 + 16
        seen: dict[str, str] = {}
        for start in range(0, len(order), step):
            if sum(map(len, found)) >= count:
                break
            part = order[start : start + step]
            good = [
                numbers[self._admits(self._at(lines, rows), lines.read(rows), seen, left)]
                for lines, rows, numbers in pool.pieces(np.sort(part))
            ]
            found.append(part[np.isin(part, np.concatenate(good))])
        return np.concatenate(found)

    def _admits(self, place: Place, text: Text, seen: dict[str, str], left: list[LeftOut]) -> np.ndarray:
        """Which lines may be taken, by their numbers. seen: the keys of lines before, and where each is."""
        if not self.skip_broken:
            return np.flatnonzero(place.records(text).keys["recognized"])
        faults = place.left_out(text)
        good = np.array([number for number in range(len(text)) if number not in faults], dtype=np.int64)
        keys = place.read(text.only(good)).keys
        for number, key in zip(good.tolist(), keys["key_id"].tolist(), strict=True):
            if key in seen:
                faults[number] = place.fault(number, f"key_id {key} is that of {seen[key]} too")
            else:
                seen[key] = place.place(number)
        left.extend(faults[number] for number in sorted(faults))
        taken = ~np.isin(good, list(faults)) & (keys["recognized"] | (not self.recognized))
        return good[taken]

    def _too_few(self, word: str, found: int, count: int, left: list[LeftOut]) -> UserError:
        kind = "recognised drawings" if self.recognized else "drawings"
        paths = " and ".join(map(str, self._classes.files[word]))
        broken = f" ({len(left)} are broken, {left[0].line} of {left[0].file} the first)" if left else ""
        return UserError(f"{paths} has {found} {kind}{broken}, but {count} are asked for: lower --per-class")

    def _at(self, lines: Lines, rows: np.ndarray) -> Place:
        reader = self._reader(lines.path)
        return Place(str(lines.path), lines.numbers[rows], reader, "line", "mend or delete this line", self.raw)

    def _surely_has(self, path: Path, rows: int) -> bool:
        """Whether so many lines are quickly seen; blank ones among them are found when the rows are read."""
        return os.access(files.plain(path), os.R_OK) and has_newlines(path, rows)

    def _scan(self, path: Path, enough: int | None) -> Lines:
        return scan(path, enough)

    def _said(self, path: Path) -> str | None:
        return self._classes.said[path]

    @abstractmethod
    def _words(self, path: Path) -> list[str]:
        """The words of a file's first rows and its last."""

    @abstractmethod
    def _reader(self, path: Path) -> Callable[[Text], Records]:
        """What turns lines of a file into rows."""


class KaggleFolder(LineFolder):
    """Kaggle's train_simplified/*.csv or train_raw/*.csv; a truth.csv (key_id, true_word) beside them is joined on."""

    def __init__(self, folder: Path, raw: bool = False, recognized: bool = False, skip_broken: bool = False) -> None:
        folder, raw = _present(folder), raw or folder.name == "train_raw"
        folder = folder.parent if folder.name in ("train_simplified", "train_raw") else folder
        there = [name for name in ("train_simplified", "train_raw") if class_files.listed(folder / name, ".csv")]
        if not there or (raw and "train_raw" not in there):
            wanted = "train_raw/*.csv" if raw else "train_simplified/*.csv or train_raw/*.csv"
            raise UserError(f"{folder} has no {wanted}: unpack Kaggle's files there, or give another --input FOLDER")
        raw = raw or "train_simplified" not in there
        self._headers: dict[Path, list[str]] = {}
        super().__init__(folder / ("train_raw" if raw else "train_simplified"), ".csv", raw, recognized, skip_broken)

    def _read(self, lines: Lines, rows: np.ndarray) -> Rows:
        """As LineFolder does, with a column true_word where truth.csv is there."""
        drawn = super()._read(lines, rows)
        if self._truth is None:
            return drawn
        words = [self._truth.get(key) for key in drawn.keys["key_id"].tolist()]
        if None in words:
            path, key = self.folder.parent / "truth.csv", drawn.keys["key_id"][words.index(None)]
            raise UserError(f"{path} has no row for key_id {key}: add it, or move truth.csv away")
        return dataclasses.replace(drawn, keys=drawn.keys | {"true_word": np.array(words)})

    def rows(self, word: str, enough: int) -> int | None:
        """As LineFolder.rows; raises UserError for a header that lacks a column."""
        for path in self._classes.files[word]:
            self._header(path)
        return super().rows(word, enough)

    @cached_property
    def _truth(self) -> dict[str, str] | None:
        path = self.folder.parent / "truth.csv"
        if not os.path.lexists(path):
            return None
        try:
            truth = pd.read_csv(files.plain(path, files.LARGEST), dtype=str, keep_default_na=False).set_index("key_id")[
                "true_word"
            ]
        except (KeyError, ValueError) as error:
            raise UserError(f"{path}: needs the columns key_id,true_word ({error})") from error
        if not truth.index.is_unique:
            raise UserError(f"{path}: key_id {truth.index[truth.index.duplicated()][0]} occurs twice; keep one of them")
        return {key: class_names.canonical(word) for key, word in truth.to_dict().items()}

    def _surely_has(self, path: Path, rows: int) -> bool:
        return super()._surely_has(path, rows + 1)

    def _scan(self, path: Path, enough: int | None) -> Lines:
        lines = super()._scan(path, None if enough is None else enough + 1)
        return Lines(lines.path, lines.starts[1:], lines.ends[1:], lines.numbers[1:])

    def _words(self, path: Path) -> list[str]:
        header, *lines = [_cells(line) for line in glance(path, 1 + GLANCED)] or [[]]
        if WORD not in header:
            return []
        return [cells[header.index(WORD)] for cells in lines if len(cells) == len(header)]

    def _reader(self, path: Path) -> Callable[[Text], Records]:
        header, word = self._header(path), self._said(path)
        return lambda text: read_csv(text, header, word)

    def _header(self, path: Path) -> list[str]:
        if path not in self._headers:
            self._headers[path] = _read_header(path)
        return self._headers[path]


def _read_header(path: Path) -> list[str]:
    lines = scan(path, enough=1)
    header = _cells(lines.read(np.array([0])).line(0)) if len(lines) > 0 else []
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


def _cells(line: bytes) -> list[str]:
    try:
        return csv_cells(line)
    except ValueError:
        return []


class NdjsonFolder(LineFolder):
    """Google's <class>.ndjson, in the folder itself or in its simplified/ or raw/."""

    def __init__(self, folder: Path, raw: bool = False, recognized: bool = False, skip_broken: bool = False) -> None:
        places = [folder / "raw", folder] if raw else [folder / "simplified", folder, folder / "raw"]
        here = next((place for place in places if class_files.listed(place, ".ndjson")), None)
        if here is None:
            raise UserError(f"{_present(folder)} has no *.ndjson: put Google's files there, or give --input FOLDER")
        super().__init__(here, ".ndjson", raw, recognized, skip_broken)
        self.raw = raw or self._has_times(self._classes.files[self.words()[0]][0])

    def _has_times(self, path: Path) -> bool:
        """Whether the first drawing of a file notes times. Raises UserError where it has none that can be read."""
        for line in glance(path, GLANCED):
            with contextlib.suppress(BrokenLine):
                return strokes.has_times(read_json(text_of([line])).drawings.line(0))
        lines = self._scan(path, None)
        if len(lines) == 0:
            raise UserError(f"{path} has no drawing: fetch it again, or move it away")
        if not self.skip_broken:
            self._at(lines, np.array([0])).records(lines.read(np.array([0])))
        return False

    def _scan(self, path: Path, enough: int | None) -> Lines:
        form = odd_form(path)
        if form is not None:
            raise UserError(f"{path} is {form}")
        return super()._scan(path, enough)

    def _words(self, path: Path) -> list[str]:
        records = []
        for line in glance(path, GLANCED):
            try:
                records.append(orjson.loads(line.removeprefix(b"\xef\xbb\xbf")))
            except orjson.JSONDecodeError:  # said when the line is read
                continue
        words = [record.get(WORD) for record in records if isinstance(record, dict)]
        return [str(word) for word in words if word and isinstance(word, (str, int))]

    def _reader(self, path: Path) -> Callable[[Text], Records]:
        word = self._said(path)
        return lambda text: read_json(text, word)


def _present(folder: Path) -> Path:
    if not folder.exists():
        raise UserError(f"{folder} is missing: give the folder that holds the drawings with --input FOLDER")
    if not folder.is_dir():
        raise UserError(f"{folder} is a file: give the folder that holds the drawings with --input FOLDER")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UserError(f"{folder} cannot be read: mend its permissions, or give another --input FOLDER")
    return folder
