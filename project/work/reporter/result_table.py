"""The table of results: one CSV for all runs of an output folder."""

import io
from pathlib import Path

import pandas as pd
from filelock import FileLock

from project.work.dataset import storage
from project.work.declaration import UserError
from project.work.reporter.reporter import Result

FILE = "results.csv"


class ResultTable:
    """results.csv; many runs may finish at once, and a run that reports again replaces its row."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def write(self, result: Result) -> str:
        """Add or replace the row of the run's uuid; columns the table did not have are added at its end."""
        row = pd.DataFrame([{name: "" if value is None else str(value) for name, value in result.row.items()}])
        with FileLock(self.path.with_suffix(".lock")):
            table = self.read() if self.path.exists() else row.iloc[:0]
            table = pd.concat([table[table["uuid"] != row.at[0, "uuid"]], row], ignore_index=True).fillna("")
            text = io.StringIO()
            table.to_csv(text, index=False)
            storage.replace_file(self.path, text.getvalue().encode())
        return f"row {len(table)} of {self.path}"

    def read(self) -> pd.DataFrame:
        """All rows, every value as text. Raises UserError when the file is not a table of results."""
        try:
            table = pd.read_csv(self.path, dtype=str, keep_default_na=False)
        except FileNotFoundError as error:
            raise UserError(
                f"{self.path} is missing: no run has finished here yet; start one with ./inv train"
            ) from error
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            raise UserError(f"{self.path}: not a table of results ({error}); move it away") from error
        if "uuid" not in table:
            raise UserError(f"{self.path}: has no column uuid; move it away")
        return table
