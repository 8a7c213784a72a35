"""Command line: draw fig/image_sample.png (the prepared pictures), env.png (the architecture) and raster.png."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from project.data_preparation.architecture import draw_environment
from project.data_preparation.raster_figure import draw_rasters
from project.work.common import INPUT, ROOT
from project.work.dataset import storage
from project.work.declaration import UserError, parse, run_command, setting

DPI = 100
CLASSES, PER_CLASS = 10, 10  # rows and columns of a sheet
TILE, GAP = 64, 8  # pixels: a small picture is enlarged by whole steps up to a tile of about this side
RED = (214, 39, 40)
_TOP, _BOTTOM, _RIGHT = 44, 34, 14


@dataclass(frozen=True)
class FigureSettings:
    """What to draw and where to put it."""

    dataset: str | None = setting(None, "name of a prepared data set; by default quickdraw if prepared, else sample")
    input: str | None = setting(None, "folder that holds prepared sets; by default project/input")
    output: str | None = setting(None, "folder for the pictures; by default fig")


def draw_samples(
    prepared: storage.Prepared, path: Path, classes: int = CLASSES, per_class: int = PER_CLASS, dataset: str = ""
) -> None:
    """Write a sheet (PNG) of training pictures: a row a class, classes evenly chosen, wrong labels framed in red."""
    labels = shown_labels(len(prepared.names), classes)
    names = [prepared.names[label] for label in labels]
    pixels, framed = sheet(prepared, labels, per_class)
    left = 30 + 9 * max(map(len, names))
    height, width = pixels.shape[0] + _TOP + _BOTTOM, pixels.shape[1] + left + _RIGHT
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    # figimage, unlike imshow, never resamples: a pixel of the sheet is a pixel of the file.
    figure.figimage(pixels, xo=left, yo=_BOTTOM, origin="upper")

    def write(x: float, y: float, text: str, **style: Any) -> None:
        figure.text(x / width, 1 - y / height, text, va="center", parse_math=False, **style)

    write(left + GAP / 2, _TOP / 2, _title(prepared, dataset, len(labels)), size=13)
    row = pixels.shape[0] / len(labels)
    for number, name in enumerate(names):
        write(left - 10, _TOP + row * (number + 0.5), name, size=12, ha="right")
    if framed:
        note = "red frame: wrong label, the drawing shows something else"
        write(left + GAP / 2, height - _BOTTOM / 2, note, size=11, color=np.array(RED) / 255)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})


def shown_labels(count: int, classes: int = CLASSES) -> np.ndarray:
    """The labels, int (classes or fewer,), that a sheet shows of `count`."""
    return np.linspace(0, count - 1, min(classes, count)).round().astype(int)


def sheet(prepared: storage.Prepared, labels: Sequence[int], per_class: int) -> tuple[np.ndarray, bool]:
    """Pixels uint8 (H, W, 3) of the tiles, one row of tiles a label, and whether any of them is framed."""
    images = prepared.train.images
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


def choose(folder: Path, dataset: str | None) -> Path:
    """The prepared set to draw. Raises UserError when there is none."""
    names = ("quickdraw", "sample") if dataset is None else (dataset,)
    for name in names:
        if (folder / name / storage.LABEL_NAME).exists():
            return folder / name
    advice = "run ./inv prepare --source sample first"
    raise UserError(f"{folder}: nothing prepared under the name {' or '.join(names)}; {advice}")


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the pictures from the command line."""
    settings = parse(FigureSettings, argv, "Draw a sheet of prepared pictures, the architecture and the rasterisers.")
    source = choose(INPUT if settings.input is None else Path(settings.input).expanduser(), settings.dataset)
    output = ROOT / "fig" if settings.output is None else Path(settings.output).expanduser()
    output.mkdir(parents=True, exist_ok=True)
    draw_samples(storage.read(source), output / "image_sample.png", dataset=source.name)
    draw_environment(output / "env.png")
    draw_rasters(output / "raster.png")
    print(f"{output}: {source} in image_sample.png, the architecture in env.png, the rasterisers in raster.png")


if __name__ == "__main__":
    run_command(main)
