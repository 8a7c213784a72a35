"""Reads CSV files as spreadsheets save them, with any usual separator. Errors name the line.

Imports only the standard library.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from project.work.common import UserError
from project.work.files.disk import LARGEST, fault, read_text, shown

if TYPE_CHECKING:
    import pandas as pd
LONGEST_LINE = 1 << 24  # letters of a table's line, at most
LONGEST_HEADER = 1 << 20
_PIECE = 1 << 24  # letters that are split into lines at once
SEPARATORS = ",;\t|"


def read_table(
    path: Path,
    columns: Sequence[str] = (),
    kind: str = "a table",
    optional: Sequence[str] = (),
    most: int = LARGEST,
) -> "pd.DataFrame":
    """Read a CSV as text. Its separator is , ; tab or |, by the header. The index is the line in which a row ends.

    columns: required ones, matched without regard to blanks and capitals, and renamed to these names; optional: others
    to keep. Without columns, all are kept. kind: what the file is, for errors. Blank lines are skipped. Raises
    UserError for a file that is missing or not a table, and for a row with more or fewer fields than the header.
    """
    wrong = fault(path, most)
    if wrong is not None:
        raise UserError(f"{shown(path)} {wrong}: give the path of {kind}")
    return parse_table(read_text(path, most), path, columns, kind, optional)


def parse_table(
    text: str,
    path: Path,
    columns: Sequence[str] = (),
    kind: str = "a table",
    optional: Sequence[str] = (),
    ragged: bool = False,
) -> "pd.DataFrame":
    """As `read_table`, from a text. path: for errors.

    ragged: a row may lack its last fields, which are then empty, and may have empty fields beyond the header.
    """
    import pandas as pd

    needs = f"; it needs the columns {','.join(columns)}" if columns else ""
    separator = _separator(text, [*columns, *optional])
    _refuse_endless(text, path, kind)
    reader = csv.reader(_lines(text.rstrip("\r\n")), delimiter=separator, strict=True)
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
    try:
        header = next((cells for cells in reader if any(cells)), [])
        names = _names(header, [*columns, *optional])
        kept = _kept(names, header, columns, optional, f"{path}: not {kind}", needs)
        lines: list[int] = []
        texts: list[list[str]] = [[] for _ in kept]
        places = [(column.append, place) for column, place in zip(texts, kept, strict=True)]
        for cells in reader:
            if not any(cells):
                continue
            if ragged and not any(cells[len(names) :]):
                cells = [*cells, *[""] * (len(names) - len(cells))][: len(names)]
            if len(cells) != len(names):
                quote = f": put one that holds {separator!r} in quotes" if len(cells) > len(names) else ""
                raise UserError(
                    f"{path} line {reader.line_num}: {len(cells)} fields, but the header has {len(names)}{quote}"
                )
            lines.append(reader.line_num)
            for put, place in places:  # not a list for each row: a million lists
                put(cells[place])
    except csv.Error as error:
        raise UserError(f"{path} line {reader.line_num}: not {kind} ({error}){needs}") from error
    series = {names[place]: pd.Series(column, dtype=object) for column, place in zip(texts, kept, strict=True)}
    return pd.DataFrame(series).set_axis(lines, axis="index")


def header(text: str, columns: Sequence[str] = ()) -> list[str]:
    """The column names of a table, stripped; none for an empty text.

    columns: names that it may have, by which the separator is recognised.
    """
    return [cell.strip() for cell in _cells(_first_line(text), _separator(text, columns))]


def _kept(
    names: list[str], header: list[str], columns: Sequence[str], optional: Sequence[str], refused: str, needs: str
) -> list[int]:
    """The positions of the columns to keep. Raises UserError for a missing or repeated column."""
    missing = [name for name in columns if name not in names]
    if missing or not header:
        lacks = f"has no column {missing[0]}" if header else "is empty"
        raise UserError(f"{refused}: it {lacks} (its header is {','.join(header)[:80]!r}){needs}")
    # Only the first column may have no name (it holds the rows' names); a spreadsheet leaves others empty.
    asked, wanted = bool(columns), {*columns, *optional}
    kept = [place for place, name in enumerate(names) if (name in wanted if asked else name or place == 0)]
    twice = next((names[place] for place in kept if names.count(names[place]) > 1), None)
    if twice is not None:
        raise UserError(f"{refused}: two columns are called {twice!r}")
    return kept


def _separator(text: str, columns: Sequence[str]) -> str:
    """The separator under which the header has most of the columns; among equals, the most frequent one."""
    header = _first_line(text)
    wanted = {_plain_name(name) for name in columns}

    def fit(separator: str) -> tuple[int, int]:
        cells = _cells(header, separator)
        return len(wanted & {_plain_name(cell) for cell in cells}), header.count(separator)

    return max(SEPARATORS, key=fit)


def _first_line(text: str) -> str:
    """The first line that is not blank, with any line ending."""
    return next((line for line in _lines(text[:LONGEST_HEADER]) if line.strip()), "").rstrip("\r\n")


def _refuse_endless(text: str, path: Path, kind: str) -> None:
    """Raises UserError for a line too long for a table: the reader would need many times its memory."""
    for start in range(0, len(text) - LONGEST_LINE + 1, LONGEST_LINE):
        end = start + LONGEST_LINE
        if text.find("\n", start, end) < 0 and text.find("\r", start, end) < 0:
            line = text.count("\n", 0, start) + 1
            raise UserError(f"{shown(path)} line {line}: not {kind} (a line of more than {LONGEST_LINE:,} letters)")


def _lines(text: str) -> Iterator[str]:
    """The lines of a text with their line ends. In pieces, because StringIO takes four bytes for each letter."""
    start = 0
    while start < len(text):
        near = min(start + _PIECE, len(text))
        cuts = (text.find(end, near, near + LONGEST_LINE) for end in "\n\r")
        end = next((cut + 1 for cut in cuts if cut >= 0), len(text))
        yield from io.StringIO(text[start:end], newline="")
        start = end


def _cells(line: str, separator: str) -> list[str]:
    """The cells of one line; none if it is too long for a header."""
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def _names(header: Sequence[str], columns: Sequence[str]) -> list[str]:
    """The header's names, stripped; requested columns get the requested spelling."""
    stripped = [cell.strip() for cell in header]
    known = {_plain_name(name): name for name in columns if name not in stripped}
    return [name if name in columns else known.get(_plain_name(name), name) for name in stripped]


def _plain_name(name: str) -> str:
    return name.strip().casefold()
