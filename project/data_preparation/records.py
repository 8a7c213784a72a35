"""What a line says of a drawing: key, country, whether the game recognised it, and the text of its strokes."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from project.data_preparation.fields import OPEN_LIST, QUOTE, copied, csv_fields, json_fields
from project.data_preparation.lines import Text

COLUMNS = ("key_id", "countrycode", "recognized", "drawing")  # what every format must hold
Spans = tuple[np.ndarray, np.ndarray]
_NAMES = np.array(COLUMNS, dtype="S").view(np.uint8).reshape(len(COLUMNS), -1)
_KINDS = np.array([QUOTE, QUOTE, 0, OPEN_LIST], dtype=np.uint8)  # of their values in Google's JSON
_TRUTH_VALUES = {"true": True, "false": False, True: True, False: False}


class BrokenLine(ValueError):
    """Says what is wrong with a line; number: which of those that were read."""

    def __init__(self, number: int, fault: str) -> None:
        super().__init__(fault)
        self.number = number


@dataclass(frozen=True)
class Records:
    """Rows of a source. keys: key_id, countrycode (text), recognized (bool), each (N,); drawings: their text."""

    keys: dict[str, np.ndarray]
    drawings: Text


def read_csv(text: Text, header: list[str]) -> Records:
    """Read lines of Kaggle's CSV. Raises BrokenLine."""
    wanted = np.array([header.index(name) for name in COLUMNS])
    spans = csv_fields(text.data, text.starts, text.ends, len(header), wanted)
    return _records(text, spans, lambda line: _csv_record(line, header))


def read_json(text: Text) -> Records:
    """Read lines of Google's ndjson. Raises BrokenLine."""
    return _records(text, json_fields(text.data, text.starts, text.ends, _NAMES, _KINDS), _json_record)


def csv_cells(line: bytes) -> list[str]:
    """Split one CSV line; raises ValueError when it is not UTF-8."""
    csv.field_size_limit(max(csv.field_size_limit(), len(line)))  # raw drawings outgrow the default of 128 KiB
    return next(csv.reader([line.decode("utf-8-sig").rstrip("\r\n")]), [])


def _records(text: Text, found: Spans, careful: Callable[[bytes], dict[str, Any]]) -> Records:
    """Rows from the places of their fields; a line whose fields were not found is read carefully."""
    spans, good = found
    said = _cut(text.data, spans[:, 2])
    recognized = np.isin(said, (b"true", b"True"))
    good &= recognized | np.isin(said, (b"false", b"False"))
    columns = {name: _cut(text.data, spans[:, place]).astype(str) for place, name in enumerate(COLUMNS[:2])}
    drawings = Text(text.data, spans[:, 3, 0].copy(), spans[:, 3, 1].copy())
    if not good.all():
        columns = {name: column.astype(object) for name, column in columns.items()}
        drawings = _read_carefully(text, np.flatnonzero(~good), careful, columns | {"recognized": recognized}, drawings)
    return Records(columns | {"recognized": recognized}, drawings)


def _read_carefully(
    text: Text,
    lines: np.ndarray,
    careful: Callable[[bytes], dict[str, Any]],
    columns: dict[str, np.ndarray],
    drawings: Text,
) -> Text:
    """Fill in the columns of some lines; returns the drawings, with the text of these behind the others'."""
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
    """The text of spans int64 (N, 2), as bytes (N,)."""
    width = max(1, int((spans[:, 1] - spans[:, 0]).max(initial=1)))
    out = np.zeros((len(spans), width), dtype=np.uint8)
    copied(data, np.ascontiguousarray(spans), out)
    return out.view(f"S{width}")[:, 0]


def _csv_record(line: bytes, header: list[str]) -> dict[str, Any]:
    cells = csv_cells(line)
    if len(cells) != len(header):
        raise ValueError(f"{len(cells)} columns, but the header has {len(header)}")
    record = dict(zip(header, cells, strict=True))
    recognized = _truth_value(record["recognized"].lower())
    return {name: record[name] for name in COLUMNS} | {
        "recognized": recognized,
        "drawing": record["drawing"].encode(),
    }


def _json_record(line: bytes) -> dict[str, Any]:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error})") from error
    missing = [name for name in COLUMNS if not isinstance(record, dict) or name not in record]
    if missing:
        raise ValueError(f"no {', '.join(missing)}")
    return {
        "key_id": str(record["key_id"]),
        "countrycode": str(record["countrycode"] or ""),
        "recognized": _truth_value(record["recognized"]),
        "drawing": orjson.dumps(record["drawing"]),
    }


def _truth_value(value: Any) -> bool:
    if not isinstance(value, (bool, str)) or value not in _TRUTH_VALUES:
        raise ValueError(f"recognized is {value!r}, neither true nor false")
    return _TRUTH_VALUES[value]
