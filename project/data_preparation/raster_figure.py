"""A picture of what each rasteriser makes of the same strokes."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from project.data_preparation.sources import sample
from project.work.raster import raster

WORDS = ("umbrella", "house", "snowman", "flower", "sailboat", "clock", "tree", "key")
SIZE = 32
CANVAS = (-4, 260)


def draw_rasters(path: Path) -> None:
    """Write a sheet (PNG): synthetic doodles as strokes, and below them as each method of raster.py draws them."""
    generator = np.random.default_rng(0)
    drawings = [sample.draw(word, generator) for word in WORDS]
    rows = {"strokes": drawings} | {method: raster.render(drawings, SIZE, method) for method in raster.METHODS}
    figure = Figure(figsize=(1.5 * len(WORDS), 1.6 * len(rows)), dpi=100, layout="constrained")
    axes = figure.subplots(len(rows), len(WORDS), squeeze=False)
    for row, (name, shown) in zip(axes, rows.items(), strict=True):
        row[0].set_ylabel(name, size=13)
        for place, what in zip(row, shown, strict=True):
            place.set(xticks=[], yticks=[])
            if isinstance(what, np.ndarray):
                place.imshow(255 - what, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
                continue
            for stroke in what:
                place.plot(*stroke.T, color="black", linewidth=1)
            place.set(xlim=CANVAS, ylim=CANVAS[::-1], aspect="equal")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
