"""Many small pictures packed into a few large ones, for a page that carries all it shows."""

import base64
import io
import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from project.work.dataset.pictures import Home

COLUMNS, CAPACITY = 32, 512  # pictures in a row of a sheet, and in a sheet: browsers refuse images that are too large
PIXELS = 12_000_000  # in all sheets of a page, about; larger pictures are shrunk
LEAST_SIDE = 32  # which none is shrunk below
DARK = 128  # a border darker than that is ink's background, not paper


@dataclass(frozen=True)
class Sheets:
    """Pictures `CAPACITY` a sheet, row by row. urls: data: URIs; rows: of pictures in each; width, height: of one."""

    urls: list[str]
    rows: list[int]
    width: int
    height: int


def gathered(pictures: Home, rows: np.ndarray) -> np.ndarray:
    """These pictures, uint8 (n, H, W) for one channel or (n, H, W, 3)."""
    places = torch.from_numpy(rows.astype(np.int64)).to(pictures.home).split(CAPACITY)
    parts = [some.cpu().numpy() for some in pictures.stream(places)]
    channels, height, width = pictures.shape
    whole = np.concatenate([np.empty((0, channels, height, width), np.uint8), *parts]).transpose(0, 2, 3, 1)
    return whole[..., :3] if channels >= 3 else whole[..., 0]


def white_ink(images: np.ndarray) -> bool:
    """Whether pictures, uint8 (n, H, W[, 3]), are light drawings on black, which a page shows as ink on paper."""
    if images.ndim == 4 or len(images) == 0:
        return False
    edges = (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1])
    return bool(np.median(np.concatenate([edge.ravel() for edge in edges])) < DARK)


def packed(images: np.ndarray, most: int | None = None) -> Sheets:
    """Sheets of pictures, uint8 (n, H, W) or (n, H, W, 3). most: pixels in all, see PIXELS."""
    height, width = shown_size(images.shape[1], images.shape[2], len(images), most or PIXELS)
    parts = [images[start : start + CAPACITY] for start in range(0, len(images), CAPACITY)]
    rows = [-(-len(part) // COLUMNS) for part in parts]
    return Sheets([_url(_sheet(part, height, width)) for part in parts], rows, width, height)


def shown_size(height: int, width: int, count: int, most: int) -> tuple[int, int]:
    """Height and width at which `count` pictures have about `most` pixels in all, those they have if that is fewer."""
    factor = min(1.0, math.sqrt(most / max(1, count * height * width)))
    factor = min(1.0, max(factor, LEAST_SIDE / max(height, width)))
    return max(1, round(height * factor)), max(1, round(width * factor))


def png_url(image: Image.Image) -> str:
    """A picture without loss as a data: URI."""
    return _encoded(image, "png", optimize=True)


def _sheet(images: np.ndarray, height: int, width: int) -> np.ndarray:
    rows = -(-len(images) // COLUMNS)
    whole = np.zeros((rows * COLUMNS, height, width, *images.shape[3:]), np.uint8)
    for place, image in enumerate(images):
        same = image.shape[:2] == (height, width)
        whole[place] = image if same else Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS)
    grid = whole.reshape(rows, COLUMNS, *whole.shape[1:]).swapaxes(1, 2)
    return grid.reshape(rows * height, COLUMNS * width, *images.shape[3:])


def _url(pixels: np.ndarray) -> str:
    """Drawings as PNG; photographs as JPEG, which PNG would make ten times as large."""
    image = Image.fromarray(pixels)
    return _encoded(image, "jpeg", quality=88) if pixels.ndim == 3 else png_url(image)


def _encoded(image: Image.Image, kind: str, **options: object) -> str:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode()}"
