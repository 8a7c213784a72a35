"""Draws fig/loader_study.png: milliseconds a photo of every way, a row of panels for each set of photos."""

from collections.abc import Sequence
from pathlib import Path

import measure
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from table import Row

from project.work.common import UserError

PANELS = (  # beginnings of the groups; what is on the axis; the first row is this project's
    ("Reading alone", "ms a photo, on the clock (log scale)"),
    ("One thread", "CPU-ms a photo"),
    ("Decoders", "CPU-ms a photo"),
    ("{cores} threads or processes", "ms a photo, on the clock"),
)
SUFFIXES = (".png", ".svg", ".pdf")
WIDTH, DPI, BAR, HEAD = 12.0, 120, 0.2, 0.75  # inches; heights of a bar and of a title
OURS, OTHERS, COLD, INK = "#4c78a8", "#bbbbbb", "#e4893c", "#333333"


def check(path: str | None) -> None:
    """Raises UserError where no picture could be drawn to."""
    if path is not None and not (Path(path).suffix in SUFFIXES and Path(path).absolute().parent.is_dir()):
        raise UserError(f"--fig {path}: name a file that ends with {' or '.join(SUFFIXES)}, in a folder that is there")


def draw(rows: Sequence[Row], path: Path) -> None:
    """Two columns of panels, one a set of photos; shorter is faster."""
    titles = list(dict.fromkeys(_title(row) for row in rows))
    panels = [(start.format(cores=measure.cores()), axis) for start, axis in PANELS]
    groups = {(start, title): [row for row in rows if _title(row) == title and row.group.startswith(start)
                               and row.per_cpu is not None] for start, _ in panels for title in titles}  # fmt: skip
    heights = [max(len(groups[start, title]) for title in titles) * BAR + HEAD for start, _ in panels]
    figure = Figure((WIDTH, sum(heights) + 0.5), DPI, layout="constrained")
    grid = figure.subplots(len(panels), len(titles), squeeze=False, height_ratios=heights)
    for line, (start, axis) in zip(grid, panels, strict=True):
        for axes, title in zip(line, titles, strict=True):
            _panel(axes, f"{start}: {title}", groups[start, title], axis)
    figure.supxlabel(f"medians; shorter is faster\n{measure.machine()}", fontsize=8)
    figure.savefig(path)


def _title(row: Row) -> str:
    return row.group.split(": ", 1)[1]


def _panel(axes: Axes, title: str, rows: Sequence[Row], label: str) -> None:
    clock = [1000 / (row.per_cpu if row.clock == "cpu" else row.per_second) for row in rows]
    colors = [COLD if ", cold" in row.name else OURS if _is_ours(row) else OTHERS for row in rows]
    axes.barh(range(len(rows)), clock, color=colors, height=0.7)
    for at, value in enumerate(clock):
        axes.annotate(f"{value:.2g}", (value, at), (4, 0), textcoords="offset points", va="center", fontsize=7)
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=7)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    if "log scale" in label:
        axes.set_xscale("log")
        axes.set_xlim(min(clock) / 2, 2 * max(clock))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(0, 1.12 * max(clock))
    axes.tick_params(axis="x", labelsize=7)
    axes.set_xlabel(label, fontsize=7)
    axes.set_title(title, loc="left", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _is_ours(row: Row) -> bool:
    return row.note.startswith("this project's") or row.name.startswith("packed, warm")
