"""NTS: the student's targets by hand, what the teacher is, and that it is made once, kept and resumed."""

import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import processes
import pytest
import torch

from project.work.common import UserError
from project.work.dataset.base_dataset import Batch, Dataset
from project.work.dataset.distillation_dataset import SEEN, VALIDATION, read
from project.work.machine.distributed import RunContext
from project.work.runner.nts_runner import taught_targets
from project.work.teacher import oof, teachers

CPU = torch.device("cpu")
LN3 = math.log(3)


def test_targets_stand_between_belief_and_label_by_hand() -> None:
    label, belief = torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([[0.5, 0.1, 0.4]])
    assert torch.equal(taught_targets(label, belief, 0.0), belief)
    assert torch.equal(taught_targets(label, belief, 1.0), label)
    assert taught_targets(label, belief, 0.25).tolist() == [pytest.approx([0.375, 0.325, 0.3])]


@pytest.mark.parametrize(("weight", "gce", "expected"), [
    (0.0, False, 0.8 * math.log(4 / 3) + 0.2 * math.log(4)),  # belief 0.8 and 0.2 against 3/4 and 1/4
    (0.5, False, 0.4 * math.log(4 / 3) + 0.6 * math.log(4)),
    (0.0, True, 0.8 * (1 - 0.75) + 0.2 * (1 - 0.25)),
])  # fmt: skip
def test_the_students_loss_by_hand(
    make_runner: Callable, tiny_network: str, weight: float, gce: bool, expected: float
) -> None:
    values = {"nts_label_weight": weight, "gce": gce, "gce_power": 1.0, "label_smoothing": 0.0, "model": tiny_network}
    runner = make_runner(nts=True, **values)
    batch = Batch(torch.zeros(1, 1, 1, 1), torch.tensor([[0.0, 1.0]]), torch.tensor([0]), torch.tensor([[0.8, 0.2]]))
    assert float(runner.mean_loss(torch.tensor([[LN3, 0.0]]), batch)) == pytest.approx(expected)


@pytest.mark.slow
def test_the_teacher_is_the_run_without_nts_at_its_selected_epoch_and_sees_the_clean_view(
    settings: Callable, make_runner: Callable, dataset: Dataset, tmp_path: Path
) -> None:
    teacher = teachers.noisy_teacher_settings(settings(nts=True, mixup=True, seed=3, epoch=3))
    assert teacher == settings(mixup=True, seed=3, epoch=3)
    (tmp_path / "teacher").mkdir()
    made = teachers.make_noisy_teacher(RunContext(teacher, CPU), dataset, tmp_path / "teacher")
    plain = make_runner(mixup=True, seed=3, epoch=3)
    plain.fit()
    for split, fold in ((dataset.train, SEEN), (dataset.valid, VALIDATION)):
        assert np.allclose(made.logits[split.rows], plain.predict_selected(split).numpy(), atol=1e-5)
        assert set(made.folds[split.rows].tolist()) == {fold}


def test_students_of_one_seed_share_a_teacher(settings: Callable, dataset: Dataset) -> None:
    def named(**values: object) -> str:
        return oof.fingerprint(teachers.noisy_teacher_settings(settings(nts=True, **values)), dataset)

    assert named() == named(nts_label_weight=0.3, nts_temperature=2.0, uuid="x")
    assert len({named(), named(seed=1), named(elr=True), named(epoch=3)}) == 4


def test_keys_that_name_two_rows_are_refused_before_training(
    settings: Callable, dataset: Dataset, tmp_path: Path
) -> None:
    twins = dataclasses.replace(dataset, train_keys=np.array([b"same", b"same", *dataset.train_keys[2:]]))
    context = RunContext(teachers.noisy_teacher_settings(settings(nts=True)), CPU)
    with pytest.raises(UserError, match=r"1 key ids of train_keys.csv.gz occur more than once"):
        teachers.make_noisy_teacher(context, twins, tmp_path)
    assert list(tmp_path.iterdir()) == []


def command(prepared: Path, output: Path, uuid: str, *words: object) -> list[object]:
    usual = ["--dataset", prepared, "--output", output, "--epoch", 3, "--batch-size", 16]
    return [*usual, "--nts", "--uuid", uuid, *words]


def history(output: Path, uuid: str) -> list[list[str]]:
    lines = (output / f"nts-{uuid}" / "history.csv").read_text().splitlines()
    return [line.split(",")[:6] for line in lines]  # without what the clock decides


@pytest.mark.slow
def test_a_killed_teacher_goes_on_to_the_same_numbers_and_serves_every_student(prepared: Path, tmp_path: Path) -> None:
    whole, broken, log = tmp_path / "whole", tmp_path / "broken", tmp_path / "log"
    assert processes.finish(processes.fork_main(log, *command(prepared, whole, "a"))) == 0
    process = processes.fork_main(log, *command(prepared, broken, "a"))
    while process.is_alive() and not list(broken.glob("teacher-*/checkpoint.pt")):
        time.sleep(0.001)
    process.kill()
    process.join()
    assert not list(broken.glob("teacher-*/teacher_logits.npz"))
    second = tmp_path / "second log"
    assert processes.finish(processes.fork_main(second, *command(prepared, broken, "a"))) == 0
    (one,), (other,) = (list(output.glob("teacher-*/teacher_logits.npz")) for output in (whole, broken))
    assert np.array_equal(read(one, seen=True).logits, read(other, seen=True).logits)
    assert history(whole, "a") == history(broken, "a")
    assert "training a teacher (NTS) in " in second.read_text()
    third, made = tmp_path / "third log", other.stat().st_mtime_ns
    again = command(prepared, broken, "b", "--nts-label-weight", 0.5)
    assert processes.finish(processes.fork_main(third, *again)) == 0
    assert "training a teacher" not in third.read_text()
    assert other.stat().st_mtime_ns == made
    assert history(broken, "b") != history(broken, "a")
    refused = tmp_path / "refused log"
    words = [word for word in command(prepared, broken, "c") if word != "--nts"]
    misused = processes.fork_main(refused, *words, "--distillation", "--oof-logits", other)
    assert processes.finish(misused) == 2
    assert "its model has learnt from these labels (--nts)" in refused.read_text()
