"""Which runs wait to be sent to a sheet: a small file in each run folder, from before the first attempt on.

The rows themselves are in results.csv, so that nothing is kept twice.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project.work import files
from project.work.dataset import storage
from project.work.declaration import UserError

FILE = "waits_for_sheet.json"
LARGEST = 1 << 16  # bytes; a mark has a hundred


@dataclass(frozen=True)
class Mark:
    """The file of one run. uuid: its run; held: what it held when it was read."""

    path: Path
    uuid: str
    held: Any


def add(folder: Path, uuid: str, sheet: str, finished: str) -> Path:
    """Note that the row of the run in this folder waits for a sheet."""
    path = folder / FILE
    storage.replace_file(path, json.dumps({"uuid": uuid, "sheet": sheet, "finished": finished}).encode())
    return path


def find(output: Path, sheet: str) -> list[Mark]:
    """The runs of an output folder that wait for this sheet."""
    marks = []
    for path in sorted(output.glob(f"*/{FILE}")):
        held = _held(path)
        if isinstance(held, dict) and held.get("sheet") == sheet and held.get("uuid"):
            marks.append(Mark(path, str(held["uuid"]), held))
    return marks


def remove(marks: Iterable[Mark]) -> None:
    """Forget runs that were sent, unless they have reported again meanwhile."""
    for mark in marks:
        if _held(mark.path) == mark.held:
            mark.path.unlink(missing_ok=True)


def _held(path: Path) -> Any:
    """What a mark holds; None where it was sent by another process just now, or is not ours."""
    try:
        return files.read_json(path, LARGEST)
    except UserError:
        return None
