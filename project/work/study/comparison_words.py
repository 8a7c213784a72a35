"""A comparison in sentences and as a table; pure."""

from collections.abc import Sequence

from project.work.study.comparison import Comparison, Gain, MethodAtRate, Spread
from project.work.study.terminal import padded, width

HEADER = (
    "method", "noise", "actual", "seeds", "valid", "test", "last epoch", "gain", "seconds", "time", "declared",
)  # fmt: skip
UNSEEN = 1.25  # a declared cost this many times the measured one lies outside the epochs
READING = (
    "Top-1 accuracy in percent, mean +- standard deviation over seeds; each seed has its own noise, weights and order."
    " noise none: no noise added, the clean control."
    " valid and test: at the epoch selected on validation; last epoch: test at the last one; gain: of test over base's,"
    " paired by seed. A gain or loss is shown when 0 lies outside the 95% interval of its mean (Student's t);"
    " by chance, that happens to one method in twenty that has no effect. time: seconds of the epochs against base's;"
    " declared: the method's declared CPU time against base's, including work before its epochs."
)


def verdict(comparison: Comparison) -> list[tuple[float, str, list[tuple[str, str]]]]:
    """For each noise rate, the highest first: the rate, its heading, and (method, sentence) pairs."""
    return [
        (rate, _heading(comparison, rate), _sentences(comparison, rate))
        for rate in reversed(comparison.rates)
        if any(comparison.cell(method, rate) for method in comparison.methods)
    ]


def _heading(comparison: Comparison, rate: float) -> str:
    best, base = comparison.best(rate), comparison.cell(comparison.base, rate)
    parts = [f"{comparison.base} reaches {percent(base.test)}% on the test split"] if base is not None else []
    if best is not None and len(comparison.methods) > 1:
        reached = "" if best == comparison.base else f", {percent(comparison.cell(best, rate).test)}% on test"
        parts.append(f"the best by validation is {best}{reached}")
    return f"{_place(rate)}: {'; '.join(parts) or 'no run of base yet'}."


def _sentences(comparison: Comparison, rate: float) -> list[tuple[str, str]]:
    gains = {method: comparison.gain(method, rate) for method in comparison.methods}
    known = {method: gain for method, gain in gains.items() if gain is not None}
    order = sorted(known, key=lambda method: known[method].points.mean, reverse=True)
    said = {each: sentence(each, rate, known[each], comparison.base, comparison.cost(each)) for each in order}
    return [(method, each.removeprefix(f"{_place(rate)}, ")) for method, each in said.items()]


def sentence(method: str, rate: float, gain: Gain, base: str = "base", declared: float | None = None) -> str:
    """'At 40% noise, elr gains 9.2 +- 0.8 points over base for 1.1x the time.'

    declared: the method's CPU time as a multiple of base's; named where the epochs take less.
    """
    points, time, place = gain.points, f"{times(gain.time)} the time", _place(rate)
    if declared is not None and declared > UNSEEN * gain.time:
        time += f" of its epochs ({declared:g}x in all, as it declares)"
    size = percent(Spread(abs(points.mean), points.std, points.count))
    if gain.verdict == "unshown":
        what = "is not shown to help" if rate > 0 else "is not shown to help or harm"
        return f"{place}, {method} {what}: {signed(points)} points over {points.count} seeds, for {time}."
    verb = "gains" if points.mean >= 0 else "loses"
    against = f"{'over' if verb == 'gains' else 'against'} {base}"
    if gain.verdict == "alone":
        return f"{place}, {method} {verb} {size} points {against} for {time}: one seed only, which may be chance."
    return f"{place}, {method} {verb} {size} points {against} for {time}."


def percent(value: Spread) -> str:
    """'44.5 +- 0.6', without the standard deviation where there is one seed."""
    return f"{round(value.mean, 1) + 0.0:.1f}" + ("" if value.std is None else f" +- {value.std:.1f}")


def signed(value: Spread) -> str:
    """'+9.2 +- 0.8'."""
    return ("+" if round(value.mean, 1) >= 0 else "") + percent(value)


def times(factor: float) -> str:
    """A multiple of base's time: '1.1x'."""
    return f"{factor:.1f}x"


def noise(rate: float) -> str:
    """'40%', and 'none' for the clean control."""
    return f"{100 * rate:g}%" if rate > 0 else "none"


def _place(rate: float) -> str:
    return f"At {noise(rate)} noise" if rate > 0 else "Without added noise"


def lines(comparison: Comparison) -> list[list[str]]:
    """The table: a line for each method and rate that has a finished run, by rate, the most accurate first."""
    found = []
    for rate in comparison.rates:
        cells = {method: comparison.cell(method, rate) for method in comparison.methods}
        done = {method: cell for method, cell in cells.items() if cell is not None}
        for method in sorted(done, key=lambda each: done[each].test.mean, reverse=True):
            found.append(_line(comparison, method, rate, done[method]))
    return found


def _line(comparison: Comparison, method: str, rate: float, cell: MethodAtRate) -> list[str]:
    gain, cost = comparison.gain(method, rate), comparison.cost(method)
    planned = len(comparison.planned(method, rate))
    return [
        method,
        noise(rate),
        f"{100 * cell.actual_rate:.1f}%",
        f"{cell.test.count}" if cell.test.count == planned else f"{cell.test.count} of {planned}",
        percent(cell.valid),
        percent(cell.test),
        percent(cell.last),
        "" if gain is None else signed(gain.points),
        f"{cell.seconds.mean:.0f}",
        "" if gain is None else times(gain.time),
        "" if cost is None else f"{cost:g}x",
    ]


def missing(comparison: Comparison) -> list[str]:
    """The unfinished runs, a line a method and rate: 'elr at noise 40%: seeds 1, 2'."""
    groups: dict[tuple[str, float], list[int]] = {}
    for run in comparison.missing:
        groups.setdefault((run.method, run.rate), []).append(run.seed)
    return [
        f"{method} at noise {noise(rate)}: seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, sorted(seeds)))}"
        for (method, rate), seeds in groups.items()
    ]


def markdown(comparison: Comparison) -> str:
    """The table as Markdown, for a README."""
    rows = [list(HEADER), ["---"] * len(HEADER), *lines(comparison)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def plain(rows: Sequence[Sequence[str]]) -> str:
    """The table for a terminal: the first column to the left, the others to the right."""
    table = [list(HEADER), *rows]
    widths = [max(width(row[at]) for row in table) for at in range(len(HEADER))]
    return "\n".join("  ".join(padded(cell, widths[at], left=at == 0) for at, cell in enumerate(row)) for row in table)


def text(comparison: Comparison) -> str:
    """The whole comparison for a terminal."""
    parts = [plain(lines(comparison))]
    parts += ["\n".join([heading, *(f"  {each}" for _, each in said)]) for _, heading, said in verdict(comparison)]
    gone = missing(comparison)
    parts += ["Not finished:\n" + "\n".join(f"  {each}" for each in gone)] if gone else []
    return "\n\n".join([*parts, READING])
