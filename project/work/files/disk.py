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
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from project.work.settings.flags import UserError

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 1 << 29  # bytes of a text that is read whole: what ten million rows of a table take
PACKED = 32  # times that real data become smaller in a file at most; drawings become an eighth, keys a tenth
DEEPEST = 20  # brackets of YAML in each other
LONGEST_LINE = 1 << 24  # letters of a table's line
LONGEST_HEADER = 1 << 20
_PIECE = 1 << 24  # letters that are cut into lines at once
SEPARATORS = ",;\t|"
_UNLIKE = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}
_MISSING = "is missing"
_SAID = 200  # characters of an exception's text
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def fault(path: Path, most: int | None = None) -> str | None:
    """Why a path is no plain file of at most so many bytes; None when it is one. Nothing is opened.

    A FIFO or a device would make its reader wait for ever, a sparse file claims any size.
    """
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        return "is a link to nothing" if os.path.islink(path) else _MISSING
    except (OSError, ValueError) as error:  # an endless link, a name too long, one with a NUL
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    for asks, name in _UNLIKE.items():
        if asks(facts.st_mode):
            return f"is {name}, but a plain file is needed"
    if most is not None and facts.st_size > most:
        return f"is {facts.st_size:,} bytes, but at most {most:,} are read"
    return None


def absent(path: Path) -> bool:
    """Whether there is nothing by this name: no link to nothing either, and no folder above it that cannot be read."""
    return fault(path) == _MISSING


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


def reach(paths: Iterable[Path], least: int) -> int:
    """How many bytes files may come to in memory: `least`, or PACKED times what they take on the disk if that is more.

    So a few bytes that claim gigabytes are refused, and what is large in itself is not. Holes take no disk.
    """
    taken = 0
    for path in paths:
        with contextlib.suppress(OSError):
            facts = os.stat(path)
            taken += min(facts.st_size, getattr(facts, "st_blocks", facts.st_size) * 512)
    return max(least, PACKED * taken)


def said(error: BaseException) -> str:
    """What an exception says, in one line that a terminal can show, and not at length."""
    text = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
    return shown(text if len(text) <= _SAID else f"{text[:_SAID]}...")


def read_text(path: Path, most: int = LARGEST) -> str:
    """The text of a plain file in UTF-8, in UTF-16 or, where it is neither, in Windows-1252. Raises UserError.

    A text with NUL in it is refused by line: nothing that reads text further on copes with them alike.
    """
    return text_of(read_bytes(path, most), path)


def text_of(data: bytes, path: Path) -> str:
    """As `read_text`, of bytes that were read already. path: what to call them."""
    wide = data.startswith(_WIDE) or data[:2].count(0) == 1
    text = data[: data.index(0) + 1].decode("latin-1") if 0 in data and not wide else _decoded(data)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{shown(path)} line {line}: holds a NUL character, so it is damaged or no text")
    return text


def is_unicode(data: bytes) -> bool:
    """Whether the encoding of a text is known; otherwise its letters beyond ASCII are a guess."""
    if data.startswith(_WIDE) or data[:2].count(0) == 1:
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


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
        raise UserError(f"{path}: not JSON ({said(error)})") from error


