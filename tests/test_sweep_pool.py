"""Workers do the runs of a sweep to the numbers of runs by themselves, and fail one run at a time."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import processes
import pytest
import torch
from filelock import FileLock
from test_sweep import inv, usual

from project.command.finished import Finished
from project.command.pool_worker import Outcome, PoolWorker, stop
from project.command.sweep_pool import SweepPool, Task, reason

pytestmark = pytest.mark.slow


def wait(until: Callable[[], object]) -> None:
    """Wait until something is so; tests fail when it is not within ten minutes."""
    deadline = time.monotonic() + 600
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
    printed = subprocess.run(inv(*words, "--dry-run"), capture_output=True, text=True, timeout=300, check=True).stdout
    return [part.split()[0] for part in printed.split("--uuid=")[1:]]


def measured(output: Path) -> pd.DataFrame:
    """What is to the digit the same whenever a run is done."""
    table = pd.read_csv(output / "results.csv").set_index("seed").sort_index()
    return table[[name for name in table.columns if name.startswith(("best_", "last_", "selected"))]]


def test_a_worker_comes_to_the_numbers_of_runs_by_themselves(prepared: Path, tmp_path: Path) -> None:
    words = [f"--dataset={prepared}", "--epoch=2", "--batch-size=32", "--device=cpu", "--manifold-mixup", "--ema=0.5"]
    together, apart = tmp_path / "together", tmp_path / "apart"
    worker = PoolWorker(tmp_path / "log", at_once=2)
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

    def __init__(self, worker: PoolWorker) -> None:
        self.worker, self.last = worker, None

    def __call__(self) -> bool:
        self.last = self.worker.outcome()
        return self.last is not None


def test_a_run_that_is_refused_or_killed_fails_alone_and_the_sweep_says_what_ended_it(
    prepared: Path, tmp_path: Path
) -> None:
    words = [*usual(prepared, tmp_path, 20)[:-1], "0,1,2"]
    refused, killed, _ = uuids(words)
    (tmp_path / f"base-{refused}").mkdir()
    torch.save(["nothing that a run can go on with"], tmp_path / f"base-{refused}" / "checkpoint.pt")
    sweep = subprocess.Popen(inv(*words), stderr=subprocess.PIPE, text=True)
    wait((tmp_path / f"base-{killed}" / "history.csv").exists)
    (worker,) = children(sweep.pid)
    os.kill(worker, signal.SIGKILL)
    _, said = sweep.communicate(timeout=3000)
    assert sweep.returncode == 1
    assert f"failed: seed=0 ({refused}): error: {tmp_path}/base-{refused}" in said
    assert f"failed: seed=1 ({killed}): ended by SIGKILL (its output is in {tmp_path}/sweep-logs/{killed}" in said
    assert "Traceback" not in (tmp_path / "sweep-logs" / f"{refused}.log").read_text()
    assert list(measured(tmp_path).index) == [2]


def test_two_sweeps_of_one_grid_at_once_do_each_run_once_and_both_succeed(prepared: Path, tmp_path: Path) -> None:
    words = [*usual(prepared, tmp_path, 4), "--parallel", 2]
    pipe = subprocess.PIPE
    sweeps = [subprocess.Popen(inv(*words), stdout=pipe, stderr=pipe, text=True) for _ in range(2)]
    said = [sweep.communicate(timeout=600)[1] for sweep in sweeps]
    assert [sweep.returncode for sweep in sweeps] == [0, 0], said
    assert list(measured(tmp_path).index) == [0, 1]
    logs = [path.read_text() for path in (tmp_path / "sweep-logs").iterdir()]
    assert [log.count("top-1 accuracy on the test split") for log in logs] == [1, 1]
    assert not [words for words in said if "failed" in words]


class Bar:
    """As much of a progress bar as a pool uses."""

    def __init__(self) -> None:
        self.done = 0

    def update(self) -> None:
        self.done += 1

    def set_description(self, text: str) -> None: ...

    def set_postfix(self, failed: int) -> None: ...


def pool(output: Path, *words: str, uuid: str = "mine") -> SweepPool:
    """One of one run, which fails with these words for main.py."""
    return SweepPool([Task(uuid, "the run", words, output / "log")], 1, Finished(output))


def test_a_reason_is_of_this_attempt_alone(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("error: of yesterday\n")
    (why,) = pool(tmp_path, "--epoch=0").work(Bar()).values()
    assert why == f"error: --epoch: 0 is outside [1, inf) (its output is in {tmp_path}/log)"
    assert reason(1, tmp_path / "log", (tmp_path / "log").stat().st_size).startswith("it printed nothing (")
    assert reason(1, tmp_path / "nowhere").startswith("it printed nothing (")
    assert reason(-9, tmp_path / "log").endswith(
        "out of memory, perhaps: lower --batch-size, --image-size or --parallel"
    )


def test_a_run_that_another_process_is_at_is_waited_for_and_taken_over_when_that_one_left_it(tmp_path: Path) -> None:
    folder, bar = tmp_path / "base-mine", Bar()
    folder.mkdir()
    lock = FileLock(folder / ".lock", thread_local=False)
    lock.acquire()
    threading.Timer(1, (tmp_path / "results.csv").write_text, ["uuid\nmine\n"]).start()
    assert pool(tmp_path, "--epoch=0").work(bar) == {}  # it was never tried
    assert bar.done == 1
    assert not (tmp_path / "log").exists()
    (tmp_path / "results.csv").unlink()
    threading.Timer(1, lock.release).start()
    assert list(pool(tmp_path, "--epoch=0").work(bar)) == ["mine"]


def test_a_run_whose_row_is_there_is_finished_but_not_whole_until_all_is_reported(tmp_path: Path) -> None:
    folder, finished = tmp_path / "base-mine", Finished(tmp_path)
    folder.mkdir()
    assert not finished.has_row("mine")
    (tmp_path / "results.csv").write_text("uuid\nmine\nolder\n")
    (folder / "reported.json").write_text('{"whole": false, "told": []}')
    seen = [(finished.has_row(uuid), finished.is_whole(uuid)) for uuid in ("mine", "older", "none")]
    assert seen == [(True, False), (True, True), (False, False)]


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
    done = subprocess.run(inv(*words), capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stderr
    (row,) = pd.read_csv(tmp_path / "results.csv").to_dict("records")
    assert row["seed"] == 0


@pytest.mark.parametrize(("word", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_worker_that_waits_ends_when_it_is_told_to_and_says_nothing(
    tmp_path: Path, word: signal.Signals, code: int
) -> None:
    worker = PoolWorker(tmp_path / "log", at_once=1)
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
