"""Parses lines of a source into rows: key, country, whether the game recognised the drawing, and strokes; no I/O.

A LineOrigin knows where its lines come from, for error messages. The compiled scanners of fields.py split plain lines.
A careful reader for the whole formats reads all other lines here, one at a time.
"""

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from project.data_preparation.parsing import strokes
from project.data_preparation.parsing.fields import (
    LONGEST_KEY,
    OPEN_LIST,
    QUOTE,
    copied,
    csv_fields,
    hold_to,
    json_fields,
)
from project.data_preparation.parsing.strokes import BrokenDrawing
from project.work.common import UserError
from project.work.labels import naming
from project.work.raster.raster import CANVAS, Drawings

AT_ONCE = 4096  # rows in memory at a time
COLUMNS = ("key_id", "countrycode", "recognized", "drawing")  # what every format must hold
WORD = "word"  # a column that a person may have removed
Spans = tuple[np.ndarray, np.ndarray]
Careful = Callable[[bytes], dict[str, Any]]
_NAMES = np.array((*COLUMNS, WORD), dtype="S").view(np.uint8).reshape(len(COLUMNS) + 1, -1)
_KINDS = np.array([QUOTE, QUOTE, 0, OPEN_LIST, QUOTE], dtype=np.uint8)  # of their values in Google's JSON
# An integer that a spreadsheet or data frame read as a float, rounded and wrote.
_ROUNDED = re.compile(r"[+-]?\d+(?:[.,]\d*)?[eE]\+\d+|[+-]?\d+[.,]\d*[eE]\+?\d+|[+-]?\d+[.,]0*")
_TRUTH_VALUES = {"true": True, "false": False, True: True, False: False}


class BrokenLine(ValueError):
    """A broken line; the text says what is wrong. number: its index among the lines read."""

    def __init__(self, number: int, fault: str) -> None:
        super().__init__(fault)
        self.number = number


@dataclass(frozen=True)
class Text:
    """Lines in memory. data: uint8; starts, ends: int64 (N,), of each line in it."""

    data: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def line(self, number: int) -> bytes:
        """The bytes of one line."""
        return self.data[self.starts[number] : self.ends[number]].tobytes()

    def only(self, numbers: np.ndarray) -> "Text":
        """Some of the lines."""
        return Text(self.data, self.starts[numbers], self.ends[numbers])

    def part(self, start: int, end: int) -> "Text":
        """Lines start to end, at least one."""
        first, last = self.starts[start], self.ends[end - 1]
        return Text(self.data[first:last], self.starts[start:end] - first, self.ends[start:end] - first)


def text_of(lines: Sequence[bytes]) -> Text:
    """Concatenate lines into a Text."""
    ends = np.cumsum(np.fromiter(map(len, lines), dtype=np.int64))
    return Text(np.frombuffer(bytearray(b"".join(lines)), dtype=np.uint8), np.append(0, ends)[: len(ends)], ends)


@dataclass(frozen=True)
class UnparsedRows:
    """Rows of a source whose strokes are still text.

    keys: key_id, countrycode (text), recognized (bool), each (N,); drawings: their text.
    """

    keys: dict[str, np.ndarray]
    drawings: Text


@dataclass(frozen=True)
class LeftOut:
    """A row that was left out: its file, its line, and what is wrong with it."""

    file: str
    line: str
    fault: str


@dataclass(frozen=True)
class Rows:
    """Some drawings of a class.

    places: index -> name of a row for a person; keys: key_id, countrycode, recognized and, where known, true_word, each
    (N,); drawings: as written in the source; left_out: rows left out in choosing, given with the first rows.
    """

    places: Callable[[int], str]
    keys: dict[str, np.ndarray]
    drawings: Drawings
    left_out: tuple[LeftOut, ...] = ()

    def __len__(self) -> int:
        return len(self.drawings)


