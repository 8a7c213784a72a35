"""A comparison as a figure: accuracy against the noise rate, and the methods at each rate, sorted.

A method with runs at two rates or more gets a line. Up to LINES methods share one panel; more get a panel each. The
methods at a rate are drawn for the rates that most methods have.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from project.work.pages import fonts
from project.work.study.comparison import Comparison, Spread
from project.work.study.comparison_words import noise, signed, times

WIDTH, DPI, HEAD = 11.0, 110, 0.75  # inches; pixels an inch; height of the title
COLUMNS, PANEL, LEGEND = 4, 2.15, 0.4  # panels in a row, height of a row, height of the legend
LINES, COURSES = 6, 3.4  # lines in one panel besides base's, and its height
SORTED = 3  # rates, at most, whose methods are drawn sorted, side by side
LINE, FRAME = 0.27, 1.15  # height of a method at a rate; height of titles and axis labels together


@dataclass(frozen=True)
class Theme:
    """Colours that also differ in lightness, for colour-blind readers (Okabe and Ito, 2008).

    lines: of methods that share a panel.
    """

    paper: str = "#ffffff"
    ink: str = "#1a1a1a"
    base: str = "#5f5f5f"
    others: str = "#d9d9d9"
    method: str = "#0072b2"
    loss: str = "#d55e00"
    lines: tuple[str, ...] = ("#0072b2", "#d55e00", "#009e73", "#a0568a", "#8a6d00", "#2f8fc4")


LIGHT = Theme()
DARK = Theme(
    "#242629", "#ececec", "#b4b4b4", "#46494e", "#56b4e9", "#e69f00",
    ("#56b4e9", "#e69f00", "#2cc79b", "#e39ac6", "#f0e442", "#9ecae1"),
)  # fmt: skip


def picture(comparison: Comparison, title: str, theme: Theme = LIGHT) -> bytes:
    """The figure as PNG."""
    courses, rates = lined(comparison), compared(comparison)
    heights = [each for each in (_height_of_courses(len(courses)), _height_of_rates(comparison, rates)) if each]
    figure = Figure((WIDTH, HEAD + sum(heights)), DPI, layout="constrained", facecolor=theme.paper)
    figure.suptitle(title, fontsize=12, color=theme.ink, x=0.01, ha="left")
    parts = list(figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights).flat)
    if courses:
        draw = _draw_panels if len(courses) > LINES else _draw_lines
        draw(parts.pop(0), comparison, courses, theme)
    if rates:
        _draw_rates(parts.pop(0), comparison, rates, theme)
    file = io.BytesIO()
    fonts.for_matplotlib(figure)
    figure.savefig(file, format="png", facecolor=theme.paper)
    return file.getvalue()


def caption_of(comparison: Comparison) -> tuple[str, str]:
    """The heading of the figure, and how to read it."""
    several, rates = bool(lined(comparison)), compared(comparison)
    said = ["Lines: mean over seeds; bands: standard deviation. Dashed: at the last epoch."] if several else []
    if rates:
        said.append(
            "Methods are sorted by test accuracy; bars: standard deviation over seeds. Filled points: a gain (blue) or"
            " a loss (orange) that is shown; hollow: not shown. Grey: base."
        )
    return ("Accuracy against noise" if several else "Accuracy of each method"), " ".join(said)


def lined(comparison: Comparison) -> list[str]:
    """The methods with a line, the most accurate first; base only if no other method has one."""
    found = [method for method in comparison.ordered() if len(course(comparison, method)[0]) > 1]
    return [method for method in found if method != comparison.base] or found


def compared(comparison: Comparison) -> list[float]:
    """The rates whose methods are drawn sorted: the SORTED highest of those at which most methods have runs."""
    counts = {rate: len(_finished(comparison, rate)) for rate in comparison.rates}
    most = max(counts.values())
    if most < 2 and lined(comparison):
        return []
    return [rate for rate, count in counts.items() if count and 2 * count >= most][-SORTED:]


def course(comparison: Comparison, method: str) -> tuple[list[float], list[Spread], list[Spread]]:
    """The noise rates of a method's runs in percent, and its test accuracy at the selected and the last epoch."""
    cells = [(rate, comparison.cell(method, rate)) for rate in comparison.rates]
    found = [(100 * rate, cell.test, cell.last) for rate, cell in cells if cell is not None]
    return [each[0] for each in found], [each[1] for each in found], [each[2] for each in found]


