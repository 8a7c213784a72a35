"""Turns strokes into images: simplifies and draws doodles, for preparation and for serving; no I/O.

Many drawings are packed into a few arrays (`Drawings`), so that compiled code processes thousands in one call.
`simplify` simplifies raw strokes as Google did, `render` draws simplified strokes.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numba
import numpy as np

from project.work.common import UserError

# Compiled on first use and kept on disk; threads may run side by side; no fast-math unless a function asks for it.
compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
# Single precision and fast-math let the compiler vectorise over pixels.
_fast = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
CANVAS = 255  # the longer side of a simplified drawing
TOLERANCE = 2.0  # of Ramer-Douglas-Peucker, in pixels of the scaled drawing
SIDE = 256  # simplified strokes lie on a canvas of 256 x 256
WIDTH = 6  # asked of OpenCV
INKED = 7.0  # the width that OpenCV draws for WIDTH
SMALLEST, LARGEST = 8, 256  # side of an image, in pixels
HALF, ONE, ZERO = np.float32(0.5), np.float32(1), np.float32(0)


@dataclass(frozen=True)
class Drawings(Sequence[list[np.ndarray]]):
    """Packed drawings. Indexing gives one as a list of strokes, arrays (points, 2) of x, y.

    points: float64 (P, 2); strokes: int64 (S + 1,), the first point of each stroke, and the end of the last one;
    drawings: int64 (D + 1,), the first stroke of each drawing, and the end of the last one.
    """

    points: np.ndarray
    strokes: np.ndarray
    drawings: np.ndarray

    def __len__(self) -> int:
        return len(self.drawings) - 1

    def __getitem__(self, number: int) -> list[np.ndarray]:  # type: ignore[override]  # slices: see `part`
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
    """Pack drawings that are lists of strokes; packed ones are returned as they are."""
    if isinstance(drawings, Drawings):
        return drawings
    strokes = [np.asarray(stroke, dtype=np.float64) for drawing in drawings for stroke in drawing]
    points = np.concatenate([np.empty((0, 2)), *strokes])
    return Drawings(points, _edges(map(len, strokes)), _edges(map(len, drawings)))


def join(parts: Sequence[Drawings]) -> Drawings:
    """Concatenate several packs."""
    strokes = np.concatenate([np.diff(part.strokes) for part in parts])
    drawings = np.concatenate([np.diff(part.drawings) for part in parts])
    return Drawings(np.concatenate([part.points for part in parts]), _edges(strokes), _edges(drawings))


def _edges(lengths: Iterable[int]) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(np.fromiter(lengths, dtype=np.int64))))


def simplify(drawings: Drawings) -> Drawings:
    """Simplify raw drawings as Google did: top left at 0, larger side 255, points 1 px apart, Ramer-Douglas-Peucker.

    Coordinates are rounded to integers; a stroke keeps at least two points. The order of the floating-point operations
    is part of the contract: points at equal distance from a chord are common, and another order of the same sums picks
    another point. Source: https://github.com/googlecreativelab/quickdraw-dataset#preprocessed-dataset
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
            while edges[stroke] + len(reduced) > len(kept):  # resampling can add points that are kept
                kept = np.concatenate((kept, np.empty_like(kept)))
            for row in range(len(reduced)):
                for axis in range(2):
                    kept[edges[stroke] + row, axis] = np.rint(reduced[row, axis])
            edges[stroke + 1] = edges[stroke] + len(reduced)
    return kept[: edges[-1]].copy(), edges


@compiled
def _scale(points: np.ndarray) -> np.ndarray:
    """A drawing moved to 0 and scaled to a larger side of 255; one without extent stays a dot."""
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
            scaled[row, axis] = scaled[row, axis] * float(CANVAS) / (extent if extent > 0 else 1.0)
    return scaled


@compiled
def resample(stroke: np.ndarray) -> np.ndarray:
    """Points every 1 px along a stroke, and its last point; float (n, 2) -> float (m, 2), m >= 2."""
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
    """The first point between start and end farthest from their line, or from `start` if they coincide."""
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


def render(
    drawings: Sequence[Sequence[np.ndarray]], size: int = 32, method: str = "distance", order: np.ndarray | None = None
) -> np.ndarray:
    """Draw simplified drawings, white on black.

    drawings: each a list of strokes, arrays (points, 2) of x, y in 0..255 (ink beyond the canvas is cut off; a stroke
    of one point is a dot), or Drawings. order: int64 (drawings,), a permutation: which drawing each image shows; the
    given order by default. Returns uint8 (drawings, size, size).
    Raises UserError for an unknown method or a size outside 8..256.
    """
    if method not in METHODS:
        raise UserError(f"raster {method}: choose one of {', '.join(METHODS)}")
    if not SMALLEST <= size <= LARGEST:
        raise UserError(f"size {size} is outside {SMALLEST} to {LARGEST}")
    pictures = np.empty((len(drawings), size, size), dtype=np.uint8)
    places = np.arange(len(drawings))
    if order is not None:
        places[order] = np.arange(len(drawings))
    METHODS[method](pack(drawings), pictures, places)
    return pictures