@dataclass(frozen=True)
class LineOrigin:
    """The origin of lines.

    positions: int64 (N,); read: splits the lines into fields; name: what a position counts (line, byte), for messages;
    advice: what to do about a broken line; raw: whether the strokes are raw.
    """

    file: str
    positions: np.ndarray
    read: Callable[[Text], UnparsedRows]
    name: str
    advice: str
    raw: bool

    def unparsed(self, text: Text) -> UnparsedRows:
        """Split lines into fields. Raises UserError for a broken line."""
        try:
            return self.read(text)
        except BrokenLine as error:
            raise self._broken(error) from error

    def rows(self, text: Text) -> Rows:
        """Parse lines with their drawings. Raises UserError for a broken line."""
        try:
            return self._rows(text)
        except (BrokenLine, BrokenDrawing) as error:
            raise self._broken(error) from error

    def left_out(self, text: Text) -> dict[int, LeftOut]:
        """The broken lines, by index."""
        faults: dict[int, LeftOut] = {}
        waiting = [(0, len(text))] if len(text) > 0 else []
        while waiting:
            start, end = waiting.pop()
            try:
                self._rows(text.part(start, end))
            except (BrokenLine, BrokenDrawing) as error:
                if end - start == 1:
                    faults[start] = self.fault(start, str(error))
                else:
                    middle = (start + end) // 2
                    waiting += [(middle, end), (start, middle)]
        return faults

    def fault(self, number: int, said: str) -> LeftOut:
        """A broken line and its fault."""
        return LeftOut(self.file, self._where(number), said)

    def place(self, number: int) -> str:
        """File and position of a line, for a person."""
        return f"{self.file} {self._where(number)}"

    def _where(self, number: int) -> str:
        return f"{self.name} {self.positions[number]}"

    def _rows(self, text: Text) -> Rows:
        unparsed = self.read(text)
        written = unparsed.drawings
        drawings = strokes.read(written.data, written.starts, written.ends)
        number = None if self.raw else drawings.outside(0, CANVAS)
        if number is not None:
            points = np.concatenate(drawings[number])
            span = f"{points.min():g} to {points.max():g}"
            raise BrokenDrawing(number, f"coordinates {span} leave 0 to 255; if these strokes are raw, give --raw")
        return Rows(self.place, unparsed.keys, drawings)

    def _broken(self, error: BrokenLine | BrokenDrawing) -> UserError:
        return UserError(f"{self.place(error.number)}: {error}; {self.advice}, or leave such out with --skip-broken")


def read_csv(text: Text, header: list[str], word: str | None = None) -> UnparsedRows:
    """Read lines of Kaggle's CSV. word: required value of the column word, as the file writes it. Raises BrokenLine."""
    wanted = np.array([header.index(name) for name in _columns(word)])
    spans = csv_fields(text.data, text.starts, text.ends, len(header), wanted)
    return _unparsed(
        text, spans, lambda line: _csv_record(line, header, word), (b"true", b"True", b"false", b"False"), word
    )


def read_json(text: Text, word: str | None = None) -> UnparsedRows:
    """Read lines of Google's ndjson. word: required value of the field word. Raises BrokenLine."""
    count = len(_columns(word))
    spans = json_fields(text.data, text.starts, text.ends, _NAMES[:count], _KINDS[:count])
    return _unparsed(text, spans, lambda line: _json_record(line, word), (b"true", b"false"), word)


def _columns(word: str | None) -> tuple[str, ...]:
    return COLUMNS if word is None else (*COLUMNS, WORD)


def csv_cells(line: bytes) -> list[str]:
    """Split one CSV line; raises ValueError when it is not UTF-8 or not text."""
    csv.field_size_limit(max(csv.field_size_limit(), len(line)))  # raw drawings outgrow the default of 128 KiB
    if b"\0" in line:
        raise ValueError("holds a NUL character")
    try:
        return next(csv.reader([line.decode("utf-8-sig").rstrip("\r\n")]), [])
    except csv.Error as error:
        raise ValueError(f"not CSV ({error})") from error


