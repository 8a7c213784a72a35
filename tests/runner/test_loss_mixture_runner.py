"""How far a label is trusted, and what stands for the rest of it, worked out by hand."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from project.work.dataset import base_dataset
from project.work.dataset.base_dataset import Dataset
from project.work.runner.base_runner import BaseRunner
from project.work.runner.loss_mixture_runner import NARROWEST, chance_losses, corrected, label_losses, sharpened, trust
from project.work.runner.mixup_runner import mix

BELIEFS = torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]])


def test_the_loss_of_a_label_is_minus_the_logarithm_of_its_probability() -> None:
    expected = [math.log(4), -math.log(0.6)]
    assert label_losses(BELIEFS, torch.tensor([1, 2])).tolist() == pytest.approx(expected)
    assert label_losses(torch.tensor([[1.0, 0.0]]), torch.tensor([1])).item() == pytest.approx(math.log(1e6))


def test_the_losses_of_chance_are_those_of_all_other_labels() -> None:
    # log 2 and log 4 of the first row, log 5 twice of the second: mean 1.324578, mean of squares 1.895711.
    mean, variance = chance_losses(BELIEFS, torch.tensor([1, 2]))
    assert mean == pytest.approx((math.log(2) + math.log(4) + 2 * math.log(5)) / 4)
    assert variance == pytest.approx(1.895711 - 1.324578**2 + NARROWEST, abs=1e-5)


def test_trust_of_two_gaussians_that_mirror_each_other() -> None:
    # Both have deviation 0.5, about 1 and 5, and half the rows: log odds at x are ((x - 5)^2 - (x - 1)^2) / 2 / 0.25.
    found = trust(np.array([0.5, 1.5, 4.5, 5.5] * 1000 + [3.0]), (5.0, 0.25))
    assert found[:4] == pytest.approx([1, 1, 0, 0], abs=1e-6)
    assert found[-1] == pytest.approx(0.5, abs=0.05)  # it moves the fit a little itself


def test_trust_by_hand_where_the_gaussians_overlap() -> None:
    random = np.random.default_rng(0)
    losses = np.concatenate([random.normal(1, 0.5, 30_000), random.normal(3, 1.0, 10_000), [2.0]])
    # 0.75 N(1, 0.5) against 0.25 N(3, 1) at 2: densities 0.75 x 0.107982 and 0.25 x 0.241971.
    assert trust(losses, (3.0, 1.0))[-1] == pytest.approx(0.080987 / (0.080987 + 0.060493), abs=0.02)


def test_clean_labels_keep_their_trust_however_hard_some_are() -> None:
    losses = np.random.default_rng(3).normal(3, 1.2, 5000)
    found = trust(losses, (5.2, 0.5))
    assert found.mean() > 0.95
    assert found[losses > 4.5].mean() > 0.75


def test_trust_never_rises_with_the_loss() -> None:
    random = np.random.default_rng(1)
    losses = np.sort(np.concatenate([random.normal(2, 0.3, 500), random.normal(4, 3.0, 500)]))
    found = trust(losses, (4.0, 9.0))
    assert (np.diff(found) <= 1e-9).all()
    assert found[0] > 0.7  # the wider Gaussian is the likelier here, but its mean is far


def test_labels_that_are_believed_no_more_than_others_are_all_trusted() -> None:
    assert trust(np.full(7, 1.5), (1.5, 0.2)).tolist() == [1] * 7


def test_a_belief_is_sharpened_by_a_temperature_below_one() -> None:
    # Squares 4, 1, 1 of 6 and 1, 1, 9 of 11.
    expected = torch.tensor([[4 / 6, 1 / 6, 1 / 6], [1 / 11, 1 / 11, 9 / 11]])
    torch.testing.assert_close(sharpened(BELIEFS, 0.5), expected)
    torch.testing.assert_close(sharpened(BELIEFS, 1.0), BELIEFS)


def test_a_target_is_label_and_belief_in_the_measure_of_trust() -> None:
    labels = torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    found = corrected(labels, BELIEFS, torch.tensor([1.0, 0.25]))
    torch.testing.assert_close(found, torch.tensor([[0.0, 1.0, 0.0], [0.15, 0.4, 0.45]]))


def taught(runner: BaseRunner, row: int, beliefs: list[float]) -> None:
    runner.memories["mixture"].values[row] = torch.tensor(beliefs)


def test_targets_are_corrected_before_they_are_mixed(make_runner: Callable, tiny_network: str) -> None:
    runner = make_runner(loss_mixture=True, mixup=True, model=tiny_network, loss_mixture_temperature=1.0)
    batch = next(iter(runner.dataset.train.batches(2)))
    for row in batch.rows.tolist():
        taught(runner, row, [0.2, 0.1, 0.1, 0.1])  # remembered with less than the whole weight, as in the beginning
    runner.trusted = torch.full((len(runner.dataset.train_keys),), 0.5)
    _, seen = runner.forward(batch)
    belief = torch.tensor([0.4, 0.2, 0.2, 0.2])
    runner._start_epoch(0)  # the same draw again
    weight, partners = runner._draw(batch)
    torch.testing.assert_close(seen.targets, mix(0.5 * batch.targets + 0.5 * belief, partners, weight))


def test_every_label_is_trusted_until_the_share_of_epochs_is_over(make_runner: Callable, tiny_network: str) -> None:
    runner = make_runner(loss_mixture=True, model=tiny_network, epoch=10, loss_mixture_start=0.25)
    runner.memories["mixture"].values += 0.25
    for epoch in range(10):
        runner._start_epoch(epoch)
        assert (runner.trusted is None) == (epoch < 3)
    never_seen = runner.dataset.valid.rows
    assert (runner.trusted[never_seen] == 1).all()


def test_wrong_labels_lose_trust_and_the_belief_finds_the_right_ones(
    make_runner: Callable, settings: Callable, tiny_network: str
) -> None:
    noise = {"noise_type": "symmetric", "noise_rate": 0.3, "noise_seed": 5}
    data: Dataset = base_dataset.load(settings(**noise), torch.device("cpu"))
    runner = make_runner(data, loss_mixture=True, model=tiny_network, epoch=20, batch_size=16, seed=1, augment="none")
    runner.fit()
    rows = data.train.rows.numpy()
    wrong = data.noise.true[rows] != data.noise.noisy[rows]
    trusted = runner._trust()[rows].numpy()
    assert trusted[~wrong].mean() > 0.95
    assert trusted[wrong].mean() < 0.5
    found = runner._beliefs(torch.from_numpy(rows)).argmax(dim=1).numpy()
    assert (found[wrong] == data.noise.true[rows][wrong]).mean() > 0.45  # 1 in 3 by chance


def test_the_memory_of_one_belief_is_that_belief(make_runner: Callable, tiny_network: str) -> None:
    runner = make_runner(loss_mixture=True, model=tiny_network)
    batch = next(iter(runner.dataset.train.batches(3)))
    logits = torch.tensor([[math.log(2), 0, 0, 0]] * 3)
    runner.observe(logits, batch)
    expected = torch.tensor([[0.4, 0.2, 0.2, 0.2]] * 3)
    torch.testing.assert_close(runner._beliefs(batch.rows), expected)
    runner.observe(torch.zeros(3, 4), batch)
    # 0.8 x 0.2 of the first belief and 0.2 of the second: 4/9 and 5/9 of the whole.
    torch.testing.assert_close(runner._beliefs(batch.rows), (4 * expected + 5 * 0.25) / 9)
