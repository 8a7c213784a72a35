"""Files that a person names, read with care: plain ones alone, bounded before they are read, as spreadsheets save them.

Standard library only at import.
"""

import contextlib
import csv
import io
import itertools
import json
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from project.work.declaration import UserError

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 1 << 29  # bytes of a text that is read whole: what ten million rows of a table take
DEEPEST = 50  # brackets of YAML in each other
SEPARATORS = ",;\t|"
_UNLIKE = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def fault(path: Path, most: int | None = None) -> str | None:
    """Why a path is no plain file of at most so many bytes; None when it is one. Nothing is opened.

    A FIFO or a device would make its reader wait for ever, a sparse file claims any size.
    """
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        return "is a link to nothing" if os.path.islink(path) else "is missing"
    except (OSError, ValueError) as error:  # an endless link, a name too long, one with a NUL
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    for asks, name in _UNLIKE.items():
        if asks(facts.st_mode):
            return f"is {name}, but a plain file is needed"
    if most is not None and facts.st_size > most:
        return f"is {facts.st_size:,} bytes, but at most {most:,} are read"
    return None


def plain(path: Path, most: int | None = None) -> Path:
    """The path of a plain file. Raises UserError, naming it, when it is none or larger than so many bytes."""
    wrong = fault(path, most)
    if wrong is not None:
        raise UserError(f"{shown(path)} {wrong}")
    return path


def read_bytes(path: Path, most: int = LARGEST) -> bytes:
    """The bytes of a plain file. Raises UserError."""
    with opened(path, most) as file:
        return file.read(most)


@contextlib.contextmanager
def opened(path: Path, most: int | None = None) -> Iterator[BinaryIO]:
    """A plain file to read from. Raises UserError when it is none, larger than so many bytes, or cannot be read."""
    plain(path, most)
    try:
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error


def read_text(path: Path, most: int = LARGEST) -> str:
    """The text of a plain file in UTF-8, in UTF-16 or, where it is neither, in Windows-1252. Raises UserError.

    A text with NUL in it is refused by line: nothing that reads text further on copes with them alike.
    """
    data = read_bytes(path, most)
    text = _decoded(data)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{path} line {line}: holds a NUL character, so it is damaged or no text")
    return text


def _decoded(data: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    if data[:2].count(0) == 1:  # UTF-16 without its mark: every other byte of plain letters is zero
        return data.decode("utf-16-be" if data[0] == 0 else "utf-16-le", errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def read_json(path: Path, most: int = LARGEST) -> Any:
    """What a JSON file holds. Raises UserError."""
    try:
        return json.loads(read_text(path, most))
    except RecursionError:
        raise UserError(f"{path}: not JSON that can be read (nested too deeply)") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from error


def read_yaml(path: Path, most: int = 1 << 16) -> Any:
    """What a YAML file holds. Raises UserError. It is a person's few lines: reading more takes PyYAML many seconds."""
    import yaml

    data = read_bytes(path, most)
    deep = f"{path}: not YAML that can be read (nested too deeply)"
    if _depth(data) > DEEPEST:
        raise UserError(deep)
    try:
        return yaml.safe_load(data)  # bytes: it reads UTF-8 and UTF-16 by itself, and refuses the rest
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f"line {mark.line + 1}: "
        said = getattr(error, "problem", None) or " ".join(str(error).split())
        raise UserError(f"{path}: not YAML ({place}{said})") from error
    except RecursionError:
        raise UserError(deep) from None
    except Exception as error:  # a date, number or tag that PyYAML trusts: what it raises depends on which
        raise UserError(f"{path}: not YAML (a value that is none of its kind: {error})") from error


def _depth(data: bytes) -> int:
    """How many brackets are open at once, at most: each makes PyYAML slower at all that follow."""
    steps = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
    return max(itertools.accumulate((steps.get(byte, 0) for byte in data), initial=0))


def read_table(
    path: Path,
    columns: Sequence[str] = (),
    kind: str = "a table",
    optional: Sequence[str] = (),
    most: int = LARGEST,
) -> "pd.DataFrame":
    """A CSV as text, its index the line that each row ends in; separated by , ; tab or |, whichever its header has.

    columns: those that it must have, found whatever blanks and capitals it writes them with, and called as given here;
    of the others optional ones alone are kept. No columns: all are. kind: what the file is, for a person.
    Blank lines are passed over. Raises UserError for a file that is missing or no table, and for a row of more or fewer
    fields than the header.
    """
    wrong = fault(path, most)
    if wrong is not None:
        raise UserError(f"{shown(path)} {wrong}: give the path of {kind}")
    return parse_table(read_text(path, most), path, columns, kind, optional)


def parse_table(
    text: str, path: Path, columns: Sequence[str] = (), kind: str = "a table", optional: Sequence[str] = ()
) -> "pd.DataFrame":
    """As `read_table`, of a text that was read already. path: what to call it."""
    import pandas as pd

    needs = f"; it needs the columns {','.join(columns)}" if columns else ""
    separator = _separator(text, [*columns, *optional])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    try:
        header = next((cells for cells in reader if any(cells)), [])
        names = _names(header, [*columns, *optional])
        kept = _kept(names, header, columns, optional, f"{path}: not {kind}", needs)
        lines: list[int] = []
        rows: list[list[str]] = []
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) != len(names):
                raise UserError(f"{path} line {reader.line_num}: {len(cells)} fields, but the header has {len(names)}")
            lines.append(reader.line_num)
            rows.append([cells[place] for place in kept])
    except csv.Error as error:
        raise UserError(f"{path} line {reader.line_num}: not {kind} ({error}){needs}") from error
    return pd.DataFrame(rows, index=lines, columns=[names[place] for place in kept], dtype=object)


def _kept(
    names: list[str], header: list[str], columns: Sequence[str], optional: Sequence[str], refused: str, needs: str
) -> list[int]:
    """The places of the columns to keep. Raises UserError where one is missing or there twice."""
    missing = [name for name in columns if name not in names]
    if missing or not header:
        lacks = f"has no column {missing[0]}" if header else "is empty"
        raise UserError(f"{refused}: it {lacks} (its header is {','.join(header)[:80]!r}){needs}")
    kept = [place for place, name in enumerate(names) if not columns or name in columns or name in optional]
    twice = next((names[place] for place in kept if names.count(names[place]) > 1), None)
    if twice is not None:
        raise UserError(f"{refused}: two columns are called {twice!r}")
    return kept


def _separator(text: str, columns: Sequence[str]) -> str:
    """The separator under which the header has most of the columns; of equals the one that stands in it most often."""
    header = next((line for line in io.StringIO(text) if line.strip()), "")
    wanted = {_plain_name(name) for name in columns}

    def fit(separator: str) -> tuple[int, int]:
        cells = next(csv.reader([header], delimiter=separator), [])
        return len(wanted & {_plain_name(cell) for cell in cells}), header.count(separator)

    return max(SEPARATORS, key=fit)


def _names(header: Sequence[str], columns: Sequence[str]) -> list[str]:
    """The header's names without blanks around them; those that are asked for as they are asked for."""
    stripped = [cell.strip() for cell in header]
    known = {_plain_name(name): name for name in columns if name not in stripped}
    return [name if name in columns else known.get(_plain_name(name), name) for name in stripped]


def _plain_name(name: str) -> str:
    return name.strip().casefold()


def shown(path: Path) -> str:
    """A path for a message; one with characters that cannot be shown as Python writes it."""
    text = str(path)
    return text if text.isprintable() else ascii(text)
