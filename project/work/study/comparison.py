"""The comparison of methods under label noise: statistics over seeds, paired by seed.

`read` builds it from the settings of runs and from results.csv; `Comparison` itself is pure."""

import dataclasses
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.special import stdtrit

from project.work.files.disk import absent
from project.work.reporter.table.result_table import ResultTable
from project.work.settings.groups import DataSettings, NoiseSettings, Settings
from project.work.settings.method_words import BASE

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Planned:
    """A run of the plan. method: as typed; rate: share of changed labels, 0 for the clean control.

    uuid: of the run, which two methods may share; cost: declared CPU time as a multiple of base's, or None;
    same_labels: whether its validation labels are those of base, so that validation accuracies can be compared.
    """

    method: str
    rate: float
    seed: int
    uuid: str
    cost: float | None = None
    same_labels: bool = True


@dataclass(frozen=True)
class Measured:
    """A finished run. Accuracies are shares, at the selected epoch except last; seconds: of its epochs."""

    valid: float
    test: float
    last: float
    seconds: float
    actual_rate: float


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (n - 1) over seeds. std: None with one seed."""

    mean: float
    std: float | None
    count: int

    @property
    def margin(self) -> float | None:
        """Half of the 95% interval of the mean by Student's t; None with one seed."""
        if self.std is None:
            return None
        return float(stdtrit(self.count - 1, (1 + CONFIDENCE) / 2)) * self.std / math.sqrt(self.count)


@dataclass(frozen=True)
class MethodAtRate:
    """A method at a noise rate, over the seeds that are finished. Accuracies in percent."""

    valid: Spread
    test: Spread
    last: Spread
    seconds: Spread
    actual_rate: float


@dataclass(frozen=True)
class Gain:
    """A method against base at a noise rate, over the seeds that both have.

    points: of test accuracy in percent, method minus base seed by seed; time: seconds of the method / those of base.
    """

    points: Spread
    time: float

    @property
    def verdict(self) -> str:
        """gain or loss when 0 lies outside the 95% interval of the mean, else unshown; alone with one seed."""
        margin = self.points.margin
        if margin is None:
            return "alone"
        if abs(self.points.mean) <= margin:
            return "unshown"
        return "gain" if self.points.mean > 0 else "loss"


def spread(values: Sequence[float]) -> Spread:
    """Mean and standard deviation of at least one value."""
    return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))


