"""Columns as CSV text, the bytes that pandas would write: all rows at once where no field has to be quoted."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

NOTHING = 0  # fills fields up to their width, and is left out in the end
_TRUTH_VALUES = np.array([b"False", b"True"])
_NEEDS_CARE = np.array([not 32 <= code < 127 or chr(code) in '",' for code in range(128)])
_NEEDS_CARE[NOTHING] = False


def csv_text(columns: Mapping[str, np.ndarray], header: bool) -> bytes:
    """Lines of columns of one length: text, whole numbers or truth values; the header first when it is wanted."""
    fields = [_codes(column) for column in columns.values()]
    first = _careful([tuple(columns)] if header else [])
    if any(codes is None for codes in fields):
        return first + _careful(zip(*(column.tolist() for column in columns.values()), strict=True))
    rows = len(fields[0])
    comma, newline = np.full((rows, 1), ord(","), np.uint8), np.full((rows, 1), ord("\n"), np.uint8)
    parts = [part for codes in fields for part in (codes, comma)]
    lines = np.concatenate([*parts[:-1], newline], axis=1)
    return first + lines[lines != NOTHING].tobytes()


def _codes(column: np.ndarray) -> np.ndarray | None:
    """The characters of each field, uint8 (N, W); None where some may have to be quoted or are no ASCII."""
    if column.dtype == bool:
        return _matrix(_TRUTH_VALUES[column.astype(int)], np.uint8)
    if column.dtype.kind in "iu" and column.min(initial=0) >= 0:
        return _digits(column)
    if column.dtype.kind != "U":
        return None
    codes = _matrix(column, np.uint32)
    return None if codes.max(initial=0) > 127 or _NEEDS_CARE[codes].any() else codes.astype(np.uint8)


def _matrix(texts: np.ndarray, code: type[np.generic]) -> np.ndarray:
    """Texts (N,) of a fixed width as their characters (N, W)."""
    width = texts.itemsize // np.dtype(code).itemsize
    return np.ascontiguousarray(texts).view(code).reshape(len(texts), width)


def _digits(numbers: np.ndarray) -> np.ndarray:
    powers = 10 ** np.arange(len(str(numbers.max(initial=0))))[::-1]
    digits = (numbers[:, None] // powers % 10 + ord("0")).astype(np.uint8)
    digits[:, :-1][numbers[:, None] < powers[:-1]] = NOTHING
    return digits


def _careful(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
