"""The notebook runs from its first cell to its last, and is kept without outputs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import pytest

from project.work.common import ROOT

NOTEBOOK = ROOT / "project" / "notebook" / "tour.ipynb"


def cells() -> list[dict[str, Any]]:
    return [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]


def as_python(source: str) -> str:
    """A cell in plain Python: what IPython does for a line that begins with ! is done by a function."""
    return re.sub(r"^( *)!(.*)$", lambda found: f"{found[1]}_shell(f{found[2]!r})", source, flags=re.MULTILINE)


def test_it_has_ten_cells_without_outputs() -> None:
    assert len(cells()) == 10
    for cell in cells():
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


@pytest.mark.slow
def test_it_runs_from_data_to_audit_to_prediction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def shell(command: str) -> None:
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        said.append(done.stdout)

    monkeypatch.chdir(NOTEBOOK.parent)
    monkeypatch.setenv("TOUR", str(tmp_path))
    monkeypatch.setenv("INV_ENVIRONMENT", "")
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    names: dict[str, Any] = {"_shell": shell}
    matplotlib.use("agg")
    for number, cell in enumerate(cells(), start=1):
        source = as_python("".join(cell["source"]))
        exec(compile(source, f"cell {number} of {NOTEBOOK.name}", "exec"), names)
    assert Path(os.getcwd()) == ROOT
    assert set(pd.read_csv(tmp_path / "results.csv")["uuid"]) == {"first", "second"}
    assert len(pd.read_csv(tmp_path / "answers.csv")) == 24 * 8
    assert names["right"].mean() > 0.2  # of 24 classes
    assert len(re.findall(r"\d+\.\d%", said[-1])) == 3
