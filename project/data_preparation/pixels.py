"""From the bytes of a picture file to a small square of pixels; no I/O."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

JPEG = b"\xff\xd8"


def decode(data: bytes) -> np.ndarray:
    """Decode a picture: RGB uint8 (H, W, 3), upright by its EXIF orientation, transparency laid on white.

    The orientation of a picture that is transparent too is not known to OpenCV and is left alone.
    Raises ValueError that says what is wrong with the bytes.
    """
    if not data.startswith(JPEG):  # only the decoding that ignores orientation keeps transparency and depth
        whole = _imdecode(data, cv2.IMREAD_UNCHANGED)
        if whole.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"its pixels are {whole.dtype}, and only 8 or 16 bits are read")
        if whole.ndim == 3 and whole.shape[2] == 4:
            return _on_white(whole if whole.dtype == np.uint8 else (whole >> 8).astype(np.uint8))
    return cv2.cvtColor(_imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _imdecode(data: bytes, flags: int) -> np.ndarray:
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        picture = None
    if picture is None:
        raise ValueError("not a picture that OpenCV can decode" if data else "the file is empty")
    return picture


def _on_white(picture: np.ndarray) -> np.ndarray:
    """BGRA uint8 -> RGB uint8, as on white paper."""
    colour, alpha = picture[..., 2::-1].astype(np.uint32), picture[..., 3:].astype(np.uint32)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep OpenCV from printing a report of its own for each broken file."""
    logging = cv2.utils.logging
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)


def fit(picture: np.ndarray, size: int, how: str) -> np.ndarray:
    """Make a picture square. picture: uint8 (H, W, 3); returns uint8 (size, size, 3).

    how: pad keeps all of it and fills up with the colour of its border, crop keeps the middle square, stretch
    keeps all of it and its proportions not.
    """
    height, width = picture.shape[:2]
    if how == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        picture = picture[top : top + side, left : left + side]
    if how != "pad" or height == width:
        return _resize(picture, size, size)
    longest = max(height, width)
    return _pad(_resize(picture, *(max(1, round(side * size / longest)) for side in (height, width))), size)


def _resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    shrinks = height < picture.shape[0] or width < picture.shape[1]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _pad(picture: np.ndarray, size: int) -> np.ndarray:
    # The median: one thing that touches the border does not tint the padding.
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    square = np.empty((size, size, 3), np.uint8)
    square[:] = np.median(border, axis=0)
    height, width = picture.shape[:2]
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = picture
    return square


def as_channels(images: np.ndarray, channels: int | None) -> np.ndarray:
    """RGB uint8 (N, H, W, 3) -> (N, H, W) for 1 channel, unchanged for 3; None: 1 when every pixel is grey."""
    if channels is None:
        channels = 1 if (images == images[..., :1]).all() else 3
    if channels == 3:
        return images
    tall = images.reshape(-1, *images.shape[2:])  # one picture above the other: one conversion for all
    return cv2.cvtColor(tall, cv2.COLOR_RGB2GRAY).reshape(images.shape[:3])


def count_contradictions(images: np.ndarray, labels: np.ndarray) -> int:
    """How many pictures equal, pixel by pixel, one with another label: at least one of the two labels is wrong."""
    pixels = [image.tobytes() for image in images]
    seen: dict[bytes, set[int]] = {}
    for picture, label in zip(pixels, labels.tolist(), strict=True):
        seen.setdefault(picture, set()).add(label)
    return sum(len(seen[picture]) > 1 for picture in pixels)
