"""Tables of measurements: computes, prints and stores their rows."""

import csv
import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import measure
from measure import Contender, Cost, Options

Spread = tuple[float, float, float]  # median, lowest, highest


@dataclass(frozen=True)
class Row:
    """A line of a table. Rates are medians in units a second; ratios say how many times as fast the first row is.

    clock: cpu or wall, the one that the figure shows.
    """

    group: str
    name: str
    unit: str
    per_cpu: float | None = None
    per_second: float | None = None
    cpu_ratio: Spread | None = None
    wall_ratio: Spread | None = None
    clock: str = "cpu"
    note: str = ""


def compare(
    group: str, unit: str, contenders: Sequence[Contender], options: Options, *, clock: str = "cpu", warm: bool = True
) -> list[Row]:
    """Measure contenders in turn, compare each with the first and show the table."""
    costs = measure.in_turn(contenders, options.turns, warm)
    rows = as_rows(group, unit, contenders, costs, clock)
    show(rows, options)
    return rows


def as_rows(
    group: str, unit: str, contenders: Sequence[Contender], costs: Mapping[str, list[Cost]], clock: str = "cpu"
) -> list[Row]:
    """The rows for measured costs; a contender without costs is listed with its note."""
    first = next(iter(costs))
    rows = []
    for each in contenders:
        row = Row(group, each.name, unit, clock=clock, note=each.note)
        if each.name in costs:
            cpu, wall = _rates(costs[each.name])
            row = dataclasses.replace(row, per_cpu=statistics.median(cpu), per_second=statistics.median(wall))
            if each.name != first:
                ours_cpu, ours_wall = _rates(costs[first])
                row = dataclasses.replace(
                    row, cpu_ratio=measure.ratios(ours_cpu, cpu), wall_ratio=measure.ratios(ours_wall, wall)
                )
        rows.append(row)
    return rows


def _rates(costs: Sequence[Cost]) -> tuple[list[float], list[float]]:
    return [each.units / each.cpu for each in costs], [each.units / each.wall for each in costs]


def show(rows: Sequence[Row], options: Options) -> None:
    """Print a table and, with --csv, append its rows to that file."""
    print(f"\n{rows[0].group}\n{measure.machine()}; median and range of {options.turns} rounds in turn")
    width = max(len(row.name) for row in rows)
    unit = rows[0].unit
    print(f"{unit:{width}}  {'a CPU-second':>12}  {'first / it':>20}  {'a second':>10}  {'first / it':>20}")
    for row in rows:
        cpu, wall = f"{_rate(row.per_cpu):>12}  {_spread(row.cpu_ratio):>20}", f"{_rate(row.per_second):>10}"
        print(f"{row.name:{width}}  {cpu}  {wall}  {_spread(row.wall_ratio):>20}  {row.note}".rstrip(), flush=True)
    if options.csv is not None:
        append(Path(options.csv), rows)


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def _spread(ratio: Spread | None) -> str:
    return "" if ratio is None else "{} ({} - {})".format(*(f"{each:.3g}" for each in ratio))


def append(path: Path, rows: Sequence[Row]) -> None:
    """Append rows to a CSV file, with a header if it is new."""
    fresh = not path.exists()
    with open(path, "a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(field.name for field in dataclasses.fields(Row))
        writer.writerows([_cell(value) for value in dataclasses.astuple(row)] for row in rows)


def read(path: Path) -> list[Row]:
    """The rows of such a file."""
    with open(path, newline="", encoding="utf-8") as file:
        return [Row(**{name: _value(name, text) for name, text in line.items()}) for line in csv.DictReader(file)]


def _cell(value: object) -> object:
    return " ".join(f"{each:.6g}" for each in value) if isinstance(value, tuple) else value


def _value(name: str, text: str) -> str | float | Spread | None:
    if name.startswith("per_"):
        return float(text) if text else None
    if name.endswith("_ratio"):
        return tuple(map(float, text.split())) if text else None
    return text
