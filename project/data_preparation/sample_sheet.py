"""A sheet of prepared pictures, so that a person sees what was made."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from project.work.dataset import storage
from project.work.dataset.packed import PackedPictures
from project.work.pages import fonts

CLASSES, PER_CLASS = 10, 10  # rows and columns of a sheet
TILE, GAP = 64, 8  # pixels: a small picture is enlarged by whole steps up to a tile of about this side
PHOTO = 96  # pixels that a large picture is shrunk to where it is kept encoded
RED = (214, 39, 40)
_TOP, _BOTTOM, _RIGHT = 44, 34, 14


def draw_samples(
    prepared: storage.Prepared, path: Path, classes: int = CLASSES, per_class: int = PER_CLASS, dataset: str = ""
) -> None:
    """Write a sheet (PNG) of training pictures: a row a class, classes evenly chosen, wrong labels framed in red."""
    labels = shown_labels(len(prepared.names), classes)
    names = [prepared.names[label] for label in labels]
    pixels, framed = sheet(prepared, labels, per_class)
    written = [fonts.for_pillow(name, 17) for name in names]
    left = 30 + round(max(font.getlength(name) for name, font in written))
    height, width = pixels.shape[0] + _TOP + _BOTTOM, pixels.shape[1] + left + _RIGHT
    picture = Image.new("RGB", (width, height), "white")
    picture.paste(Image.fromarray(pixels), (left, _TOP))
    draw = ImageDraw.Draw(picture)
    title, font = fonts.for_pillow(_title(prepared, dataset, len(labels)), 17)
    draw.text((left + GAP / 2, _TOP / 2), title, "black", font, "lm")
    row = pixels.shape[0] / len(labels)
    for number, (name, font) in enumerate(written):
        draw.text((left - 10, _TOP + row * (number + 0.5)), name, "black", font, "rm")
    if framed:
        note = "red frame: wrong label, the drawing shows something else"
        draw.text((left + GAP / 2, height - _BOTTOM / 2), note, RED, ImageFont.load_default(15), "lm")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def shown_labels(count: int, classes: int = CLASSES) -> np.ndarray:
    """The labels, int (classes or fewer,), that a sheet shows of `count`."""
    return np.linspace(0, count - 1, min(classes, count)).round().astype(int)


def sheet(prepared: storage.Prepared, labels: Sequence[int] | np.ndarray, per_class: int) -> tuple[np.ndarray, bool]:
    """Pixels uint8 (H, W, 3) of the tiles, one row of tiles a label, and whether any of them is framed."""
    images = prepared.train.images
    if isinstance(images, PackedPictures):
        images = images.at(min(PHOTO, images.view.side))
    scale = max(1, round(TILE / max(images.shape[1:3])))
    height, width = images.shape[1] * scale + GAP, images.shape[2] * scale + GAP
    pixels = np.full((height * len(labels), width * per_class, 3), 255, np.uint8)
    wrong, inverted = wrong_labels(prepared), prepared.provenance.get("inverted", True)
    chosen = [np.flatnonzero(prepared.train.labels == label)[:per_class] for label in labels]
    for row, pictures in enumerate(chosen):
        for column, picture in enumerate(pictures):
            tile = pixels[row * height : (row + 1) * height, column * width : (column + 1) * width]
            half = GAP // 2
            tile[half:-half, half:-half] = _ink(images[picture], inverted).repeat(scale, axis=0).repeat(scale, axis=1)
            if wrong[picture]:
                _frame(tile[1:-1, 1:-1])
    return pixels, bool(wrong[np.concatenate(chosen)].any())


def wrong_labels(prepared: storage.Prepared) -> np.ndarray:
    """Bool (N,): training pictures whose true_label is known (a number, -1 for a class not taken) and is not theirs."""
    keys = prepared.train.keys
    if "true_label" not in keys:
        return np.zeros(len(keys), dtype=bool)
    return (keys["true_label"].notna() & (keys["true_label"] != prepared.train.labels)).to_numpy()


def _ink(image: np.ndarray, inverted: bool) -> np.ndarray:
    """Drawings are kept white on black; on paper they are dark on white. Photographs stay as they are."""
    if image.ndim == 3 and image.shape[2] >= 3:
        return image[..., :3]
    grey = 255 - image if inverted else image
    return np.repeat(grey.reshape(*image.shape[:2], 1), 3, axis=2)


def _frame(tile: np.ndarray, thick: int = 2) -> None:
    for edge in (tile[:thick], tile[-thick:], tile[:, :thick], tile[:, -thick:]):
        edge[:] = RED


def _title(prepared: storage.Prepared, dataset: str, rows: int) -> str:
    synthetic = " of synthetic doodles" if prepared.provenance.get("synthetic") else ""
    name = dataset or prepared.provenance.get("source", "prepared")
    return f"{name}: {rows} of {len(prepared.names)} classes{synthetic}"
