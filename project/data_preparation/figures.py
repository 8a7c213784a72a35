"""Command line: draw image_sample.png (the prepared pictures), env.png (the architecture) and raster.png.

To redraw the figures of README and docs: ./inv figures --dataset sample --output fig
"""

if __name__ == "__main__":  # before the slow imports
    from project.work.machine import process

    process.begin()


from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Route

from project.data_preparation.options import FigureSettings
from project.data_preparation.sample_sheet import draw_samples
from project.data_preparation.sources import sample
from project.work.common import INPUT, OUTPUT, UserError
from project.work.dataset import storage
from project.work.machine.process import run_command
from project.work.raster import raster
from project.work.settings.flags import parse

WIDTH, HEIGHT, DPI = 1400, 700, 100
CODE, FILES, ZONE, INK = "#dbe9f6", "#fdf0d0", "#f4f4f4", "#333333"
DOODLES = ("umbrella", "house", "snowman", "flower", "sailboat", "clock", "tree", "key")
SIDE = 32
CANVAS = (-4, 260)  # of strokes, with some room around them


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
    output = OUTPUT / "figures" if settings.output is None else Path(settings.output).expanduser()
    output.mkdir(parents=True, exist_ok=True)
    draw_samples(storage.read(source), output / "image_sample.png", dataset=source.name)
    draw_environment(output / "env.png")
    draw_rasters(output / "raster.png")
    print(f"{output}: {source} in image_sample.png, the architecture in env.png, the rasterisers in raster.png")


def draw_rasters(path: Path) -> None:
    """Write a sheet (PNG): synthetic doodles as strokes, and below them the images by each method of raster.py."""
    generator = np.random.default_rng(0)
    drawings = [sample.draw(word, generator) for word in DOODLES]
    rows = {"strokes": drawings} | {method: raster.render(drawings, SIDE, method) for method in raster.METHODS}
    figure = Figure(figsize=(1.5 * len(DOODLES), 1.6 * len(rows)), dpi=100, layout="constrained")
    axes = figure.subplots(len(rows), len(DOODLES), squeeze=False)
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


@dataclass(frozen=True)
class Box:
    """A rectangle with a name and a line or two of text. x, y: its centre, in pixels from the lower left."""

    x: float
    y: float
    name: str
    note: str
    color: str = CODE
    width: float = 160
    height: float = 78


BOXES = {
    "tasks": Box(130, 555, "tasks.py", "./inv: what\na person types"),
    "command": Box(350, 555, "make_command.py", "settings to\ncommand lines", width=195),
    "platform": Box(650, 610, "ai_platform.py", "submit, follow,\ncancel a job", width=190),
    "local": Box(650, 500, "image/local", "or plain python,\nwithout a container", width=190),
    "remote": Box(1020, 610, "image/remote", "Vertex AI\ntraining job", width=170),
    "bucket": Box(1270, 610, "bucket", "project/input,\nproject/output", FILES, width=180),
    "main": Box(785, 345, "main.py", "settings, dataset,\nrunner, report"),
    "reporter": Box(1075, 345, "reporter", "one result to\nevery destination"),
    "abroad": Box(1280, 345, "sheet, Slack", "where configured", FILES, height=58),
    "strokes": Box(112, 210, "strokes", "Kaggle, Google,\nor the sample", FILES, width=155),
    "prepare": Box(305, 210, "quickdraw.py", "data_preparation:\nstrokes to pictures", width=160),
    "input": Box(500, 210, "project/input", "pictures, labels,\nkeys, provenance", FILES),
    "dataset": Box(690, 210, "dataset", "tensors, splits,\nnoise, batches", width=150),
    "runner": Box(880, 210, "runner", "loss, training,\nselection", width=150),
    "output": Box(1075, 210, "project/output", "a folder a run:\nhistory, checkpoint", FILES),
    "table": Box(1280, 210, "table", "results.csv", FILES, height=58),
    "curve": Box(1280, 85, "curve", "loss and accuracy", FILES, height=58),
    "audit": Box(690, 85, "audit", "wrong labels", width=150, height=58),
    "model": Box(880, 85, "model", "networks by name", width=150, height=58),
}
STRAIGHT, STEP, DROP, CORNER = "straight", "across, down, across", "down, across, down", "down, across"
ARROWS = (
    ("tasks", "command", STRAIGHT),
    ("command", "platform", STEP),
    ("command", "local", STEP),
    ("platform", "remote", STRAIGHT),
    ("remote", "bucket", STRAIGHT),
    ("bucket", "remote", STRAIGHT),
    ("local", "main", DROP),
    ("remote", "main", DROP),
    ("main", "dataset", DROP),
    ("main", "runner", DROP),
    ("dataset", "audit", STRAIGHT),
    ("audit", "dataset", STRAIGHT),
    ("main", "reporter", STRAIGHT),
    ("reporter", "abroad", STRAIGHT),
    ("reporter", "output", STRAIGHT),
    ("strokes", "prepare", STRAIGHT),
    ("prepare", "input", STRAIGHT),
    ("input", "dataset", STRAIGHT),
    ("dataset", "runner", STRAIGHT),
    ("model", "runner", STRAIGHT),
    ("runner", "output", STRAIGHT),
    ("output", "table", STRAIGHT),
    ("output", "curve", CORNER),
)


