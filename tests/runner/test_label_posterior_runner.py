"""The posterior probability of the true class, worked out by hand, and what a run makes of it."""

import math
from collections.abc import Callable

import pytest
import torch

from project.work.dataset import base_dataset
from project.work.dataset.base_dataset import Dataset
from project.work.labels.noise_channel import trust
from project.work.runner.base_runner import BaseRunner
from project.work.runner.label_posterior_runner import posterior, sharpened
from project.work.runner.mixup_runner import mix

PREDICTIONS = torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]])


def test_a_prediction_is_sharpened_by_a_temperature_below_one() -> None:
    # Squares 4, 1, 1 of 6 and 1, 1, 9 of 11.
    expected = torch.tensor([[4 / 6, 1 / 6, 1 / 6], [1 / 11, 1 / 11, 9 / 11]])
    torch.testing.assert_close(sharpened(PREDICTIONS, 0.5), expected)
    torch.testing.assert_close(sharpened(0.3 * PREDICTIONS, 1.0), PREDICTIONS)
    assert torch.isfinite(sharpened(torch.tensor([[1.0, 0.0]]), 0.5)).all()


def test_the_true_class_by_bayes() -> None:
    # A rate of 0.4 among 3 classes: a label is its own class's with 0.6, each other one's with 0.2.
    labels = torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    found = posterior(labels, PREDICTIONS, 0.4)
    # 0.5 x 0.2, 0.25 x 0.6, 0.25 x 0.2 of 0.3; 0.2 x 0.2, 0.2 x 0.6, 0.6 x 0.2 of 0.28.
    expected = torch.tensor([[1 / 3, 1 / 2, 1 / 6], [1 / 7, 3 / 7, 3 / 7]])
    torch.testing.assert_close(found, expected)
    confidence = PREDICTIONS[:, 1].double().numpy()
    assert found[:, 1].tolist() == pytest.approx(trust(confidence, 0.4, 3).tolist())


def test_where_no_label_is_wrong_each_is_the_target() -> None:
    labels = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(posterior(labels, PREDICTIONS, 0.0), labels)


def taught(runner: BaseRunner, row: int, prediction: list[float]) -> None:
    runner.memories["predictions"].values[row] = torch.tensor(prediction)


def test_targets_are_corrected_before_they_are_mixed(make_runner: Callable, tiny_network: str) -> None:
    runner = make_runner(label_posterior=True, mixup=True, model=tiny_network, label_posterior_temperature=1.0)
    batch = next(iter(runner.dataset.train.batches(2)))
    for row in batch.rows.tolist():
        taught(runner, row, [0.2, 0.1, 0.1, 0.1])  # remembered with less than the whole weight, as in the beginning
    runner.noise_rate = 0.3
    _, seen = runner.forward(runner.correct_targets(batch))
    prediction = torch.tensor([[0.4, 0.2, 0.2, 0.2]] * 2)
    runner._start_epoch(0)  # the same draw again
    weight, partners = runner._draw(batch)
    torch.testing.assert_close(seen.targets, mix(posterior(batch.targets, prediction, 0.3), partners, weight))


def test_the_label_is_the_target_until_the_share_of_epochs_is_over(make_runner: Callable, tiny_network: str) -> None:
    runner = make_runner(label_posterior=True, model=tiny_network, epoch=10, label_posterior_start=0.25)
    runner.memories["predictions"].values += 0.25
    for epoch in range(10):
        runner._start_epoch(epoch)
        assert (runner.noise_rate is None) == (epoch < 3)


def test_a_label_that_the_network_excludes_leaves_a_true_class(make_runner: Callable, tiny_network: str) -> None:
    certain = {"label_posterior_start": 0.0, "label_posterior_temperature": 0.01}
    runner = make_runner(label_posterior=True, model=tiny_network, **certain)
    runner.valid_logits = 50 * torch.eye(4)[runner.dataset.valid.labels]  # sure of every label: no noise at all
    runner._start_epoch(1)
    assert 0 < runner.noise_rate < 1e-5
    batch = next(iter(runner.dataset.train.batches(2)))
    for row, target in zip(batch.rows.tolist(), batch.targets, strict=True):
        taught(runner, row, (0.9999 * target.roll(1) + 2.5e-5).tolist())
    _, seen = runner.forward(runner.correct_targets(batch))
    torch.testing.assert_close(seen.targets.sum(dim=1), torch.ones(2))


@pytest.mark.parametrize(("rate", "least", "most"), [(0.3, 0.15, 0.45), (0.0, 0.0, 0.08)])
def test_the_noise_rate_is_found_while_it_is_learnt(
    make_runner: Callable, settings: Callable, tiny_network: str, rate: float, least: float, most: float
) -> None:
    noise = {"noise_type": "symmetric", "noise_rate": rate, "noise_seed": 5} if rate > 0 else {}
    noise["valid_rate"] = 0.4  # 48 labels to find the rate by
    data: Dataset = base_dataset.load(settings(**noise), torch.device("cpu"))
    usual = {"model": tiny_network, "epoch": 20, "batch_size": 16, "seed": 1, "augment": "none"}
    runner = make_runner(data, label_posterior=True, **usual)
    runner.fit()
    assert least <= runner.estimated_noise() <= most


def test_the_average_of_one_prediction_is_that_prediction(make_runner: Callable, tiny_network: str) -> None:
    usual = {"label_posterior_temperature": 1.0, "label_posterior_momentum": 0.8}
    runner = make_runner(label_posterior=True, model=tiny_network, **usual)
    batch = next(iter(runner.dataset.train.batches(3)))
    logits = torch.tensor([[math.log(2), 0, 0, 0]] * 3)
    runner.observe(logits, batch)
    expected = torch.tensor([[0.4, 0.2, 0.2, 0.2]] * 3)
    torch.testing.assert_close(runner._predictions(batch.rows), expected)
    runner.observe(torch.zeros(3, 4), batch)
    # 0.8 x 0.2 of the first prediction and 0.2 of the second: 4/9 and 5/9 of the whole.
    torch.testing.assert_close(runner._predictions(batch.rows), (4 * expected + 5 * 0.25) / 9)
