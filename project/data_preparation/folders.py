"""Drawings in a folder with one text file a class: Kaggle's CSV files, Google's ndjson files."""

import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd

from project.data_preparation import strokes
from project.data_preparation.lines import Lines, Text, has_newlines, scan
from project.data_preparation.records import COLUMNS, Records, csv_cells, read_csv, read_json
from project.data_preparation.rows import PIECE, Place, Rows
from project.work.declaration import UserError


class LineFolder(ABC):
    """What both kinds of folder share: rows are chosen by line, and only chosen lines are parsed."""

    synthetic = False

    def __init__(self, folder: Path, pattern: str, raw: bool, recognized: bool) -> None:
        self.folder, self.raw, self.recognized = folder, raw, recognized
        self._files = {path.stem: path for path in sorted(folder.glob(pattern))}

    def words(self) -> list[str]:
        """The names of the files without their suffix, sorted."""
        return sorted(self._files)

    def rows(self, word: str, enough: int) -> int | None:
        """How many rows a class has, counted only up to `enough`; exactly where there may be fewer."""
        return enough if self._surely_has(word, enough) else min(len(self._scan(word, enough)), enough)

    def version(self, word: str) -> str:
        """Size and time of the class's file."""
        facts = self._files[word].stat()
        return str(facts.st_size) if self.synthetic else f"{facts.st_size} {facts.st_mtime_ns}"

    def place(self, word: str, position: int) -> str:
        """File and line of a row."""
        return f"{self._files[word]} line {position}"

    def broken(self, word: str, position: int, fault: str) -> UserError:
        """What to say of a broken line."""
        return UserError(f"{self.place(word, position)}: {fault}; mend or delete this line")

    def read(self, word: str, count: int, generator: np.random.Generator | None) -> Iterator[Rows]:
        """Draw rows as sources.Source says: walk a random order of the lines until there are enough."""
        lines = self._scan(word, count if generator is None and not self.recognized else None)
        order = np.arange(len(lines)) if generator is None else generator.permutation(len(lines))
        chosen = self._recognized_rows(word, lines, order, count) if self.recognized else order
        if len(chosen) < count:
            kind = "recognised drawings" if self.recognized else "drawings"
            raise UserError(
                f"{self._files[word]} has {len(chosen)} {kind}, but {count} are asked for: lower --per-class"
            )
        # The walk is what is uniform, so it is cut in its own order and sorted afterwards.
        rows = np.sort(chosen[:count])
        for start in range(0, count, PIECE):
            yield self._read(word, lines, rows[start : start + PIECE])

    def _read(self, word: str, lines: Lines, rows: np.ndarray) -> Rows:
        return self._at(word, lines, rows).rows(lines.read(rows))

    def _recognized_rows(self, word: str, lines: Lines, order: np.ndarray, count: int) -> np.ndarray:
        """The rows of recognised drawings in a given order, until there are enough."""
        found: list[np.ndarray] = []
        step = count + count // 4 + 16
        for start in range(0, len(order), step):
            if sum(map(len, found)) >= count:
                break
            rows = np.sort(order[start : start + step])
            recognized = self._at(word, lines, rows).records(lines.read(rows)).keys["recognized"]
            part = order[start : start + step]
            found.append(part[np.isin(part, rows[recognized])])
        return np.concatenate(found)

    def _at(self, word: str, lines: Lines, rows: np.ndarray) -> Place:
        return Place(lines.numbers[rows], self._reader(word), partial(self.broken, word))

    def _surely_has(self, word: str, rows: int) -> bool:
        """Whether so many lines are quickly seen; blank ones among them are found when the rows are read."""
        path = self._files[word]
        return os.access(path, os.R_OK) and has_newlines(path, rows)

    def _scan(self, word: str, enough: int | None) -> Lines:
        return scan(self._files[word], enough)

    @abstractmethod
    def _reader(self, word: str) -> Callable[[Text], Records]:
        """What turns lines of the class's file into rows."""


