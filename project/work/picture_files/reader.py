"""The one reader of picture files: bytes -> a square of the asked side, for training, pages, prediction and serving.

A JPEG is decoded at a half, a quarter or an eighth of its size where that is still as large as what is asked for.
"""

import math

import cv2
import numpy as np

from project.work.picture_files import decoding, pixels
from project.work.picture_files.decoding import MEGAPIXELS, Header
from project.work.picture_files.view import THUMBNAIL, View


def decode(data: bytes, view: View, megapixels: float = MEGAPIXELS) -> np.ndarray:
    """A picture file of any kind that is read -> uint8 (side, side) for 1 channel, (side, side, 3) RGB for 3.

    It is upright, and what is transparent lies on white. Raises ValueError that says what is wrong with the bytes; more
    than so many megapixels are refused before anything is decoded.
    """
    found = decoding.header(data, megapixels)
    if view.framed:
        return _as_viewed(_framed(found, view), view)
    shortest, longest = sorted((found.width, found.height))
    whole = shown(found, reduction(longest if view.fit == "pad" else shortest, view.side), view.bits)
    return _as_viewed(pixels.fit(whole, view.side, view.fit, longest=longest, shortest=shortest), view)


def _framed(found: Header, view: View) -> np.ndarray:
    """A picture with a margin or another border, which are put round it before it is made as large as is asked for."""
    longest = max(found.width, found.height)
    whole = shown(found, reduction(longest, math.ceil(view.side / (1 + view.margin))), view.bits)
    return pixels.fit(pixels.padded(whole, view.margin, view.border), view.side, view.fit)


def decode_upright(data: bytes, longest: int | None = None, megapixels: float = MEGAPIXELS) -> np.ndarray:
    """A picture file -> RGB uint8 (H, W, 3) in its own proportions, for people to look at. Raises ValueError.

    longest: pixels of its longer side, at most.
    """
    found = decoding.header(data, megapixels)
    side = max(found.width, found.height) if longest is None else longest
    return shrunk(shown(found, reduction(max(found.width, found.height), side)), side)


def reduction(across: int, least: int) -> int:
    """The largest of 8, 4, 2 and 1 by which a length of so many pixels can be divided and is still `least` long."""
    return next((by for by in (8, 4, 2) if -(-across // by) >= least), 1)


def shown(found: Header, by: int = 1, bits: int = 16) -> np.ndarray:
    """What a file shows, RGB uint8 (H, W, 3), upright; a plain JPEG at 1/by of its size. Raises ValueError."""
    reduced = found.reduced is not None and by > 1
    return pixels.shown(found.reduced(by, False) if reduced else found.decode(), bits)  # type: ignore[misc]


def shrunk(picture: np.ndarray, longest: int) -> np.ndarray:
    """A picture (H, W, 3) whose longer side has so many pixels at most, in its own proportions."""
    height, width = picture.shape[:2]
    most = max(height, width)
    if most <= longest:
        return picture
    size = (max(1, round(width * longest / most)), max(1, round(height * longest / most)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """Grey and small, stretched to a square: uint8 (32, 32). picture: uint8 (H, W) or RGB (H, W, 3)."""
    grey = picture if picture.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)


def _as_viewed(square: np.ndarray, view: View) -> np.ndarray:
    square = pixels.as_channels(square[None], view.channels)[0]
    return 255 - square if view.invert else square