def _finished(comparison: Comparison, rate: float) -> list[str]:
    return [method for method in comparison.methods if comparison.cell(method, rate) is not None]


def _height_of_courses(count: int) -> float:
    if count > LINES:
        return LEGEND + math.ceil(count / COLUMNS) * PANEL
    return COURSES if count else 0.0


def _height_of_rates(comparison: Comparison, rates: Sequence[float]) -> float:
    return FRAME + LINE * len(_rows(comparison, rates)) if rates else 0.0


def _rows(comparison: Comparison, rates: Sequence[float]) -> list[str]:
    there = {method for rate in rates for method in _finished(comparison, rate)}
    return [method for method in comparison.ordered() if method in there]


def _draw_lines(part: SubFigure, comparison: Comparison, methods: Sequence[str], theme: Theme) -> None:
    """All methods in one panel, each with its name at the end of its line."""
    axes = part.subplots()
    drawn = [(comparison.base, theme.base), *zip(methods, theme.lines, strict=False)]
    ends = []
    for order, (method, color) in enumerate(dict(drawn).items()):
        if not course(comparison, method)[0]:
            continue
        _draw_course(axes, comparison, method, color, order)
        rates, selected, _ = course(comparison, method)
        ends.append((selected[-1].mean, rates[-1], method, color))
    low, high = axes.get_ylim()
    gap, before = 0.075 * (high - low), -math.inf
    for mean, rate, method, color in sorted(ends):
        before = max(mean, before + gap)  # names that would overlap move up
        axes.annotate(
            method, (rate, before), xytext=(9, 0), textcoords="offset points", va="center", fontsize=9, color=color,
            annotation_clip=False,
        )  # fmt: skip
    _dress_courses(axes, comparison, theme)
    axes.set_ylabel("top-1, test (%)", fontsize=9, color=theme.ink)
    axes.set_xlabel("noise rate (%)", fontsize=9, color=theme.ink)


def _draw_panels(part: SubFigure, comparison: Comparison, methods: Sequence[str], theme: Theme) -> None:
    """A panel for each method: its line, base, and the other methods in the background."""
    rows = math.ceil(len(methods) / COLUMNS)
    panels = list(part.subplots(rows, COLUMNS, squeeze=False, sharex=True, sharey=True).flat)
    for at, (axes, method) in enumerate(zip(panels, methods, strict=False)):
        for other in methods:
            if other != method:
                rates, values, _ = course(comparison, other)
                axes.plot(rates, [value.mean for value in values], color=theme.others, linewidth=1, zorder=1)
        _draw_course(axes, comparison, comparison.base, theme.base, 2)
        _draw_course(axes, comparison, method, theme.method, 3)
        axes.set_title(method, fontsize=10, color=theme.method, loc="left")
        _dress_courses(axes, comparison, theme)
        if at + COLUMNS >= len(methods):  # nothing below it
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("noise rate (%)", fontsize=9, color=theme.ink)
        if at % COLUMNS == 0:
            axes.set_ylabel("top-1, test (%)", fontsize=9, color=theme.ink)
    for axes in panels[len(methods) :]:
        axes.set_visible(False)
    keys: list[tuple[str, Any, str]] = [(theme.method, "-", "the method, selected epoch")]
    keys += [(theme.base, "-", comparison.base)]
    keys += [(theme.base, (0, (3, 2)), "last epoch"), (theme.others, "-", "other methods")]
    handles = [panels[0].plot([], [], color=color, linestyle=style, label=label)[0] for color, style, label in keys]
    part.legend(
        handles=handles, loc="outside upper left", ncols=4, fontsize=9, frameon=False, labelcolor=theme.ink
    )  # fmt: skip


