"""Lines drawn by distance: each pixel once a segment near it, at the final size."""

import numba
import numpy as np

HALF, ONE, ZERO = np.float32(0.5), np.float32(1), np.float32(0)
# Single precision and free order of operations let the compiler work on several pixels at a time.
_fast = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)


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
    """Draw white lines on black, nearly as smooth as the mean of infinitely many pixels under each would be.

    points, strokes, drawings: as in Drawings; scale: pixels of the picture a pixel of the canvas; width: of a line, in
    pixels of the picture; pictures: uint8 (D, size, size), is filled; places: int64 (D,), of each drawing's picture in
    it. The ink of a pixel is the overlap of its width
    with the line's, taken at the distance from its centre to the nearest segment (Gupta and Sproull, 1981).
    """
    size = pictures.shape[1]
    reach = width * HALF + HALF  # no ink beyond this distance
    most = min(ONE, width)  # a line thinner than a pixel never fills one
    shift = HALF * scale - HALF  # whole numbers are the centres of pixels, here as on the canvas
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
    """Lower the squared distances of the pixels within reach of the segment from x, y."""
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
    """The pixels [first, after) of a row or column that lie within reach of both ends or between them."""
    first, last = np.ceil(min(one, other) - reach), np.floor(max(one, other) + reach)
    return int(max(first, ZERO)), int(min(last, np.float32(size - 1))) + 1


@_fast
def _ink(nearest: np.ndarray, reach: np.float32, most: np.float32, picture: np.ndarray) -> None:
    for row in range(nearest.shape[0]):
        for column in range(nearest.shape[1]):
            ink = min(most, reach - np.sqrt(nearest[row, column]))
            picture[row, column] = np.uint8(np.int32(ink * np.float32(255) + HALF))
