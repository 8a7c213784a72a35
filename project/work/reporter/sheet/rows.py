"""Rows of results as cells of a sheet, and the changes that a sheet needs; no I/O."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args, get_type_hints

from project.work.reporter.result import DATA_DIGEST
from project.work.settings.groups import Settings

Cell = str | int | float | bool | None
# Columns that always stay text: a revision of digits only, or one like 12e45678, is not a number.
TEXT = {"uuid", "method", "device", "torch", "git_revision", "finished", DATA_DIGEST} | {
    name for name, hint in get_type_hints(Settings).items() if str in (get_args(hint) or (hint,))
}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Plan:
    """The changes that a sheet needs to hold some rows. None in a row: a cell that is not ours and stays as it is.

    new_columns: names to write right of the header; updates: row number, counted from 1 -> its new cells.
    """

    header: list[str]
    new_columns: list[str]
    updates: dict[int, list[Cell]]
    appended: list[list[Cell]]


def cell(name: str, value: str) -> Cell:
    """A value of results.csv for the sheet: numbers and booleans as such, NaN and infinity empty."""
    if name in TEXT:
        return value
    if value in ("True", "False"):
        return value == "True"
    if value.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return ""
    if NUMBER.fullmatch(value) is None:
        return value
    try:
        return int(value)
    except ValueError:
        return float(value) if abs(float(value)) != float("inf") else ""


def plan(table: Sequence[Sequence[str]], rows: Iterable[Mapping[str, str]]) -> Plan:
    """The changes after which a sheet has each row once, by uuid.

    table: all cells of the sheet, the header first; empty for an empty sheet; rows: as text. A row that the sheet has
    with the same finishing time stays as it is.
    """
    rows = list(rows)
    old = list(table[0]) if table else []
    new_columns = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in old]
    header = old + new_columns
    there: dict[str, tuple[int, Sequence[str]]] = {}
    for number, line in enumerate(table[1:], start=2):
        there.setdefault(_value(old, line, "uuid"), (number, line))
    updates, appended = {}, {}
    for row in rows:
        number, line = there.get(row["uuid"], (0, ()))
        if number == 0:
            appended[row["uuid"]] = _cells(header, row)
        elif not row.get("finished") or _value(old, line, "finished") != row["finished"]:
            updates[number] = _cells(header, row)
    return Plan(header, new_columns, updates, list(appended.values()))


def _cells(header: Sequence[str], row: Mapping[str, str]) -> list[Cell]:
    first = {name: place for place, name in reversed(list(enumerate(header)))}
    return [cell(name, row[name]) if name in row and first[name] == at else None for at, name in enumerate(header)]


def _value(header: Sequence[str], line: Sequence[str], name: str) -> str:
    at = header.index(name) if name in header else len(line)
    return line[at] if at < len(line) else ""
