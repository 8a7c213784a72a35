"""The epoch is selected on validation, its weights are those reported, and the test split is left alone until then."""

import dataclasses
from collections.abc import Callable
from typing import NoReturn

import pytest
import torch

from project.work.dataset.base_dataset import Dataset
from project.work.machine.distributed import RunContext
from project.work.runner.base_runner import BaseRunner
from project.work.runner.history import measure
from project.work.runner.table import result_row
from project.work.teacher import oof, teachers


class Poison:
    """A test split that must not be looked at."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"the test split was asked for its {name}")

    def __len__(self) -> NoReturn:
        raise AssertionError("the test split was measured")


@pytest.fixture
def wavering(make_runner: Callable, tiny_network: str) -> BaseRunner:
    """A trained runner whose best epoch was not its last."""
    for seed in range(10):
        runner = make_runner(
            model=tiny_network,
            optimizer="sgd",
            schedule="multistep",
            learning_rate=0.2,
            epoch=6,
            seed=seed,
            augment="none",
        )
        runner.fit()
        if runner.history.selected.epoch < 6:
            return runner
    raise AssertionError("every seed was best at the last epoch")


def test_the_test_split_is_not_touched_by_training_in_any_way(make_runner: Callable, dataset: Dataset) -> None:
    make_runner(dataclasses.replace(dataset, test=Poison()), mixup=True, ema=0.5).fit()


def test_the_test_split_is_not_touched_by_fold_models(settings: Callable, dataset: Dataset, tmp_path) -> None:
    teacher = oof.teacher_settings(settings(folds=2, epoch=1))
    oof.make(RunContext(teacher, torch.device("cpu")), dataclasses.replace(dataset, test=Poison()), tmp_path)


def test_the_test_split_is_not_touched_by_the_teacher_of_nts(settings: Callable, dataset: Dataset, tmp_path) -> None:
    teacher = teachers.noisy_teacher_settings(settings(nts=True, epoch=1))
    context = RunContext(teacher, torch.device("cpu"))
    teachers.make_noisy_teacher(context, dataclasses.replace(dataset, test=Poison()), tmp_path)


@pytest.mark.slow
def test_the_selected_weights_are_those_of_the_best_validation_epoch(wavering: BaseRunner) -> None:
    valid, history = wavering.dataset.valid, wavering.history
    best = max(row.valid_accuracy for row in history.rows)
    metrics = measure(wavering.predict_selected(valid), valid.labels)
    assert metrics["top1"] == best == history.selected.valid_accuracy
    assert metrics["loss"] == history.selected.valid_loss


@pytest.mark.slow
def test_looking_at_the_selected_weights_leaves_the_last_in_place(wavering: BaseRunner) -> None:
    valid, last = wavering.dataset.valid, wavering.history.rows[-1]
    wavering.predict_selected(valid)
    assert measure(wavering.predict(valid), valid.labels)["loss"] == last.valid_loss
    assert last.valid_loss != wavering.history.selected.valid_loss


@pytest.mark.slow
def test_the_row_reports_the_selected_and_the_last_epoch_each_with_its_own_weights(wavering: BaseRunner) -> None:
    test, history = wavering.dataset.test, wavering.history
    row = result_row(wavering.settings, wavering, "base")
    selected, last = wavering.predict_selected(test), wavering.predict(test)
    assert row["selected_epoch"] == history.selected.epoch
    assert row["best_valid_accuracy"] == history.selected.valid_accuracy
    assert row["best_test_accuracy"] == float((selected.argmax(dim=1) == test.labels).float().mean())
    assert row["last_valid_accuracy"] == history.rows[-1].valid_accuracy
    assert row["last_test_accuracy"] == float((last.argmax(dim=1) == test.labels).float().mean())
    assert row["best_test_top5"] == 1.0  # of four classes


def test_predictions_are_in_the_order_of_the_split_and_do_not_depend_on_the_batch(
    make_runner: Callable, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner(epoch=1)
    runner.fit()
    together = runner.predict(dataset.test)
    monkeypatch.setattr("project.work.classifier.BATCH", 7)
    assert torch.allclose(runner.predict(dataset.test), together, atol=1e-4)
