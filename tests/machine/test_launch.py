"""main.py in several processes, on one machine and on several, killed and gone on with."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import Process
from pathlib import Path

import processes
import pytest
import workers

from project.work.common import UserError
from project.work.machine import launch
from project.work.machine.launch import LOST, STARVED, Machine, machine_of_cluster, this_machine, verdict
from project.work.settings.groups import Settings

pytestmark = pytest.mark.slow


def cluster(kind: str, index: int, host: str = "10.0.0.2:2222") -> str:
    pools = {"workerpool0": [host], "workerpool1": ["10.0.0.3:2222", "10.0.0.4:2222"]}
    return json.dumps({"cluster": pools, "task": {"type": kind, "index": index}, "environment": "cloud"})


@pytest.mark.parametrize(
    ("kind", "index", "rank"), [("workerpool0", 0, 0), ("workerpool1", 0, 1), ("workerpool1", 1, 2)]
)
def test_a_machine_of_a_cluster_is_counted_through_the_pools(kind: str, index: int, rank: int) -> None:
    assert machine_of_cluster(cluster(kind, index)) == Machine(rank, 3, "10.0.0.2", 2222)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"cluster": {}}', cluster("workerpool1", 2), cluster("chief", 0)])
def test_a_cluster_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="not a cluster as Vertex AI describes it"):
        machine_of_cluster(text)


def test_rank_and_world_size_of_a_machine_are_not_those_of_a_process() -> None:
    environment = {"RANK": "1", "WORLD_SIZE": "3", "CLUSTER_SPEC": cluster("workerpool0", 0)}
    assert this_machine(Settings(), environment).rank == 0
    assert this_machine(Settings(), {"RANK": "1", "WORLD_SIZE": "3"}) == Machine()


def test_elsewhere_the_settings_say_which_machine_it_is() -> None:
    assert this_machine(Settings(nodes=2, node_rank=1, master="a:29"), {}) == Machine(1, 2, "a", 29)
    for wrong in (
        Settings(nodes=2),
        Settings(nodes=2, node_rank=2, master="a:29"),
        Settings(nodes=2, node_rank=0, master="a"),
    ):
        with pytest.raises(UserError, match="--node-rank 0 to 1 and the first one's address as --master host:port"):
            this_machine(wrong, {})
    with pytest.raises(UserError, match="--nodes 2, but CLUSTER_SPEC names 3 machines"):
        this_machine(Settings(nodes=2), {"CLUSTER_SPEC": cluster("workerpool0", 0)})


def test_the_words_for_torchrun() -> None:
    assert launch.torchrun(Machine(), 2, "main.py", ["--seed=1"]) == [
        "--standalone",
        "--local-addr=127.0.0.1",
        "--nproc-per-node=2",
        "--",
        "main.py",
        "--seed=1",
    ]
    assert launch.torchrun(Machine(1, 3, "a", 29), 1, "main.py", [])[:4] == [
        "--nnodes=3",
        "--node-rank=1",
        "--master-addr=a",
        "--master-port=29",
    ]


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ({0: 2, 1: LOST}, 2),
        ({0: -15, 1: 1}, 1),
        ({0: 143, 1: 1}, 1),
        ({0: 130, 1: 130}, 130),
        ({0: 143, 1: 143}, 143),
        ({0: 1, 1: -15}, 1),
    ],
)
def test_a_run_ends_as_the_process_that_was_the_cause(codes: dict[int, int], code: int) -> None:
    assert verdict(codes) == code


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        (
            {0: LOST, 1: -9},
            r"process 1 of this run was ended by SIGKILL \(out of memory, perhaps: lower --batch.*\)",
        ),
        ({0: 143, 1: -9}, r"process 1 of this run was ended by SIGKILL \(out of memory, perhaps: .*\)"),
        ({0: -6, 1: -9}, r"process 1 of this run was ended by SIGKILL \(out of memory, perhaps: .*\)"),
        ({0: LOST, 1: STARVED}, "process 1 of this run is out of memory; lower --batch-size, .*"),
        ({0: LOST, 1: -6}, "process 1 of this run was ended by SIGABRT"),
        ({0: -15, 1: -15}, "process 0 of this run was ended by SIGTERM"),
        ({0: LOST}, "a process of this run on another machine has ended"),
    ],
)
def test_an_end_that_no_process_can_explain_is_explained(codes: dict[int, int], said: str) -> None:
    with pytest.raises(UserError, match=f"^{said}$"):
        verdict(codes)


# Rounding turns a unit on or off now and then; Muon, or larger steps of SGD, would magnify that.
STEADY = ["--optimizer", "sgd", "--learning-rate", 0.005]


def usual(prepared: Path, output: Path, epoch: int) -> list[object]:
    words = ["--dataset", prepared, "--output", output, "--uuid", "one", "--epoch", epoch, "--batch-size", 31]
    return [*words, "--device", "cpu", "--no-amp", "--mixup", *STEADY]


def history(output: Path) -> list[dict[str, str]]:
    path = output / "mixup-one" / "history.csv"
    return list(csv.DictReader(path.open())) if path.exists() else []


def wait_for_epoch(output: Path, epoch: int, process: Process) -> None:
    deadline = time.monotonic() + 600
    while process.is_alive() and len(history(output)) < epoch and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(history(output)) >= epoch


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def assert_same_run(one: Path, other: Path) -> None:
    first, second = history(one), history(other)
    assert len(first) == len(second)
    for name in ("train_loss", "valid_loss", "train_accuracy"):
        assert [float(row[name]) for row in second] == pytest.approx([float(row[name]) for row in first], rel=0.05)
    assert (other / "results.csv").read_text().count("\n") == 2


def stop_by_ctrl_c(process: Process) -> int:
    os.kill(process.pid, signal.SIGINT)
    return processes.finish(process)


def kill_one_worker(process: Process) -> int:
    os.kill(children(process.pid)[1], signal.SIGKILL)
    return processes.finish(process)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc")
def test_two_processes_stopped_and_killed_go_on_to_what_one_process_computes(prepared: Path, tmp_path: Path) -> None:
    alone = processes.fork_main(tmp_path / "log of one", *usual(prepared, tmp_path / "one", 4))
    two, ends = tmp_path / "two", {}
    words = [*usual(prepared, two, 4), "--processes", 2]
    stops: list[Callable[[Process], int]] = [stop_by_ctrl_c, kill_one_worker]
    for epoch, stop in enumerate(stops, start=1):
        log = tmp_path / stop.__name__
        process = processes.fork_main(log, *words)
        wait_for_epoch(two, epoch, process)
        pids = children(process.pid)
        ends[stop.__name__] = stop(process), log.read_text()
        assert len(pids) >= 2
        assert [pid for pid in pids if Path(f"/proc/{pid}/cmdline").exists()] == []
        assert "Traceback" not in log.read_text()
        assert f"go on with: ./inv train --resume one --output {two}" in log.read_text()
        assert log.read_text().count("go on with") == 1
    assert ends["stop_by_ctrl_c"][0] == 130
    assert ends["kill_one_worker"][0] == 2
    assert "error: process 1 of this run was ended by SIGKILL" in ends["kill_one_worker"][1]
    log = tmp_path / "last log"
    assert processes.finish(processes.fork_main(log, "--resume", "one", "--output", two, "--processes", 2)) == 0
    assert processes.finish(alone) == 0
    assert log.read_text().count("top-1 accuracy on the test split") == 1
    assert_same_run(tmp_path / "one", two)


def test_two_machines_of_a_cluster_are_one_run(prepared: Path, tmp_path: Path) -> None:
    alone = processes.fork_main(tmp_path / "log", *usual(prepared, tmp_path / "one", 1))
    host = f"127.0.0.1:{workers.free_port()}"
    pools = {"workerpool0": [host], "workerpool1": [host]}
    machines = []
    for rank, pool in enumerate(pools):
        spec = json.dumps({"cluster": pools, "task": {"type": pool, "index": 0}})
        with workers.environment({"CLUSTER_SPEC": spec, "RANK": str(rank), "WORLD_SIZE": "2"}):
            output = tmp_path / f"machine {rank}"  # they share no disk
            machines.append(processes.fork_main(tmp_path / f"log {rank}", *usual(prepared, output, 1)))
    assert [processes.finish(machine) for machine in [alone, *machines]] == [0, 0, 0]
    assert_same_run(tmp_path / "one", tmp_path / "machine 0")
    assert (tmp_path / "log 1").read_text() == ""
    assert list(tmp_path.glob("machine 1/*")) == []


def test_machines_that_share_no_disk_learn_from_one_audit(prepared: Path, tmp_path: Path) -> None:
    words = [
        "--dataset",
        prepared,
        "--epoch",
        1,
        "--batch-size",
        16,
        "--clean",
        "drop",
        "--folds",
        2,
        "--device",
        "cpu",
    ]
    words += ["--output", "out", "--uuid", "one", "--nodes", 2, "--master", f"127.0.0.1:{workers.free_port()}"]
    machines = []
    for rank in range(2):
        folder = tmp_path / f"machine {rank}"
        folder.mkdir()
        command = [sys.executable, processes.MAIN, *words, "--node-rank", rank]
        with open(folder / "log", "w") as log:
            machines.append(subprocess.Popen([*map(str, command)], cwd=folder, stdout=log, stderr=log))
    assert [machine.wait(600) for machine in machines] == [0, 0], (tmp_path / "machine 0" / "log").read_text()
    assert len(list(tmp_path.glob("machine 0/out/base-one/result.json"))) == 1
    audits = [path.read_bytes() for path in tmp_path.glob("machine */out/audit-*/audit.csv")]
    assert len(audits) == 2
    assert audits[0] == audits[1]