def draw_environment(path: Path) -> None:
    """Write the architecture as a PNG of 1400 x 700 pixels."""
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axes.set_axis_off()
    _zone(axes, 15, 440, 840, 245, "local machine")
    _zone(axes, 875, 440, 510, 245, "Google Cloud")
    _zone(axes, 15, 15, 1370, 395, "the program, the same on either side")
    for start, end, route in ARROWS:
        _arrow(axes, waypoints(BOXES[start], BOXES[end], route))
    for box in BOXES.values():
        _box(axes, box)
    _legend(axes)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})


def _zone(axes: Axes, x: float, y: float, width: float, height: float, name: str) -> None:
    style = "round,pad=0,rounding_size=14"
    axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, facecolor=ZONE, edgecolor="#bbbbbb", zorder=0))
    axes.text(x + 16, y + height - 14, name, va="top", size=12, color="#666666", style="italic")


def _box(axes: Axes, box: Box) -> None:
    corner = (box.x - box.width / 2, box.y - box.height / 2)
    style = "round,pad=0,rounding_size=8"
    patch = FancyBboxPatch(corner, box.width, box.height, boxstyle=style, facecolor=box.color, edgecolor=INK, zorder=2)
    axes.add_patch(patch)
    top = box.y + box.height / 2
    axes.text(box.x, top - 9, box.name, ha="center", va="top", size=11.5, weight="bold", color=INK, zorder=3)
    axes.text(box.x, top - 31, box.note, ha="center", va="top", size=10, color=INK, linespacing=1.25, zorder=3)


def waypoints(start: Box, end: Box, route: str) -> list[tuple[float, float]]:
    """The corners of an arrow from the edge of one box to the edge of another."""
    right, down = (1 if end.x > start.x else -1), (-1 if end.y < start.y else 1)
    side = (start.x + right * start.width / 2, start.y), (end.x - right * end.width / 2, end.y)
    over = (start.x, start.y + down * start.height / 2), (end.x, end.y - down * end.height / 2)
    if route == STEP:
        middle = (side[0][0] + side[1][0]) / 2
        return [side[0], (middle, start.y), (middle, end.y), side[1]]
    if route == DROP:
        middle = end.y - down * (end.height / 2 + 30)
        return [over[0], (start.x, middle), (end.x, middle), over[1]]
    if route == CORNER:
        return [over[0], (start.x, end.y), side[1]]
    return list(side if start.y == end.y else over)


def _arrow(axes: Axes, points: list[tuple[float, float]]) -> None:
    line = FancyArrowPatch(path=Route(points), arrowstyle="-|>", mutation_scale=15, color=INK, zorder=1)
    line.set_joinstyle("round")
    axes.add_patch(line)


def _legend(axes: Axes) -> None:
    for y, color, text in ((100, CODE, "code"), (65, FILES, "files and services")):
        axes.add_patch(FancyBboxPatch((36, y), 24, 14, boxstyle="round,pad=0", facecolor=color, edgecolor=INK))
        axes.text(72, y + 7, text, va="center", size=10, color=INK)


if __name__ == "__main__":
    run_command(main)
