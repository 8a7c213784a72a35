"""A comparison as a picture: each method's accuracy against the noise rate beside base's, and what it gains."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from project.work.pages import fonts
from project.work.study.comparison import Comparison, Spread
from project.work.study.comparison_gains import draw_gains, height_of_gains

WIDTH, PANEL, HEAD, DPI = 11.0, 2.15, 1.0, 110  # inches; heights of a row of panels and of title and legend
COLUMNS = 4


@dataclass(frozen=True)
class Theme:
    """Colours that differ in lightness too (Okabe and Ito, 2008), so that no kind of colour blindness merges them."""

    paper: str = "#ffffff"
    ink: str = "#1a1a1a"
    base: str = "#5f5f5f"
    others: str = "#d9d9d9"
    method: str = "#0072b2"
    loss: str = "#d55e00"


LIGHT = Theme()
DARK = Theme("#16181c", "#ececec", "#b4b4b4", "#3a3d44", "#56b4e9", "#e69f00")


def picture(comparison: Comparison, title: str, theme: Theme = LIGHT) -> bytes:
    """The picture as PNG."""
    methods = shown(comparison)
    columns = min(COLUMNS, max(1, len(methods)))
    rows = max(1, math.ceil(len(methods) / columns))
    gains = height_of_gains(comparison)
    figure = Figure((WIDTH, HEAD + rows * PANEL + gains), DPI, layout="constrained", facecolor=theme.paper)
    figure.suptitle(title, fontsize=12, color=theme.ink, x=0.01, ha="left")
    above, below = figure.subfigures(2, 1, height_ratios=(rows * PANEL + 0.4, gains)) if gains else (figure, None)
    panels = list(above.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat)
    for axes, method in zip(panels, methods, strict=False):
        draw_method(axes, comparison, method, theme)
    for axes in panels[len(methods) :]:
        axes.set_visible(False)
    _finish(above, panels, columns, comparison, theme)
    if below is not None:
        draw_gains(below, comparison, theme)
    file = io.BytesIO()
    fonts.for_matplotlib(figure)
    figure.savefig(file, format="png", facecolor=theme.paper)
    return file.getvalue()


def shown(comparison: Comparison) -> list[str]:
    """The methods that have a panel, the most accurate first: those with a finished run; base where it is alone."""
    done = [each for each in comparison.ordered() if any(comparison.cell(each, rate) for rate in comparison.rates)]
    return [each for each in done if each != comparison.base] or done


def draw_method(axes: Axes, comparison: Comparison, method: str, theme: Theme) -> None:
    """One panel: the method, base for comparison, and all others in the background."""
    for other in comparison.methods:
        if other not in (method, comparison.base):
            rates, values, _ = course(comparison, other)
            axes.plot(rates, [value.mean for value in values], color=theme.others, linewidth=1, zorder=1)
    for name, color, order in ((comparison.base, theme.base, 2), (method, theme.method, 3)):
        rates, selected, last = course(comparison, name)
        means = [value.mean for value in selected]
        around = [value.deviation or 0.0 for value in selected]
        low, high = ([mean + sign * each for mean, each in zip(means, around, strict=True)] for sign in (-1, 1))
        axes.fill_between(rates, low, high, color=color, alpha=0.25, linewidth=0, zorder=order)
        axes.errorbar(rates, means, around, color=color, marker="o", markersize=4, linewidth=1.8, zorder=order)
        axes.plot(
            rates, [value.mean for value in last], color=color, linestyle=(0, (3, 2)), linewidth=1.2, zorder=order
        )
    axes.set_title(method, fontsize=10, color=theme.method if method != comparison.base else theme.ink, loc="left")


def course(comparison: Comparison, method: str) -> tuple[list[float], list[Spread], list[Spread]]:
    """Noise rates in percent that a method has runs of, and test accuracy at the selected and the last epoch."""
    cells = [(rate, comparison.cell(method, rate)) for rate in comparison.rates]
    found = [(100 * rate, cell.test, cell.last) for rate, cell in cells if cell is not None]
    return [each[0] for each in found], [each[1] for each in found], [each[2] for each in found]


def _finish(above: Figure, panels: Sequence[Axes], columns: int, comparison: Comparison, theme: Theme) -> None:
    rates = [100 * rate for rate in comparison.rates]
    room = 0.08 * (rates[-1] - rates[0]) or 5
    visible = [axes for axes in panels if axes.get_visible()]
    for at, axes in enumerate(visible):
        axes.set_xlim(rates[0] - room, rates[-1] + room)
        axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
        dress(axes, theme)
        if at + columns >= len(visible):  # nothing below it
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("noise rate (%)", fontsize=9, color=theme.ink)
        if at % columns == 0:
            axes.set_ylabel("top-1, test (%)", fontsize=9, color=theme.ink)
    style = {"linewidth": 1.8}
    first = visible[0]
    keys = [
        first.plot([], [], color=theme.method, marker="o", markersize=4, label="the method, selected epoch", **style),
        first.plot([], [], color=theme.base, marker="o", markersize=4, label=comparison.base, **style),
        first.plot([], [], color=theme.base, linestyle=(0, (3, 2)), linewidth=1.2, label="last epoch"),
    ]
    if len(comparison.methods) > 2:
        keys.append(first.plot([], [], color=theme.others, linewidth=1, label="other methods"))
    above.legend(
        handles=[key[0] for key in keys], loc="outside upper left", ncols=4, fontsize=9, frameon=False,
        labelcolor=theme.ink,
    )  # fmt: skip


def dress(axes: Axes, theme: Theme) -> None:
    """Colours of the theme, no box, a light grid."""
    axes.set_facecolor(theme.paper)
    axes.tick_params(colors=theme.ink, labelsize=9)
    axes.grid(color=theme.others, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(theme.base)
