"""Text files with one drawing a line: find the lines without parsing them, then parse only those that were chosen."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from project.work.declaration import UserError

COLUMNS = ("key_id", "countrycode", "recognized", "drawing")  # what every format must hold
_BLOCK = 1 << 22  # bytes scanned at a time
_NEWLINE, _RETURN = 10, 13
_TRUTH_VALUES = {"true": True, "false": False, True: True, False: False}


@dataclass(frozen=True)
class Lines:
    """Where each line of a file that is not blank lies: bytes [start, end), and its number in the file, from 1."""

    path: Path
    starts: np.ndarray
    ends: np.ndarray
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def read(self, rows: np.ndarray) -> list[bytes]:
        """The text of the given lines, in the given order."""
        data = np.memmap(self.path, dtype=np.uint8, mode="r")
        return [data[self.starts[row] : self.ends[row]].tobytes() for row in rows]


def scan(path: Path, enough: int | None = None) -> Lines:
    """Find the lines of a file by their newlines alone; stop soon after `enough` of them.

    Raises UserError for a file that is empty or cannot be read.
    """
    try:
        size = path.stat().st_size
        if size == 0:
            raise UserError(f"{path} is empty: fetch it again, or leave its class out with --classes")
        data = np.memmap(path, dtype=np.uint8, mode="r")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): mend its permissions or fetch it again") from error
    newlines = np.concatenate(list(_newlines(data, enough)))
    # A scan that stopped early must not take the rest of the file for one last line.
    whole = len(newlines) == 0 or (newlines[-1] != size - 1 and (enough is None or len(newlines) < enough))
    ends = np.append(newlines, size) if whole else newlines
    starts = np.concatenate(([0], ends[:-1] + 1))
    single = np.flatnonzero(ends - starts == 1)
    blank = ends == starts
    blank[single] = data[starts[single]] == _RETURN
    kept = np.flatnonzero(~blank)
    return Lines(path, starts[kept], ends[kept], kept + 1)


def _newlines(data: np.ndarray, enough: int | None) -> Iterator[np.ndarray]:
    found, start = 0, 0
    block = _BLOCK if enough is None else 1 << 16
    while start < len(data) and (enough is None or found < enough):
        part = np.flatnonzero(data[start : start + block] == _NEWLINE) + start
        found, start = found + len(part), start + block
        yield part


def csv_record(line: bytes, header: list[str]) -> dict[str, Any]:
    """One row of Kaggle's CSV as a dict of COLUMNS; raises ValueError that says what is wrong with it."""
    cells = csv_cells(line)
    if len(cells) != len(header):
        raise ValueError(f"{len(cells)} columns, but the header has {len(header)}")
    record = dict(zip(header, cells, strict=True))
    return {name: record[name] for name in COLUMNS} | {"recognized": _truth_value(record["recognized"].lower())}


def csv_cells(line: bytes) -> list[str]:
    """Split one CSV line; raises ValueError when it is not UTF-8."""
    csv.field_size_limit(max(csv.field_size_limit(), len(line)))  # raw drawings outgrow the default of 128 KiB
    return next(csv.reader([line.decode("utf-8-sig").rstrip("\r\n")]), [])


def json_record(line: bytes) -> dict[str, Any]:
    """One row of Google's ndjson as a dict of COLUMNS; raises ValueError that says what is wrong with it."""
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
        "drawing": orjson.dumps(record["drawing"]).decode(),
    }


def _truth_value(value: Any) -> bool:
    if not isinstance(value, (bool, str)) or value not in _TRUTH_VALUES:
        raise ValueError(f"recognized is {value!r}, neither true nor false")
    return _TRUTH_VALUES[value]
