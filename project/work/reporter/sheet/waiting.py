"""Marks of runs that wait to be sent to a sheet: a small file in the run folder, made before the first attempt.

The row itself is in result.json beside it.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project.work.common import UserError
from project.work.files import disk
from project.work.reporter.result import read_result
from project.work.reporter.table.cells import as_text

FILE = "waits_for_sheet.json"
LARGEST = 1 << 16  # bytes; a mark has about a hundred


@dataclass(frozen=True)
class Mark:
    """The mark of one run. held: the file's content when it was read."""

    path: Path
    uuid: str
    held: Any


def add(folder: Path, uuid: str, sheet: str, finished: str) -> Path:
    """Note that the row of the run in this folder waits for a sheet."""
    path = folder / FILE
    disk.replace_file(path, json.dumps({"uuid": uuid, "sheet": sheet, "finished": finished}).encode())
    return path


def find(output: Path, sheet: str) -> list[Mark]:
    """The runs of an output folder that wait for this sheet."""
    marks = []
    for path in sorted(output.glob(f"*/{FILE}")):
        held = _held(path)
        if isinstance(held, dict) and held.get("sheet") == sheet and held.get("uuid"):
            marks.append(Mark(path, str(held["uuid"]), held))
    return marks


def rows(marks: Iterable[Mark]) -> dict[str, dict[str, str]]:
    """The rows of runs that wait, as text, by uuid. One whose result.json cannot be read waits for `./inv report`."""
    found = {}
    for mark in marks:
        with suppress(UserError):
            row = read_result(mark.path.parent)
            if row is not None and row["uuid"] == mark.uuid:
                found[mark.uuid] = as_text(row)
    return found


def remove(marks: Iterable[Mark]) -> None:
    """Remove the marks of sent runs, unless they have reported again meanwhile."""
    for mark in marks:
        if _held(mark.path) == mark.held:
            mark.path.unlink(missing_ok=True)


def _held(path: Path) -> Any:
    """The content of a mark; None if another process has just sent the run, or the file is not a mark."""
    try:
        return disk.read_json(path, LARGEST)
    except UserError:
        return None
