"""The table of results for a person: one line an experiment, over its seeds, best first."""

if __name__ == "__main__":  # before the slow imports
    from project.work.machine import process

    process.begin()


import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from project.work import common
from project.work.common import UserError
from project.work.files import disk
from project.work.machine.process import run_command
from project.work.reporter.result import DATA_DIGEST
from project.work.reporter.sheet import rows as sheet_rows
from project.work.reporter.table import cells as result_cells
from project.work.reporter.table.result_table import ADVICE, ResultTable
from project.work.settings import resolve
from project.work.settings.flags import parse
from project.work.settings.methods import serves
from project.work.study import run_words, summary_text
from project.work.study.run_words import NOT_READ, Unfinished
from project.work.study.summary_settings import SummarySettings
from project.work.study.summary_text import ACCURACIES, Line
from project.work.study.terminal import columns, say

NOT_THE_EXPERIMENT = {"uuid", "seed", "noise_seed"}
GIVEN = ("corrections", "audit_file")  # each seed may have its own file
NEEDED = ["method", *ACCURACIES.values(), "seconds"]


def lines(table: pd.DataFrame, each_run: bool = False) -> list[Line]:
    """The runs of a table in lines, the best mean validation accuracy first.

    Runs that differ only in their seeds, including noise_seed, are one line. For files of corrections or of an audit it
    counts whether one is given, not which one. Runs on data that was prepared anew get another line. table: as
    results.csv, all text. Lines are ordered by validation, because choosing by the test split would bias it.
    each_run: a line a run.
    """
    names = [name for name in _setting_names() if name in table and name not in NOT_THE_EXPERIMENT]
    plain = table.assign(**{name: [run_words.canonical(name, cell) for cell in table[name]] for name in names})
    told = _only_what_is_read(_only_whether_given(plain))
    found = []
    keys = ["uuid"] if each_run else names or [pd.Series(0, index=told.index)]
    for _, some in told.groupby(keys, sort=False):
        data = some[DATA_DIGEST].where(some[DATA_DIGEST] != "", "?") if DATA_DIGEST in some else some["uuid"]
        apart = DATA_DIGEST in some and data[data != "?"].nunique() > 1
        for digest, runs in some.groupby(data, sort=False) if apart else [("", some)]:
            settings = {name: runs[name].iloc[0] for name in names} | {DATA_DIGEST: digest}
            found.append(Line(runs["method"].iloc[0], settings, table.loc[runs.index]))
    return sorted(found, key=lambda line: -line.mean(ACCURACIES["valid"]))


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """`lines` as a table with columns for the settings that vary. Accuracies in percent, "mean +- std"."""
    found = lines(table)
    rows = [
        {"method": line.method}
        | line.settings
        | {"seeds": len(line.runs)}
        | {title: line.spread(column) for title, column in ACCURACIES.items()}
        | {"seconds": round(line.mean("seconds"))}
        for line in found
    ]
    summary = pd.DataFrame(rows)
    names = list(found[0].settings)
    varied = [name for name in names if name in ("dataset", "epoch", "model") or _varies(summary[name])]
    shown = [name for name in varied if not _told_by_method(summary, name)]
    return summary[["method", *shown, "seeds", *ACCURACIES, "seconds"]]


def _only_whether_given(table: pd.DataFrame) -> pd.DataFrame:
    """The same with "given" for the names of files that may differ by seed."""
    return table.assign(**{name: table[name].where(table[name] == "", "given") for name in GIVEN if name in table})


def _only_what_is_read(table: pd.DataFrame) -> pd.DataFrame:
    """The same with NOT_READ for settings of methods that are off in a run: their defaults differ by version."""
    switches = [name for name in resolve.method_switches() if name in table]
    readers = {name: [each for each in serves(name, switches) if each in table] for name in table}
    on = {name: (table[mine] == "True").any(axis=1) for name, mine in readers.items() if mine}
    if {"flag_by", "clean"} <= set(table):
        on["flag_by"] = table["clean"] != "none"
    return table.assign(**{name: table[name].where(there, NOT_READ) for name, there in on.items()})


def _varies(values: pd.Series) -> bool:
    return values[values != NOT_READ].nunique() > 1


def _told_by_method(summary: pd.DataFrame, name: str) -> bool:
    """Whether a column repeats what the method's name says."""
    return name in resolve.method_switches() and summary.groupby("method")[name].nunique().max() == 1


def _setting_names() -> list[str]:
    return [result_cells.column(name) for name in resolve.experiment_settings()]


def text(table: pd.DataFrame, wide: int | None = None, each_run: bool = False) -> str:
    """The table of runs for a terminal of this width; that of the current terminal when not given."""
    return summary_text.table(lines(table, each_run), wide or columns())


def chosen(table: pd.DataFrame, settings: SummarySettings) -> pd.DataFrame:
    """The rows that the settings select. Raises UserError for an unknown method."""
    for word in _words(settings.method):
        run_words.known(word, table["method"].tolist() if "method" in table else [])
    keep = [_is_asked_for(row, settings) for row in table.to_dict("records")]
    return table[pd.Series(keep, index=table.index, dtype=bool)]


def _is_asked_for(row: dict[str, str], settings: SummarySettings) -> bool:
    uuids, datasets, methods = (_words(words) for words in (settings.uuid, settings.dataset, settings.method))
    dataset = row.get("dataset", "")
    return (
        (not uuids or any(row["uuid"].startswith(word) for word in uuids))
        and (not datasets or any(word in (dataset, Path(dataset).name) for word in datasets))
        and (not methods or any(run_words.is_of(word, row) for word in methods))
    )


