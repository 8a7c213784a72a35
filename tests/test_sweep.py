"""A sweep runs every combination once, goes on after a failed run, and goes on where it was when started again."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import small
from stand_ins.vertex import Vertex

import make_command
from project.command import runs, sweep
from project.work.common import ROOT, UserError
from project.work.dataset import prepared_data, storage
from project.work.settings import resolve


def inv(*words: object) -> list[str]:
    return [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "sweep", *map(str, words)]


def test_a_grid_is_every_combination_with_what_differs() -> None:
    points = list(make_command.grid({"lr": "0.1,0.03", "mixup": True, "seed": "0,1", "gpu": "0,1"}, whole={"gpu"}))
    assert [differing for _, differing in points] == [
        {"lr": "0.1", "seed": "0"},
        {"lr": "0.1", "seed": "1"},
        {"lr": "0.03", "seed": "0"},
        {"lr": "0.03", "seed": "1"},
    ]
    assert points[0][0] == {"lr": "0.1", "mixup": True, "seed": "0", "gpu": "0,1"}


def test_methods_become_their_switches() -> None:
    points = [point for point, _ in make_command.grid({"method": "base,manifold-mixup,mixup+distillation"})]
    assert points == [{}, {"manifold_mixup": True}, {"mixup": True, "distillation": True}]


def test_a_run_is_named_by_what_its_result_depends_on() -> None:
    def named(**values: object) -> str:
        return runs.uuid_of(resolve.combine(values))

    assert named(learning_rate="1e-1", seed=1) == named(seed="1", output="elsewhere", gpu="3", recipe="default")
    assert len({named(), named(seed=1), named(mixup=True), named(recipe="predecessor"), named(epoch=7)}) == 5


def test_a_run_is_named_by_what_its_files_hold(tmp_path: Path) -> None:
    mine, copy = tmp_path / "mine.csv", tmp_path / "copy.csv"
    mine.write_text("one")
    copy.write_text("one")
    names = [runs.uuid_of(resolve.combine({"corrections": str(path)})) for path in (mine, copy)]
    mine.write_text("two")
    names.append(runs.uuid_of(resolve.combine({"corrections": str(mine)})))
    assert names[0] == names[1] != names[2]


def test_runs_that_are_the_same_are_run_once_and_one_that_cannot_be_is_named_before_any_starts() -> None:
    assert len(runs.expand({"lr": "0.1,1e-1", "seed": "0,1"})) == 2
    with pytest.raises(UserError, match=r"^seed=0 batch_size=1: --batch-size: 1 is outside \[2, inf\)$"):
        runs.expand({"seed": "0,1", "batch_size": "32,1"})
    with pytest.raises(UserError, match="a sweep names its runs itself"):
        runs.expand({"uuid": "x"})


def test_runs_of_the_same_data_follow_each_other() -> None:
    mixed = runs.expand({"seed": "0,1", "dataset": "a,b", "split_seed": "0,1", "lr": "0.1"})
    seen = [(run.values["dataset"], run.values["split_seed"], run.values["seed"]) for run in runs.by_data(mixed)]
    assert seen == sorted(seen)
    assert len(seen) == 8


@pytest.mark.parametrize(
    ("more", "start", "left_out"),
    [
        ([], f"{sys.executable} {ROOT / 'project/work/main.py'} ", "--spot"),
        (["--remote"], "./inv train-ai-platform --spot --detach ", "--output"),
    ],
)
def test_the_commands_are_printed(prepared: Path, tmp_path: Path, more: list[str], start: str, left_out: str) -> None:
    grid = ["--dataset", prepared, "--lr", "0.1,0.03", "--seed", "0,1"]
    words = inv(*grid, "--output", tmp_path / "new", "--spot", "--dry-run", *more)
    printed = subprocess.run(words, capture_output=True, text=True, timeout=300, check=True).stdout.splitlines()
    assert len(set(printed)) == 4
    assert all(line.startswith(start) and left_out not in line for line in printed)
    assert {"--lr=0.03", "--seed=1"} < set(printed[3].split())
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("dry", [True, False])
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"dataset": "{here},{there}/lnes", "seed": "0,1"}, r"/lnes is missing: .*; did you mean lines\?$"),
        (
            {"noise_type": "file", "noise_file": "nowhere.csv", "dataset": "{here}"},
            "^the only run: --noise-file nowhere.csv is missing",
        ),
        (
            {"corrections": "{here}/label_name.csv,nowhere.csv", "dataset": "{here}"},
            "^corrections=nowhere.csv: --corrections nowhere.csv is missing: give the path of a file that is there$",
        ),
        (
            {"method": "base,distillation", "oof_logits": "nowhere.npz", "dataset": "{here}"},
            "^method=base: --oof-logits nowhere.npz is missing",
        ),
        ({"clean": "drop", "audit_file": "{there}", "dataset": "{here}"}, "--audit-file .* is missing"),
    ],
)
def test_what_a_later_run_would_not_find_is_refused_before_the_first_starts(
    prepared: Path, tmp_path: Path, values: dict[str, str], said: str, dry: bool
) -> None:
    places = {"here": prepared, "there": prepared.parent}
    values = {name: value.format(**places) for name, value in values.items()}
    with pytest.raises(UserError, match=said):
        sweep.run_sweep({}, values | {"output": str(tmp_path / "new"), "dry_run": dry})
    assert not (tmp_path / "new").exists()


def test_what_is_elsewhere_is_not_looked_for_here(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    elsewhere = {"dataset": "nowhere", "data_uri": "gs://b/input", "oof_logits": "gs://b/l.npz", "distillation": True}
    sweep.run_sweep({}, elsewhere | {"output": str(tmp_path), "seed": "0,1", "dry_run": True})
    assert capsys.readouterr().out.count("--dataset=nowhere") == 2


@pytest.fixture
def lines(prepared: Path, tmp_path: Path) -> Path:
    """A data set of that name for a test to prepare anew."""
    return shutil.copytree(prepared, tmp_path / "input" / "lines")


def prepare_anew(folder: Path) -> None:
    storage.write(folder, storage.Prepared(small.pictures(30, 3), small.pictures(10, 4), small.NAMES))


@pytest.mark.slow
def test_no_sweep_mixes_runs_on_pictures_that_were_prepared_anew(
    prepared: Path, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = [f"--dataset={lines}", "--epoch=1", "--batch-size=54", "--device=cpu", "--optimizer=sgd", "--seed=0,1"]
    values = {"dataset": f"{lines},{prepared}", "epoch": "1", "batch_size": "54", "device": "cpu", "optimizer": "sgd"}
    first = subprocess.run(inv(*words, "--output", tmp_path), capture_output=True, text=True, timeout=3000)
    assert first.returncode == 0, first.stderr
    grid = values | {"seed": "0,1,2", "output": str(tmp_path)}
    sweep.run_sweep({}, grid | {"dry_run": True})
    assert capsys.readouterr().out.count("--uuid=") == 4
    prepare_anew(lines)
    table = (tmp_path / "results.csv").read_bytes()
    for more in ({"dry_run": True}, {}, {"remote": True}):
        with pytest.raises(UserError, match=rf"^--dataset {lines}: its pictures changed since 2 of these runs"):
            sweep.run_sweep({}, grid | more)
    assert (tmp_path / "results.csv").read_bytes() == table
    sweep.run_sweep({}, grid | {"output": str(tmp_path / "other"), "dry_run": True})
    assert capsys.readouterr().out.count("--uuid=") == 6
    shutil.rmtree(lines)
    sweep.run_sweep({}, grid | {"seed": "0,1", "dataset": str(lines), "dry_run": True})  # nothing is left to be read
    assert capsys.readouterr().out == ""


def test_rows_that_say_nothing_of_their_data_count_as_finished(lines: Path, tmp_path: Path, capsys: Any) -> None:
    values = {"dataset": str(lines), "seed": "0,1"}
    old, new = runs.expand(values)
    (tmp_path / "results.csv").write_text(f"uuid\n{old.uuid}\n")
    sweep.run_sweep({}, values | {"output": str(tmp_path), "dry_run": True})
    assert new.uuid in (printed := capsys.readouterr().out)
    assert old.uuid not in printed
    (tmp_path / "results.csv").write_text(f"uuid,data_digest\n{old.uuid},\n{new.uuid},{prepared_data.digest(lines)}\n")
    sweep.run_sweep({}, values | {"output": str(tmp_path), "dry_run": True})
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_a_plan_is_made_without_torch(lines: Path, tmp_path: Path) -> None:
    values = {"dataset": str(lines), "output": str(tmp_path), "dry_run": True}
    (run,) = runs.expand({"dataset": str(lines)})
    (tmp_path / "results.csv").write_text(f"uuid,data_digest\n{run.uuid},other\n")
    program = (
        "import sys; from project.command import sweep; from project.work.common import UserError\n"
        f"try: sweep.run_sweep({{}}, {values!r})\n"
        "except UserError as error: print(error, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert "its pictures changed since 1 of these runs finished" in done.stdout
    assert done.stdout.endswith("--dataset name False\n")


def usual(prepared: Path, output: Path, epoch: int) -> list[object]:
    words = ["--dataset", prepared, "--output", output, "--epoch", epoch, "--batch-size", 54]
    return [*words, "--device", "cpu", "--optimizer", "sgd", "--seed", "0,1"]


@pytest.mark.slow
def test_a_sweep_goes_on_after_a_failed_run_and_again_skips_what_is_finished(prepared: Path, tmp_path: Path) -> None:
    words = [*usual(prepared, tmp_path, 1), "--momentum", "0.9,0.1", "--parallel", 2]
    whole = subprocess.run(inv(*words, "--dry-run"), capture_output=True, text=True, timeout=300, check=True)
    doomed = whole.stdout.split("--uuid=")[1].split()[0]
    (tmp_path / f"base-{doomed}").write_text("in the way")  # of its folder
    first = subprocess.run(inv(*words), capture_output=True, text=True, timeout=3000)
    assert first.returncode == 1
    assert first.stderr.count("failed: ") == 1
    assert f"({doomed}): error: {tmp_path}/base-{doomed}: File exists" in first.stderr
    assert "1 of 4 runs failed; the same command tries them again" in first.stderr
    assert len(pd.read_csv(tmp_path / "results.csv")) == 3
    times = pd.read_csv(tmp_path / "results.csv").set_index("uuid")["finished"]
    (tmp_path / f"base-{doomed}").unlink()
    again = subprocess.run(inv(*words), capture_output=True, text=True, timeout=3000)
    assert again.returncode == 0, again.stderr
    assert "4 runs, 3 of them finished already" in again.stderr
    table = pd.read_csv(tmp_path / "results.csv").set_index("uuid")
    assert len(table) == 4
    assert (table["finished"].loc[times.index] == times).all()
    assert len([line for line in again.stdout.splitlines() if " base " in f" {line} "]) == 2  # a line each momentum


@pytest.mark.slow
def test_ctrl_c_stops_the_runs_and_the_same_command_goes_on_with_them(prepared: Path, tmp_path: Path) -> None:
    words = inv(*usual(prepared, tmp_path, 500), "--parallel", 2)
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 600
    while len(list(tmp_path.glob("*/history.csv"))) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=3000)
    assert process.returncode == 130
    assert said.rstrip().endswith("stopped; every finished epoch is kept; the same command goes on")
    logs = [path.read_text() for path in (tmp_path / "sweep-logs").iterdir()]
    assert ["stopped; every finished epoch is kept" in log for log in logs] == [True, True]
    with pytest.raises(ProcessLookupError):  # nobody of its session is left
        os.killpg(process.pid, 0)


@pytest.mark.slow
def test_a_remote_sweep_submits_a_job_for_each_run_and_leaves_those_that_are_going_on_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with Vertex() as vertex:
        config = {"gcp_project": "p", "bucket": "b", "endpoint": vertex.url, "tag": "host/image:tag"}
        config["credential_path"] = str(vertex.key_file(tmp_path / "key.json"))
        wanted = {"dataset": "lines", "seed": "0,1", "lr": "0.1,0.03", "nodes": "3", "accelerator_count": "2"}
        for _ in range(2):
            sweep.run_sweep(config, wanted | {"remote": True, "output": str(tmp_path)})
        specs = [job["jobSpec"]["workerPoolSpecs"] for job in vertex.jobs.values()]
    assert len(specs) == 4
    assert capsys.readouterr().out.count("is PENDING already; follow it with: ./inv follow ") == 4
    for first, others in specs:
        assert (first["replicaCount"], others["replicaCount"]) == ("1", "2")
        assert {"--gpu=0,1", "--nodes=3", "--dataset=lines"} < set(first["containerSpec"]["args"])
        assert first["containerSpec"] == others["containerSpec"]
