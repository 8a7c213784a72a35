"""How far a label is trusted, and what stands for the rest of it, worked out by hand."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from project.work.dataset import base_dataset
from project.work.dataset.base_dataset import Dataset
from project.work.runner.base_runner import BaseRunner
from project.work.runner.loss_mixture_runner import corrected, label_losses, sharpened, trust
from project.work.runner.mixup_runner import mix

BELIEFS = torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]])


def test_the_loss_of_a_label_is_minus_the_logarithm_of_its_probability() -> None:
    expected = [math.log(4), -math.log(0.6)]
    assert label_losses(BELIEFS, torch.tensor([1, 2])).tolist() == pytest.approx(expected)
    assert label_losses(torch.tensor([[1.0, 0.0]]), torch.tensor([1])).item() == pytest.approx(math.log(1e6))


def test_trust_of_two_gaussians_that_mirror_each_other() -> None:
    # Both have deviation 0.5 about 1 and 5, and half the rows: log odds at x are ((x - 5)^2 - (x - 1)^2) / 2 / 0.25.
    losses = np.array([0.5, 1.5, 4.5, 5.5] * 10)
    found = trust(losses)
    assert found[:4] == pytest.approx([1, 1, 0, 0], abs=1e-6)
    more = trust(np.concatenate([losses, [3.0]]))
    assert more[-1] == pytest.approx(0.5, abs=0.02)  # between them, as by symmetry


def test_trust_by_hand_where_the_gaussians_overlap() -> None:
    # Rows of 0 and 2 are about equally likely to be either's; the fit has to find the laws that drew them.
    random = np.random.default_rng(0)
    losses = np.concatenate([random.normal(1, 0.5, 30_000), random.normal(3, 1.0, 10_000), [2.0]])
    # 0.75 N(1, 0.5) against 0.25 N(3, 1) at 2: densities 0.75 x 0.107982 and 0.25 x 0.241971.
    assert trust(losses)[-1] == pytest.approx(0.080987 / (0.080987 + 0.060493), abs=0.02)


def test_trust_never_rises_with_the_loss() -> None:
    random = np.random.default_rng(1)
    losses = np.sort(np.concatenate([random.normal(2, 0.3, 500), random.normal(4, 3.0, 500)]))
    found = trust(losses)
    assert (np.diff(found) <= 1e-9).all()
    assert found[0] > 0.7  # the wider Gaussian is the likelier here, but its mean is far


def test_labels_that_none_stands_out_of_are_all_trusted() -> None:
    assert trust(np.full(7, 1.5)).tolist() == [1] * 7


def test_the_order_of_rows_decides_nothing() -> None:
    random = np.random.default_rng(2)
    losses, order = random.gamma(2, 1, 300), random.permutation(300)
    np.testing.assert_allclose(trust(losses)[order], trust(losses[order]), atol=1e-6)


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
    assert trusted[~wrong].mean() > 0.8
    assert trusted[wrong].mean() < 0.2
    found = runner._beliefs(torch.from_numpy(rows)).argmax(dim=1).numpy()
    assert (found[wrong] == data.noise.true[rows][wrong]).mean() > 0.8


def test_the_memory_of_one_belief_is_that_belief(make_runner: Callable, tiny_network: str) -> None:
    runner = make_runner(loss_mixture=True, model=tiny_network)
    batch = next(iter(runner.dataset.train.batches(3)))
    logits = torch.tensor([[math.log(2), 0, 0, 0]] * 3)
    runner.observe(logits, batch)
    expected = torch.tensor([[0.4, 0.2, 0.2, 0.2]] * 3)
    torch.testing.assert_close(runner._beliefs(batch.rows), expected)
    runner.observe(torch.zeros(3, 4), batch)
    # 0.7 x 0.3 of the first belief and 0.3 of the second: 7/17 and 10/17 of the whole.
    torch.testing.assert_close(runner._beliefs(batch.rows), (0.7 * expected + 0.25) / 1.7)
