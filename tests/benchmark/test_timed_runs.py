"""A study's table: no run is done twice, gains are paired by seed, and what is missing is said."""

from pathlib import Path

import pytest
import timed_runs
from timed_runs import Row


def row(top: float, f1: float, cpu: float) -> Row:
    return {"top-1": top, "macro F1": f1, "CPU-s": cpu, "validation": 90.0, "epochs": 3, "run": "a"}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "runs.csv"
    for seed, figures in enumerate([(80.0, 70.0, 10.0), (90.0, 80.0, 12.0)]):
        timed_runs.once(path, "frozen", seed, lambda figures=figures: row(*figures))
    for seed, figures in enumerate([(82.0, 70.5, 20.0), (91.0, 80.5, 20.0), (99.0, 99.0, 20.0)]):
        timed_runs.once(path, "tuned", seed, lambda figures=figures: row(*figures))
    return path


def test_what_is_in_the_table_is_not_run_again(table: Path) -> None:
    timed_runs.once(table, "tuned", 1, lambda: pytest.fail("it was run"))
    assert len(timed_runs.read(table)) == 5


def test_gains_are_those_of_the_seeds_that_both_have(table: Path, capsys: pytest.CaptureFixture) -> None:
    timed_runs.show(table, ["frozen", "tuned", "other"], 3)
    said = capsys.readouterr().out
    assert "| frozen | 85.0 +- 7.1 |  | 75.0 +- 7.1 |  | 11.0 +- 1.4 | 2 |" in said
    assert "| tuned | 90.7 +- 8.5 | +1.5 +- 0.7 | 83.3 +- 14.5 | +0.5 +- 0.0 | 20.0 +- 0.0 | 3 |" in said
    assert "not run: frozen 2, other 0, other 1, other 2" in said
