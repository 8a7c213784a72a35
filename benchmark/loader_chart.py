"""Draws fig/loader_study.png: milliseconds a photo of every way, a row of panels for each set of photos."""

from collections.abc import Sequence
from pathlib import Path

import measure
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from table import Row

PANELS = (  # beginnings of the groups; what is on the axis; the first row is this project's
    ("Reading alone", "ms a photo, on the clock"),
    ("One thread", "CPU-ms a photo"),
    ("Decoders", "CPU-ms a photo"),
    ("{cores} threads or processes", "ms a photo, on the clock"),
)
WIDTH, DPI, BAR, HEAD = 12.0, 120, 0.2, 0.75  # inches; heights of a bar and of a title
OURS, OTHERS, COLD, INK = "#4c78a8", "#bbbbbb", "#e4893c", "#333333"


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
    axes.set_xlim(0, 1.12 * max(clock, default=1))
    axes.tick_params(axis="x", labelsize=7)
    axes.set_xlabel(label, fontsize=7)
    axes.set_title(title, loc="left", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _is_ours(row: Row) -> bool:
    return row.note.startswith("this project's") or row.name.startswith("packed, warm")
