"""A run on machines that come and go: data from the bucket, every epoch to it, and back here in the end."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import photos
import processes
import pytest
import torch
from filelock import FileLock
from stand_ins.server import Request
from stand_ins.storage import StorageStandIn, uploaded
from stand_ins.vertex import Vertex

from project.command import cloud, pull_results
from project.data_preparation import image_folder
from project.work import common
from project.work.common import ROOT, UserError
from project.work.dataset import remote_data
from project.work.machine.bucket import BucketFolder, connect
from project.work.reporter.table.result_table import ResultTable

pytestmark = pytest.mark.slow

EPOCHS = 6
TRAINING = {"dataset": "lines", "epoch": str(EPOCHS), "batch_size": "32", "seed": "3", "device": "cpu", "ema": "0.5"}
CHANGING = ["seconds", "pictures_per_second", "finished"]


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[StorageStandIn]:
    with StorageStandIn("my-bucket") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


@pytest.fixture
def vertex(storage: StorageStandIn, tmp_path: Path) -> Iterator[Vertex]:
    with Vertex(tmp_path / "machines", {"STORAGE_EMULATOR_HOST": storage.url}) as server:
        yield server


@pytest.fixture
def config(vertex: Vertex, tmp_path: Path) -> dict[str, Any]:
    return {
        "gcp_project": "my-project",
        "bucket": "gs://my-bucket/",
        "endpoint": vertex.url,
        "credential_path": str(vertex.key_file(tmp_path / "key.json")),
        "tag": "host/image:tag",
        "accelerator_count": 0,
        "instance_type": "n2-standard-8",
        "spot": True,
    }


@pytest.fixture
def here(config: dict[str, Any], prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """invoke.yaml of a checkout that has data and an output folder of its own; its key is for Vertex AI alone."""
    monkeypatch.setattr(common, "INPUT", tmp_path / "input")
    shutil.copytree(prepared, tmp_path / "input" / "lines")
    return config | {"credential_path": None}


def unbroken(output: Path, prepared: Path) -> dict[str, Any]:
    """The row of the same run, here and in one go."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in (TRAINING | {"dataset": str(prepared)}).items()]
    log = output.with_suffix(".log")
    assert processes.finish(processes.fork_main(log, *words, "--uuid=whole", f"--output={output}")) == 0, (
        log.read_text()
    )
    return json.loads((output / "base-whole" / "result.json").read_text())


def run(log: Path, *words: str) -> tuple[int, str]:
    """main.py with these words to its end: its exit code and what it printed."""
    code = processes.finish(processes.fork_main(log, *words))
    return code, log.read_text()


def checkpoint(folder: Path) -> dict[str, torch.Tensor]:
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    return state["states"]["model"] | {f"selected.{name}": value for name, value in state["selected"].items()}


def test_a_spot_job_that_vanishes_twice_gives_the_numbers_of_an_unbroken_run(
    storage: StorageStandIn, vertex: Vertex, config: dict, here: dict, prepared: Path, tmp_path: Path, capsys: Any
) -> None:
    cloud.push(here, {"dataset": "lines"})
    assert "8 files sent to gs://my-bucket/input/lines" in capsys.readouterr().out

    def vanish(request: Request) -> None:
        """Take the machine away once in the middle of uploading a checkpoint, once between two epochs."""
        (name,) = vertex.jobs or [""]
        if uploaded(request).endswith("checkpoint.pt") and len(storage.uploads("checkpoint.pt")) == 2:
            vertex.vanish(name)
        if uploaded(request).endswith("history.csv") and len(storage.uploads("history.csv")) == 5:
            vertex.vanish(name)

    storage.before = vanish
    cloud.train(config, TRAINING | {"uuid": "far"})
    (name,) = vertex.jobs
    assert len(vertex.processes[name]) == 3
    assert [process.returncode for process in vertex.processes[name]] == [-9, -9, 0]
    said = capsys.readouterr().out
    assert [line.split()[1] for line in said.splitlines() if line[2] == line[5] == ":"][-1] == "SUCCEEDED"
    assert "downloading gs://my-bucket/input/lines" in vertex.log(name, 2)

    output = tmp_path / "pulled"
    for _ in range(2):
        cloud.pull(here, {"output": str(output)})
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"1 run folders downloaded or updated, 1 rows new or changed in {output}"
    assert second == f"0 run folders downloaded or updated, 0 rows new or changed in {output}"

    whole = unbroken(tmp_path / "here", prepared)
    row = json.loads((output / "base-far" / "result.json").read_text())
    told_apart = {"uuid": "far", "dataset": "lines"} | {name: row[name] for name in CHANGING}
    assert row | {"git_revision": ""} == whole | told_apart | {"git_revision": ""}
    ours, theirs = checkpoint(tmp_path / "here" / "base-whole"), checkpoint(output / "base-far")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[part], theirs[part]) for part in ours)
    table = ResultTable(output).read()
    assert table["uuid"].tolist() == ["far"]
    assert table["best_test_accuracy"].tolist() == [str(whole["best_test_accuracy"])]
    history = pd.read_csv(output / "base-far" / "history.csv")
    assert history["epoch"].tolist() == list(range(1, EPOCHS + 1))
    assert (output / "base-far" / "curve.png").exists()