def _draw_course(axes: Axes, comparison: Comparison, method: str, color: str, order: int) -> None:
    """Test accuracy of a method by rate: mean and std at the selected epoch, and the mean at the last one."""
    rates, selected, last = course(comparison, method)
    means = [value.mean for value in selected]
    around = [value.std or 0.0 for value in selected]
    low, high = ([mean + sign * each for mean, each in zip(means, around, strict=True)] for sign in (-1, 1))
    axes.fill_between(rates, low, high, color=color, alpha=0.2, linewidth=0, zorder=2 + order)
    axes.errorbar(rates, means, around, color=color, marker="o", markersize=4, linewidth=1.8, zorder=2 + order)
    means = [value.mean for value in last]
    axes.plot(rates, means, color=color, linestyle=(0, (3, 2)), linewidth=1.1, zorder=2 + order)


def _dress_courses(axes: Axes, comparison: Comparison, theme: Theme) -> None:
    rates = [100 * rate for rate in comparison.rates]
    room = 0.08 * (rates[-1] - rates[0]) or 5
    axes.set_xlim(rates[0] - room, rates[-1] + room)
    axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    _dress(axes, theme)


def _draw_rates(part: SubFigure, comparison: Comparison, rates: Sequence[float], theme: Theme) -> None:
    """A column a rate, a line a method: its test accuracy and its gain over base."""
    methods = _rows(comparison, rates)
    columns = part.subplots(1, len(rates), squeeze=False, sharey=True)[0]
    for axes, rate in zip(columns, rates, strict=True):
        base = comparison.cell(comparison.base, rate)
        if base is not None:
            axes.axvline(base.test.mean, color=theme.base, linewidth=1, zorder=1)
        for at, method in enumerate(methods):
            _draw_dot(axes, at, comparison, method, rate, theme)
        place = f"{noise(rate)} noise" if rate > 0 else "no added noise"
        axes.set_title(place, fontsize=10, color=theme.ink, loc="left")
        axes.set_xlabel("top-1, test (%)", fontsize=9, color=theme.ink)
        if len(methods) > 1:
            _aside(axes, -1, "gain", _time_title(comparison), theme)
        axes.set_ylim(len(methods) - 0.4, -0.6)
        axes.margins(x=0.08)
        _dress(axes, theme)
        axes.grid(axis="y", visible=False)
    columns[0].set_yticks(range(len(methods)), methods, fontsize=9)


def _draw_dot(axes: Axes, at: int, comparison: Comparison, method: str, rate: float, theme: Theme) -> None:
    cell, gain = comparison.cell(method, rate), comparison.gain(method, rate)
    if cell is None:
        return
    kind = "base" if gain is None else gain.verdict
    color = {"gain": theme.method, "loss": theme.loss}.get(kind, theme.base)
    axes.errorbar(
        cell.test.mean, at, xerr=cell.test.std, fmt="o", color=color, linewidth=2.5, markersize=6,
        markerfacecolor=theme.paper if kind in ("unshown", "alone") else color, markeredgewidth=1.5,
    )  # fmt: skip
    if gain is not None:
        declared = comparison.cost(method)
        time = times(gain.time) if not _all_declare(comparison) else f"{declared:g}x"
        _aside(axes, at, signed(gain.points).replace("+-", "\u00b1"), time, theme)


def _all_declare(comparison: Comparison) -> bool:
    """Whether each method declares its cost, which, unlike measured time, does not depend on other load."""
    return all(comparison.cost(method) is not None for method in comparison.methods)


def _time_title(comparison: Comparison) -> str:
    return "declared" if _all_declare(comparison) else "time"


def _aside(axes: Axes, at: float, gain: str, time: str, theme: Theme) -> None:
    """Text beside the panel, at the height of a line; at -1, the headings."""
    heading = at < 0
    height, system, align = (1.02, "axes fraction", "bottom") if heading else (at, "data", "center")
    for words, inches in ((gain, 0.1), (time, 1.1)):
        axes.annotate(
            words, (1, height), xycoords=("axes fraction", system), xytext=(72 * inches, 0),
            textcoords="offset points", va=align, fontsize=8, color=theme.ink, annotation_clip=False,
        )  # fmt: skip


def _dress(axes: Axes, theme: Theme) -> None:
    """Colours of the theme, no box, a light grid."""
    axes.set_facecolor(theme.paper)
    axes.tick_params(colors=theme.ink, labelsize=9)
    axes.grid(color=theme.others, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(theme.base)
