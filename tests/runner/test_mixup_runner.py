"""Mixup mixes pictures and targets with one weight; manifold mixup is the same further up the network."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from project.work import model
from project.work.dataset.base_dataset import Batch
from project.work.runner import mixup_runner
from project.work.runner.base_runner import BaseRunner
from project.work.runner.mixup_runner import MIX_AFTER, mix, mix_targets, mixed_forward

SWAP = torch.tensor([1, 0])


def batch_of(images: Tensor, labels: list[int], classes: int = 4) -> Batch:
    targets = torch.nn.functional.one_hot(torch.tensor(labels), classes).float()
    return Batch(images, targets, torch.arange(len(labels)))


def random_batch(count: int, channels: int = 1) -> Batch:
    images = torch.randn(count, channels, 16, 16, generator=torch.Generator().manual_seed(0))
    return batch_of(images, [row % 4 for row in range(count)])


def test_a_mix_is_weight_of_the_one_and_the_rest_of_the_other() -> None:
    values = torch.tensor([[0.0, 8.0], [4.0, 0.0]])
    assert mix(values, SWAP, 0.75).tolist() == [[1.0, 6.0], [3.0, 2.0]]


def test_hard_and_soft_targets_are_mixed_like_the_pictures_and_the_rows_stay() -> None:
    soft = torch.tensor([[0.5, 0.5], [0.1, 0.9]])
    batch = Batch(torch.zeros(2, 1, 1, 1), torch.eye(2), torch.tensor([7, 9]), soft)
    mixed = mix_targets(batch, SWAP, 0.25)
    assert mixed.targets.tolist() == [[0.25, 0.75], [0.75, 0.25]]
    assert mixed.soft_targets.flatten().tolist() == pytest.approx([0.2, 0.8, 0.4, 0.6])
    assert mixed.rows.tolist() == [7, 9]
    assert mix_targets(batch_of(batch.images, [0, 1]), SWAP, 0.25).soft_targets is None


def test_the_loss_of_a_mix_is_cross_entropy_with_the_mixed_targets(make_runner: Callable, tiny_network: str) -> None:
    runner = make_runner(mixup=True, model=tiny_network, label_smoothing=0.0)
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])  # beliefs 1/4, 3/4 and 1/2, 1/2
    batch = batch_of(torch.zeros(2, 1, 1, 1), [0, 1], classes=2)
    first, second = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75)), math.log(2)
    loss = float(runner.loss(logits, mix_targets(batch, SWAP, 0.25)))
    assert loss == pytest.approx((first + second) / 2)
    own, partners = float(runner.loss(logits, batch)), float(runner.loss(logits, mix_targets(batch, SWAP, 0.0)))
    assert loss == pytest.approx(0.25 * own + 0.75 * partners)


def test_mixup_shows_the_network_the_mixed_pictures(make_runner: Callable, tiny_network: str) -> None:
    runner: BaseRunner = make_runner(mixup=True, model=tiny_network)
    batch = random_batch(6)
    logits, seen = runner.forward(batch)
    runner._start_epoch(0)  # the same draw again
    weight, partners = runner._draw(batch)
    assert torch.equal(logits, runner.model(mix(batch.images, partners, weight)))
    assert torch.equal(seen.targets, mix(batch.targets, partners, weight))


@pytest.mark.parametrize(("alpha", "deviation"), [(0.2, 0.4226), (1.0, 0.2887), (8.0, 0.1213)])
def test_weights_follow_the_beta_law_of_mixup_alpha(
    make_runner: Callable, tiny_network: str, alpha: float, deviation: float
) -> None:
    runner = make_runner(mixup=True, mixup_alpha=alpha, model=tiny_network)
    batch = random_batch(2)
    weights = torch.tensor([runner._draw(batch)[0] for _ in range(4000)])
    assert float(weights.min()) >= 0.5  # a row keeps the larger share of its own picture
    spread = float(((weights - 0.5) ** 2).mean().sqrt())
    assert spread == pytest.approx(deviation, abs=0.02)  # 1 / (2 sqrt(2 alpha + 1))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("place", MIX_AFTER)
@pytest.mark.parametrize("name", sorted(model.MODELS))
def test_manifold_mixup_that_mixes_nothing_is_a_plain_forward(name: str, place: str, channels: int) -> None:
    network = model.make(name, 4, channels, seed=0).to(memory_format=torch.channels_last)
    images = random_batch(4, channels).images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(mixed_forward(network, images, torch.tensor([3, 2, 1, 0]), 1.0, place), network(images))


def test_mixing_at_the_input_is_mixup(
    make_runner: Callable, tiny_network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixup_runner, "MIX_AFTER", ("input",))
    batch = random_batch(8)
    logits, seen = make_runner(mixup=True, model=tiny_network).forward(batch)
    manifold_logits, manifold_seen = make_runner(manifold_mixup=True, model=tiny_network).forward(batch)
    assert torch.equal(logits, manifold_logits)
    assert torch.equal(seen.targets, manifold_seen.targets)


def test_mixing_after_a_stage_mixes_what_that_stage_gives(tiny_network: str) -> None:
    network = model.make(tiny_network, 4, 1, seed=0)
    images = random_batch(2).images
    features = network.layer1(network.stem(images))
    mixed = torch.stack([0.7 * features[0] + 0.3 * features[1], 0.7 * features[1] + 0.3 * features[0]])
    expected = network.head(network.layer2(mixed))
    assert torch.allclose(mixed_forward(network, images, SWAP, 0.7, "layer1"), expected)
    assert not torch.allclose(mixed_forward(network, images, SWAP, 0.7, "input"), expected)


def test_manifold_mixup_uses_every_place(
    make_runner: Callable, tiny_network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = []

    def record(*arguments: object) -> Tensor:
        places.append(arguments[4])
        return mixed_forward(*arguments)

    monkeypatch.setattr(mixup_runner, "mixed_forward", record)
    runner = make_runner(manifold_mixup=True, model=tiny_network)
    for _ in range(300):
        runner.forward(random_batch(2))
    assert all(places.count(place) > 70 for place in MIX_AFTER)