def _distance(drawings: Drawings, pictures: np.ndarray, places: np.ndarray) -> None:
    """Draw at the final size: the ink of a pixel depends on its distance to the nearest stroke."""
    scale = np.float32(pictures.shape[1] / SIDE)
    width = np.float32(INKED) * scale
    draw_distances(drawings.points, drawings.strokes, drawings.drawings, scale, width, pictures, places)


def _upstream(drawings: Drawings, pictures: np.ndarray, places: np.ndarray) -> None:
    """Draw at full size with polylines, which ink the same pixels as cv2.line per segment; then shrink bilinearly.

    At 32 the shrinking reads 4 of every 64 pixels, so thin gaps and edges are aliased.
    """
    import cv2  # takes a tenth of a second

    whole = Drawings(np.rint(drawings.points).astype(np.int32), drawings.strokes, drawings.drawings)
    canvas = np.empty((SIDE, SIDE), dtype=np.uint8)
    for place, strokes in zip(places, whole, strict=True):
        picture = pictures[place]
        canvas.fill(0)
        lines = [stroke if len(stroke) > 1 else np.repeat(stroke, 2, axis=0) for stroke in strokes]
        cv2.polylines(canvas, lines, isClosed=False, color=255, thickness=WIDTH)
        cv2.resize(canvas, picture.shape[::-1], dst=picture, interpolation=cv2.INTER_LINEAR)


METHODS: Mapping[str, Callable[[Drawings, np.ndarray, np.ndarray], None]] = {
    "distance": _distance,
    "upstream": _upstream,
}


@_fast
def draw_distances(
    points: np.ndarray,
    strokes: np.ndarray,
    drawings: np.ndarray,
    scale: np.float32,
    width: np.float32,
    pictures: np.ndarray,
    places: np.ndarray,
) -> None:
    """Draw white anti-aliased lines on black.

    points, strokes, drawings: as in Drawings; scale: image pixels per canvas pixel; width: of a line, in image pixels;
    pictures: uint8 (D, size, size), filled here; places: int64 (D,), the index of each drawing's image in it. The ink
    of a pixel is the overlap of its width with the line's, taken at the distance from its centre to the nearest segment
    (Gupta and Sproull, 1981).
    """
    size = pictures.shape[1]
    reach = width * HALF + HALF  # no ink beyond this distance
    most = min(ONE, width)  # a line thinner than a pixel never fills one
    shift = HALF * scale - HALF  # integers are the centres of pixels, in the image and on the canvas
    nearest = np.empty((size, size), np.float32)  # squared distance
    for number in range(len(pictures)):
        nearest[:] = reach * reach
        for stroke in range(drawings[number], drawings[number + 1]):
            first, last = strokes[stroke], strokes[stroke + 1] - 1
            x, y = np.float32(points[first, 0]) * scale + shift, np.float32(points[first, 1]) * scale + shift
            if first == last:
                _approach(nearest, x, y, ZERO, ZERO, reach)
            for point in range(first + 1, last + 1):
                right, down = np.float32(points[point, 0]) * scale + shift, np.float32(points[point, 1]) * scale + shift
                _approach(nearest, x, y, right - x, down - y, reach)
                x, y = right, down
        _ink(nearest, reach, most, pictures[places[number]])


@_fast
def _approach(
    nearest: np.ndarray, x: np.float32, y: np.float32, along_x: np.float32, along_y: np.float32, reach: np.float32
) -> None:
    """Update the squared distances of the pixels within reach of the segment that starts at x, y."""
    squared = along_x * along_x + along_y * along_y
    inverse = ONE / squared if squared > ZERO else ZERO
    left, right = _pixels(x, x + along_x, reach, nearest.shape[1])
    top, bottom = _pixels(y, y + along_y, reach, nearest.shape[0])
    for row in range(top, bottom):
        down = np.float32(row) - y
        for column in range(left, right):
            across = np.float32(column) - x
            share = min(max((across * along_x + down * along_y) * inverse, ZERO), ONE)
            off_x, off_y = across - share * along_x, down - share * along_y
            nearest[row, column] = min(nearest[row, column], off_x * off_x + off_y * off_y)


@_fast
def _pixels(one: np.float32, other: np.float32, reach: np.float32, size: int) -> tuple[int, int]:
    """The range of pixels [first, after) of a row or column within reach of the segment from one to other."""
    first, last = np.ceil(min(one, other) - reach), np.floor(max(one, other) + reach)
    return int(max(first, ZERO)), int(min(last, np.float32(size - 1))) + 1


@_fast
def _ink(nearest: np.ndarray, reach: np.float32, most: np.float32, picture: np.ndarray) -> None:
    for row in range(nearest.shape[0]):
        for column in range(nearest.shape[1]):
            ink = min(most, reach - np.sqrt(nearest[row, column]))
            picture[row, column] = np.uint8(np.int32(ink * np.float32(255) + HALF))
