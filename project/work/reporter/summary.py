"""The table of results for a person: one line an experiment, over its seeds, best first."""

if __name__ == "__main__":  # before anything that takes a while to load
    from project.work import process

    process.begin()


from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from project.work import common
from project.work.declaration import UserError, parse, run_command, setting
from project.work.method_settings import serves
from project.work.reporter.result_table import ResultTable

NOT_THE_EXPERIMENT = {"uuid", "seed", "noise_seed"}
NOT_READ = "-"
GIVEN = ("corrections", "audit_file")  # of which each seed may have a file of its own
ACCURACIES = {"valid": "best_valid_accuracy", "test": "best_test_accuracy", "last": "last_test_accuracy"}


@dataclass(frozen=True)
class SummarySettings:
    """What to print."""

    output: str | None = setting(None, "folder of results.csv; project/output when not given")


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Runs that differ only in their seeds as one line, the best mean validation accuracy first.

    That of the noise is one of them, and so are files of corrections or of an audit: that one is given tells lines
    apart, which one does not. table: as results.csv, all text. The order looks at validation, since choosing by the
    test split would spoil it. Accuracies are in percent, as "mean +- standard deviation" when there are several seeds.
    """
    names = [name for name in _setting_names() if name in table and name not in NOT_THE_EXPERIMENT]
    lines = []
    for _, runs in _only_what_is_read(_only_whether_given(table)).groupby(names, sort=False):
        line = {"method": runs["method"].iloc[0]} | {name: runs[name].iloc[0] for name in names}
        line |= {"seeds": len(runs), "order": pd.to_numeric(runs[ACCURACIES["valid"]]).mean()}
        line |= {title: _spread(pd.to_numeric(runs[column])) for title, column in ACCURACIES.items()}
        line["seconds"] = round(pd.to_numeric(runs["seconds"]).mean())
        lines.append(line)
    summary = pd.DataFrame(lines).sort_values("order", ascending=False, kind="stable").drop(columns="order")
    varied = [name for name in names if name in ("dataset", "epoch", "model") or _varies(summary[name])]
    shown = [name for name in varied if not _told_by_method(summary, name)]
    return summary[["method", *shown, "seeds", *ACCURACIES, "seconds"]].reset_index(drop=True)


def _only_whether_given(table: pd.DataFrame) -> pd.DataFrame:
    """The same without the names of files that seeds have of their own."""
    return table.assign(**{name: table[name].where(table[name] == "", "given") for name in GIVEN if name in table})


def _only_what_is_read(table: pd.DataFrame) -> pd.DataFrame:
    """The same with NOT_READ for settings of methods that are off in a run: another version had other defaults."""
    switches = [name for name in common.method_switches() if name in table]
    readers = {name: serves(name, switches) for name in table}
    on = {name: (table[list(mine)] == "True").any(axis=1) for name, mine in readers.items() if mine}
    if {"flag_by", "clean"} <= set(table):
        on["flag_by"] = table["clean"] != "none"
    return table.assign(**{name: table[name].where(there, NOT_READ) for name, there in on.items()})


def _varies(values: pd.Series) -> bool:
    return values[values != NOT_READ].nunique() > 1


def _told_by_method(summary: pd.DataFrame, name: str) -> bool:
    """Whether a column only says again which method a line is of."""
    return name in common.method_switches() and summary.groupby("method")[name].nunique().max() == 1


def _setting_names() -> list[str]:
    return ["lr" if name == "learning_rate" else name for name in common.experiment_settings()]


def _spread(shares: pd.Series) -> str:
    mean = f"{100 * shares.mean():.1f}"
    return mean if len(shares) < 2 else f"{mean} +- {100 * shares.std():.1f}"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the summary of results.csv."""
    settings = parse(SummarySettings, argv, "Print the table of results, best first by validation accuracy.")
    results = ResultTable(common.output_folder(settings.output))
    runs = results.read()
    missing = [name for name in ("method", *ACCURACIES.values(), "seconds") if name not in runs]
    if missing or runs.empty:
        raise UserError(f"{results.path}: {f'has no column {missing[0]}' if missing else 'holds no run'}; move it away")
    table = summarise(runs)
    print(table.to_string(index=False))
    print("Top-1 accuracy in percent: valid and test at the selected epoch, test at the last; best validation first.")


if __name__ == "__main__":
    run_command(main)
