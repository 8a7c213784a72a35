"""What each method gains over base, drawn: a column a noise rate, a line a method."""

from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from project.work.study.comparison import Comparison, Gain
from project.work.study.comparison_words import noise, signed

if TYPE_CHECKING:
    from project.work.study.comparison_plot import Theme

LINE, HEAD = 0.27, 1.15  # inches; heights of a method's line and of title and axis


def height_of_gains(comparison: Comparison) -> float:
    """Inches that the panels take; 0 where there is no gain to show yet."""
    methods, _ = _table(comparison)
    return HEAD + LINE * len(methods) if methods else 0.0


def draw_gains(figure: SubFigure, comparison: Comparison, theme: "Theme") -> None:
    """Points gained, with deviation (thick) and 95% interval of the mean (thin); hollow where it is not shown."""
    methods, gains = _table(comparison)
    rates = [rate for rate in comparison.rates if any((method, rate) in gains for method in methods)]
    columns = figure.subplots(1, len(rates), squeeze=False, sharex=True, sharey=True)[0]
    figure.suptitle(
        "Points of top-1 gained over base, paired by seed: mean, deviation (thick), 95% interval of the mean (thin),"
        " and time as a multiple of base's",
        fontsize=9.5, color=theme.ink, x=0.01, ha="left",
    )  # fmt: skip
    reach = max(_reach(gain) for gain in gains.values())
    for axes, rate in zip(columns, rates, strict=True):
        for at, method in enumerate(methods):
            if (method, rate) in gains:
                _draw(axes, at, gains[method, rate], theme)
        axes.axvline(0, color=theme.base, linewidth=1)
        axes.set_title(
            f"{noise(rate)} noise" if rate > 0 else "no added noise", fontsize=10, color=theme.ink, loc="left"
        )
        axes.set_ylim(len(methods) - 0.4, -0.6)
        axes.set_xlim(-1.08 * reach, 1.08 * reach)
        _dress(axes, theme)
    columns[0].set_yticks(range(len(methods)), methods, fontsize=9)


def _table(comparison: Comparison) -> tuple[list[str], dict[tuple[str, float], Gain]]:
    gains = {
        (method, rate): comparison.gain(method, rate) for method in comparison.methods for rate in comparison.rates
    }
    known = {place: gain for place, gain in gains.items() if gain is not None}
    return [method for method in comparison.ordered() if any(method == each for each, _ in known)], known


def _reach(gain: Gain) -> float:
    """How far from 0 there is something to see; an interval of few seeds may leave the picture."""
    return max(abs(gain.points.mean) + 2.5 * (gain.points.deviation or 0.0), 0.5)


def _draw(axes: Axes, at: int, gain: Gain, theme: "Theme") -> None:
    colors = {"gain": theme.method, "loss": theme.loss}
    color, points = colors.get(gain.verdict, theme.base), gain.points
    if points.deviation is not None:
        axes.plot([points.mean - points.margin, points.mean + points.margin], [at, at], color=color, linewidth=1)
        axes.plot([points.mean - points.deviation, points.mean + points.deviation], [at, at], color=color, linewidth=3)
    filled = color if gain.verdict in colors else theme.paper
    axes.plot(points.mean, at, "o", color=color, markerfacecolor=filled, markersize=6)
    words = f"{signed(points).replace('+-', '±')}   {gain.time:.1f}x"
    axes.annotate(
        words, (1.01, at), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=theme.ink,
        annotation_clip=False,
    )  # fmt: skip


def _dress(axes: Axes, theme: "Theme") -> None:
    from project.work.study.comparison_plot import dress

    dress(axes, theme)
    axes.grid(axis="y", visible=False)
