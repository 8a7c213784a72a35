"""What is cut out of a picture and what stands around it: boxes, margins and borders, at its own size; no I/O."""

import cv2
import numpy as np

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures.entries import Box
from project.work.common import UserError

_FILLED = {"white": 255, "black": 0}


def check(settings: ImageFolderSettings) -> None:
    """Raise UserError for a margin or border that nothing would be given."""
    if settings.fit != "pad" and (settings.margin > 0 or settings.border != "median"):
        name = "margin" if settings.margin > 0 else "border"
        raise UserError(f"--{name} is of padded pictures, and --fit {settings.fit} pads none: leave one of both out")


def needed(box: Box | tuple[()], settings: ImageFolderSettings) -> bool:
    """Whether a picture is not to be kept as it came."""
    return bool(box) or settings.margin > 0 or settings.border != "median"


def framed(picture: np.ndarray, box: Box | tuple[()], settings: ImageFolderSettings) -> np.ndarray:
    """A picture uint8 (H, W, 3), upright, with its box cut out and its margin and border put round it.

    Without margin and with the usual border it is not padded here, so that it stays what it was. Raises ValueError for
    a box that reaches beyond the picture.
    """
    if box:
        picture = boxed(picture, box)
    return padded(picture, settings.margin, settings.border) if needed((), settings) else picture


def boxed(picture: np.ndarray, box: Box) -> np.ndarray:
    """What a box holds. Raises ValueError where it reaches beyond the picture (H, W, 3)."""
    height, width = picture.shape[:2]
    if box.x + box.width > width or box.y + box.height > height:
        raise ValueError(
            f"its box {box.x},{box.y},{box.width},{box.height} (line {box.line}) reaches beyond its {width} x {height}"
            " pixels"
        )
    return np.ascontiguousarray(picture[box.y : box.y + box.height, box.x : box.x + box.width])


def padded(picture: np.ndarray, margin: float, border: str) -> np.ndarray:
    """A square with a picture (H, W, 3) in its middle. margin: how much longer than the longer side its sides are."""
    height, width = picture.shape[:2]
    side = round(max(height, width) * (1 + margin))
    top, left = (side - height) // 2, (side - width) // 2
    around = (top, side - height - top, left, side - width - left)
    if border == "replicate":
        return cv2.copyMakeBorder(picture, *around, cv2.BORDER_REPLICATE)
    if border == "median":
        edges = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        colour = np.median(edges, axis=0).astype(np.uint8).tolist()
    else:
        colour = [_FILLED[border]] * 3
    return cv2.copyMakeBorder(picture, *around, cv2.BORDER_CONSTANT, value=colour)
