"""Drawings of a file of strokes: Kaggle's CSV, of training or of test, or Google's ndjson, simplified or raw.

Lines are found by their newlines, and parsed when their drawings are asked for.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from project.data_preparation.parsing import strokes
from project.data_preparation.parsing.rows import csv_cells, key_fault, text_of
from project.data_preparation.parsing.strokes import BrokenDrawing
from project.data_preparation.sources.folders import Lines, odd_form, scan
from project.work.common import UserError
from project.work.files import disk
from project.work.files.disk import shown
from project.work.raster import raster
from project.work.raster.raster import CANVAS, Drawings

KEY, DRAWING = "key_id", "drawing"
_GLANCED = 64  # drawings that tell whether the strokes of a file are raw
_EMPTY = b"[[[0],[0]]]"  # in the place of a drawing that cannot be read


def opened(path: Path) -> "StrokesFile | None":
    """The drawings of a file; None where it is a table without a column of drawings. Raises UserError."""
    form = odd_form(path)
    if form is not None:
        raise UserError(f"{shown(path)} is {form}")
    if path.suffix.lower() in (".ndjson", ".jsonl"):
        return StrokesFile(path, scan(path))
    with disk.opened(path) as file:
        first = file.readline(1 << 16)
    try:
        header = [name.strip() for name in csv_cells(first)]
    except ValueError:
        return None
    if DRAWING not in header:
        return None
    if KEY not in header:
        raise UserError(f"{shown(path)}: has a column {DRAWING}, but no {KEY}, by which a drawing is known")
    lines = scan(path)
    return StrokesFile(path, Lines(path, lines.starts[1:], lines.ends[1:], lines.numbers[1:]), tuple(header))


@dataclass
class StrokesFile:
    """header: of a CSV; None for ndjson. broken: what is wrong with lines that have no key, by row."""

    path: Path
    lines: Lines
    header: tuple[str, ...] | None = None
    broken: dict[int, str] = field(default_factory=dict)

    @cached_property
    def keys(self) -> list[str]:
        """The key of each drawing; of a line that cannot be read, its number. Raises UserError for one without any."""
        if not len(self.lines):
            raise UserError(f"{shown(self.path)} holds no drawings")
        found: list[str] = []
        for rows in self.lines.pieces(np.arange(len(self.lines)), len(self.lines)):
            text = self.lines.read(rows)
            for number in range(len(text)):
                try:
                    found.append(self._record(text.line(number))[0])
                except ValueError as error:
                    self.broken[len(found)] = str(error)
                    found.append(f"line {self.lines.numbers[len(found)]}")
        if len(self.broken) == len(found):
            raise UserError(f"{shown(self.path)}: holds no drawing that can be read ({found[0]}: {self.broken[0]})")
        return found

    @cached_property
    def raw(self) -> bool:
        """Whether the strokes are as they were drawn, by the first of them: with times, or beyond Google's canvas."""
        text = self.lines.read(np.arange(min(_GLANCED, len(self.lines))))
        for number in range(len(text)):
            try:
                written = self._record(text.line(number))[1]
                points = np.concatenate(strokes.parse(written))
            except ValueError:
                continue
            if strokes.has_times(written) or points.min() < 0 or points.max() > CANVAS:
                return True
        return False

    def pictures(self, start: int, end: int, side: int, method: str) -> tuple[np.ndarray, dict[int, str]]:
        """Some drawings as preparation draws them, uint8 (n, side, side), and what is wrong with others, by row."""
        text = self.lines.read(np.arange(start, end))
        written, faults = [], {}
        for number in range(len(text)):
            try:
                written.append(self._record(text.line(number))[1])
            except ValueError as error:
                faults[number] = str(error)
                written.append(_EMPTY)
        drawings = self._drawings(written, faults)
        pictures = raster.render(raster.simplify(drawings) if self.raw else drawings, side, method)
        return pictures, faults

    def _drawings(self, written: list[bytes], faults: dict[int, str]) -> Drawings:
        """The strokes; a drawing that cannot be read is put among the faults, and a dot takes its place."""
        while True:
            text = text_of(written)
            try:
                drawings = strokes.read(text.data, text.starts, text.ends)
                outside = None if self.raw else drawings.outside(0, CANVAS)
                if outside is None:
                    return drawings
                raise BrokenDrawing(outside, f"its coordinates leave 0 to {CANVAS}")
            except BrokenDrawing as error:
                faults[error.number] = str(error)
                written[error.number] = _EMPTY

    def _record(self, line: bytes) -> tuple[str, bytes]:
        """The key of a line and the text of its drawing. Raises ValueError."""
        record = self._json(line) if self.header is None else self._cells(line)
        key = str(record[KEY])
        fault = key_fault(key)
        if fault is not None:
            raise ValueError(fault)
        drawing = record[DRAWING]
        return key, drawing.encode() if isinstance(drawing, str) else orjson.dumps(drawing)

    def _cells(self, line: bytes) -> dict[str, Any]:
        assert self.header is not None
        cells = csv_cells(line)
        if len(cells) != len(self.header):
            raise ValueError(f"{len(cells)} columns, but the header has {len(self.header)}")
        return dict(zip(self.header, cells, strict=True))

    def _json(self, line: bytes) -> dict[str, Any]:
        try:
            record = orjson.loads(line.removeprefix(b"\xef\xbb\xbf"))
        except orjson.JSONDecodeError as error:
            raise ValueError(f"not JSON ({error})") from error
        if not isinstance(record, dict) or not {KEY, DRAWING} <= record.keys():
            raise ValueError(f"no {KEY} or no {DRAWING}")
        return record
