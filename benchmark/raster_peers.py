"""Other libraries that draw strokes at 32x32 with smooth edges: white lines, about 7 px wide on a canvas of 256.

Each is used as its documentation recommends for many small images: surfaces, paints and canvases are made once, and
drawings are converted to the library's format before the clock starts. A factory imports its library and returns two
functions: one converts a drawing, int32 (points, 2) a stroke, the other draws it as uint8 (32, 32).
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from inputs import Drawing

Peer = tuple[Callable[[Drawing], Any], Callable[[Any], np.ndarray]]
SIZE, SIDE, INK = 32, 256, 7


def as_lists(strokes: Drawing) -> list[list[list[int]]]:
    """[[[x, y], ...], ...]."""
    return [stroke.tolist() for stroke in strokes]


def cv2_lines() -> Peer:
    """The predecessor's way: a line a segment on 256, then bilinear."""
    from predecessor_preparation import draw

    return lambda strokes: [stroke.T.tolist() for stroke in strokes], draw


def cv2_polylines() -> Peer:
    """All strokes at once on 64 with antialiasing, then the mean of 2x2; a line of 2 px there would be too wide."""
    import cv2

    shift = 2  # coordinates in quarters of a pixel: 256 / 64

    def draw(strokes: Drawing) -> np.ndarray:
        canvas = np.zeros((64, 64), np.uint8)
        cv2.polylines(canvas, strokes, False, 255, 1, cv2.LINE_AA, shift)
        return cv2.resize(canvas, (SIZE, SIZE), interpolation=cv2.INTER_AREA)

    return lambda strokes: strokes, draw


def pillow() -> Peer:
    """On 128, then the mean of 4x4; Pillow has no antialiased lines."""
    from PIL import Image, ImageDraw

    def draw(strokes: list[list[int]]) -> np.ndarray:
        canvas = Image.new("L", (128, 128))
        pen = ImageDraw.Draw(canvas)
        for stroke in strokes:
            pen.line(stroke, fill=255, width=round(INK / 2), joint="curve")
        return np.asarray(canvas.reduce(4))

    return lambda strokes: [(stroke // 2).ravel().tolist() for stroke in strokes], draw


def scikit_image() -> Peer:
    """Lines of one pixel on 64, thickened and reduced; scikit-image has no wide lines."""
    from scipy.ndimage import grey_dilation
    from skimage.draw import line
    from skimage.transform import downscale_local_mean

    def draw(strokes: list[list[list[int]]]) -> np.ndarray:
        canvas = np.zeros((64, 64), np.uint8)
        for points in strokes:
            for (x0, y0), (x1, y1) in pairwise(points):
                canvas[line(y0, x0, y1, x1)] = 255
        return downscale_local_mean(grey_dilation(canvas, (2, 2)), (2, 2)).astype(np.uint8)

    return lambda strokes: as_lists([stroke // 4 for stroke in strokes]), draw


def skia() -> Peer:
    """Vector strokes straight at 32 with antialiasing."""
    import skia

    pixels = np.zeros((SIZE, SIZE), np.uint8)
    info = skia.ImageInfo.Make(SIZE, SIZE, skia.kAlpha_8_ColorType, skia.kPremul_AlphaType)
    canvas = skia.Surface.MakeRasterDirect(info, pixels).getCanvas()
    canvas.scale(SIZE / SIDE, SIZE / SIDE)
    pen = skia.Paint(AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeWidth=INK)
    pen.setStrokeCap(skia.Paint.kRound_Cap)
    pen.setStrokeJoin(skia.Paint.kRound_Join)

    def draw(strokes: list[list[Any]]) -> np.ndarray:
        canvas.clear(0)
        path = skia.Path()
        for points in strokes:
            path.addPoly(points, False)
        canvas.drawPath(path, pen)
        return pixels.copy()

    return lambda strokes: [[skia.Point(x, y) for x, y in stroke.tolist()] for stroke in strokes], draw


def cairo() -> Peer:
    """Vector strokes straight at 32 with antialiasing."""
    try:
        import cairocffi as cairo
    except OSError as error:  # the package is installed, but its C library is not
        raise ImportError(str(error)) from error

    surface = cairo.ImageSurface(cairo.FORMAT_A8, SIZE, SIZE)
    pen = cairo.Context(surface)
    pen.scale(SIZE / SIDE, SIZE / SIDE)
    pen.set_line_width(INK)
    pen.set_line_cap(cairo.LINE_CAP_ROUND)
    pen.set_line_join(cairo.LINE_JOIN_ROUND)
    pixels = np.frombuffer(surface.get_data(), np.uint8).reshape(SIZE, surface.get_stride())[:, :SIZE]

    def draw(strokes: list[list[list[int]]]) -> np.ndarray:
        pixels[...] = 0
        for (x, y), *rest in strokes:
            pen.move_to(x, y)
            for x, y in rest:
                pen.line_to(x, y)
        pen.stroke()
        surface.flush()
        return pixels.copy()

    return as_lists, draw


PEERS: dict[str, Callable[[], Peer]] = {
    "cv2.line a segment on 256 (predecessor)": cv2_lines,
    "cv2.polylines on 64, lines of 4 px": cv2_polylines,
    "Pillow on 128": pillow,
    "scikit-image on 64": scikit_image,
    "skia on 32": skia,
    "cairo on 32": cairo,
}
