"""Fold models that are trained side by side are those that are trained one after another."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import processes
import pytest
import torch

from project.work.common import UserError
from project.work.dataset import base_dataset
from project.work.dataset.base_dataset import Dataset
from project.work.machine.distributed import RunContext
from project.work.settings.groups import Settings
from project.work.teacher import oof

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


def epochs(folder: Path) -> list[int]:
    """How many are on disk, of each fold model."""
    return [path.read_text().count("\n") - 1 for path in sorted(folder.glob("fold-*/history.csv"))]


def test_logits_are_the_same_to_the_last_bit(settings: Callable, dataset: Dataset, tmp_path: Path) -> None:
    teacher = oof.teacher_settings(settings(folds=3, epoch=2, ema=0.5))
    state = torch.get_rng_state()
    kept: dict[int, list[str]] = {1: [], 2: []}
    made = {}
    for at_once, names in kept.items():
        folder = tmp_path / str(at_once)
        context = RunContext(teacher, CPU, sync=SimpleNamespace(try_send=lambda place, to=names: to.append(place.name)))
        made[at_once] = oof.make(context, dataset, folder, at_once)
    assert made[1].logits.tobytes() == made[2].logits.tobytes()
    assert made[1].logits.any(axis=1).all()
    assert np.array_equal(made[1].folds, made[2].folds)
    assert kept[1] == sorted(kept[2]) == ["fold-0", "fold-0", "fold-1", "fold-1", "fold-2", "fold-2"]
    assert torch.equal(torch.get_rng_state(), state)


def test_an_error_in_one_ends_all_with_that_error(settings: Callable, dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "fold-1").mkdir()
    (tmp_path / "fold-1" / "checkpoint.pt").write_bytes(b"damaged")
    teacher = oof.teacher_settings(settings(folds=4, epoch=500))
    with pytest.raises(UserError, match=r"fold-1/checkpoint\.pt: damaged"):
        oof.make(RunContext(teacher, CPU), dataset, tmp_path, at_once=2)
    assert sum(epochs(tmp_path)) < 500


def make_until_interrupted(teacher: Settings, folder: Path) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    try:
        oof.make(RunContext(teacher, CPU), base_dataset.load(teacher, CPU), folder, at_once=2)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def test_ctrl_c_ends_all_within_an_epoch_and_keeps_those_that_are_finished(
    settings: Callable, dataset: Dataset, tmp_path: Path
) -> None:
    teacher = oof.teacher_settings(settings(folds=2, epoch=500))
    process = processes.fork(make_until_interrupted, teacher, tmp_path)
    while process.is_alive() and (len(epochs(tmp_path)) < 2 or min(epochs(tmp_path)) < 1):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    before = epochs(tmp_path)
    assert processes.finish(process) == 130
    after = epochs(tmp_path)
    assert all(0 <= new - old <= 2 for old, new in zip(before, after, strict=True))
    for fold, count in enumerate(after):
        saved = torch.load(tmp_path / f"fold-{fold}" / "checkpoint.pt", weights_only=True)
        assert len(saved["history"]) in (count, count + 1)