def _words(text: str | None) -> list[str]:
    return [] if text is None else [word.strip() for word in text.split(",") if word.strip()]


def records(found: Sequence[Line], open_runs: Sequence[Unfinished], state: bool) -> list[dict[str, Any]]:
    """Records of lines and of unfinished runs, with all values uncut. Accuracies are shares, time in seconds.

    state: whether each record says if it is finished.
    """
    figures = [*ACCURACIES.values(), "seconds"]
    made: list[dict[str, Any]] = []
    for line in found:
        spreads = {f"{name}_deviation": line.std(name) for name in figures}
        values = {name: line.mean(name) for name in figures} | spreads
        ours = {"method": line.method, "runs": len(line.runs), "uuids": line.runs["uuid"].tolist()}
        row = line.settings if len(line.runs) > 1 else line.runs.iloc[0].to_dict()
        rest = {name: _value(name, row[name]) for name in row if name and name not in ours | values}
        made.append(({"state": "finished"} if state else {}) | ours | values | {"rest": rest})
    for run in open_runs:
        ours = {"method": run.row["method"], "runs": 1, "uuids": [run.row["uuid"]]}
        how = {"epoch_reached": run.epoch, "valid_accuracy": run.valid, "resume": run.resume, "fault": run.fault}
        rest = {name: _value(name, value) for name, value in run.row.items() if name not in ours}
        made.append({"state": "unfinished"} | ours | how | {"rest": rest})
    return [{**{name: value for name, value in each.items() if name != "rest"}, **each["rest"]} for each in made]


def _value(name: str, text: str) -> Any:
    return None if text in ("", NOT_READ) else sheet_rows.cell(name, text)


def as_csv(made: Sequence[dict[str, Any]]) -> str:
    """Records as a CSV; several uuids are one cell, separated by blanks."""
    flat = [each | {"uuids": " ".join(each["uuids"])} for each in made]
    names = list(dict.fromkeys(name for each in flat for name in each))
    file = io.StringIO(newline="")
    written = csv.writer(file, lineterminator="\n")
    written.writerow(names)
    for each in flat:
        cells = ["" if each.get(name) is None else str(each[name]) for name in names]
        written.writerow(result_cells.guarded(cells))
    return file.getvalue().rstrip("\n")


def main(argv: Sequence[str] | None = None) -> None:
    """Print the summary of results.csv."""
    settings = parse(SummarySettings, argv, "Print the table of results, best first by validation accuracy.")
    output = common.output_folder(settings.output)
    table, open_runs = _read(output, settings)
    runs, some = chosen(table, settings), [run for run in open_runs if _is_asked_for(run.row, settings)]
    if runs.empty and not some:
        raise UserError(_nothing(output, settings, table))
    each = settings.runs or settings.uuid is not None
    found = [] if runs.empty else lines(ResultTable(output).measured(runs, NEEDED[1:]), each)
    _warn_of_missing(ResultTable(output).path, table, found)
    if settings.format == "table":
        parts = [summary_text.table(found, columns())] if found else []
        say("\n\n".join([*parts, *([summary_text.unfinished(some, columns())] if some else [])]))
        return
    made = records(found, some, settings.all)
    say(as_csv(made) if settings.format == "csv" else json.dumps(made, indent=2), whole=True)


def _warn_of_missing(path: Path, table: pd.DataFrame, found: Sequence[Line]) -> None:
    """Warn of settings that the table lacks, if a line may therefore hold unlike runs."""
    missing = [name for name in _setting_names() if name not in table and name not in NOT_THE_EXPERIMENT]
    if missing and any(len(line.runs) > 1 for line in found):
        names = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
        print(f"warning: {path} has no column {names}: runs that differ there are in one line", file=sys.stderr)


def _read(output: Path, settings: SummarySettings) -> tuple[pd.DataFrame, list[Unfinished]]:
    """The rows of results.csv and, with --all, the runs without a row. Raises UserError when there is nothing."""
    results = ResultTable(output)
    absent = disk.absent(results.path)
    table = pd.DataFrame(columns=["uuid"]) if absent else results.read()
    open_runs = (
        run_words.find_unfinished(output, table["uuid"].tolist(), settings.output) if settings.all or absent else []
    )
    if open_runs and settings.all:
        return table, open_runs
    if absent:
        say_more = f"; {len(open_runs)} are not finished: ./inv results --all shows them" if open_runs else ""
        raise UserError(f"{results.absent}{say_more}")
    missing = [name for name in NEEDED if name not in table]
    if missing or table.empty:
        lacks = f"has no column {missing[0]}" if missing else "holds no run"
        raise UserError(f"{results.path}: {lacks}; {ADVICE}")
    return table, open_runs


def _nothing(output: Path, settings: SummarySettings, table: pd.DataFrame) -> str:
    """The error when no run matches."""
    asked = {name: getattr(settings, name) for name in ("uuid", "dataset", "method")}
    flags = " ".join(f"--{name} {value}" for name, value in asked.items() if value is not None)
    there = {
        "method": list(dict.fromkeys(table.get("method", []))),
        "dataset": list(dict.fromkeys(Path(name).name for name in table.get("dataset", []))),
    }
    has = [f"{name}s {', '.join(values[:8])}" for name, values in there.items() if asked[name] and values]
    more = "" if settings.all else "; runs that are not finished are shown with --all"
    return f"{output}: no run fits {flags}{''.join(f'; its table has the {each}' for each in has)}{more}"


if __name__ == "__main__":
    run_command(main)
