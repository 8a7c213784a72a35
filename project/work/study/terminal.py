"""Tables and text for a terminal: fitted to its width, in characters that it can show."""

import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

USUAL = (80, 24)  # columns and lines of a terminal of unknown size
NARROW = 6  # columns
SHORTENED = ("\u2026", "..")  # the ellipsis, and its replacement where it cannot be shown


@dataclass(frozen=True)
class Column:
    """A column of a table. least: the width to which it may be shortened first; None if it is never shortened.

    rank: when the table does not fit, the column of highest rank is left out first; rank 0 always stays.
    """

    title: str
    least: int | None = None
    rank: int = 0
    left: bool = False


def columns() -> int:
    """The number of columns of the terminal."""
    return max(20, shutil.get_terminal_size(USUAL).columns)


def width(text: str) -> int:
    """The width of a text in columns: two for a Chinese, Japanese or Korean character, none for an accent."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.category(character) in ("Mn", "Me", "Cf") for character in text)


def shown(text: str, encoding: str | None = None) -> str:
    """A text on one line, with ? for control characters and for what the terminal cannot show."""
    plain = "".join(character if character.isprintable() else "?" for character in text)
    encoding = encoding or getattr(sys.stdout, "encoding", None) or "utf-8"
    return plain.encode(encoding, "replace").decode(encoding, "replace")


def shortened(text: str, most: int) -> str:
    """A text cut to `most` columns: its beginning and its end, which distinguish names."""
    if width(text) <= most:
        return text
    sign = next((each for each in SHORTENED if shown(each) == each), "")[: max(0, most)]
    room = max(0, most - len(sign))
    return _beginning(text, room - room // 2) + sign + _beginning(text[::-1], room // 2)[::-1]


def _beginning(text: str, most: int) -> str:
    taken = ""
    for character in text:
        if width(taken + character) > most:
            break
        taken += character
    return taken


def table(head: Sequence[Column], rows: Sequence[Sequence[str]], most: int) -> tuple[str, list[str]]:
    """A table of one line a row, at most `most` columns wide; and the titles of columns that were cut or left out."""
    cells = [[shown(cell) for cell in row] for row in rows]
    natural = [max([width(column.title), *(width(row[at]) for row in cells)]) for at, column in enumerate(head)]
    kept = list(range(len(head)))
    while _least(head, natural, kept) > most and any(head[at].rank for at in kept):
        kept.remove(max(kept, key=lambda at: head[at].rank))
    gap = 2 if sum(natural[at] for at in kept) + 2 * (len(kept) - 1) <= most else 1
    widths = _fitted(head, natural, kept, most - gap * (len(kept) - 1))
    columns = [_column(head[at], [row[at] for row in cells], widths[at]) for at in kept]
    lines = [(" " * gap).join(line).rstrip() for line in zip(*columns, strict=True)]
    cut = [column.title for at, column in enumerate(head) if at not in kept or widths[at] < natural[at]]
    return "\n".join(line if width(line) <= most else shortened(line, most) for line in lines), cut


def _least(head: Sequence[Column], natural: Sequence[int], kept: Sequence[int]) -> int:
    return sum(min(natural[at], head[at].least or natural[at]) for at in kept) + len(kept) - 1


def _fitted(head: Sequence[Column], natural: Sequence[int], kept: Sequence[int], most: int) -> dict[int, int]:
    """Widths that sum to at most `most`, if possible: columns are shortened to `least` first, then to NARROW."""
    widths = {at: natural[at] for at in kept}
    least = {at: bound for at in kept if (bound := head[at].least) is not None}
    for bounds in (least, dict.fromkeys(least, NARROW)):
        for at in sorted(least, key=lambda at: -widths[at]):
            excess = max(0, sum(widths.values()) - most)
            widths[at] = max(min(widths[at], bounds[at]), widths[at] - excess)
    return widths


def _column(column: Column, cells: Sequence[str], columns: int) -> list[str]:
    """The title and the cells at one width. Cells that look the same when shortened get a number."""
    short = {cell: shortened(cell, columns) for cell in cells}
    seen: dict[str, int] = {}
    for cell, text in short.items():
        seen[text] = seen.get(text, 0) + 1
        if seen[text] > 1:
            short[cell] = shortened(cell, columns - len(f"#{seen[text]}")) + f"#{seen[text]}"
    texts = [shortened(column.title, columns), *(short[cell] for cell in cells)]
    return [padded(text, columns, column.left) for text in texts]


def padded(text: str, columns: int, left: bool) -> str:
    """A text padded with blanks, on the right (left: True) or on the left, to this width."""
    space = " " * (columns - width(text))
    return text + space if left else space + text


def wrapped(text: str, most: int) -> str:
    """A sentence in lines of at most `most` columns."""
    return "\n".join(textwrap.wrap(shown(text), most, break_on_hyphens=False))


def say(text: str, whole: bool = False) -> None:
    """Print a text with ? for what the terminal cannot show.

    whole: print it in UTF-8 instead, for a program that reads it.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    data = text.encode(encoding, "replace").decode(encoding, "replace")
    if whole and data != text and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
        data = text
    print(data, flush=True)
