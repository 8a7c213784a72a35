"""Each row's out-of-fold logits come from a model that never saw it, are made once, and are made first when missing."""

import dataclasses
import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import processes
import pytest
import torch

from project.work.common import UserError
from project.work.dataset.base_dataset import Dataset
from project.work.dataset.distillation_dataset import VALIDATION, OofLogits, read
from project.work.machine.distributed import RunContext
from project.work.runner.base_runner import BaseRunner
from project.work.teacher import oof

CPU = torch.device("cpu")


@dataclasses.dataclass
class Recording:
    """What the fold models learnt from and predicted, and the logits that came of it."""

    learnt: list[set[int]]
    predicted: list[dict[int, list[float]]]
    logits: OofLogits


@pytest.fixture
def recording(settings: Callable, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recording:
    """Three fold models, each watched by the rows that pass through it."""
    learnt: dict[int, set[int]] = {}
    predicted: dict[int, dict[int, list[float]]] = {}
    backward, predict = BaseRunner.backward, BaseRunner.predict

    def watch_backward(runner: BaseRunner, batch, share: float) -> torch.Tensor:
        learnt.setdefault(id(runner), set()).update(batch.rows.tolist())
        return backward(runner, batch, share)

    def watch_predict(runner: BaseRunner, split) -> torch.Tensor:
        logits = predict(runner, split)
        if len(runner.history.rows) == runner.settings.epoch:
            predicted.setdefault(id(runner), {}).update(zip(split.rows.tolist(), logits.tolist(), strict=True))
        keep.append(runner)
        return logits

    keep: list[BaseRunner] = []  # so that no two runners share an id
    monkeypatch.setattr(BaseRunner, "backward", watch_backward)
    monkeypatch.setattr(BaseRunner, "predict", watch_predict)
    teacher = oof.teacher_settings(settings(folds=3, epoch=1))
    logits = oof.make(RunContext(teacher, CPU), dataset, tmp_path)
    return Recording([learnt[runner] for runner in predicted], list(predicted.values()), logits)


@pytest.mark.slow
def test_a_rows_logits_come_from_the_one_model_that_did_not_learn_from_it(
    recording: Recording, dataset: Dataset
) -> None:
    assert len(recording.learnt) == 3
    for row in dataset.train.rows.tolist():
        fold = int(recording.logits.folds[row])
        assert [row in learnt for learnt in recording.learnt].count(False) == 1
        assert row not in recording.learnt[fold]
        assert recording.logits.logits[row].tolist() == recording.predicted[fold][row]


@pytest.mark.slow
def test_no_fold_model_learns_from_validation_and_their_logits_are_the_mean_of_all(
    recording: Recording, dataset: Dataset
) -> None:
    rows = dataset.valid.rows.tolist()
    assert not set(rows) & set.union(*recording.learnt)
    assert np.flatnonzero(recording.logits.folds == VALIDATION).tolist() == sorted(rows)
    for row in rows:
        mean = np.mean([predicted[row] for predicted in recording.predicted], axis=0)
        assert recording.logits.logits[row] == pytest.approx(mean, abs=1e-5)


@pytest.mark.slow
def test_a_rows_margin_is_the_mean_of_what_the_models_that_learnt_from_it_saw(
    settings: Callable, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, list[float]] = {}
    observe = BaseRunner.observe

    def watch(runner: BaseRunner, logits: torch.Tensor, batch) -> None:
        labels = dataset.train.records.labels[batch.rows]
        for row, label, values in zip(batch.rows.tolist(), labels.tolist(), logits.tolist(), strict=True):
            seen.setdefault(row, []).append(values[label] - max(values[:label] + values[label + 1 :]))
        observe(runner, logits, batch)

    monkeypatch.setattr(BaseRunner, "observe", watch)
    made = oof.make(RunContext(oof.teacher_settings(settings(folds=3, epoch=2)), CPU), dataset, tmp_path)
    assert {len(values) for values in seen.values()} == {4}  # two models, two epochs each
    for row in dataset.train.rows.tolist():
        assert made.margins[row] == pytest.approx(np.mean(seen[row]), abs=1e-4)
    assert np.isnan(made.margins[dataset.valid.rows.numpy()]).all()


@pytest.mark.slow
def test_folds_are_of_equal_size_in_every_class(recording: Recording, dataset: Dataset) -> None:
    folds = recording.logits.folds[dataset.train.rows.numpy()]
    labels = dataset.train.labels.numpy()
    assert [np.bincount(labels[folds == fold]).tolist() for fold in range(3)] == [[9, 9, 9, 9]] * 3


def test_teachers_are_plain_and_the_same_for_every_student(settings: Callable) -> None:
    students = [settings(distillation=True, seed=1), settings(distillation=True, mixup=True, seed=2)]
    teachers = [oof.teacher_settings(student) for student in students]
    assert teachers[0] == teachers[1]
    assert (teachers[0].folds, teachers[0].mixup, teachers[0].distillation) == (5, False, False)


def test_whatever_decides_the_logits_changes_their_name(settings: Callable, dataset: Dataset) -> None:
    usual = oof.teacher_settings(settings())
    changes = [{"epoch": 3}, {"folds": 4}, {"learning_rate": 0.2}, {"split_seed": 1}, {"image_size": 8}]
    names = {oof.fingerprint(dataclasses.replace(usual, **change), dataset) for change in [{}, *changes]}
    names.add(oof.fingerprint(usual, dataclasses.replace(dataset, fingerprint="other data")))
    assert len(names) == 7
    elsewhere = dataclasses.replace(settings(), output="elsewhere", uuid="x")
    student = dataclasses.replace(elsewhere, soft_loss_weight=2.0, softmax_temperature=3.0, mixup_alpha=0.4, seed=7)
    assert oof.fingerprint(oof.teacher_settings(student), dataset) == oof.fingerprint(usual, dataset)


def test_what_nothing_reads_is_no_part_of_an_audits_name(settings: Callable, dataset: Dataset) -> None:
    usual = oof.audit_settings(settings(elr=True))
    other = oof.audit_settings(settings(elr=True, gce_power=0.5, nts_temperature=2.0, recipe="robust"))
    assert oof.fingerprint(other, dataset) == oof.fingerprint(usual, dataset)
    read = oof.audit_settings(settings(elr=True, elr_weight=2.0))
    assert oof.fingerprint(read, dataset) != oof.fingerprint(usual, dataset)


def test_a_setting_at_its_default_is_no_part_of_their_name(settings: Callable, dataset: Dataset) -> None:
    usual = oof.teacher_settings(settings(epoch=50, batch_size=128, amp=None, folds=5))
    decided = [dataset.fingerprint, {"folds": 5}]
    assert oof.fingerprint(usual, dataset) == hashlib.sha256(json.dumps(decided).encode()).hexdigest()[:12]


def test_more_folds_than_rows_of_a_class_are_refused_before_training(
    settings: Callable, dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="class bar has 27 training rows, at least 28 are needed"):
        oof.make(RunContext(oof.teacher_settings(settings(folds=28)), CPU), dataset, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--stage", "oof"], ["--stage", "audit"], ["--distillation"]])
def test_a_refusal_of_the_folds_is_all_that_is_said_and_leaves_no_folder(
    prepared: Path, tmp_path: Path, words: list[str]
) -> None:
    log = tmp_path / "log"
    output = tmp_path / "output"
    assert processes.finish(processes.fork_main(log, *command(prepared, output, *words, "--folds", 28))) == 2
    assert log.read_text() == (
        f"error: {prepared}: class bar has 27 training rows, at least 28 are needed"
        " (one for each of 28 folds; use fewer --folds)\n"
    )
    assert list(output.iterdir()) == []


def test_keys_that_name_two_rows_are_refused_before_training(
    settings: Callable, dataset: Dataset, tmp_path: Path
) -> None:
    twins = dataclasses.replace(dataset, train_keys=np.array([b"same", b"same", *dataset.train_keys[2:]]))
    with pytest.raises(UserError, match=r"1 key ids of train_keys.csv.gz occur more than once, the first is same"):
        oof.make(RunContext(oof.teacher_settings(settings(folds=2)), CPU), twins, tmp_path)
    assert list(tmp_path.iterdir()) == []


def command(prepared: Path, output: Path, *words: object) -> list[object]:
    return ["--dataset", prepared, "--output", output, "--epoch", 2, "--batch-size", 32, "--folds", 2, *words]


def logits_files(output: Path) -> list[Path]:
    return list(output.glob("oof-*/oof_logits.npz"))


@pytest.mark.slow
def test_the_stage_oof_writes_logits_and_stops(prepared: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert processes.finish(processes.fork_main(log, *command(prepared, tmp_path, "--stage", "oof"))) == 0
    (path,) = logits_files(tmp_path)
    logits = read(path)
    assert logits.logits.shape == (120, 4)
    assert bool(np.isfinite(logits.logits).all())
    assert f"OOF logits in {path}" in log.read_text()
    assert not (tmp_path / "results.csv").exists()


@pytest.mark.slow
def test_distillation_makes_missing_logits_and_a_second_run_uses_them(prepared: Path, tmp_path: Path) -> None:
    words = ["--distillation", "--softmax-temperature", 2]
    first, second = tmp_path / "first log", tmp_path / "second log"
    assert processes.finish(processes.fork_main(first, *command(prepared, tmp_path, *words))) == 0
    (path,) = logits_files(tmp_path)
    made = path.stat().st_mtime_ns
    again = processes.fork_main(second, *command(prepared, tmp_path, *words, "--mixup", "--seed", 1))
    assert processes.finish(again) == 0
    assert logits_files(tmp_path) == [path]
    assert path.stat().st_mtime_ns == made
    assert "training 2 fold models" in first.read_text()
    assert "training 2 fold models" not in second.read_text()
    assert (tmp_path / "results.csv").read_text().count("\n") == 3


@pytest.mark.slow
def test_logits_that_were_interrupted_go_on_to_the_same_numbers(prepared: Path, tmp_path: Path) -> None:
    whole, broken, log = tmp_path / "whole", tmp_path / "broken", tmp_path / "log"
    assert processes.finish(processes.fork_main(log, *command(prepared, whole, "--stage", "oof"))) == 0
    process = processes.fork_main(log, *command(prepared, broken, "--stage", "oof"))
    while process.is_alive() and not list(broken.glob("oof-*/fold-1/checkpoint.pt")):
        time.sleep(0.001)
    process.kill()
    process.join()
    assert logits_files(broken) == []
    (first,) = broken.glob("oof-*/fold-0/checkpoint.pt")
    done = first.stat().st_mtime_ns
    assert processes.finish(processes.fork_main(log, *command(prepared, broken, "--stage", "oof"))) == 0
    assert first.stat().st_mtime_ns == done  # the fold that was finished is not trained again
    one, other = (read(logits_files(output)[0]) for output in (whole, broken))
    assert np.array_equal(one.logits, other.logits)
    assert np.array_equal(one.folds, other.folds)


@pytest.mark.slow
def test_ctrl_c_in_the_middle_of_fold_models_says_how_to_go_on(prepared: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = processes.fork_main(log, *command(prepared, tmp_path, "--stage", "oof", "--epoch", 500))
    while process.is_alive() and not list(tmp_path.glob("oof-*/fold-0/history.csv")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    assert processes.finish(process) == 130
    assert log.read_text().endswith("stopped; every finished epoch is kept; the same command goes on\n")
    assert "Traceback" not in log.read_text()


@pytest.mark.slow
def test_a_file_of_logits_made_elsewhere_is_used_or_refused(prepared: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert processes.finish(processes.fork_main(log, *command(prepared, tmp_path, "--stage", "oof"))) == 0
    words = ["--distillation", "--oof-logits", logits_files(tmp_path)[0]]
    assert processes.finish(processes.fork_main(log, *command(prepared, tmp_path, *words))) == 0
    refused = tmp_path / "refused log"
    other = processes.fork_main(refused, *command(prepared, tmp_path, *words, "--split-seed", 1))
    assert processes.finish(other) == 2
    assert "made for another validation split" in refused.read_text()
    assert refused.read_text().count("\n") == 1
