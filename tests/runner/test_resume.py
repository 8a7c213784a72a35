"""A run that is killed at any moment, or stopped by Ctrl-C, goes on to exactly the numbers of an unbroken run."""

import csv
import json
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from multiprocessing import Process
from pathlib import Path

import processes
import pytest
import yaml

from project.work import common, main
from project.work.common import ROOT
from project.work.machine.process import IN_USE
from project.work.run_folder import PREDICTION_FILES, REPORT_FILE, Run
from project.work.runner.table import settings_cells
from project.work.settings.groups import Settings

pytestmark = pytest.mark.slow

TIMES = {"seconds", "pictures_per_second", "finished", "uuid"}  # differ from run to run


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV without what the clock decides."""
    with path.open() as file:
        return [{name: value for name, value in row.items() if name not in TIMES} for row in csv.DictReader(file)]


def usual(prepared: Path, output: Path, uuid: str, epoch: int = 4) -> list[object]:
    return ["--dataset", prepared, "--output", output, "--uuid", uuid, "--epoch", epoch, "--batch-size", 16]


def wait_for(path: Path, alive: Callable[[], bool]) -> None:
    """Until a file is there, or nobody is alive to write it."""
    while alive() and not path.exists():
        time.sleep(0.01)


def partials(folder: Path) -> list[Path]:
    return list(folder.glob(".checkpoint.pt.*"))


def kill_while_training(process: Process, folder: Path, dice: random.Random) -> None:
    """SIGKILL at a moment after the next epoch has been noted."""
    history, deadline = folder / "history.csv", time.monotonic() + 300
    before = history.stat().st_mtime_ns if history.exists() else 0
    while process.is_alive() and time.monotonic() < deadline:
        if history.exists() and history.stat().st_mtime_ns != before:
            time.sleep(dice.uniform(0, 0.25))
            break
        time.sleep(0.001)
    process.kill()
    process.join()


def kill_while_writing(process: Process, folder: Path) -> bool:
    """SIGKILL as soon as a checkpoint is being written; says whether it was caught in the act."""
    deadline = time.monotonic() + 300
    while process.is_alive() and not partials(folder) and time.monotonic() < deadline:
        time.sleep(0.0005)
    process.kill()
    process.join()
    return bool(partials(folder))


@pytest.mark.parametrize("words", [[], ["--mixup", "--ema", "0.9"]], ids=["base", "mixup with average"])
def test_a_run_killed_again_and_again_ends_at_the_numbers_of_an_unbroken_one(
    prepared: Path, tmp_path: Path, words: list[str]
) -> None:
    dice = random.Random(f"seed {words}")
    assert processes.finish(processes.fork_main(tmp_path / "log", *usual(prepared, tmp_path / "a", "a"), *words)) == 0
    command = [*usual(prepared, tmp_path / "b", "b"), *words]
    name = "mixup" if words else "base"
    folder, kills, caught = tmp_path / "b" / f"{name}-b", 0, False
    for attempt in range(3):
        process = processes.fork_main(tmp_path / "log", *command)
        if attempt % 2 == 0:
            caught = kill_while_writing(process, folder) or caught
        else:
            kill_while_training(process, folder, dice)
        kills += process.exitcode == -signal.SIGKILL
    assert kills >= 2
    assert caught, "no kill fell into the writing of a checkpoint"
    assert processes.finish(processes.fork_main(tmp_path / "log", *command)) == 0
    assert table(folder / "history.csv") == table(tmp_path / "a" / f"{name}-a" / "history.csv")
    assert table(tmp_path / "b" / "results.csv") == table(tmp_path / "a" / "results.csv")
    assert not partials(folder)


def test_main_py_killed_and_resumed_by_name_keeps_its_settings_and_numbers(prepared: Path, tmp_path: Path) -> None:
    words = ["--manifold-mixup", "--seed", "5"]
    assert processes.finish(processes.fork_main(tmp_path / "log", *usual(prepared, tmp_path / "a", "a"), *words)) == 0
    process = processes.start(*usual(prepared, tmp_path / "b", "b"), *words)
    folder = tmp_path / "b" / "manifold-mixup-b"
    wait_for(folder / "history.csv", lambda: process.poll() is None)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    done = processes.run("--resume", folder)  # a folder says where it is; all else is in its settings.yaml
    assert done.returncode == 0, done.stderr
    assert table(folder / "history.csv") == table(tmp_path / "a" / "manifold-mixup-a" / "history.csv")
    assert table(tmp_path / "b" / "results.csv") == table(tmp_path / "a" / "results.csv")


def test_the_same_uuid_with_other_settings_is_refused_with_their_names(prepared: Path, tmp_path: Path) -> None:
    log, command = tmp_path / "log", usual(prepared, tmp_path, "mine")
    assert processes.finish(processes.fork_main(log, *command)) == 0
    rows, log = table(tmp_path / "results.csv"), tmp_path / "second log"
    assert processes.finish(processes.fork_main(log, *command, "--epoch", 5, "--seed", 1)) == 2
    assert "was started with other settings (epoch 4 -> 5, seed 0 -> 1)" in log.read_text()
    assert log.read_text().count("\n") == 1
    assert table(tmp_path / "results.csv") == rows


def _with_defaults(defaults: Path, log: Path, words: list[object]) -> None:
    common.DEFAULTS_FILE = defaults
    processes._main(log, list(map(str, words)))


def test_a_run_is_resumed_with_its_own_settings_and_never_with_others(prepared: Path, tmp_path: Path) -> None:
    log, refused, again = tmp_path / "log", tmp_path / "refused", tmp_path / "again"
    assert processes.finish(processes.fork_main(log, *usual(prepared, tmp_path, "mine"))) == 0
    resume = ["--resume", "mine", "--output", tmp_path, "--device", "cpu"]
    assert processes.finish(processes.fork_main(refused, *resume, "--epoch", 100, "--elr", "--batch-size", 16)) == 2
    assert refused.read_text() == (
        f"error: run mine in {tmp_path}/base-mine was started with other settings (epoch 4 -> 100, elr False -> True);"
        " with these it is a new run: start it without --resume\n"
    )
    defaults = tmp_path / "settings.yaml"
    defaults.write_text("epoch: 9\nmixup: true\n")
    assert processes.finish(processes.fork(_with_defaults, defaults, again, [*resume, "--batch-size", 16])) == 0
    assert len(table(tmp_path / "base-mine" / "history.csv")) == 4


@pytest.mark.parametrize("damage", [lambda text: "", lambda text: text[: len(text) // 3], None])
def test_a_run_whose_settings_are_damaged_does_not_go_on_under_others(
    prepared: Path, tmp_path: Path, damage: Callable[[str], str] | None
) -> None:
    command, log = usual(prepared, tmp_path, "mine", epoch=1), tmp_path / "log"
    assert processes.finish(processes.fork_main(tmp_path / "first", *command)) == 0
    path = tmp_path / "base-mine" / "settings.yaml"
    text, checkpoint = path.read_text(), path.with_name("checkpoint.pt").read_bytes()
    path.unlink() if damage is None else path.write_text(damage(text))
    for words in (["--resume", path.parent.name, "--output", tmp_path], [*command, "--seed", 1]):
        log.unlink(missing_ok=True)
        assert processes.finish(processes.fork_main(log, *words)) == 2
        assert "put it back as it was, or delete the folder to begin again" in log.read_text()
        assert log.read_text().count("\n") == 1
    path.write_text(text.replace("batch_size: 16", "batch_size: 8"))
    log.unlink()
    assert processes.finish(processes.fork_main(log, "--resume", path.parent)) == 2
    assert "checkpoint.pt: of a run with other settings (batch_size 16 -> 8)" in log.read_text()
    assert path.with_name("checkpoint.pt").read_bytes() == checkpoint


def test_a_finished_run_started_again_replaces_its_row_and_trains_no_more(prepared: Path, tmp_path: Path) -> None:
    command = usual(prepared, tmp_path, "mine")
    assert processes.finish(processes.fork_main(tmp_path / "log", *command)) == 0
    rows, history = table(tmp_path / "results.csv"), (tmp_path / "base-mine" / "history.csv").read_bytes()
    assert processes.finish(processes.fork_main(tmp_path / "log", *command)) == 0
    assert table(tmp_path / "results.csv") == rows
    assert len(rows) == 1
    assert (tmp_path / "base-mine" / "history.csv").read_bytes() == history


def test_what_is_missing_of_a_report_is_made_up_for_without_reading_the_test_split_again(
    prepared: Path, tmp_path: Path
) -> None:
    command, folder = usual(prepared, tmp_path, "mine", epoch=1), tmp_path / "base-mine"
    assert processes.finish(processes.fork_main(tmp_path / "log", *command)) == 0
    row = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps(row | {"best_test_accuracy": 0.123}))  # which no split gives
    (folder / "curve.png").unlink()
    (tmp_path / "results.csv").unlink()
    resumed = processes.fork_main(tmp_path / "log", "--resume", "mine", "--output", tmp_path, "--device", "cpu")
    assert processes.finish(resumed) == 0
    assert (folder / "curve.png").read_bytes().endswith(b"IEND\xaeB`\x82")
    (again,) = table(tmp_path / "results.csv")
    assert again == {name: "" if value is None else str(value) for name, value in row.items() if name not in TIMES} | {
        "best_test_accuracy": "0.123"
    }


@pytest.mark.parametrize("damage", [{"lr": 0.3}, {"lr": None}, {"epoch": "1"}])
def test_a_result_that_has_other_settings_is_no_row_of_the_run(tmp_path: Path, damage: dict[str, object]) -> None:
    cells = settings_cells(Settings(uuid="mine", epoch=1))
    run = Run(Settings(uuid="mine", epoch=1), tmp_path, None, new=False)
    row = cells | dict.fromkeys(main.REPORTED, 0.5)
    (tmp_path / "result.json").write_text(json.dumps(row))
    assert main.earlier_row(run) is None  # there is no report by class, nor are there predictions
    for name in (REPORT_FILE, *PREDICTION_FILES.values()):
        (tmp_path / name).touch()
    assert main.earlier_row(run) == row
    (tmp_path / "result.json").write_text(json.dumps(row | damage))
    assert main.earlier_row(run) is None
    (tmp_path / "result.json").write_text("{")
    assert main.earlier_row(run) is None
    (tmp_path / "result.json").write_text(json.dumps({name: row[name] for name in row if name != "lr"}))
    assert main.earlier_row(run) == row


def test_two_processes_on_one_run_are_one_too_many(prepared: Path, tmp_path: Path) -> None:
    command = usual(prepared, tmp_path, "mine", epoch=500)
    first = processes.fork_main(tmp_path / "log", *command)
    wait_for(tmp_path / "base-mine" / "history.csv", first.is_alive)
    log = tmp_path / "second log"
    assert processes.finish(processes.fork_main(log, *command)) == IN_USE
    assert "another process is working on this run" in log.read_text()
    assert first.is_alive()
    first.kill()
    first.join()


@pytest.mark.parametrize(
    ("send", "word", "code"),
    [(os.killpg, signal.SIGINT, 130), (os.kill, signal.SIGTERM, 143)],
    ids=["Ctrl-C, as a terminal does: to everything in the foreground", "a scheduler's, to the command alone"],
)
def test_a_signal_keeps_the_epochs_and_says_how_to_go_on(
    prepared: Path, tmp_path: Path, send: Callable[[int, int], None], word: signal.Signals, code: int
) -> None:
    command = [ROOT / "inv", "train", *usual(prepared, tmp_path, "mine", epoch=500)]
    pipe = subprocess.PIPE
    process = subprocess.Popen([*map(str, command)], stderr=pipe, stdout=pipe, text=True, start_new_session=True)
    folder = tmp_path / "base-mine"
    wait_for(folder / "history.csv", lambda: process.poll() is None)
    for _ in range(3):
        send(process.pid, word)
    _, said = process.communicate(timeout=300)
    assert process.returncode == code
    assert said.endswith(f"stopped; every finished epoch is kept; go on with: {go_on(tmp_path)}\n")
    assert said.count("stopped") == 1
    assert "Traceback" not in said
    assert len(table(folder / "history.csv")) >= 1
    assert yaml.safe_load((folder / "settings.yaml").read_text())["epoch"] == 500
    with pytest.raises(ProcessLookupError):  # nobody of its session is left
        os.killpg(process.pid, 0)


def go_on(output: Path) -> str:
    return f"./inv train --resume mine --output {output}"


def _with_room_for(size: int, log: Path, words: list[object]) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    processes._main(log, list(map(str, words)))


def test_a_full_disk_stops_the_run_in_one_line_and_nothing_written_is_lost(prepared: Path, tmp_path: Path) -> None:
    command, log = usual(prepared, tmp_path, "mine"), tmp_path / "log"
    process, folder = processes.fork_main(log, *command), tmp_path / "base-mine"
    kill_while_training(process, folder, random.Random(0))
    checkpoint = (folder / "checkpoint.pt").read_bytes()
    full = processes.fork(_with_room_for, 500_000, tmp_path / "full log", command)
    assert processes.finish(full) == 2
    last = (tmp_path / "full log").read_text().splitlines()[-1]
    assert last.startswith(f"error: {folder / 'checkpoint.pt'}: File too large; once that is fixed, go on with: ./inv")
    assert f"--resume mine --output {tmp_path}" in last
    assert last.endswith("what was written before is kept")
    assert (folder / "checkpoint.pt").read_bytes() == checkpoint
    assert not partials(folder)
    assert processes.finish(processes.fork_main(log, *command)) == 0
    assert len(table(folder / "history.csv")) == 4
