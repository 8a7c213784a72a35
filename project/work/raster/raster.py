"""Strokes become pictures: the one place where a doodle is drawn, for preparation and for serving."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from project.work.declaration import UserError
from project.work.raster.distance_field import draw_distances
from project.work.raster.drawings import Drawings, pack

SIDE = 256  # simplified strokes lie on a canvas of 256 x 256
WIDTH = 6  # asked of OpenCV
INKED = 7.0  # what OpenCV inks when it is asked for that
SMALLEST, LARGEST = 8, 256


def render(
    drawings: Sequence[Sequence[np.ndarray]], size: int = 32, method: str = "distance", order: np.ndarray | None = None
) -> np.ndarray:
    """Draw simplified drawings, white on black.

    drawings: each a list of strokes, arrays (points, 2) of x, y in 0..255 (ink beyond the canvas is cut off; a stroke
    of one point is a dot); Drawings are drawn without being packed anew. order: int64 (drawings,), which of them each
    picture shows, all of them once; as they come by default. Returns uint8 (drawings, size, size).
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
    """At the final size: the ink of a pixel follows from its distance to the nearest stroke."""
    scale = np.float32(pictures.shape[1] / SIDE)
    width = np.float32(INKED) * scale
    draw_distances(drawings.points, drawings.strokes, drawings.drawings, scale, width, pictures, places)


def _upstream(drawings: Drawings, pictures: np.ndarray, places: np.ndarray) -> None:
    """At full size with one cv2.line a segment, whose pixels polylines inks too; then bilinear.

    At 32 that reads 4 of every 64 pixels, so thin gaps and edges flicker.
    """
    import cv2  # which costs a tenth of a second

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
