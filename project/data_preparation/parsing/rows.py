"""Drawings of one class as a source gives them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from project.data_preparation.parsing import strokes
from project.data_preparation.parsing.records import BrokenLine, Records
from project.data_preparation.parsing.strokes import BrokenDrawing
from project.data_preparation.sources.lines import Text
from project.work.declaration import UserError
from project.work.raster.drawings import Drawings
from project.work.raster.simplification import LARGEST

PIECE = 4096  # rows that are in memory at a time


@dataclass(frozen=True)
class LeftOut:
    """A row that was left out: the file it is in, where in it, and what is wrong with it."""

    file: str
    line: str
    fault: str


@dataclass(frozen=True)
class Rows:
    """Some drawings of a class.

    places: names one of them for a person, by its number; keys: key_id, countrycode, recognized and, where known,
    true_word, each (N,); drawings: as they were written; left_out: what was left out in choosing, with the first rows.
    """

    places: Callable[[int], str]
    keys: dict[str, np.ndarray]
    drawings: Drawings
    left_out: tuple[LeftOut, ...] = ()

    def __len__(self) -> int:
        return len(self.drawings)


@dataclass(frozen=True)
class Place:
    """Where lines come from.

    positions: int64 (N,); read: what turns the lines into records; name: a position for a person, after the file;
    advice: what to do about a broken line; raw: whether their strokes are.
    """

    file: str
    positions: np.ndarray
    read: Callable[[Text], Records]
    name: str
    advice: str
    raw: bool

    def records(self, text: Text) -> Records:
        """What lines say. Raises UserError for a broken one."""
        try:
            return self.read(text)
        except BrokenLine as error:
            raise self._broken(error) from error

    def rows(self, text: Text) -> Rows:
        """What lines say and what they draw. Raises UserError for a broken one."""
        try:
            return self._rows(text)
        except (BrokenLine, BrokenDrawing) as error:
            raise self._broken(error) from error

    def left_out(self, text: Text) -> dict[int, LeftOut]:
        """The broken ones of some lines, by their number."""
        faults: dict[int, LeftOut] = {}
        waiting = [(0, len(text))] if len(text) > 0 else []
        while waiting:
            start, end = waiting.pop()
            try:
                self._rows(text.part(start, end))
            except (BrokenLine, BrokenDrawing) as error:
                if end - start == 1:
                    faults[start] = self.fault(start, str(error))
                else:
                    middle = (start + end) // 2
                    waiting += [(middle, end), (start, middle)]
        return faults

    def fault(self, number: int, said: str) -> LeftOut:
        """What is said of one of the lines."""
        return LeftOut(self.file, self._where(number), said)

    def place(self, number: int) -> str:
        """One of the lines for a person."""
        return f"{self.file} {self._where(number)}"

    def _where(self, number: int) -> str:
        return f"{self.name} {self.positions[number]}"

    def _rows(self, text: Text) -> Rows:
        records = self.read(text)
        written = records.drawings
        drawings = strokes.read(written.data, written.starts, written.ends)
        number = None if self.raw else drawings.outside(0, LARGEST)
        if number is not None:
            points = np.concatenate(drawings[number])
            span = f"{points.min():g} to {points.max():g}"
            raise BrokenDrawing(number, f"coordinates {span} leave 0 to 255; if these strokes are raw, give --raw")
        return Rows(self.place, records.keys, drawings)

    def _broken(self, error: BrokenLine | BrokenDrawing) -> UserError:
        return UserError(f"{self.place(error.number)}: {error}; {self.advice}, or leave such out with --skip-broken")
