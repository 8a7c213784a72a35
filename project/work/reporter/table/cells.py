"""Restores cells of results.csv that a spreadsheet has changed.

Numbers and switches are read from the cell itself. A uuid that became a number or a date is found by its run folder.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pandas as pd

from project.work.common import UserError
from project.work.reporter.result import DATA_DIGEST, read_result
from project.work.run_folder import RESULT_FILE
from project.work.settings.flags import is_switch
from project.work.settings.groups import TARGET_METRICS, Settings
from project.work.settings.resolve import experiment_settings

SHARES = frozenset(
    f"{epoch}_{part}_{figure}"
    for epoch in ("best", "last")
    for part in ("train", "valid", "test")
    for figure in ("accuracy", "macro_f1", "top5", "map3")
) | {"best_test_ece", "best_test_ece_calibrated", "noise_actual_rate", "noise_rate_left"}
NUMBERS = SHARES | {"seconds", "pictures_per_second", "declared_cost", "temperature"}
NUMBERS |= {f"best_{part}_{metric}" for part in ("valid", "test") for metric in TARGET_METRICS}
WHOLES = frozenset({"selected_epoch", "train_pictures"})
SWITCHES = {  # as spreadsheets of some languages write them
    **dict.fromkeys(("true", "1", "wahr", "vrai", "verdadero", "verdadeiro", "vero", "waar", "prawda"), "True"),
    **dict.fromkeys(("false", "0", "falsch", "faux", "falso", "onwaar", "fałsz"), "False"),
}
MANY = 64  # distinct cells of a column; more are first checked all at once
FORMULA = re.compile(r"'*[=+\-@\t\r]")  # a spreadsheet evaluates such a cell as a formula; those with ' are text
PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf)", re.ASCII | re.IGNORECASE)
_GAPS = re.compile(r"(?<=\d)[\s'\u2019](?=\d{3})")
_PARTS = re.compile(r"([+-]?)(\d[\d.,]*|[.,]\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)

UUID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NUMERIC = re.compile(r"\d[\d.,]*(E[+-]?\d+)?")  # 123456789012 becomes 1.23E+11, and 007 becomes 7
DATE = re.compile(
    r"\d{1,4}[-./ ]+[^\W\d_]{3,9}\.?([-./ ]+\d{2,4})?|[^\W\d_]{3,9}[-./ ]+\d{2,4}|\d{1,4}([-./]\d{1,4}){1,2}"
)
NO_TEXT = re.compile(r"[+-]?\d+([.,]\d+)?E[+-]\d+")
MOST_FOLDERS = 10_000  # whose result.json is read


def as_text(row: Mapping[str, Any]) -> dict[str, str]:
    """A row as text for results.csv."""
    return {name: "" if value is None else str(value) for name, value in row.items()}


def column(setting: str) -> str:
    """The column of results.csv for a setting."""
    return "lr" if setting == "learning_rate" else setting


@cache
def kinds() -> dict[str, str]:
    """The columns that are not text -> "switch", "whole" or "number"."""
    hints, found = get_type_hints(Settings), dict.fromkeys(NUMBERS, "number") | dict.fromkeys(WHOLES, "whole")
    for name in experiment_settings():
        hint: Any = hints[name]
        if is_switch(hint):
            found[column(name)] = "switch"
        elif {int, float} & set(get_args(hint) or (hint,)):
            found[column(name)] = "whole" if int in (get_args(hint) or (hint,)) else "number"
    return found


def restored(table: pd.DataFrame, refuse: Callable[[int, str], Exception]) -> pd.DataFrame:
    """A table of text with switches and numbers as runs write them: TRUE is True; 0,5 and 50% are 0.5.

    table: its index holds line numbers. refuse: makes the error for a line, which is raised for a cell that is neither
    or is ambiguous: 1,234 is 1234 in one spreadsheet and 1.234 in another.
    """
    kind = {name: kinds()[name] for name in table if name in kinds()}
    odd = {name: cells for name in kind if (cells := _odd(set(table[name].tolist()), kind[name]))}
    marks = _marks(cell for name, cells in odd.items() if kind[name] != "switch" for cell in cells)
    if "," in marks:  # in such a table 1.234 may be 1234
        odd |= {name: set(table[name]) - {""} for name in kind if kind[name] != "switch"}
    for name, cells in odd.items():
        words = {cell: _read(kind[name], cell, marks) for cell in cells}
        for line, cell in table[name].items():
            if words.get(cell, "") is None:
                raise refuse(line, f"{name} is {cell[:60]!r}, {_wanted(kind[name], cell)}")
        table = replaced(table, name, words)
    return table


def replaced(table: pd.DataFrame, name: str, words: Mapping[str, Any]) -> pd.DataFrame:
    """The table with some cells of a column replaced."""
    cells = [words.get(cell, cell) for cell in table[name].tolist()]
    return table.assign(**{name: np.array(cells, dtype=object)})


def _odd(cells: set[str], kind: str) -> set[str]:
    """The cells of a column that a run would not have written."""
    if kind == "switch":
        return cells - {"True", "False", ""}
    if len(cells) > MANY:
        try:
            pd.to_numeric(pd.Series(list(cells), dtype=object))
            return set()
        except (ValueError, TypeError):
            pass
    return {cell for cell in cells if cell and not PLAIN.fullmatch(cell)}


def _marks(cells: Iterable[str]) -> set[str]:
    """The certain uses of the comma in numbers: "," as decimal mark, "3" as thousands separator; both if mixed."""
    found = set()
    for cell in cells:
        digits = _digits(cell)
        if re.fullmatch(r"\d{1,3}(,\d{3})+\.\d+|\d{1,3}(,\d{3}){2,}", digits):
            found.add("3")
        elif re.fullmatch(r"(0|\d{4,})?,\d+|\d+,(\d{1,2}|\d{4,})|\d{1,3}(\.\d{3})+,\d+", digits):
            found.add(",")
    return found


def _digits(cell: str) -> str:
    parts = _PARTS.fullmatch(_GAPS.sub("", cell.strip().rstrip("%").rstrip()))
    return parts[2] if parts else ""


def _read(kind: str, cell: str, marks: set[str]) -> str | None:
    """A cell as a run writes it; None if it is invalid or ambiguous."""
    if kind == "switch":
        return SWITCHES.get(cell.strip().casefold())
    bare = cell.strip()
    if not bare or (PLAIN.fullmatch(bare) and "," not in marks and kind == "number"):
        return bare
    hundredths = bare.endswith("%")
    parts = _PARTS.fullmatch(_GAPS.sub("", bare.rstrip("%").rstrip()))
    digits = None if parts is None else _plain_digits(parts[2], marks, kind == "whole")
    if parts is None or digits is None:
        return bare if PLAIN.fullmatch(bare) and not parts else None  # nan and infinity
    if PLAIN.fullmatch(bare) and digits == parts[2] and kind == "number":
        return bare
    value = Decimal(f"{parts[1]}{digits}{parts[3] or ''}")
    if abs(value.adjusted()) > 400:
        return None
    if hundredths:
        return None if kind == "whole" else str(float(value / 100))
    if kind == "whole":
        return str(int(value)) if value == value.to_integral_value() else None
    return str(float(value))


def _plain_digits(digits: str, marks: set[str], whole: bool) -> str | None:
    """Digits with a decimal point and no thousands separator; None if ambiguous."""
    last = max(digits.rfind(","), digits.rfind("."))
    if last < 0:
        return digits
    mark = digits[last]
    other = "." if mark == "," else ","
    if digits.count(mark) > 1:
        return digits.replace(mark, "") if re.fullmatch(rf"\d{{1,3}}(\{mark}\d{{3}})+", digits) else None
    before, after = digits[:last], digits[last + 1 :]
    if other in before:
        groups = re.fullmatch(rf"\d{{1,3}}(\{other}\d{{3}})+", before)
        return f"{before.replace(other, '')}.{after}" if groups else None
    if not re.fullmatch(r"[1-9]\d{0,2}", before) or len(after) != 3:
        return f"{before}.{after}"
    if mark == ".":  # as a run writes it, unless the commas of this table say otherwise
        return None if "," in marks else f"{before}.{after}"
    if marks == {"3"} or (whole and not marks and after.strip("0")):
        return before + after
    return f"{before}.{after}" if marks == {","} else None


def _wanted(kind: str, cell: str) -> str:
    if kind == "switch":
        return "but True or False is needed"
    what = "a whole number" if kind == "whole" else "a number"
    if _digits(cell):
        return f"but {what} is needed that can be read in one way: no separator of thousands, a point before decimals"
    return f"but {what} is needed"


def guarded(cells: list[str]) -> list[str]:
    """Texts for a CSV. What a spreadsheet would evaluate as a formula gets an apostrophe, which makes it text there."""
    formulas = {cell for cell in set(cells) if FORMULA.match(cell) and not PLAIN.fullmatch(cell)}
    return [f"'{cell}" if cell in formulas else cell for cell in cells] if formulas else cells


def unguarded(cells: Iterable[str]) -> dict[str, str]:
    """The texts that `guarded` changed -> the original texts."""
    return {cell: cell[1:] for cell in set(cells) if cell.startswith("'") and FORMULA.match(cell)}


def with_uuids(table: pd.DataFrame, output: Path, refuse: Callable[[int, str], Exception]) -> pd.DataFrame:
    """The table with the original uuids and data digests of the runs.

    A doubtful uuid that no run folder has is replaced by that of the only run with the same finishing time. refuse:
    makes the error for a line, which is raised for a uuid that cannot be restored.
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
    return not UUID.fullmatch(uuid) or bool(NUMERIC.fullmatch(uuid) or DATE.fullmatch(uuid))


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
    found: list[Mapping[str, Any]] = []
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
    if UUID.fullmatch(row["uuid"]) and not NO_TEXT.fullmatch(row["uuid"]) and not there:
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