def test_a_job_without_data_fails_and_its_log_says_what_to_do(vertex: Vertex, config: dict) -> None:
    with pytest.raises(SystemExit, match="FAILED: The replica workerpool0-0 exited with a non-zero status of 2"):
        cloud.train(config, TRAINING)
    (name,) = vertex.jobs
    expected = "error: gs://my-bucket/input/lines is empty: run ./inv push-data --dataset lines first\n"
    assert vertex.log(name) == expected


def test_fold_models_go_on_where_another_machine_left_them(
    storage: StorageStandIn, prepared: Path, tmp_path: Path
) -> None:
    data = [f"--dataset={prepared}", "--folds=3", "--epoch=2", "--batch-size=32", "--device=cpu"]
    words = [*data, "--stage=oof"]
    far = [*words, "--output-uri=gs://my-bucket/outputs/teacher"]
    first = processes.fork_main(tmp_path / "log", *far, f"--output={tmp_path / 'one'}")

    def vanish(request: Request) -> None:
        if uploaded(request).endswith("fold-1/checkpoint.pt") and len(storage.uploads("fold-1/checkpoint.pt")) == 2:
            os.kill(first.pid, signal.SIGKILL)

    storage.before = vanish
    assert processes.finish(first) == -9
    for place, more in (("two", far), ("whole", words)):
        code, said = run(tmp_path / "log", *more, f"--output={tmp_path / place}")
        assert code == 0, said
    there = {Path(name).name for name in BucketFolder("gs://my-bucket/outputs/teacher", connect()).files()}
    assert "oof_logits.npz" in there
    (made,), (whole,) = (list((tmp_path / place).glob("oof-*/oof_logits.npz")) for place in ("two", "whole"))
    assert made.read_bytes() == whole.read_bytes()
    address = f"gs://my-bucket/outputs/teacher/{made.parent.name}/oof_logits.npz"
    student = [f"--output={tmp_path / 'student'}", "--distillation", f"--oof-logits={address}", *data]
    code, said = run(tmp_path / "student.log", *student)
    assert code == 0, said
    assert "fold models" not in said
    assert len(storage.uploads("fold-0/checkpoint.pt")) == 2


