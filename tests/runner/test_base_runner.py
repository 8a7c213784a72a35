"""Training does what its settings say: steps, accumulation, averaging, seeds, and batches of every size."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from project.work import model
from project.work.common import UserError
from project.work.dataset.base_dataset import Dataset
from project.work.runner.base_runner import BaseRunner

NUMBERS = ("learning_rate", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy")


def numbers(runner: BaseRunner) -> list[tuple[float, ...]]:
    """What an epoch came to, without how long it took."""
    return [tuple(getattr(row, name) for name in NUMBERS) for row in runner.history.rows]


def weights(runner: BaseRunner) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in runner.model.parameters()]).clone()


def shorter(dataset: Dataset, count: int) -> Dataset:
    return dataclasses.replace(dataset, train=dataset.train.subset(np.arange(count)))


@pytest.fixture
def steps() -> list[torch.optim.Optimizer]:
    """Every optimizer step that is made, as it is made."""
    made: list[torch.optim.Optimizer] = []
    handle = register_optimizer_step_post_hook(lambda optimizer, *_: made.append(optimizer))
    yield made
    handle.remove()


@pytest.mark.slow
@pytest.mark.parametrize("augment", ["none", "affine"])
def test_training_learns(make_runner: Callable, augment: str) -> None:
    runner = make_runner(epoch=12, augment=augment, learning_rate=0.05)
    runner.fit()
    assert runner.history.rows[-1].train_loss < runner.history.rows[0].train_loss
    assert runner.history.selected.valid_accuracy >= 0.75  # chance is 0.25


@pytest.mark.parametrize(("batch_size", "accumulation", "expected"), [(32, 1, 4), (108, 1, 1), (8, 3, 5), (8, 99, 1)])
def test_an_epoch_makes_one_step_a_group_and_drops_no_leftover(
    make_runner: Callable, tiny_network: str, steps: list, batch_size: int, accumulation: int, expected: int
) -> None:
    make_runner(
        model=tiny_network, optimizer="sgd", batch_size=batch_size, accumulation_steps=accumulation, epoch=2
    ).fit()
    assert len(steps) == 2 * expected


def test_accumulated_batches_equal_one_larger_batch(make_runner: Callable, tiny_network: str) -> None:
    usual = {"model": tiny_network, "optimizer": "sgd", "augment": "none", "epoch": 2, "learning_rate": 0.05}
    small = make_runner(batch_size=8, accumulation_steps=3, **usual)  # 8+8+8 four times, then 8+4
    large = make_runner(batch_size=24, **usual)  # 24 four times, then 12
    start = weights(small)
    small.fit()
    large.fit()
    assert float((weights(large) - start).abs().max()) > 0.01
    assert torch.allclose(weights(small), weights(large), atol=1e-5)
    assert np.allclose(numbers(small), numbers(large), atol=1e-5)


def test_the_learning_rate_follows_the_schedule_step_by_step(
    make_runner: Callable, tiny_network: str, steps: list
) -> None:
    rates = []
    handle = register_optimizer_step_post_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))
    usual = {"model": tiny_network, "optimizer": "sgd", "learning_rate": 0.05, "schedule": "multistep"}
    make_runner(epoch=5, batch_size=54, **usual).fit()
    handle.remove()
    assert rates == pytest.approx([0.05] * 8 + [0.005, 0.0005])


def test_a_step_is_plain_sgd_with_nesterov_momentum_and_weight_decay(make_runner: Callable, tiny_network: str) -> None:
    runner = make_runner(
        model=tiny_network, optimizer="sgd", augment="none", schedule="multistep", label_smoothing=0.0,
        batch_size=108, epoch=1, learning_rate=0.1, weight_decay=0.01,
    )  # fmt: skip
    start = weights(runner)
    whole = next(runner.dataset.train.batches(108))
    loss = torch.nn.functional.cross_entropy(runner.model(whole.images), runner.dataset.train.labels)
    gradient = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(runner.model.parameters()))])
    loss = loss.detach()
    decayed = gradient + 0.01 * start
    runner.fit()
    assert torch.allclose(weights(runner), start - 0.1 * 1.9 * decayed, atol=1e-6)  # Nesterov's first step: 1 + 0.9
    assert runner.history.rows[0].train_loss == pytest.approx(float(loss), rel=1e-5)


def test_the_average_of_weights_decays_as_it_says_and_is_what_is_evaluated(
    make_runner: Callable, tiny_network: str
) -> None:
    runner = make_runner(model=tiny_network, optimizer="sgd", ema=0.75, batch_size=54, epoch=2)
    seen = []
    handle = register_optimizer_step_post_hook(lambda *_: seen.append(weights(runner)))
    runner.fit()
    handle.remove()
    expected = seen[0]
    for later in seen[1:]:
        expected = 0.75 * expected + 0.25 * later
    average = torch.cat([parameter.flatten() for parameter in runner.network.parameters()])
    assert len(seen) == 4
    assert torch.allclose(average, expected, atol=1e-6)
    assert not torch.allclose(average, weights(runner), atol=1e-6)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(make_runner: Callable) -> None:
    def fit(seed: int) -> list[tuple[float, ...]]:
        runner = make_runner(seed=seed, mixup=True)
        runner.fit()
        return numbers(runner)

    first = fit(1)
    torch.rand(3)  # what others draw in between changes nothing
    assert fit(1) == first
    assert fit(2) != first


@pytest.mark.slow
@pytest.mark.parametrize("method", ["mixup", "manifold_mixup"])
def test_training_leaves_everybodys_random_state_as_it_was(make_runner: Callable, method: str) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    make_runner(**{method: True}, ema=0.5).fit()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(model.MODELS))
@pytest.mark.parametrize("count", [9, 3])
def test_a_last_picture_alone_and_a_set_smaller_than_a_batch_are_learnt(
    make_runner: Callable, dataset: Dataset, name: str, count: int
) -> None:
    runner = make_runner(shorter(dataset, count), model=name, batch_size=4, epoch=1)
    runner.fit()
    assert np.isfinite(numbers(runner)).all()


def test_a_loss_that_is_not_finite_stops_the_run_with_advice(make_runner: Callable, tiny_network: str) -> None:
    with pytest.raises(UserError, match=r"the loss became (nan|inf) in epoch \d+; try a --learning-rate below 1e\+20"):
        make_runner(model=tiny_network, optimizer="sgd", learning_rate=1e20, epoch=5).fit()
