"""Strokes as people drew them: read from text, and simplified the way Google simplified the public drawings."""

from collections.abc import Sequence

import numpy as np
import orjson

LARGEST = 255  # the longer side of a simplified drawing
TOLERANCE = 2.0  # of Ramer-Douglas-Peucker, in pixels of the scaled drawing
HUGE = 1e9  # no canvas is this large; the squares of such coordinates still fit


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
    strokes = [_stroke(stroke, number) for number, stroke in enumerate(drawing, start=1)]
    if not (np.abs(np.concatenate(strokes)) < HUGE).all():
        raise ValueError("the drawing has coordinates beyond a billion")
    return strokes


def _stroke(stroke: object, number: int) -> np.ndarray:
    if not isinstance(stroke, list) or len(stroke) < 2 or not all(isinstance(axis, list) for axis in stroke[:2]):
        raise ValueError(f"stroke {number} is not a pair of lists [xs, ys]")
    xs, ys = stroke[:2]
    if len(xs) != len(ys):
        raise ValueError(f"stroke {number} has {len(xs)} x but {len(ys)} y")
    if not xs:
        raise ValueError(f"stroke {number} has no points")
    try:
        points = np.array((xs, ys))
    except ValueError:
        points = np.array(None)
    if points.dtype.kind not in "iuf" or points.ndim != 2:
        raise ValueError(f"stroke {number} has coordinates that are not numbers")
    return points.T


def has_times(text: str | bytes) -> bool:
    """Whether a drawing notes times beside x and y, as only raw ones do; False for what `parse` refuses."""
    try:
        drawing = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return isinstance(drawing, list) and any(isinstance(stroke, list) and len(stroke) > 2 for stroke in drawing)


def simplify(strokes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Simplify raw strokes as Google did: top left at 0, larger side 255, points 1 px apart, Ramer-Douglas-Peucker.

    strokes: arrays (points, 2) of any real numbers; returns int32 arrays (points, 2) with at least two points each.
    The order of the floating-point operations is part of the contract: points at equal distance from a chord are
    common, and another order of the same sums picks another one of them.
    Source: https://github.com/googlecreativelab/quickdraw-dataset#preprocessed-dataset
    """
    points = np.concatenate(strokes).astype(np.float64)
    corner = points.min(axis=0)
    extent = float((points - corner).max()) or 1.0
    scaled = ((stroke - corner) * float(LARGEST) / extent for stroke in strokes)
    return [np.rint(reduce_points(resample(stroke), TOLERANCE)).astype(np.int32) for stroke in scaled]


def resample(stroke: np.ndarray) -> np.ndarray:
    """Walk along a stroke and note a point every 1 px, then its last point; float (n, 2) -> float (m, 2), m >= 2."""
    steps = np.diff(stroke, axis=0)
    lengths = np.sqrt((steps**2).sum(axis=1))
    travelled = np.concatenate(([0.0], np.cumsum(lengths)))
    marks = np.arange(0.0, travelled[-1], 1.0)
    if len(marks) == 0:
        return stroke[[0, -1]]
    segment = np.searchsorted(travelled, marks, side="right") - 1
    share = ((marks - travelled[segment]) / lengths[segment])[:, None]
    return np.concatenate(((1 - share) * stroke[segment] + share * stroke[segment + 1], stroke[-1:]))


def reduce_points(points: np.ndarray, tolerance: float) -> np.ndarray:
    """Ramer-Douglas-Peucker: keep the ends and, recursively, the first point farthest from the chord between two kept.

    points: float (n, 2); a point stays when it lies farther than the tolerance. Python works once a kept point only.
    """
    keep = np.zeros(len(points), dtype=bool)
    keep[[0, -1]] = True
    chords = [(0, len(points) - 1)]
    while chords:
        start, end = chords.pop()
        if end - start < 2:
            continue
        distances = _distances(points[start + 1 : end], points[start], points[end])
        farthest = int(distances.argmax())
        if distances[farthest] > tolerance:
            middle = start + 1 + farthest
            keep[middle] = True
            chords += [(start, middle), (middle, end)]
    return points[keep]


def _distances(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distance of each point from the line through start and end, or from start where the two coincide."""
    (along_x, along_y), offsets = (end - start).tolist(), start - points
    length = np.sqrt(along_x**2 + along_y**2)
    if length == 0:
        return np.sqrt((offsets**2).sum(axis=1))
    return np.abs(along_x * offsets[:, 1] - along_y * offsets[:, 0]) / length
