"""Strokes become pictures: the one place where a doodle is drawn, for preparation and for serving."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from project.work.declaration import UserError

SIDE = 256  # simplified strokes lie on a canvas of 256 x 256
WIDTH = 6  # asked of OpenCV, which then inks 7 px
SMALLEST, LARGEST = 8, 256


def render(drawings: Sequence[Sequence[np.ndarray]], size: int = 32, method: str = "upstream") -> np.ndarray:
    """Draw simplified drawings, white on black.

    drawings: each a list of strokes, arrays (points, 2) of x, y in 0..255 (real numbers are rounded; ink beyond the
    canvas is cut off; a stroke of one point is a dot). Returns uint8 (drawings, size, size).
    Raises UserError for an unknown method or a size outside 8..256.
    """
    if method not in METHODS:
        raise UserError(f"raster {method}: choose one of {', '.join(METHODS)}")
    if not SMALLEST <= size <= LARGEST:
        raise UserError(f"size {size} is outside {SMALLEST} to {LARGEST}")
    draw = METHODS[method]
    pictures = np.empty((len(drawings), size, size), dtype=np.uint8)
    for picture, strokes in zip(pictures, drawings, strict=True):
        picture[...] = draw([_whole(stroke) for stroke in strokes], size)
    return pictures


def _whole(stroke: np.ndarray) -> np.ndarray:
    whole = stroke if stroke.dtype.kind in "iu" else np.rint(stroke)
    whole = np.ascontiguousarray(whole, dtype=np.int32)
    return whole if len(whole) > 1 else np.repeat(whole, 2, axis=0)


def _canvas(strokes: list[np.ndarray]) -> np.ndarray:
    """The drawing at full size; polylines inks the same pixels as one cv2.line a segment."""
    canvas = np.zeros((SIDE, SIDE), dtype=np.uint8)
    return cv2.polylines(canvas, strokes, isClosed=False, color=255, thickness=WIDTH)


def _upstream(strokes: list[np.ndarray], size: int) -> np.ndarray:
    """Full size, then bilinear: at 32 it reads 4 of every 64 pixels, so thin gaps and edges flicker."""
    return cv2.resize(_canvas(strokes), (size, size), interpolation=cv2.INTER_LINEAR)


def _area(strokes: list[np.ndarray], size: int) -> np.ndarray:
    """Full size, then the mean of all pixels under each small one."""
    return cv2.resize(_canvas(strokes), (size, size), interpolation=cv2.INTER_AREA)


METHODS: dict[str, Callable[[list[np.ndarray], int], np.ndarray]] = {
    "upstream": _upstream,
    "area": _area,
}
