"""Many drawings in a few arrays, so that compiled code can walk through thousands of them at once."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numba
import numpy as np

# Compiled on first use and kept on disk; threads may run side by side; no fast-math unless a function asks for it.
compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@dataclass(frozen=True)
class Drawings(Sequence[list[np.ndarray]]):
    """Drawings end to end; each can be taken out as a list of strokes, arrays (points, 2) of x, y.

    points: float64 (P, 2); strokes: int64 (S + 1,), where in points each stroke begins, and where the last one ends;
    drawings: int64 (D + 1,), where in strokes each drawing begins, and where the last one ends.
    """

    points: np.ndarray
    strokes: np.ndarray
    drawings: np.ndarray

    def __len__(self) -> int:
        return len(self.drawings) - 1

    def __getitem__(self, number: int) -> list[np.ndarray]:
        if not -len(self) <= number < len(self):
            raise IndexError(f"drawing {number} of {len(self)}")
        number %= len(self)
        edges = self.strokes[self.drawings[number] : self.drawings[number + 1] + 1].tolist()
        return [self.points[start:end] for start, end in itertools.pairwise(edges)]

    def outside(self, low: float, high: float) -> int | None:
        """The number of the first drawing with a coordinate below low or above high; None when there is none."""
        if len(self.points) == 0 or (self.points.min() >= low and self.points.max() <= high):
            return None
        point = np.argmax(((self.points < low) | (self.points > high)).any(axis=1))
        stroke = np.searchsorted(self.strokes, point, side="right") - 1
        return int(np.searchsorted(self.drawings, stroke, side="right") - 1)

    def part(self, start: int, end: int) -> "Drawings":
        """Drawings start to end, without copying their points."""
        drawings = self.drawings[start : end + 1]
        strokes = self.strokes[drawings[0] : drawings[-1] + 1]
        return Drawings(self.points[strokes[0] : strokes[-1]], strokes - strokes[0], drawings - drawings[0])


def pack(drawings: Sequence[Sequence[np.ndarray]]) -> Drawings:
    """Drawings given as lists of strokes; what is packed already is passed on."""
    if isinstance(drawings, Drawings):
        return drawings
    strokes = [np.asarray(stroke, dtype=np.float64) for drawing in drawings for stroke in drawing]
    points = np.concatenate([np.empty((0, 2)), *strokes])
    return Drawings(points, _edges(map(len, strokes)), _edges(map(len, drawings)))


def join(parts: Sequence[Drawings]) -> Drawings:
    """Several packs in one."""
    strokes = np.concatenate([np.diff(part.strokes) for part in parts])
    drawings = np.concatenate([np.diff(part.drawings) for part in parts])
    return Drawings(np.concatenate([part.points for part in parts]), _edges(strokes), _edges(drawings))


def _edges(lengths: Iterable[int]) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(np.fromiter(lengths, dtype=np.int64))))
