"""SAM: the ascent by hand, the step it makes, and that a second pass is a repetition and nothing else."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from tqdm import tqdm

from project.work.runner import sam
from project.work.runner.base_runner import BaseRunner
from project.work.runner.mixup_runner import MixupRunner


def test_the_ascent_has_the_length_of_the_radius_by_hand() -> None:
    ways = sam.ascent([torch.tensor([3.0]), torch.tensor([[4.0]])], 0.5)
    assert [way.flatten().tolist() for way in ways] == [pytest.approx([0.3]), pytest.approx([0.4])]


def test_a_loss_scale_changes_nothing_and_no_gradient_goes_nowhere() -> None:
    gradients = [torch.tensor([1.0, -2.0]), torch.tensor([2.0])]
    scaled = sam.ascent([65536 * each for each in gradients], 0.1)
    for way, other in zip(sam.ascent(gradients, 0.1), scaled, strict=True):
        torch.testing.assert_close(way, other)
    assert sam.ascent([torch.zeros(2)], 0.1)[0].tolist() == [0.0, 0.0]


def quadratic() -> nn.Linear:
    """w = (1, 2); with the loss (3 w1^2 + w2^2) / 2 the gradient is (3, 2)."""
    network = nn.Linear(2, 1, bias=False)
    network.weight.data = torch.tensor([[1.0, 2.0]])
    return network


def slope(network: nn.Linear) -> None:
    (network.weight**2 @ torch.tensor([1.5, 0.5])).sum().backward()


def test_the_gradient_of_the_climb_by_hand_and_the_way_back() -> None:
    network = quadratic()
    slope(network)
    with sam.ascended([network], 13**0.5 / 10):  # |(3, 2)| is the root of 13: up to (1.3, 2.2)
        assert network.weight.tolist() == [pytest.approx([1.3, 2.2])]
        assert network.weight.grad is None
        slope(network)
    assert network.weight.tolist() == [[1.0, 2.0]]
    assert network.weight.grad.tolist() == [pytest.approx([3.9, 2.2])]


def test_an_overflow_before_the_climb_is_an_overflow_of_the_step_and_the_weights_come_back() -> None:
    network = quadratic()
    network.weight.grad = torch.tensor([[float("inf"), 1.0]])
    with sam.ascended([network], 0.05):
        slope(network)
    assert not network.weight.grad.isfinite().all()
    assert network.weight.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("steps", [1, 2])
def test_a_step_of_a_runner_is_a_step_by_the_gradient_up_there(
    make_runner: Callable, tiny_network: str, steps: int
) -> None:
    values = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "schedule": "cosine", "augment": "none"}
    runner = make_runner(
        sam=True, sam_radius=0.3, model=tiny_network, batch_size=108 // steps, accumulation_steps=steps, **values
    )
    weights = [each.detach().clone().requires_grad_() for each in runner.model.parameters()]
    runner._train(0, tqdm(disable=True))  # one step at the highest rate, 0.1
    whole = next(runner.dataset.train.batches(108))

    def gradient(place: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        names = dict(zip(dict(runner.model.named_parameters()), place, strict=True))
        logits = torch.func.functional_call(runner.model, names, whole.images)
        loss = nn.functional.cross_entropy(logits, whole.targets, label_smoothing=0.1)
        return torch.autograd.grad(loss, place)

    first = gradient(weights)
    norm = torch.cat([each.flatten() for each in first]).norm()
    above = [(weight + 0.3 * way / norm).detach().requires_grad_() for weight, way in zip(weights, first, strict=True)]
    for before, after, way in zip(weights, runner.model.parameters(), gradient(above), strict=True):
        torch.testing.assert_close(after.detach(), (before - 0.1 * way).detach(), rtol=1e-4, atol=1e-6)


def test_both_passes_mix_alike_and_the_next_batch_as_without_sam(
    make_runner: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws, draw = [], MixupRunner._draw

    def record(runner: MixupRunner, batch) -> tuple[float, torch.Tensor]:
        weight, partners = draw(runner, batch)
        draws.append((weight, partners.tolist(), batch.rows.tolist(), float(batch.images.sum())))
        return weight, partners

    monkeypatch.setattr(MixupRunner, "_draw", record)
    usual = {"mixup": True, "accumulation_steps": 2, "batch_size": 31, "epoch": 1}  # 31, 31; 31, 15
    make_runner(**usual).fit()
    plain = draws.copy()
    draws.clear()
    make_runner(**usual, sam=True).fit()
    first, second, third, fourth = plain
    assert draws == [first, second, first, second, third, fourth, third, fourth]


def test_both_passes_learn_the_same_targets(make_runner: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    loss = BaseRunner.loss

    def record(runner: BaseRunner, logits: torch.Tensor, batch) -> torch.Tensor:
        seen.append(batch.targets.clone())
        return loss(runner, logits, batch)

    monkeypatch.setattr(BaseRunner, "loss", record)
    make_runner(label_posterior=True, label_posterior_start=0.0, sam=True, epoch=2, batch_size=108).fit()
    first, again, second, second_again = seen
    assert torch.equal(first, again)
    assert torch.equal(second, second_again)
    assert second.max(dim=1).values.min() < 1  # corrected, by what was remembered before


def test_a_batch_counts_once_in_memories_and_in_batch_normalisation(make_runner: Callable) -> None:
    plain, twice = (make_runner(elr=True, epoch=1, learning_rate=1e-9, sam=on, optimizer="sgd") for on in (False, True))
    plain.fit()
    twice.fit()
    rows = twice.dataset.train.rows
    assert twice.memories["margins"].values[rows, 1].tolist() == [1.0] * 108
    for name in ("margins", "elr"):
        torch.testing.assert_close(twice.memories[name].values, plain.memories[name].values, rtol=1e-4, atol=1e-4)
    for one, other in zip(plain.model.buffers(), twice.model.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_each_of_two_networks_climbs_by_a_norm_of_its_own(make_runner: Callable) -> None:
    runner = make_runner(sam=True, co_teaching=True, ema=0.5)
    runner.fit()
    assert runner.history.rows[-1].train_loss < runner.history.rows[0].train_loss
