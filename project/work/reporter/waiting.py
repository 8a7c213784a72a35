"""Which runs wait to be sent to a sheet: a small file in each run folder, from before the first attempt on.

The rows themselves are in results.csv, so that nothing is kept twice.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from project.work.dataset import storage

FILE = "waits_for_sheet.json"


@dataclass(frozen=True)
class Mark:
    """The file of one run. text: what it held when it was read."""

    path: Path
    text: str

    @property
    def uuid(self) -> str:
        return json.loads(self.text)["uuid"]


def add(folder: Path, uuid: str, sheet: str, finished: str) -> Path:
    """Note that the row of the run in this folder waits for a sheet."""
    path = folder / FILE
    storage.replace_file(path, json.dumps({"uuid": uuid, "sheet": sheet, "finished": finished}).encode())
    return path


def find(output: Path, sheet: str) -> list[Mark]:
    """The runs of an output folder that wait for this sheet."""
    marks = []
    for path in sorted(output.glob(f"*/{FILE}")):
        try:
            mark = Mark(path, path.read_text())
            if json.loads(mark.text)["sheet"] == sheet and mark.uuid:
                marks.append(mark)
        except (FileNotFoundError, ValueError, LookupError, TypeError):
            continue  # sent by another process just now, or not ours
    return marks


def remove(marks: Iterable[Mark]) -> None:
    """Forget runs that were sent, unless they have reported again meanwhile."""
    for mark in marks:
        if mark.path.exists() and mark.path.read_text() == mark.text:
            mark.path.unlink(missing_ok=True)
