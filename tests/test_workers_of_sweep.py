"""Workers do the runs of a sweep to the numbers of runs by themselves, and fail one run at a time."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import processes
import pytest
import torch
from test_sweep import inv, usual

from project.command.worker import Outcome, Worker, stop


def wait(until: Callable[[], object]) -> None:
    """Wait until something is so; tests fail when it is not within two minutes."""
    deadline = time.monotonic() + 120
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def children(of: int) -> list[int]:
    """The processes that one has started."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if parent(path) == of]


def uuids(words: list[object]) -> list[str]:
    """Of the runs of a sweep, in their order."""
    printed = subprocess.run(inv(*words, "--dry-run"), capture_output=True, text=True, timeout=60, check=True).stdout
    return [part.split()[0] for part in printed.split("--uuid=")[1:]]


def measured(output: Path) -> pd.DataFrame:
    """What is to the digit the same whenever a run is done."""
    table = pd.read_csv(output / "results.csv").set_index("seed").sort_index()
    return table[[name for name in table.columns if name.startswith(("best_", "last_", "selected"))]]


def test_a_worker_comes_to_the_numbers_of_runs_by_themselves(prepared: Path, tmp_path: Path) -> None:
    words = [f"--dataset={prepared}", "--epoch=2", "--batch-size=32", "--device=cpu", "--manifold-mixup", "--ema=0.5"]
    together, apart = tmp_path / "together", tmp_path / "apart"
    worker = Worker(tmp_path / "log", at_once=2)
    try:
        for seed in range(2):
            log = tmp_path / f"log {seed}"
            worker.begin([*words, f"--seed={seed}", f"--output={together}"], log)
            wait(outcomes := Outcomes(worker))
            assert outcomes.last == Outcome(0)
            assert log.read_text().count("top-1 accuracy on the test split") == 1
    finally:
        stop([worker])
    assert (tmp_path / "log").read_text() == ""
    alone = [processes.fork_main(tmp_path / "alone", *words, f"--seed={seed}", "--output", apart) for seed in range(2)]
    assert [processes.finish(process) for process in alone] == [0, 0]
    pd.testing.assert_frame_equal(measured(together), measured(apart), check_exact=True)


class Outcomes:
    """Whether a worker's run has ended, and how."""

    def __init__(self, worker: Worker) -> None:
        self.worker, self.last = worker, None

    def __call__(self) -> bool:
        self.last = self.worker.outcome()
        return self.last is not None


def test_a_run_that_crashes_or_is_killed_fails_alone_and_the_sweep_says_what_ended_it(
    prepared: Path, tmp_path: Path
) -> None:
    words = [*usual(prepared, tmp_path, 20)[:-1], "0,1,2"]
    crashes, killed, _ = uuids(words)
    (tmp_path / f"base-{crashes}").mkdir()
    torch.save(["nothing that a run can go on with"], tmp_path / f"base-{crashes}" / "checkpoint.pt")
    sweep = subprocess.Popen(inv(*words), stderr=subprocess.PIPE, text=True)
    wait((tmp_path / f"base-{killed}" / "history.csv").exists)
    (worker,) = children(sweep.pid)
    os.kill(worker, signal.SIGKILL)
    _, said = sweep.communicate(timeout=120)
    assert sweep.returncode == 1
    assert f"failed: seed=0 ({crashes}): AttributeError: 'list' object has no attribute 'get' (all of it in " in said
    assert f"failed: seed=1 ({killed}): ended by SIGKILL (what it said is in {tmp_path}/sweep-logs/{killed}" in said
    assert "Traceback (most recent call last)" in (tmp_path / "sweep-logs" / f"{crashes}.log").read_text()
    assert list(measured(tmp_path).index) == [2]


def test_no_worker_outlives_a_sweep_that_is_killed(prepared: Path, tmp_path: Path) -> None:
    words = inv(*usual(prepared, tmp_path, 500), "--parallel", 2)
    sweep = subprocess.Popen(words, stderr=subprocess.DEVNULL, start_new_session=True)
    wait(lambda: len(list(tmp_path.glob("*/history.csv"))) == 2)
    sweep.kill()
    sweep.wait()

    def nobody_is_left() -> bool:
        try:
            os.killpg(sweep.pid, 0)
        except ProcessLookupError:
            return True
        return False

    wait(nobody_is_left)
    assert not (tmp_path / "results.csv").exists()


def test_a_run_of_several_processes_is_one_of_a_sweep_too(prepared: Path, tmp_path: Path) -> None:
    words = [*usual(prepared, tmp_path, 1)[:-1], "0", "--processes", 2]
    done = subprocess.run(inv(*words), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (row,) = pd.read_csv(tmp_path / "results.csv").to_dict("records")
    assert row["seed"] == 0


@pytest.mark.parametrize(("word", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_worker_that_waits_ends_when_it_is_told_to_and_says_nothing(
    tmp_path: Path, word: signal.Signals, code: int
) -> None:
    worker = Worker(tmp_path / "log", at_once=1)
    worker.begin(["--epoch=0"], tmp_path / "refused")
    wait(outcomes := Outcomes(worker))
    assert outcomes.last == Outcome(2)
    assert (tmp_path / "refused").read_text() == "error: --epoch: 0 is outside [1, inf)\n"
    worker.process.send_signal(word)
    wait(outcomes)
    assert outcomes.last == Outcome(code)
    assert not worker.ready
    stop([worker])
    assert (tmp_path / "refused").read_text().count("\n") == 1
