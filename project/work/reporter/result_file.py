"""A finished run's row in its own folder, so that no two machines write one file."""

import json
from pathlib import Path
from typing import Any

from project.work.common import UserError
from project.work.files import disk
from project.work.reporter.reporter import Result
from project.work.run_folder import RESULT_FILE
from project.work.settings.flags import renamed
from project.work.settings.groups import Settings

LARGEST = 1 << 20  # bytes; a row has two thousand


class ResultFile:
    """result.json in the run folder; `./inv pull-results` merges those of jobs into the table."""

    def write(self, result: Result) -> str:
        """Write the row."""
        path = result.folder / RESULT_FILE
        disk.replace_file(path, (json.dumps(result.row, indent=2) + "\n").encode())
        return f"row in {path}"


def read_result(folder: Path) -> dict[str, Any] | None:
    """The row that a finished run left in its folder. Raises UserError where the file holds no row."""
    path = folder / RESULT_FILE
    if disk.absent(path):
        return None
    row = disk.read_json(path, LARGEST)
    flat = isinstance(row, dict) and all(
        value is None or isinstance(value, (str, int, float)) for value in row.values()
    )
    if not flat or not isinstance(row.get("uuid"), str):
        raise UserError(f"{path}: no row of a run (names with plain values, uuid among them); move it away")
    return renamed(Settings, row)