def test_a_bucket_that_is_down_for_an_epoch_costs_nothing(
    storage: StorageStandIn, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.fail(403, where="POST /upload", skip=2, times=2)
    words = [f"--dataset={prepared}", "--epoch=4", "--batch-size=32", "--device=cpu", "--uuid=u"]
    log = tmp_path / "log"
    code, said = run(log, *words, f"--output={tmp_path}", "--output-uri=gs://my-bucket/outputs/u")
    assert code == 0
    assert said.count("warning: gs://my-bucket/outputs/u/base-u/") == 2
    there = BucketFolder("gs://my-bucket/outputs/u/base-u", connect())
    assert there.upload(tmp_path / "base-u") == []


def test_a_run_whose_last_upload_fails_does_not_succeed(
    storage: StorageStandIn, prepared: Path, tmp_path: Path
) -> None:
    storage.fail(403, where="POST /upload", skip=1, times=99)
    words = [f"--dataset={prepared}", "--epoch=1", "--batch-size=32", "--device=cpu", "--uuid=u"]
    log = tmp_path / "log"
    code, said = run(log, *words, f"--output={tmp_path}", "--output-uri=gs://my-bucket/outputs/u")
    assert code == 2
    assert said.splitlines()[-1].startswith("error: gs://my-bucket/outputs/u/base-u/confusion.png: refused (Forbidden")
    assert len(ResultTable(tmp_path).read()) == 1


def test_a_bucket_that_refuses_is_known_before_the_first_epoch(
    storage: StorageStandIn, prepared: Path, tmp_path: Path
) -> None:
    storage.fail(403, where="POST /upload", times=99)
    words = [f"--dataset={prepared}", f"--output={tmp_path}", "--output-uri=gs://my-bucket/outputs/u"]
    code, said = run(tmp_path / "log", *words)
    assert code == 2
    assert said.startswith("error: gs://my-bucket/outputs/u/base-")
    assert said.count("\n") == 1


@pytest.fixture
def pulled(storage: StorageStandIn, tmp_path: Path) -> Path:
    """An output folder with a run of two epochs that is in the bucket too."""
    folder = tmp_path / "output" / "base-u"
    folder.mkdir(parents=True)
    (folder / "settings.yaml").write_text("uuid: u\n")
    (folder / "history.csv").write_text("epoch\n1\n2\n")
    (folder / "checkpoint.pt").write_text("two")
    (folder / "result.json").write_text(json.dumps({"uuid": "u", "seed": 1, "best_test_accuracy": 0.5, "amp": None}))
    BucketFolder("gs://my-bucket/outputs/u", connect()).upload(folder, "base-u")
    return folder


def pull(folder: Path) -> tuple[int, int]:
    changed, rows = pull_results.pull(BucketFolder("gs://my-bucket/outputs", connect()), folder.parent)
    return len(changed), rows


def test_a_run_that_went_on_here_is_not_overwritten(pulled: Path, capsys: Any) -> None:
    (pulled / "history.csv").write_text("epoch\n1\n2\n3\n")
    (pulled / "checkpoint.pt").write_text("three")
    assert pull(pulled)[0] == 0
    assert (pulled / "checkpoint.pt").read_text() == "three"
    said = f"{pulled}: further here than in gs://my-bucket/outputs, left alone\n"
    assert capsys.readouterr().err.startswith(said)


def test_a_run_that_is_in_use_here_is_left_alone(pulled: Path, capsys: Any) -> None:
    (pulled / "checkpoint.pt").unlink()
    with FileLock(pulled / ".lock"):
        program = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path;"
            "from project.command.pull_results import pull;"
            "from project.work.machine.bucket import BucketFolder, connect;"
            f"pull(BucketFolder('gs://my-bucket/outputs', connect()), Path({str(pulled.parent)!r}))"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.startswith(f"{pulled}: in use here, left alone\n")
    assert not (pulled / "checkpoint.pt").exists()


def test_rows_are_merged_by_uuid_and_other_rows_stay(pulled: Path) -> None:
    table = pulled.parent / "results.csv"
    table.write_text("uuid,seed,best_test_accuracy,amp\nother,1,0.25,\nu,1,0.125,True\n")
    assert pull(pulled) == (0, 1)
    assert table.read_text() == "uuid,seed,best_test_accuracy,amp\nother,1,0.25,\nu,1,0.5,\n"
    assert pull(pulled) == (0, 0)


def test_a_pull_that_was_cut_short_is_finished_by_the_next(storage: StorageStandIn, pulled: Path) -> None:
    shutil.rmtree(pulled)
    storage.fail(403, where="settings.yaml")
    with pytest.raises(UserError, match=r"settings\.yaml: refused"):
        pull(pulled)
    assert not (pulled / "settings.yaml").exists()  # so that nobody takes it for a run
    assert pull(pulled) == (1, 1)
    assert (pulled / "checkpoint.pt").read_text() == "two"


def test_pushing_again_sends_what_changed(storage: StorageStandIn, here: dict, tmp_path: Path, capsys: Any) -> None:
    cloud.push(here, {"dataset": "lines"})
    cloud.push(here, {"dataset": "lines"})
    (tmp_path / "input" / "lines" / "label_name.csv").write_text("changed")
    cloud.push(here, {"dataset": "lines"})
    first, again, changed = capsys.readouterr().out.splitlines()
    assert first == "8 files sent to gs://my-bucket/input/lines"
    assert again == "gs://my-bucket/input/lines has all of it already"
    assert changed == "1 files sent to gs://my-bucket/input/lines"


def test_a_data_set_that_is_not_prepared_is_not_pushed(here: dict) -> None:
    with pytest.raises(UserError, match=r"input/nothing is missing: run \./inv prepare first"):
        cloud.push(here, {"dataset": "nothing"})


def test_a_set_of_encoded_photos_is_trained_on_where_it_was_sent(
    storage: StorageStandIn, here: dict, tmp_path: Path
) -> None:
    source = photos.folder(tmp_path / "photos", count=12)
    (source / "cat" / "copy.jpg").write_bytes((source / "cat" / "000.jpg").read_bytes())
    image_folder.main([f"--input={source}", f"--output={tmp_path / 'input'}", "--dataset=own", "--size=72"])
    cloud.push(here, {"dataset": "own"})
    remote_data.fetch(tmp_path / "far" / "own", "gs://my-bucket/input")
    made, fetched = tmp_path / "input" / "own", tmp_path / "far" / "own"
    names = sorted(path.name for path in made.iterdir())
    assert {"train_images.packed", "test_images.packed", "left_out.csv"} <= {*names}
    assert sorted(path.name for path in fetched.iterdir()) == names
    assert all((made / name).read_bytes() == (fetched / name).read_bytes() for name in names)
    words = [f"--dataset={fetched}", f"--output={tmp_path / 'out'}", "--image-size=24", "--epoch=1", "--device=cpu"]
    code, said = run(tmp_path / "log", *words, "--valid-rate=0.2", "--uuid=photos")
    assert code == 0, said
    row = json.loads((tmp_path / "out" / "base-photos" / "result.json").read_text())
    assert 0 <= row["best_test_accuracy"] <= 100
