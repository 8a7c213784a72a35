"""Results to report, and a patience whose seconds are short."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from project.work.machine.patience import Patience
from project.work.reporter.reporter import write_result
from project.work.reporter.result import SHEET_COLUMNS, Postponed, Result
from project.work.reporter.table.result_table import ResultTable

KEY = "the-key"  # of the sheet that tests report to


def quick(**changes: Any) -> Patience:
    """Patience with its seconds made short."""
    return Patience(**({"seconds": 2.0, "first": 0.01, "longest": 0.1, "answer": 0.4, "spread": 0.05} | changes))


def result(output: Path, uuid: str, **values: Any) -> Result:
    """A finished run, whose row is in the table already, as it is when the sheet's turn comes."""
    folder = output / f"base-{uuid}"
    folder.mkdir(parents=True, exist_ok=True)
    row = dict.fromkeys(SHEET_COLUMNS, 1) | {"uuid": uuid, "dataset": "lines", "seconds": 12.3, "finished": "10:00"}
    made = Result(row | values, folder)
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in made.row.items()}
    write_result(Result(plain, folder))
    ResultTable(output).write(made)
    return made


def refused(sheet: Any, *report: Any, **values: Any) -> str:
    """The one line that says why a row waits."""
    with pytest.raises(Postponed) as caught:
        sheet.write(result(*report, **values))
    assert "waits in " in caught.value.instead
    assert "\n" not in str(caught.value)
    return str(caught.value)
