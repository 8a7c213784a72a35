"""Uuids in results.csv that a spreadsheet took for numbers or dates, found again by the run folders."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from project.work.declaration import UserError
from project.work.reporter.reporter import DATA_DIGEST
from project.work.reporter.result_file import RESULT_FILE, read_result

if TYPE_CHECKING:
    import pandas as pd

VALID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NUMBER = re.compile(r"\d[\d.,]*(E[+-]?\d+)?")  # 123456789012 becomes 1.23E+11, and 007 becomes 7
DATE = re.compile(
    r"\d{1,4}[-./ ]+[^\W\d_]{3,9}\.?([-./ ]+\d{2,4})?|[^\W\d_]{3,9}[-./ ]+\d{2,4}|\d{1,4}([-./]\d{1,4}){1,2}"
)
NO_TEXT = re.compile(r"[+-]?\d+([.,]\d+)?E[+-]\d+")
MOST_FOLDERS = 10_000  # whose result.json is looked into


def restored(table: "pd.DataFrame", output: Path, refuse: Callable[[int, str], Exception]) -> "pd.DataFrame":
    """The table with its uuids, and the digests of data, as the runs had them.

    A uuid that may have been another, and that no run folder of the output folder has, becomes that of the only run
    which finished then. refuse: makes the error of a line. Raises it for what is no uuid and cannot be found.
    """
    doubtful = [line for line, uuid in table["uuid"].items() if _doubtful(uuid)]
    digests = table[DATA_DIGEST].items() if DATA_DIGEST in table else ()
    damaged = [line for line, text in digests if NO_TEXT.fullmatch(text)]
    if not doubtful and not damaged:
        return table
    table, folders = table.copy(), _folders(output)
    known = set(table["uuid"])
    lost = [line for line in doubtful if not any(_is_of(name, table.at[line, "uuid"]) for name in folders)]
    if lost or damaged:
        found = _finished(output, folders, known if not damaged else set())
        for line in lost:
            table.at[line, "uuid"] = _uuid(table.loc[line].to_dict(), found, line, refuse)
        for line in damaged:
            table.at[line, DATA_DIGEST] = _digest(table.loc[line].to_dict(), found, line, refuse)
    return table


def _doubtful(uuid: str) -> bool:
    return not VALID.fullmatch(uuid) or bool(NUMBER.fullmatch(uuid) or DATE.fullmatch(uuid))


def _folders(output: Path) -> list[str]:
    try:
        with os.scandir(output) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except OSError:
        return []


def _is_of(folder: str, uuid: str) -> bool:
    return folder == uuid or folder.endswith(f"-{uuid}")


def _finished(output: Path, folders: list[str], known: set[str]) -> list[Mapping[str, Any]]:
    """The results of run folders whose uuids are not known."""
    found = []
    for name in folders[:MOST_FOLDERS]:
        if any(name.endswith(f"-{uuid}") for uuid in known) or not (output / name / RESULT_FILE).is_file():
            continue
        try:
            row = read_result(output / name)
        except UserError:
            continue
        if row is not None and row["uuid"] not in known:
            found.append(row)
    return found


def _uuid(row: Mapping[str, str], found: list[Mapping[str, Any]], line: int, refuse: Callable) -> str:
    there = [each["uuid"] for each in found if _same_run(row, each) and each["uuid"] != row["uuid"]]
    if len(there) == 1:
        return there[0]
    if VALID.fullmatch(row["uuid"]) and not NO_TEXT.fullmatch(row["uuid"]) and not there:
        return row["uuid"]
    what = "is no uuid" if row["uuid"] else "is missing"
    raise refuse(line, f"the uuid {row['uuid'][:60]!r} {what}: write that of its run folder there, as text")


def _digest(row: Mapping[str, str], found: list[Mapping[str, Any]], line: int, refuse: Callable) -> str:
    there = next((each for each in found if each["uuid"] == row["uuid"]), {})
    if isinstance(there.get(DATA_DIGEST), str):
        return there[DATA_DIGEST]
    why = f"{DATA_DIGEST} {row[DATA_DIGEST]!r} was text before a spreadsheet made a number of it"
    raise refuse(line, f"{why}: write what {RESULT_FILE} in the run folder says, or leave the cell empty")


def _same_run(row: Mapping[str, str], result: Mapping[str, Any]) -> bool:
    same = [row.get(name) == str(result.get(name)) for name in ("finished", "seed", "method")]
    return bool(row.get("finished")) and all(same)
