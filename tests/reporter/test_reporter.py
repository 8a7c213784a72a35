"""A destination that fails is named and neither stops the others nor loses what a run came to."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import processes
import pytest

from project.work.reporter import reporter
from project.work.reporter.outcome import CurvePlot
from project.work.reporter.reporter import Reporter, is_whole
from project.work.reporter.result import Result
from project.work.reporter.table.result_table import ResultTable
from project.work.runner.table import result_row


class Unreachable:
    """A destination that is down."""

    def write(self, result: Result) -> str:
        raise ConnectionError("no route to host")


def test_a_destination_that_fails_is_named_and_the_others_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    row = {"uuid": "a", "best_test_accuracy": 0.5}
    places = Reporter([Unreachable(), ResultTable(tmp_path)]).report(Result(row, tmp_path))
    assert places == [f"row 1 of {tmp_path / 'results.csv'}"]
    assert (tmp_path / "results.csv").read_text() == "uuid,best_test_accuracy\na,0.5\n"
    assert capsys.readouterr().err == "warning: Unreachable failed: no route to host\n"


class Channel:
    """A destination that repeats what it is told."""

    once = True

    def __init__(self) -> None:
        self.heard: list[str] = []

    def write(self, result: Result) -> str:
        self.heard.append(result.row["uuid"])
        return "said"


def test_what_would_be_said_twice_is_said_once_and_what_failed_is_tried_again(tmp_path: Path) -> None:
    channel, result = Channel(), Result({"uuid": "a"}, tmp_path)
    assert is_whole(tmp_path)  # a run of before this was noted
    Reporter([channel, Unreachable()]).report(result)
    assert not is_whole(tmp_path)
    places = Reporter([channel, ResultTable(tmp_path)]).report(result)
    assert places == ["Channel: told before", f"row 1 of {tmp_path / 'results.csv'}"]
    assert channel.heard == ["a"]
    assert is_whole(tmp_path)


@pytest.mark.slow
def test_a_run_that_could_not_report_says_so_keeps_everything_and_reports_later(tmp_path: Path, prepared: Path) -> None:
    table, log = tmp_path / "results.csv", tmp_path / "log"
    table.write_text("somebody's notes\n")
    words = ["--dataset", prepared, "--output", tmp_path, "--uuid", "mine", "--epoch", 1, "--batch-size", 32]
    assert processes.finish(processes.fork_main(log, *words)) == 1
    assert "warning: ResultTable failed: " in log.read_text()
    assert f"once that is fixed: ./inv train --resume mine --output {tmp_path}" in log.read_text()
    assert table.read_text() == "somebody's notes\n"
    assert (tmp_path / "base-mine" / "curve.png").exists()
    table.unlink()
    assert processes.finish(processes.fork_main(log, "--resume", "mine", "--output", tmp_path)) == 0
    assert table.read_text().splitlines()[1].startswith("mine,")


@pytest.mark.slow
def test_the_curve_is_a_picture_of_the_runs_history(make_runner: Callable) -> None:
    runner = make_runner(epoch=3, folder="run")
    runner.fit()
    folder = runner.history.path.parent
    said = CurvePlot().write(Result(result_row(runner.settings, runner, "base"), folder))
    data = (folder / "curve.png").read_bytes()
    assert said == f"curve in {folder / 'curve.png'}"
    assert data.startswith(b"\x89PNG")
    assert struct.unpack(">II", data[16:24]) == (990, 396)


def test_the_row_of_a_run_tells_its_settings_and_circumstances(make_runner: Callable) -> None:
    runner = make_runner(epoch=2, learning_rate=0.05, mixup=True)
    runner.fit()
    row = result_row(runner.settings, runner, "mixup")
    assert (row["uuid"], row["lr"], row["epoch"], row["mixup"], row["method"]) == ("test", 0.05, 2, True, "mixup")
    assert (row["train_pictures"], row["device"]) == (108, "cpu")
    assert row["pictures_per_second"] > 0
    assert "learning_rate" not in row
    assert 0 <= row["best_test_macro_f1"] <= 1


@pytest.mark.parametrize("damage", ["", "{", "[]", "1", '{"told": 1, "whole": []}', "sparse", "pipe"])
def test_a_damaged_note_of_what_was_told_is_taken_for_none(tmp_path: Path, damage: str) -> None:
    note = tmp_path / reporter.NOTE
    if damage == "sparse":
        with note.open("wb") as file:
            file.truncate(20 << 30)
    elif damage == "pipe":
        os.mkfifo(note)
    else:
        note.write_text(damage)
    assert not reporter.is_whole(tmp_path)
    assert reporter._told(tmp_path) == set()
