"""The table of results: one CSV for all runs of an output folder."""

import csv
import io
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import pandas as pd
from filelock import FileLock

from project.work.common import UserError
from project.work.files import disk, tables
from project.work.reporter.result import SHEET_COLUMNS, Result, read_result
from project.work.reporter.table import cells
from project.work.run_folder import RESULT_FILE
from project.work.settings.flags import former_names, inside
from project.work.settings.groups import Settings

FILE, LINE = "results.csv", "\n"
LARGEST = 1 << 26  # bytes; a row takes about seven hundred
ADVICE = "correct it, or move it away"
RANGES = dict.fromkeys(cells.SHARES, "[0, 1]") | {"seconds": "[0, inf)"}
RANGES |= {cells.column(field.name): field.metadata["within"] for field in fields(Settings) if field.metadata["within"]}


class ResultTable:
    """results.csv. Many runs may finish at once, and a run that reports again replaces its row.

    A file that a spreadsheet saved can be read too, with its own separator, encoding, decimal mark and words for True.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def write(self, result: Result) -> str:
        """Add or replace the row of the run's uuid; new columns are added on the right.

        Cells that a person has added stay. A file that another program saved is kept beside the new one.
        """
        row = cells.as_text(result.row)
        with FileLock(self.path.with_suffix(".lock")):
            there = not disk.absent(self.path)
            text = self._text() if there else ""
            if (longer := _with_line(text, row)) is not None:
                disk.replace_file(self.path, longer.encode())
                return f"row {longer.count(LINE) - 1} of {self.path}"
            table = self._parsed(text) if there else pd.DataFrame(columns=list(row), dtype=object)
            as_read = _as_csv(table)
            if there and as_read != text:
                self._keep()
            earlier = table["uuid"] == row["uuid"]
            row = {name: "" for name in table} | (table[earlier].iloc[0].to_dict() if earlier.any() else {}) | row
            table, last = table[~earlier], pd.DataFrame([row], dtype=object)
            same = there and not earlier.any() and len(row) == len(table.columns)
            if not same:
                as_read = _as_csv(table.assign(**{name: "" for name in row if name not in table}))
            disk.replace_file(self.path, (as_read + _as_csv(last, header=False)).encode())
        return f"row {len(table) + 1} of {self.path}"

    def catch_up(self) -> list[Path]:
        """Add the rows of runs that have a result.json but no row here, because they were killed in between.

        Returns their run folders, in the order of finishing. Raises UserError as `read` does.
        """
        known = set() if disk.absent(self.path) else set(self.read()["uuid"])
        missing: list[Result] = []
        for path in self.path.parent.glob(f"*/{RESULT_FILE}"):
            try:
                row = read_result(path.parent)
            except UserError as error:
                print(f"warning: {error}", file=sys.stderr)
                continue
            if row is not None and row["uuid"] not in known and row.keys() >= set(SHEET_COLUMNS):
                missing.append(Result(row, path.parent))
        missing.sort(key=lambda each: (str(each.row.get("finished")), each.folder))
        for each in missing:
            self.write(each)
        return [each.folder for each in missing]

    def read(self) -> pd.DataFrame:
        """All rows, every value as the text that its run wrote. The index is the line in which a row ends.

        Raises UserError if the file is not a table of results or a line is ambiguous.
        """
        if disk.absent(self.path):
            raise UserError(self.absent)
        return _methods_renamed(self._parsed(self._text()))

    @property
    def absent(self) -> str:
        """The error when there is no table."""
        return f"{self.path} is missing: no run has finished here yet; start one with ./inv train"

    def measured(self, table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
        """These lines of the table, checked to have numbers in these columns.

        Raises UserError for a missing number and for an impossible one: NaN, or 85 as a share of 1.
        """
        missing = [name for name in columns if name not in table]
        if missing:
            raise UserError(f"{self.path}: has no column {missing[0]}; {ADVICE}")
        kinds = cells.kinds()
        for name in [name for name in table if kinds.get(name) in ("number", "whole")]:
            column, within = table[name], RANGES.get(name, "(-inf, inf)")
            for cell in dict.fromkeys(column.tolist()):
                empty = not cell and name not in columns
                if not empty and not (cell and math.isfinite(float(cell)) and inside(float(cell), within)):
                    what = f"is {cell!r}, outside {within}" if cell else "is missing"
                    raise self._refusal(column.index[column == cell][0], f"{name} {what}")
        return table

    def _text(self) -> str:
        try:
            text = disk.read_text(self.path, LARGEST)
        except UserError as error:
            raise UserError(f"{error}; {ADVICE}") from error
        return _columns_renamed(text.removeprefix("\ufeff"))

    def _parsed(self, text: str) -> pd.DataFrame:
        table = _plain_table(text)
        try:
            table = table if table is not None else tables.parse_table(text, self.path, kind="a table of results")
        except UserError as error:
            raise UserError(f"{error}; {ADVICE}") from error
        table.columns = [_known().get(name.casefold(), name) for name in table.columns]
        if "uuid" not in table:
            raise UserError(f"{self.path}: has no column uuid; {ADVICE}")
        if not table.columns.is_unique:
            twice = table.columns[table.columns.duplicated()][0]
            raise UserError(f"{self.path}: two columns are called {twice!r}; {ADVICE}")
        table = self._without_headers(table)
        texts = [name for name in table if name not in cells.kinds()]
        for name, words in {name: cells.unguarded(table[name].tolist()) for name in texts}.items():
            table = cells.replaced(table, name, words) if words else table
        table = cells.replaced(table, "uuid", {cell: cell.strip() for cell in table["uuid"].tolist()})
        table = cells.restored(table, self._refusal)
        return self._each_once(cells.with_uuids(table, self.path.parent, self._refusal))

    def _without_headers(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table without repeated headers, which concatenated tables have."""
        again = [line for line, uuid in table["uuid"].items() if uuid.strip().casefold() == "uuid"]
        known = [name.casefold() for name in table]
        for line in again:
            if [cell.strip().casefold() for cell in table.loc[line]] != known:
                raise self._refusal(line, "another header: its rows are of another table, which has a file of its own")
        return table.drop(index=again) if again else table

    def _each_once(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table without duplicate lines. Raises UserError if two lines of one run differ."""
        again = table["uuid"].duplicated(keep=False)
        if not again.any():
            return table
        for uuid, rows in table[again].groupby("uuid", sort=False):
            differing = next((name for name in rows if rows[name].nunique() > 1), None)
            if differing is not None:
                first, second = rows.index[:2]
                raise self._refusal(
                    second, f"the run {uuid} is in line {first} too, with another {differing}: remove one of them"
                )
        return table[~table["uuid"].duplicated()]

    def _refusal(self, line: int, why: str) -> UserError:
        return UserError(f"{self.path} line {line}: {why}; {ADVICE}")

    def _keep(self) -> None:
        """Keep a copy of the file under a free name."""
        names = (f"{self.path.stem}-as-saved{number}.csv" for number in ["", *range(2, 10_000)])
        path = next(path for name in names if not (path := self.path.with_name(name)).exists())
        disk.replace_file(path, disk.read_bytes(self.path, LARGEST))
        print(
            f"warning: another program saved {self.path}; it is written anew with the same values, and kept as it was"
            f" in {path.name}",
            file=sys.stderr,
        )


def _columns_renamed(text: str) -> str:
    """The table with the current names of settings in place of former ones."""
    header, line, rows = text.partition(LINE)
    names = set(re.findall(r"\w+", header))
    changes = {old: new for old, new in former_names(Settings).items() if old in names and new not in names}
    return re.sub(r"\w+", lambda word: changes.get(word[0], word[0]), header) + line + rows if changes else text


def _methods_renamed(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the current names of methods."""
    if "method" not in table:
        return table
    former = {old.replace("_", "-"): new.replace("_", "-") for old, new in former_names(Settings).items()}
    pattern = re.compile(r"(?<![^-])(" + "|".join(former) + r")(?![^-])")
    words = {cell: pattern.sub(lambda word: former[word[0]], cell) for cell in set(table["method"].tolist())}
    return cells.replaced(table, "method", {cell: new for cell, new in words.items() if new != cell})


def _known() -> dict[str, str]:
    """Lower-case names of columns -> their names."""
    names = ["uuid", "method", *cells.kinds(), *(field.name for field in fields(Settings))]
    return {name.casefold(): name for name in names}


def _plain_header(text: str) -> list[str] | None:
    """The header of a table in the plain form that runs write: a row a line, commas between cells; else None."""
    header = text.partition(LINE)[0].split(",")
    odd = '"' in text or "\r" in text or "\n\n" in text or not text.endswith(LINE)
    whole = text.count(",") == (len(header) - 1) * text.count(LINE)
    named = all(name and name == name.strip() for name in header) and len(set(header)) == len(header)
    return header if whole and named and not odd and "uuid" in header else None


def _with_line(text: str, row: dict[str, str]) -> str | None:
    """A plain table with one more row; None if that needs more than a new last line."""
    header = _plain_header(text)
    if header is None or not row.keys() <= set(header) or row["uuid"] in text:
        return None
    return text + _as_csv(pd.DataFrame([{name: row.get(name, "") for name in header}], dtype=object), header=False)


def _plain_table(text: str) -> pd.DataFrame | None:
    """A plain table, read quickly; None if it needs the careful parser."""
    header = _plain_header(text)
    if header is None:
        return None
    try:
        table = pd.read_csv(io.StringIO(text), dtype=object, keep_default_na=False, quoting=csv.QUOTE_NONE)
    except (ValueError, pd.errors.ParserError):
        return None
    whole = list(table.columns) == header and len(table) == text.count(LINE) - 1 and not table.isna().any(axis=None)
    if not whole or "" in set(table["uuid"].tolist()):
        return None
    table.index += 2  # the line number of each row
    return table


def _as_csv(table: pd.DataFrame, header: bool = True) -> str:
    columns = [table[name].tolist() for name in table]
    texts = [name not in cells.kinds() for name in table]
    columns = [cells.guarded(each) if text else each for each, text in zip(columns, texts, strict=True)]
    file = io.StringIO(newline="")
    written = csv.writer(file, lineterminator="\n")
    if header:
        written.writerow(table.columns)
    written.writerows(zip(*columns, strict=True))
    return file.getvalue()
