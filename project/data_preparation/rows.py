"""Drawings of one class as a source gives them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from project.data_preparation import strokes
from project.data_preparation.lines import Text
from project.data_preparation.records import BrokenLine, Records
from project.data_preparation.strokes import BrokenDrawing
from project.work.dataset.drawings import Drawings
from project.work.declaration import UserError

PIECE = 4096  # rows that are in memory at a time


@dataclass(frozen=True)
class Rows:
    """Some drawings of a class.

    positions: int64 (N,), which a source turns into places for a person; keys: key_id, countrycode, recognized and,
    where known, true_word, each (N,); drawings: as they were written.
    """

    positions: np.ndarray
    keys: dict[str, np.ndarray]
    drawings: Drawings


@dataclass(frozen=True)
class Place:
    """Where lines come from.

    positions: int64 (N,); read: what turns the lines into records; broken: makes the error of one.
    """

    positions: np.ndarray
    read: Callable[[Text], Records]
    broken: Callable[[int, str], UserError]

    def records(self, text: Text) -> Records:
        """What lines say. Raises UserError for a broken one."""
        try:
            return self.read(text)
        except BrokenLine as error:
            raise self.broken(int(self.positions[error.number]), str(error)) from error

    def rows(self, text: Text) -> Rows:
        """What lines say and what they draw. Raises UserError for a broken one."""
        records = self.records(text)
        written = records.drawings
        try:
            drawings = strokes.read(written.data, written.starts, written.ends)
        except BrokenDrawing as error:
            raise self.broken(int(self.positions[error.number]), str(error)) from error
        return Rows(self.positions, records.keys, drawings)
