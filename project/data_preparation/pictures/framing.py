"""Cuts boxes out of pictures, and puts margins and borders round them, at their own size; no I/O."""

import numpy as np

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures.entries import Box
from project.work.common import UserError
from project.work.picture_files import pixels


def check(settings: ImageFolderSettings) -> None:
    """Raise UserError for a margin or border that would have no effect."""
    if settings.fit != "pad" and (settings.margin > 0 or settings.border != "median"):
        name = "margin" if settings.margin > 0 else "border"
        raise UserError(f"--{name} is of padded pictures, and --fit {settings.fit} pads none: leave one of both out")


def framed(picture: np.ndarray, box: Box | tuple[()], settings: ImageFolderSettings) -> np.ndarray:
    """A picture uint8 (H, W, 3), upright, with its box cut out and its margin and border put round it.

    Without margin and with the usual border it is not padded here, so that it stays what it was. Raises ValueError for
    a box that reaches beyond the picture.
    """
    if box:
        picture = boxed(picture, box)
    whole = settings.margin == 0 and settings.border == "median"
    return picture if whole else pixels.padded(picture, settings.margin, settings.border)


def boxed(picture: np.ndarray, box: Box) -> np.ndarray:
    """What a box holds. Raises ValueError where it reaches beyond the picture (H, W, 3)."""
    height, width = picture.shape[:2]
    if box.x + box.width > width or box.y + box.height > height:
        raise ValueError(
            f"its box {box.x},{box.y},{box.width},{box.height} (line {box.line}) reaches beyond its {width} x {height}"
            " pixels"
        )
    return np.ascontiguousarray(picture[box.y : box.y + box.height, box.x : box.x + box.width])
