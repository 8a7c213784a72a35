"""A finished run's row in its own folder, so that no two machines write one file."""

import json
from pathlib import Path
from typing import Any

from project.work.dataset import storage
from project.work.reporter.reporter import Result

RESULT_FILE = "result.json"


class ResultFile:
    """result.json in the run folder; `./inv pull-results` merges those of jobs into the table."""

    def write(self, result: Result) -> str:
        """Write the row."""
        path = result.folder / RESULT_FILE
        storage.replace_file(path, (json.dumps(result.row, indent=2) + "\n").encode())
        return f"row in {path}"


def read_result(folder: Path) -> dict[str, Any] | None:
    """The row that a finished run left in its folder."""
    path = folder / RESULT_FILE
    return json.loads(path.read_text()) if path.exists() else None
