"""From the bytes of a picture file to a small square of pixels; no I/O."""

import cv2
import numpy as np

from project.data_preparation.pictures import decoding, samples

_CHUNK = 1 << 10  # pictures that are compared at once


def decode(data: bytes) -> np.ndarray:
    """Decode a picture: RGB uint8 (H, W, 3), upright by its orientation, transparency laid on white.

    Of 16 bits the upper 8 are taken. Raises ValueError that says what is wrong with the bytes.
    """
    return samples.shown(decoding.header(data).decode())


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
        parts = (images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK))
        channels = 1 if all((part == part[..., :1]).all() for part in parts) else 3
    if channels == 3:
        return images
    tall = images.reshape(-1, *images.shape[2:])  # one picture above the other: one conversion for all
    return cv2.cvtColor(tall, cv2.COLOR_RGB2GRAY).reshape(images.shape[:3])
