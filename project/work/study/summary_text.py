"""The table of results as text, as wide as the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from project.work.reporter.result import DATA_DIGEST
from project.work.study import run_words
from project.work.study.run_words import Unfinished
from project.work.study.terminal import Column, wrapped
from project.work.study.terminal import table as drawn

ACCURACIES = {"valid": "best_valid_accuracy", "test": "best_test_accuracy", "last": "last_test_accuracy"}
READING = "Top-1 accuracy in percent: valid and test at the selected epoch, test at the last; best validation first."
USUAL = ("model", "epoch")  # named below the table even at their defaults
HEAD = {  # columns that may be left out or shortened
    "method": Column("method", least=28, left=True),
    "dataset": Column("dataset", least=10, left=True),
    "run": Column("run", least=12, left=True),
    "last": Column("last", rank=1),
    "seconds": Column("seconds", rank=2),
}


@dataclass(frozen=True)
class Line:
    """Runs that differ in their seeds alone. settings: all other settings, as text; runs: their rows."""

    method: str
    settings: dict[str, str]
    runs: pd.DataFrame

    def mean(self, column: str) -> float:
        """Mean of a column of results.csv over the runs."""
        return float(pd.to_numeric(self.runs[column]).mean())

    def std(self, column: str) -> float | None:
        """Its standard deviation (n - 1); None with one run."""
        return float(pd.to_numeric(self.runs[column]).std()) if len(self.runs) > 1 else None

    def spread(self, column: str) -> str:
        """Mean of a column of shares in percent, with the standard deviation for two runs or more."""
        std = self.std(column)
        mean = f"{100 * self.mean(column):.1f}"
        return mean if std is None else f"{mean} +- {100 * std:.1f}"


def table(lines: Sequence[Line], most: int) -> str:
    """The lines of results, each at most `most` columns wide, and below them the settings that they share."""
    differing = [_differing(line) for line in lines]
    shared = _shared(lines, differing)
    names = [_name(line, {name: each[name] for name in each if name not in shared})
             for line, each in zip(lines, differing, strict=True)]  # fmt: skip
    datasets = _datasets([line.settings.get("dataset", "") for line in lines])
    titles = ["method", *(["dataset"] if len(set(datasets)) > 1 else []), "run", *ACCURACIES, "seconds"]
    rows = []
    for line, name, dataset in zip(lines, names, datasets, strict=True):
        count = len(line.runs)
        run = line.runs["uuid"].iloc[0] if count == 1 else f"{count} seeds"
        cells = {"method": name, "dataset": dataset, "run": run, "seconds": f"{line.mean('seconds'):.0f}"}
        cells |= {title: line.spread(column) for title, column in ACCURACIES.items()}
        rows.append([cells[title] for title in titles])
    head = [HEAD.get(title, Column(title)) for title in titles]
    text, cut = drawn(head, rows, most)
    notes = [_common(shared, datasets, lines), READING]
    if cut:
        notes.append(f"Not whole here: {', '.join(cut)}; a wider terminal shows more, --format csv all.")
    return "\n".join([text, *(wrapped(note, most) for note in notes if note)])


def _differing(line: Line) -> dict[str, str]:
    """The settings of a line that differ from its recipe, without the data set, which has its own column."""
    found = run_words.differing(line.settings, line.method)
    return {name: value for name, value in found.items() if name != "dataset"} | (
        {"data": line.settings[DATA_DIGEST]} if line.settings.get(DATA_DIGEST) else {}
    )


def _shared(lines: Sequence[Line], differing: Sequence[dict[str, str]]) -> dict[str, str]:
    """The settings worth naming that are the same in all lines."""
    said = {name: line.settings[name] for line in lines[:1] for name in USUAL if name in line.settings}
    said |= differing[0] if len(lines) > 1 else {}
    shared = {name: value for name, value in said.items() if all(line.settings.get(name) == value for line in lines)}
    kinds = {each["noise_type"] for each in differing if "noise_type" in each}
    return shared | ({"noise_type": kinds.pop()} if len(kinds) == 1 and len(lines) > 1 else {})


def _name(line: Line, differing: dict[str, str]) -> str:
    words = run_words.words(differing)
    return f"{line.method} {words}" if words else line.method


def _common(shared: dict[str, str], datasets: Sequence[str], lines: Sequence[Line]) -> str:
    everywhere = {
        name: value for name, value in shared.items() if all(line.settings.get(name) == value for line in lines)
    }
    parts = [f"dataset {datasets[0]}"] if len(set(datasets)) == 1 and datasets[0] else []
    parts += [run_words.words(everywhere)] if everywhere else []
    noise = "" if shared == everywhere else f" Noise, where there is any: {shared['noise_type']}."
    return (f"All: {', '.join(parts)}." if parts else "") + noise


def _datasets(paths: Sequence[str]) -> list[str]:
    """Names of data sets; the whole path where two have the same name."""
    places: dict[str, set[str]] = {}
    for path in paths:
        places.setdefault(Path(path).name, set()).add(path)
    return [path if len(places[Path(path).name]) > 1 else Path(path).name for path in paths]


def unfinished(runs: Sequence[Unfinished], most: int) -> str:
    """Runs without a row, and the commands that resume them."""
    head = [
        Column("not finished", least=28, left=True),
        Column("dataset", least=10, left=True),
        Column("run", least=12, left=True),
        Column("epochs"),
        Column("valid"),
    ]
    rows = []
    for run in runs:
        words = run_words.words({
            name: value
            for name, value in run_words.differing(run.row, run.row["method"]).items()
            if name not in ("dataset", "epoch", "seed", "noise_seed")
        })  # fmt: skip
        seed = f" seed={run.row['seed']}" if "seed" in run.row else ""
        valid = "" if run.valid is None else f"{100 * run.valid:.1f}"
        name = f"{run.row['method']}{f' {words}' if words else ''}{seed}"
        rows.append([name, Path(run.row.get("dataset", "")).name, run.row["uuid"], run.state, valid])
    text, _ = drawn(head, rows, most)
    faults = [wrapped(f"{run.folder.name}: {run.fault}", most) for run in runs if run.fault]
    return "\n".join([text, *faults, *_how_to_go_on(runs)])


def _how_to_go_on(runs: Sequence[Unfinished]) -> list[str]:
    commands = [run.resume for run in runs if run.resume]
    return ["To resume one and add its row:", *(f"  {each}" for each in commands)] if commands else []