class KaggleFolder(LineFolder):
    """Kaggle's train_simplified/*.csv or train_raw/*.csv; a truth.csv (key_id, true_word) beside them is joined on."""

    def __init__(self, folder: Path, raw: bool = False, recognized: bool = False) -> None:
        folder, raw = _present(folder), raw or folder.name == "train_raw"
        folder = folder.parent if folder.name in ("train_simplified", "train_raw") else folder
        there = [name for name in ("train_simplified", "train_raw") if any((folder / name).glob("*.csv"))]
        if not there or (raw and "train_raw" not in there):
            wanted = "train_raw/*.csv" if raw else "train_simplified/*.csv or train_raw/*.csv"
            raise UserError(f"{folder} has no {wanted}: unpack Kaggle's files there, or give another --input FOLDER")
        raw = raw or "train_simplified" not in there
        super().__init__(folder / ("train_raw" if raw else "train_simplified"), "*.csv", raw, recognized)
        self._headers: dict[str, list[str]] = {}

    def _read(self, word: str, lines: Lines, rows: np.ndarray) -> Rows:
        """As LineFolder does, with a column true_word where truth.csv is there."""
        drawn = super()._read(word, lines, rows)
        if self._truth is None:
            return drawn
        words = [self._truth.get(key) for key in drawn.keys["key_id"].tolist()]
        if None in words:
            path, key = self.folder.parent / "truth.csv", drawn.keys["key_id"][words.index(None)]
            raise UserError(f"{path} has no row for key_id {key}: add it, or move truth.csv away")
        return dataclasses.replace(drawn, keys=drawn.keys | {"true_word": np.array(words)})

    def rows(self, word: str, enough: int) -> int | None:
        """As LineFolder.rows; raises UserError for a header that lacks a column."""
        self._header(word)
        return super().rows(word, enough)

    @cached_property
    def _truth(self) -> dict[str, str] | None:
        path = self.folder.parent / "truth.csv"
        if not path.exists():
            return None
        try:
            truth = pd.read_csv(path, dtype=str, keep_default_na=False).set_index("key_id")["true_word"]
        except (KeyError, ValueError) as error:
            raise UserError(f"{path}: needs the columns key_id,true_word ({error})") from error
        if not truth.index.is_unique:
            raise UserError(f"{path}: key_id {truth.index[truth.index.duplicated()][0]} occurs twice; keep one of them")
        return truth.to_dict()

    def _surely_has(self, word: str, rows: int) -> bool:
        return super()._surely_has(word, rows + 1)

    def _scan(self, word: str, enough: int | None) -> Lines:
        lines = super()._scan(word, None if enough is None else enough + 1)
        return Lines(lines.path, lines.starts[1:], lines.ends[1:], lines.numbers[1:])

    def _reader(self, word: str) -> Callable[[Text], Records]:
        header = self._header(word)
        return lambda text: read_csv(text, header)

    def _header(self, word: str) -> list[str]:
        if word not in self._headers:
            self._headers[word] = self._read_header(word)
        return self._headers[word]

    def _read_header(self, word: str) -> list[str]:
        lines = scan(self._files[word], enough=1)
        try:
            header = csv_cells(lines.read(np.array([0])).line(0))
        except (IndexError, ValueError):
            header = []
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            columns = f"column {missing[0]}" if len(missing) == 1 else f"columns {', '.join(missing)}"
            raise UserError(f"{lines.path} has no {columns}: its first line must name Kaggle's columns")
        return header


class NdjsonFolder(LineFolder):
    """Google's <class>.ndjson, in the folder itself or in its simplified/ or raw/."""

    def __init__(self, folder: Path, raw: bool = False, recognized: bool = False) -> None:
        places = [folder / "raw", folder] if raw else [folder / "simplified", folder, folder / "raw"]
        here = next((place for place in places if any(place.glob("*.ndjson"))), None)
        if here is None:
            raise UserError(f"{_present(folder)} has no *.ndjson: put Google's files there, or give --input FOLDER")
        super().__init__(here, "*.ndjson", raw, recognized)
        word = self.words()[0]
        lines, first = self._scan(word, 1), np.array([0])
        if len(lines) == 0:  # the first line is blank
            lines = self._scan(word, None)
        if len(lines) == 0:
            raise UserError(f"{lines.path} has no drawing: fetch it again, or move it away")
        self.raw = raw or strokes.has_times(self._at(word, lines, first).records(lines.read(first)).drawings.line(0))

    def _reader(self, word: str) -> Callable[[Text], Records]:
        return read_json


def _present(folder: Path) -> Path:
    if not folder.exists():
        raise UserError(f"{folder} is missing: give the folder that holds the drawings with --input FOLDER")
    if not folder.is_dir():
        raise UserError(f"{folder} is a file: give the folder that holds the drawings with --input FOLDER")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UserError(f"{folder} cannot be read: mend its permissions, or give another --input FOLDER")
    return folder
