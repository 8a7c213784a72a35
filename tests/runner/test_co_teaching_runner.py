"""Co-teaching: how much is kept, which pictures each network gives to the other, and what is evaluated."""

import math
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from project.work.dataset.base_dataset import Dataset
from project.work.runner.co_teaching_runner import CoTeachingRunner, kept, kept_share, small_losses
from project.work.runner.gce_runner import generalised_cross_entropy

HALF = {"co_teaching": True, "co_teaching_rate": 0.5, "co_teaching_epochs": 1, "label_smoothing": 0.0}


@pytest.mark.parametrize(("epoch", "share"), [(0, 1.0), (1, 0.96), (5, 0.8), (10, 0.6), (49, 0.6)])
def test_the_share_kept_falls_to_what_the_rate_leaves(epoch: int, share: float) -> None:
    assert kept_share(0.4, epoch, 10) == pytest.approx(share)


def test_a_share_of_a_batch_is_whole_pictures_and_one_at_least() -> None:
    assert [kept(0.8, count) for count in (128, 31, 10, 1)] == [102, 25, 8, 1]
    assert kept(0.01, 16) == 1


def test_the_smallest_losses_by_hand() -> None:
    assert small_losses(torch.tensor([3.0, 1.0, 2.0, 0.5]), 2).tolist() == [1, 3]
    assert small_losses(torch.tensor([3.0, 1.0]), 2).tolist() == [0, 1]


@pytest.mark.parametrize("method", ["base", "gce"])
def test_each_network_learns_from_what_is_easy_for_the_other(
    make_runner: Callable, dataset: Dataset, tiny_network: str, method: str
) -> None:
    runner: CoTeachingRunner = make_runner(**HALF, model=tiny_network, gce=method == "gce")
    runner._start_epoch(1)
    batch = next(dataset.train.batches(12))
    losses, logits, seen = runner.losses(batch)
    both = [network(batch.images) for network in (runner.model, runner.peer)]
    labels = dataset.train.records.labels[batch.rows]
    easy = [functional.cross_entropy(each, labels, reduction="none").argsort()[:6] for each in both]
    assert set(easy[0].tolist()) != set(easy[1].tolist())  # two networks, two opinions
    for loss, own, chosen in zip(losses, both, reversed(easy), strict=True):
        expected = functional.cross_entropy(own[chosen], labels[chosen])
        if method == "gce":
            expected = generalised_cross_entropy(own[chosen], batch.targets[chosen], 0.7)
        assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert torch.allclose(logits, both[0])
    assert len(seen) == 12


def test_pictures_left_out_give_no_gradient(make_runner: Callable, dataset: Dataset, tiny_network: str) -> None:
    runner: CoTeachingRunner = make_runner(**HALF, model=tiny_network)
    runner._start_epoch(1)
    batch = next(dataset.train.batches(12))
    batch.images.requires_grad_()
    (loss, _), _, _ = runner.losses(batch)
    loss.backward()
    moved = batch.images.grad.flatten(1).abs().sum(dim=1) > 0
    assert moved.tolist() == [row in _easy(runner, batch) for row in range(12)]


def _easy(runner: CoTeachingRunner, batch) -> list[int]:
    losses = functional.cross_entropy(runner.peer(batch.images), batch.targets, reduction="none")
    return losses.argsort()[:6].tolist()


@pytest.mark.slow
def test_forgetting_nothing_the_evaluated_network_is_that_of_plain_training(make_runner: Callable) -> None:
    plain, taught = make_runner(ema=0.5), make_runner(ema=0.5, co_teaching=True, co_teaching_rate=0.0)
    plain.fit()
    taught.fit()
    for one, other in zip(plain.history.rows, taught.history.rows, strict=True):
        assert (one.train_loss, one.train_accuracy, one.valid_loss) == (
            other.train_loss,
            other.train_accuracy,
            other.valid_loss,
        )
    assert plain.selected.keys() == taught.selected.keys()  # one plain network, for whoever serves it


def test_what_is_left_out_is_what_validation_takes_for_wrong(make_runner: Callable) -> None:
    runner = make_runner(co_teaching=True, co_teaching_epochs=1, epoch=2)
    assert runner.share == 1.0
    labels = runner.dataset.valid.labels.clone()
    labels[:3] = (labels[:3] + 1) % 4  # of 12
    runner.valid_logits = 20 * torch.eye(4)[labels]
    runner._start_epoch(1)
    assert runner.share == pytest.approx(0.75, abs=1e-3)


@pytest.mark.slow
def test_a_pair_forgets_more_from_epoch_to_epoch_and_learns(make_runner: Callable) -> None:
    runner = make_runner(co_teaching=True, co_teaching_rate=0.3, co_teaching_epochs=3, epoch=4, accumulation_steps=2)
    runner.fit()
    assert runner.share == pytest.approx(0.7)
    assert all(math.isfinite(row.valid_loss) for row in runner.history.rows)
    assert runner.history.rows[-1].valid_accuracy > 0.5