def _unparsed(
    text: Text, found: Spans, careful: Careful, truth_values: tuple[bytes, ...], word: str | None
) -> UnparsedRows:
    """Rows from the spans of their fields; a line whose fields were not found is read carefully."""
    spans, good = found
    hold_to(text.data, spans, good, np.frombuffer((word or "").encode(), dtype=np.uint8))
    said = _cut(text.data, spans[:, 2])
    middle = len(truth_values) // 2
    recognized = np.isin(said, truth_values[:middle])
    good &= recognized | np.isin(said, truth_values[middle:])
    columns = {name: _cut(text.data, spans[:, place]).astype(str) for place, name in enumerate(COLUMNS[:2])}
    drawings = Text(text.data, spans[:, 3, 0].copy(), spans[:, 3, 1].copy())
    if not good.all():
        columns = {name: column.astype(object) for name, column in columns.items()}
        drawings = _read_carefully(text, np.flatnonzero(~good), careful, columns | {"recognized": recognized}, drawings)
    return UnparsedRows(columns | {"recognized": recognized}, drawings)


def _read_carefully(
    text: Text,
    lines: np.ndarray,
    careful: Careful,
    columns: dict[str, np.ndarray],
    drawings: Text,
) -> Text:
    """Fill in the columns of some lines; returns the drawings, with the text of these lines appended."""
    written, size = [drawings.data.tobytes()], len(drawings.data)
    for number in lines.tolist():
        try:
            record = careful(text.line(number))
        except ValueError as error:
            raise BrokenLine(number, str(error)) from error
        for name, column in columns.items():
            column[number] = record[name]
        written.append(record["drawing"])
        drawings.starts[number], drawings.ends[number] = size, size + len(written[-1])
        size += len(written[-1])
    return Text(np.frombuffer(bytearray(b"".join(written)), dtype=np.uint8), drawings.starts, drawings.ends)


def _cut(data: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """The text of spans, int64 (N, 2), as bytes (N,)."""
    width = max(1, int((spans[:, 1] - spans[:, 0]).max(initial=1)))
    out = np.zeros((len(spans), width), dtype=np.uint8)
    copied(data, np.ascontiguousarray(spans), out)
    return out.view(f"S{width}")[:, 0]


def _csv_record(line: bytes, header: list[str], word: str | None = None) -> dict[str, Any]:
    cells = csv_cells(line)
    if len(cells) != len(header):
        raise ValueError(f"{len(cells)} columns, but the header has {len(header)}")
    record = dict(zip(header, cells, strict=True))
    _check(record["key_id"], record.get(WORD), word)
    recognized = _truth_value(record["recognized"].lower())
    return {name: record[name] for name in COLUMNS} | {
        "recognized": recognized,
        "drawing": record["drawing"].encode(),
    }


def _json_record(line: bytes, word: str | None = None) -> dict[str, Any]:
    try:
        record = orjson.loads(line.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error})") from error
    missing = [name for name in COLUMNS if not isinstance(record, dict) or name not in record]
    if missing:
        raise ValueError(f"no {', '.join(missing)}")
    key = record["key_id"]
    if isinstance(key, bool) or not isinstance(key, (str, int, float)):
        raise ValueError("key_id is neither text nor a whole number")
    _check(str(key), record.get(WORD), word)
    return {
        "key_id": str(key),
        "countrycode": str(record["countrycode"] or ""),
        "recognized": _truth_value(record["recognized"]),
        "drawing": orjson.dumps(record["drawing"]),
    }


def _check(key: str, said: object, word: str | None) -> None:
    """Raise ValueError for an invalid key and for a word other than the file's."""
    fault = key_fault(key)
    if fault is not None:
        raise ValueError(fault)
    if word is not None and said and naming.canonical(str(said)) != naming.canonical(word):
        raise ValueError(f"its word is {said}, but the rows before are of {word}")


def key_fault(key: str) -> str | None:
    """Why a key cannot name a drawing; None when it can."""
    if not key.strip():
        return "key_id is empty"
    if _ROUNDED.fullmatch(key.strip()):
        return f"key_id {key.strip()} is a rounded number, as spreadsheets save them, and names no drawing any more"
    if key != key.strip() or not key.isprintable():
        return f"key_id {key[:40]!a} has blanks around it or characters that cannot be seen"
    if len(key) > LONGEST_KEY:
        return f"key_id has {len(key):,} characters, more than {LONGEST_KEY}"
    return None


def _truth_value(value: Any) -> bool:
    if not isinstance(value, (bool, str)) or value not in _TRUTH_VALUES:
        raise ValueError(f"recognized is {value!r}, neither true nor false")
    return _TRUTH_VALUES[value]
