"""Draws fig/benchmark.png: how many times as fast as each peer this project is, on a logarithmic scale."""

from collections.abc import Sequence
from pathlib import Path

import measure
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from table import Row, Spread

SHOWN = (  # beginnings of the groups that compare with others
    "Preparation of simplified strokes, whole process",
    "Preparation of raw strokes, whole process",
    "300 rows uniformly",
    "Drawing strokes",
    "Input pipeline",
    "Training loop, float32",
    "Evaluation",
)
WIDTH, DPI, BAR, HEAD = 10.0, 120, 0.24, 0.5  # inches; heights of a bar and of a title
AHEAD, BEHIND, INK = "#4c78a8", "#e4893c", "#333333"


def draw(rows: Sequence[Row], path: Path) -> None:
    """A panel a group, a bar a peer: right of 1 ours is faster; the line is the range over rounds."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.group.startswith(SHOWN) and ratio(row) is not None and not row.name.startswith("ours"):
            groups.setdefault(row.group, []).append(row)
    if not groups:
        return
    heights = [len(group) * BAR + HEAD for group in groups.values()]
    figure = Figure((WIDTH, sum(heights) + 0.6), DPI, layout="constrained")
    panels = figure.subplots(len(groups), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for axes, (title, group) in zip(panels, groups.items(), strict=True):
        _panel(axes, title, group)
    low, high = panels[-1].get_xlim()
    panels[-1].set_xlim(low, high * 1.6)  # room for the longest bar's number
    panels[-1].set_xlabel(f"times as fast as the peer, per CPU-second (log scale)\n{measure.machine()}", fontsize=8)
    figure.savefig(path)


def ratio(row: Row) -> Spread | None:
    """The ratio by the clock that counts for a row."""
    return row.cpu_ratio if row.clock == "cpu" else row.wall_ratio


def _panel(axes: Axes, title: str, rows: Sequence[Row]) -> None:
    spreads = [ratio(row) for row in rows]
    middles = [each[0] for each in spreads]
    errors = [[each[0] - each[1] for each in spreads], [each[2] - each[0] for each in spreads]]
    colors = [AHEAD if each >= 1 else BEHIND for each in middles]
    lengths = [each - 1 for each in middles]
    axes.barh(range(len(rows)), lengths, left=1, color=colors, xerr=errors, ecolor=INK, height=0.7)
    for at, (middle, _, high) in enumerate(spreads):
        axes.annotate(
            f"{middle:.3g}x", (max(middle, high, 1), at), (4, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    axes.set_xscale("log")
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.axvline(1, color=INK, linewidth=1)
    axes.set_title(title, loc="left", fontsize=9)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.spines[["top", "right"]].set_visible(False)
