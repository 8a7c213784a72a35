"""Where a comparison's numbers come from: the settings of its runs, and results.csv by their uuids."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from project.work.files.disk import absent
from project.work.reporter.comparison import Comparison, Measured, Planned
from project.work.reporter.result_table import ResultTable
from project.work.settings.groups import DataSettings, NoiseSettings, Settings
from project.work.settings.method_words import BASE

COLUMNS = {
    "valid": "best_valid_accuracy",
    "test": "best_test_accuracy",
    "last": "last_test_accuracy",
    "seconds": "seconds",
    "actual_rate": "noise_actual_rate",
}
# What decides which pictures and labels validation has; corrections, where there are any, mend it too.
VALIDATION = [field.name for group in (DataSettings, NoiseSettings) for field in dataclasses.fields(group)]
VALIDATION += [field.name for field in dataclasses.fields(Settings) if field.name == "corrections"]


def comparison(output: Path, runs: Sequence[tuple[str, float, int, Settings, str]]) -> Comparison:
    """The comparison of runs (method, rate, seed, settings, uuid), as far as an output folder has their results."""
    base = {(rate, seed): settings for method, rate, seed, settings, _ in runs if method == BASE}
    from project.work.runner.table import cost  # which loads torch

    plan = [
        Planned(method, rate, seed, uuid, cost(settings), same_labels(settings, base.get((rate, seed), settings)))
        for method, rate, seed, settings, uuid in runs
    ]
    return Comparison(plan, measured(output, {run.uuid for run in plan}), BASE)


def measured(output: Path, uuids: set[str]) -> Mapping[str, Measured]:
    """What results.csv says of runs. Raises UserError when it says something else than numbers."""
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
