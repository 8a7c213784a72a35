"""Strokes as people drew them, read from text."""

import numpy as np
import orjson

from project.data_preparation.parsing.stroke_text import read_drawings
from project.work.raster.drawings import Drawings, join, pack

HUGE = 1e9  # no canvas is this large; the squares of such coordinates still fit
MOST_POINTS = 100_000  # of a drawing; who draws for 20 seconds notes some 2,000


class BrokenDrawing(ValueError):
    """Says what is wrong with a drawing; number: which of those that were read."""

    def __init__(self, number: int, fault: str) -> None:
        super().__init__(fault)
        self.number = number


def read(text: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> Drawings:
    """Read drawings that lie in a text, uint8, from starts to ends, int64 (N,).

    What is not in the plain form that is read fast is read by `parse`. Raises BrokenDrawing.
    """
    *arrays, good = read_drawings(text, starts, ends)
    quick = Drawings(*arrays)
    parts, done = [], 0
    for number in np.flatnonzero(~good).tolist():
        parts += [quick.part(done, number), pack([_parse(text[starts[number] : ends[number]].tobytes(), number)])]
        done = number + 1
    drawings = join([*parts, quick.part(done, len(quick))]) if parts else quick
    huge = drawings.outside(-HUGE, HUGE)
    if huge is not None:
        raise BrokenDrawing(huge, "the drawing has coordinates beyond a billion")
    if len(drawings.points) > MOST_POINTS:
        counts = np.diff(drawings.strokes[drawings.drawings])
        if counts.max() > MOST_POINTS:
            number = int(counts.argmax())
            raise BrokenDrawing(number, f"the drawing has {counts[number]:,} points, more than {MOST_POINTS:,}")
    return drawings


def _parse(text: bytes, number: int) -> list[np.ndarray]:
    try:
        return parse(text)
    except ValueError as error:
        raise BrokenDrawing(number, str(error)) from error


def parse(text: str | bytes) -> list[np.ndarray]:
    """Read `[[xs, ys], ...]` or raw `[[xs, ys, times], ...]`; times are left out.

    Returns one array (points, 2) of x, y a stroke, whole or real numbers as written.
    Raises ValueError that says which stroke is broken and how.
    """
    try:
        drawing = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the drawing is not JSON ({error})") from error
    if not isinstance(drawing, list) or not drawing:
        raise ValueError("the drawing has no strokes")
    return [_stroke(stroke, number) for number, stroke in enumerate(drawing, start=1)]


def _stroke(stroke: object, number: int) -> np.ndarray:
    if not isinstance(stroke, list) or len(stroke) < 2 or not all(isinstance(axis, list) for axis in stroke[:2]):
        raise ValueError(f"stroke {number} is not a pair of lists [xs, ys]")
    xs, ys = stroke[:2]
    if len(xs) != len(ys):
        raise ValueError(f"stroke {number} has {len(xs)} x but {len(ys)} y")
    if not xs:
        raise ValueError(f"stroke {number} has no points")
    if not {*map(type, xs), *map(type, ys)} <= {int, float}:  # a truth value is no number, though numpy takes it
        raise ValueError(f"stroke {number} has coordinates that are not numbers")
    points = np.array((xs, ys))
    if points.dtype.kind not in "iuf":
        points = points.astype(np.float64)
    return points.T


def has_times(text: str | bytes) -> bool:
    """Whether a drawing notes times beside x and y, as only raw ones do; False for what `parse` refuses."""
    try:
        drawing = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return isinstance(drawing, list) and any(isinstance(stroke, list) and len(stroke) > 2 for stroke in drawing)