class Comparison:
    """A plan and the results of its finished runs."""

    def __init__(self, plan: Sequence[Planned], measured: Mapping[str, Measured], base: str = "base") -> None:
        """measured: by uuid."""
        self.plan, self.measured, self.base = list(plan), measured, base
        self.methods = _each(run.method for run in plan)
        self.rates = sorted(_each(run.rate for run in plan))
        self.seeds = sorted(_each(run.seed for run in plan))

    @property
    def missing(self) -> list[Planned]:
        """The runs that are not finished."""
        return [run for run in self.plan if run.uuid not in self.measured]

    def planned(self, method: str, rate: float) -> list[Planned]:
        """The runs of a method at a rate, whether finished or not."""
        return [run for run in self.plan if (run.method, run.rate) == (method, rate)]

    def finished(self, method: str, rate: float) -> dict[int, Measured]:
        """The finished runs of a method at a rate, by seed."""
        runs = self.planned(method, rate)
        return {run.seed: self.measured[run.uuid] for run in runs if run.uuid in self.measured}

    def cell(self, method: str, rate: float) -> MethodAtRate | None:
        """The statistics of a method at a rate; None when no run of it is finished."""
        runs = list(self.finished(method, rate).values())
        if not runs:
            return None

        def over(value: Callable[[Measured], float], factor: float = 100) -> Spread:
            return spread([factor * value(run) for run in runs])

        return MethodAtRate(
            valid=over(lambda run: run.valid),
            test=over(lambda run: run.test),
            last=over(lambda run: run.last),
            seconds=over(lambda run: run.seconds, 1),
            actual_rate=statistics.fmean(run.actual_rate for run in runs),
        )

    def gain(self, method: str, rate: float) -> Gain | None:
        """A method against base, paired by seed; None for base itself and where they share no finished seed."""
        ours, theirs = self.finished(method, rate), self.finished(self.base, rate)
        seeds = sorted(ours.keys() & theirs.keys())
        if method == self.base or not seeds:
            return None
        seconds = [sum(runs[seed].seconds for seed in seeds) for runs in (ours, theirs)]
        points = spread([100 * (ours[seed].test - theirs[seed].test) for seed in seeds])
        return Gain(points, seconds[0] / seconds[1] if seconds[1] > 0 else math.nan)

    def cost(self, method: str) -> float | None:
        """The factor of base's CPU time that a method declares."""
        return next((run.cost for run in self.plan if run.method == method and run.cost is not None), None)

    def best(self, rate: float) -> str | None:
        """The method with the best mean validation accuracy, among those with the most seeds. Test does not count.

        A method that changes the validation labels is left out: its validation accuracy is not comparable.
        """
        cells = {method: self.cell(method, rate) for method in self.methods}
        cells = {method: cell for method, cell in cells.items() if cell is not None and self._comparable(method, rate)}
        if not cells:
            return None
        most = max(cell.valid.count for cell in cells.values())
        cells = {method: cell for method, cell in cells.items() if cell.valid.count == most}
        return max(cells, key=lambda method: cells[method].valid.mean)

    def ordered(self) -> list[str]:
        """Methods by test accuracy at their highest rate, best first: the order of a table, not for selection."""

        def key(method: str) -> tuple[float, float]:
            cells = {rate: self.cell(method, rate) for rate in self.rates}
            done = [rate for rate, cell in cells.items() if cell is not None]
            return (max(done), cells[max(done)].test.mean) if done else (-1.0, 0.0)

        return sorted(self.methods, key=key, reverse=True)

    def _comparable(self, method: str, rate: float) -> bool:
        return all(run.same_labels for run in self.planned(method, rate))


def _each(values: Iterable) -> list:
    return list(dict.fromkeys(values))


COLUMNS = {
    "valid": "best_valid_accuracy",
    "test": "best_test_accuracy",
    "last": "last_test_accuracy",
    "seconds": "seconds",
    "actual_rate": "noise_actual_rate",
}
# The settings that decide the images and labels of validation; corrections change it too.
VALIDATION = [field.name for group in (DataSettings, NoiseSettings) for field in dataclasses.fields(group)]
VALIDATION += [field.name for field in dataclasses.fields(Settings) if field.name == "corrections"]


def read(output: Path, runs: Sequence[tuple[str, float, int, Settings, str]]) -> Comparison:
    """The comparison of runs (method, rate, seed, settings, uuid), with the results that an output folder has."""
    base = {(rate, seed): settings for method, rate, seed, settings, _ in runs if method == BASE}
    from project.work.runner.table import cost  # which loads torch

    plan = [
        Planned(method, rate, seed, uuid, cost(settings), same_labels(settings, base.get((rate, seed), settings)))
        for method, rate, seed, settings, uuid in runs
    ]
    return Comparison(plan, measured(output, {run.uuid for run in plan}), BASE)


def measured(output: Path, uuids: set[str]) -> Mapping[str, Measured]:
    """The results of runs in results.csv. Raises UserError when a value is not a number."""
    results = ResultTable(output)
    if absent(results.path):
        return {}
    table = results.read()
    rows = results.measured(table[table["uuid"].isin(uuids)], list(COLUMNS.values()))
    return {
        row["uuid"]: Measured(**{name: float(row[column]) for name, column in COLUMNS.items()})
        for row in rows.to_dict("records")
    }


def same_labels(settings: Settings, base: Settings) -> bool:
    """Whether two runs are validated on the same pictures with the same labels."""
    return all(getattr(settings, name) == getattr(base, name) for name in VALIDATION)
