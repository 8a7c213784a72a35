"""Raw strokes simplified the way Google simplified the public drawings; compiled."""

import numpy as np

from project.work.raster.drawings import Drawings, compiled

LARGEST = 255  # the longer side of a simplified drawing
TOLERANCE = 2.0  # of Ramer-Douglas-Peucker, in pixels of the scaled drawing


def simplify(drawings: Drawings) -> Drawings:
    """Simplify raw drawings as Google did: top left at 0, larger side 255, points 1 px apart, Ramer-Douglas-Peucker.

    Points of any real numbers become whole ones, at least two a stroke. The order of the floating-point operations is
    part of the contract: points at equal distance from a chord are common, and another order of the same sums picks
    another one of them. Source: https://github.com/googlecreativelab/quickdraw-dataset#preprocessed-dataset
    """
    points, strokes = _simplify(drawings.points, drawings.strokes, drawings.drawings)
    return Drawings(points, strokes, drawings.drawings)


@compiled
def _simplify(points: np.ndarray, strokes: np.ndarray, drawings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = np.empty((len(points) + len(strokes), 2), np.float64)
    edges = np.zeros(len(strokes), np.int64)
    for number in range(len(drawings) - 1):
        first, after = drawings[number], drawings[number + 1]
        scaled = _scale(points[strokes[first] : strokes[after]])
        for stroke in range(first, after):
            ends = strokes[stroke] - strokes[first], strokes[stroke + 1] - strokes[first]
            reduced = reduce_points(resample(scaled[ends[0] : ends[1]]), TOLERANCE)
            while edges[stroke] + len(reduced) > len(kept):  # resampling can add points that stay
                kept = np.concatenate((kept, np.empty_like(kept)))
            for row in range(len(reduced)):
                for axis in range(2):
                    kept[edges[stroke] + row, axis] = np.rint(reduced[row, axis])
            edges[stroke + 1] = edges[stroke] + len(reduced)
    return kept[: edges[-1]].copy(), edges


@compiled
def _scale(points: np.ndarray) -> np.ndarray:
    """A drawing with its top left at 0 and its larger side 255 long; one of no extent stays a dot."""
    scaled = np.empty_like(points)
    corner = points[0].copy()
    for row in range(len(points)):
        for axis in range(2):
            corner[axis] = min(corner[axis], points[row, axis])
    extent = 0.0
    for row in range(len(points)):
        for axis in range(2):
            scaled[row, axis] = points[row, axis] - corner[axis]
            extent = max(extent, scaled[row, axis])
    for row in range(len(points)):
        for axis in range(2):
            scaled[row, axis] = scaled[row, axis] * float(LARGEST) / (extent if extent > 0 else 1.0)
    return scaled


@compiled
def resample(stroke: np.ndarray) -> np.ndarray:
    """Walk along a stroke and note a point every 1 px, then its last point; float (n, 2) -> float (m, 2), m >= 2."""
    lengths, travelled = np.zeros(len(stroke)), np.zeros(len(stroke))
    for row in range(1, len(stroke)):
        lengths[row] = _length(stroke, row - 1)
        travelled[row] = travelled[row - 1] + lengths[row]
    marks = max(1, int(np.ceil(travelled[-1])))
    noted = np.empty((marks + 1, 2), np.float64)
    noted[0], noted[marks] = stroke[0], stroke[-1]
    mark = 0
    for row in range(1, len(stroke)):
        while mark < travelled[row]:
            share = (mark - travelled[row - 1]) / lengths[row]
            for axis in range(2):
                noted[mark, axis] = (1 - share) * stroke[row - 1, axis] + share * stroke[row, axis]
            mark += 1
    return noted


@compiled
def _length(stroke: np.ndarray, segment: int) -> float:
    across, down = stroke[segment + 1, 0] - stroke[segment, 0], stroke[segment + 1, 1] - stroke[segment, 1]
    return np.sqrt(across * across + down * down)


@compiled
def reduce_points(points: np.ndarray, tolerance: float) -> np.ndarray:
    """Ramer-Douglas-Peucker: keep the ends and, recursively, the first point farthest from the chord between two kept.

    points: float (n, 2); a point stays when it lies farther than the tolerance.
    """
    keep = np.zeros(len(points), np.bool_)
    keep[0] = keep[-1] = True
    chords = np.empty((len(points) + 1, 2), np.int64)
    chords[0] = 0, len(points) - 1
    waiting = 1
    while waiting > 0:
        waiting -= 1
        start, end = chords[waiting]
        farthest, distance = _farthest(points, start, end)
        if distance > tolerance:
            keep[farthest] = True
            chords[waiting], chords[waiting + 1] = (start, farthest), (farthest, end)
            waiting += 2
    return points[keep]


@compiled
def _farthest(points: np.ndarray, start: int, end: int) -> tuple[int, float]:
    """The first point between two that is farthest from the line through them, or from `start` where they coincide."""
    along_x, along_y = points[end, 0] - points[start, 0], points[end, 1] - points[start, 1]
    length = np.sqrt(along_x * along_x + along_y * along_y)
    farthest, most = start, -1.0
    for row in range(start + 1, end):
        off_x, off_y = points[start, 0] - points[row, 0], points[start, 1] - points[row, 1]
        if length == 0:
            distance = np.sqrt(off_x * off_x + off_y * off_y)
        else:
            distance = np.abs(along_x * off_y - along_y * off_x) / length
        if distance > most:
            farthest, most = row, distance
    return farthest, most