def read_yaml(path: Path, most: int = 1 << 15) -> Any:
    """What a YAML file holds. Raises UserError. It is a person's few lines: reading more takes PyYAML many seconds.

    Names that stand there twice are refused, and so are aliases, of which a few lines make a billion values.
    """
    import yaml

    from project.work.files.plain_yaml import PlainLoader

    data = read_bytes(path, most)
    if _depth(data) > DEEPEST:
        raise UserError(f"{path}: not YAML that can be read (nested too deeply)")
    try:
        return yaml.load(data, PlainLoader)  # bytes: it reads UTF-8 and UTF-16 by itself, and refuses the rest
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f"line {mark.line + 1}: "
        why = getattr(error, "problem", None) or said(error)
        raise UserError(f"{path}: not YAML ({place}{shown(why)})") from error
    except RecursionError:
        raise UserError(f"{path}: not YAML that can be read (nested too deeply)") from None
    except Exception as error:  # a date, number or tag that PyYAML trusts: what it raises depends on which
        raise UserError(f"{path}: not YAML (a value that is none of its kind: {said(error)})") from error


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
    text: str,
    path: Path,
    columns: Sequence[str] = (),
    kind: str = "a table",
    optional: Sequence[str] = (),
    ragged: bool = False,
) -> "pd.DataFrame":
    """As `read_table`, of a text that was read already. path: what to call it.

    ragged: a row may lack its last fields, which are then empty, and have empty ones beyond the header.
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
            for put, place in places:  # a list for each row would be a million lists
                put(cells[place])
    except csv.Error as error:
        raise UserError(f"{path} line {reader.line_num}: not {kind} ({error}){needs}") from error
    columns = {names[place]: pd.Series(column, dtype=object) for column, place in zip(texts, kept, strict=True)}
    return pd.DataFrame(columns).set_axis(lines, axis="index")


def header(text: str, columns: Sequence[str] = ()) -> list[str]:
    """The names of a table's columns without blanks around them; none of an empty text.

    columns: names that it may have, by which its separator is known.
    """
    return [cell.strip() for cell in _cells(_first_line(text), _separator(text, columns))]


def _kept(
    names: list[str], header: list[str], columns: Sequence[str], optional: Sequence[str], refused: str, needs: str
) -> list[int]:
    """The places of the columns to keep. Raises UserError where one is missing or there twice."""
    missing = [name for name in columns if name not in names]
    if missing or not header:
        lacks = f"has no column {missing[0]}" if header else "is empty"
        raise UserError(f"{refused}: it {lacks} (its header is {','.join(header)[:80]!r}){needs}")
    # Without a name only the first is a column: that of the rows' names; others are what a spreadsheet left beside.
    asked, wanted = bool(columns), {*columns, *optional}
    kept = [place for place, name in enumerate(names) if (name in wanted if asked else name or place == 0)]
    twice = next((names[place] for place in kept if names.count(names[place]) > 1), None)
    if twice is not None:
        raise UserError(f"{refused}: two columns are called {twice!r}")
    return kept


def _separator(text: str, columns: Sequence[str]) -> str:
    """The separator under which the header has most of the columns; of equals the one that stands in it most often."""
    header = _first_line(text)
    wanted = {_plain_name(name) for name in columns}

    def fit(separator: str) -> tuple[int, int]:
        cells = _cells(header, separator)
        return len(wanted & {_plain_name(cell) for cell in cells}), header.count(separator)

    return max(SEPARATORS, key=fit)


def _first_line(text: str) -> str:
    """The first line that is not blank, however lines end."""
    return next((line for line in _lines(text[:LONGEST_HEADER]) if line.strip()), "").rstrip("\r\n")


def _refuse_endless(text: str, path: Path, kind: str) -> None:
    """Raise UserError where no line ends for so long that this is no table: its reader would take many times that."""
    for start in range(0, len(text) - LONGEST_LINE + 1, LONGEST_LINE):
        end = start + LONGEST_LINE
        if text.find("\n", start, end) < 0 and text.find("\r", start, end) < 0:
            line = text.count("\n", 0, start) + 1
            raise UserError(f"{shown(path)} line {line}: not {kind} (a line of more than {LONGEST_LINE:,} letters)")


def _lines(text: str) -> Iterator[str]:
    """The lines of a text with their ends as they are; in pieces, since StringIO takes four bytes for each letter."""
    start = 0
    while start < len(text):
        near = min(start + _PIECE, len(text))
        cuts = (text.find(end, near, near + LONGEST_LINE) for end in "\n\r")
        end = next((cut + 1 for cut in cuts if cut >= 0), len(text))
        yield from io.StringIO(text[start:end], newline="")
        start = end


def _cells(line: str, separator: str) -> list[str]:
    """The cells of one line; none of one that is too long for a header."""
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def _names(header: Sequence[str], columns: Sequence[str]) -> list[str]:
    """The header's names without blanks around them; those that are asked for as they are asked for."""
    stripped = [cell.strip() for cell in header]
    known = {_plain_name(name): name for name in columns if name not in stripped}
    return [name if name in columns else known.get(_plain_name(name), name) for name in stripped]


def _plain_name(name: str) -> str:
    return name.strip().casefold()


def shown(path: Path | str) -> str:
    """A path or text for a message; one with characters that cannot be shown as Python writes it."""
    text = str(path)
    return text if text.isprintable() else ascii(text)
