"""Other libraries that draw strokes as white lines, about 7 px wide on a canvas of 256, at 32x32 with smooth edges.

Each is used as its own documentation would have it for many small pictures: surfaces, paints and canvases are made
once. A factory imports its library and returns what turns a drawing, int32 (points, 2) a stroke, into uint8 (32, 32).
"""

from collections.abc import Callable

import numpy as np
from inputs import Drawing

Draw = Callable[[Drawing], np.ndarray]
SIZE, SIDE, INK = 32, 256, 7


def cv2_lines() -> Draw:
    """The predecessor's way: a line a segment on 256, then bilinear."""
    from predecessor_preparation import draw

    # The predecessor has its points as lists already; here they are taken from arrays at no charge worth naming.
    return lambda strokes: draw([stroke.T.tolist() for stroke in strokes])


def cv2_polylines() -> Draw:
    """All strokes at once on 64 with antialiasing, then the mean of 2x2."""
    import cv2

    shift = 2  # coordinates in quarters of a pixel: 256 / 64

    def draw(strokes: Drawing) -> np.ndarray:
        canvas = np.zeros((64, 64), np.uint8)
        cv2.polylines(canvas, strokes, False, 255, 1, cv2.LINE_AA, shift)
        return cv2.resize(canvas, (SIZE, SIZE), interpolation=cv2.INTER_AREA)

    return draw


def pillow() -> Draw:
    """On 128, then the mean of 4x4; Pillow has no antialiased lines."""
    from PIL import Image, ImageDraw

    def draw(strokes: Drawing) -> np.ndarray:
        canvas = Image.new("L", (128, 128))
        pen = ImageDraw.Draw(canvas)
        for stroke in strokes:
            pen.line((stroke // 2).ravel().tolist(), fill=255, width=round(INK / 2), joint="curve")
        return np.asarray(canvas.reduce(4))

    return draw


def scikit_image() -> Draw:
    """Lines of one pixel on 64, thickened and reduced; scikit-image has no wide lines."""
    from scipy.ndimage import grey_dilation
    from skimage.draw import line
    from skimage.transform import downscale_local_mean

    def draw(strokes: Drawing) -> np.ndarray:
        canvas = np.zeros((64, 64), np.uint8)
        for stroke in strokes:
            points = (stroke // 4).tolist()
            for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
                canvas[line(y0, x0, y1, x1)] = 255
        return downscale_local_mean(grey_dilation(canvas, (2, 2)), (2, 2)).astype(np.uint8)

    return draw


def skia() -> Draw:
    """Vector strokes straight at 32 with antialiasing."""
    import skia

    pixels = np.zeros((SIZE, SIZE), np.uint8)
    info = skia.ImageInfo.Make(SIZE, SIZE, skia.kAlpha_8_ColorType, skia.kPremul_AlphaType)
    canvas = skia.Surface.MakeRasterDirect(info, pixels).getCanvas()
    canvas.scale(SIZE / SIDE, SIZE / SIDE)
    pen = skia.Paint(AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeWidth=INK)
    pen.setStrokeCap(skia.Paint.kRound_Cap)
    pen.setStrokeJoin(skia.Paint.kRound_Join)

    def draw(strokes: Drawing) -> np.ndarray:
        canvas.clear(0)
        path = skia.Path()
        for stroke in strokes:
            path.addPoly([skia.Point(x, y) for x, y in stroke.tolist()], False)
        canvas.drawPath(path, pen)
        return pixels.copy()

    return draw


def cairo() -> Draw:
    """Vector strokes straight at 32 with antialiasing."""
    try:
        import cairocffi as cairo
    except OSError as error:  # the package is there, the library it binds is not
        raise ImportError(str(error)) from error

    surface = cairo.ImageSurface(cairo.FORMAT_A8, SIZE, SIZE)
    pen = cairo.Context(surface)
    pen.scale(SIZE / SIDE, SIZE / SIDE)
    pen.set_line_width(INK)
    pen.set_line_cap(cairo.LINE_CAP_ROUND)
    pen.set_line_join(cairo.LINE_JOIN_ROUND)
    pixels = np.frombuffer(surface.get_data(), np.uint8).reshape(SIZE, surface.get_stride())[:, :SIZE]

    def draw(strokes: Drawing) -> np.ndarray:
        pixels[...] = 0
        for stroke in strokes:
            (x, y), *rest = stroke.tolist()
            pen.move_to(x, y)
            for x, y in rest:
                pen.line_to(x, y)
        pen.stroke()
        surface.flush()
        return pixels.copy()

    return draw


PEERS: dict[str, Callable[[], Draw]] = {
    "cv2.line a segment on 256 (predecessor)": cv2_lines,
    "cv2.polylines on 64, antialiased": cv2_polylines,
    "Pillow on 128": pillow,
    "scikit-image on 64": scikit_image,
    "skia on 32": skia,
    "cairo on 32": cairo,
}
