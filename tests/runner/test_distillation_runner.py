"""The soft loss by hand, how it adds to the hard one, and how distillation combines with mixup."""

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch

from project.work.dataset.base_dataset import Batch, Dataset
from project.work.runner.base_runner import BaseRunner
from project.work.runner.distillation_runner import DistillationRunner, soft_loss
from project.work.runner.mixup_runner import ManifoldMixupRunner, MixupRunner
from project.work.runner.table import method_name, runner_class

LN2, LN3 = math.log(2), math.log(3)


@pytest.mark.parametrize(
    ("logits", "teacher", "temperature", "expected"),
    [
        ([0.0, 0.0], [0.75, 0.25], 1.0, 0.75 * math.log(1.5) + 0.25 * math.log(0.5)),
        ([2 * LN3, 0.0], [0.5, 0.5], 2.0, 4 * (0.5 * math.log(2 / 3) + 0.5 * LN2)),  # belief at T=2: 3/4, 1/4
        ([5.0, 5.0, 5.0], [0.5, 0.25, 0.25], 1.0, LN3 - 1.5 * LN2),
        ([0.0, 0.0, 0.0], [1.0, 0.0, 0.0], 2.0, 4 * LN3),
    ],
)
def test_soft_loss_is_t_squared_times_the_divergence(
    logits: list[float], teacher: list[float], temperature: float, expected: float
) -> None:
    assert float(soft_loss(torch.tensor([logits]), torch.tensor([teacher]), temperature)) == pytest.approx(expected)


def test_soft_loss_is_the_mean_over_the_batch() -> None:
    logits, teacher = torch.zeros(2, 2), torch.tensor([[0.75, 0.25], [0.5, 0.5]])
    alone = float(soft_loss(logits[:1], teacher[:1], 1.0))
    assert float(soft_loss(logits, teacher, 1.0)) == pytest.approx(alone / 2)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 10.0])
def test_soft_loss_and_its_gradient_vanish_where_student_equals_teacher(temperature: float) -> None:
    logits = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]], requires_grad=True)
    loss = soft_loss(logits, torch.softmax(logits.detach() / temperature, dim=1), temperature)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-5)
    assert float(logits.grad.abs().max()) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(("weight", "temperature"), [(0.0, 1.0), (1.0, 1.0), (3.0, 2.0)])
def test_hard_and_soft_loss_stand_as_one_to_the_weight(
    make_runner: Callable, tiny_network: str, weight: float, temperature: float
) -> None:
    runner = make_runner(
        distillation=True,
        soft_loss_weight=weight,
        softmax_temperature=temperature,
        label_smoothing=0.0,
        model=tiny_network,
    )
    logits, soft = torch.tensor([[2 * LN3, 0.0]]), torch.tensor([[0.5, 0.5]])
    batch = Batch(torch.zeros(1, 1, 1, 1), torch.tensor([[0.0, 1.0]]), torch.tensor([0]), soft)
    hard = math.log(10)  # belief at T=1: 9/10, 1/10
    soft_at = {1.0: -LN2 - 0.5 * math.log(0.09), 2.0: 4 * (-LN2 - 0.5 * math.log(3 / 16))}
    assert float(runner.mean_loss(logits, batch)) == pytest.approx(hard + weight * soft_at[temperature], rel=1e-5)


def test_each_method_has_its_runner_and_mixing_combines_with_distillation(settings: Callable) -> None:
    assert runner_class(settings()) is BaseRunner
    assert runner_class(settings(mixup=True)) is MixupRunner
    assert runner_class(settings(manifold_mixup=True)) is ManifoldMixupRunner
    assert runner_class(settings(distillation=True)) is DistillationRunner
    both = runner_class(settings(mixup=True, distillation=True))
    assert (both.forward, both.loss) == (MixupRunner.forward, DistillationRunner.loss)
    assert method_name(settings(manifold_mixup=True, distillation=True)) == "manifold-mixup-distillation"


@pytest.mark.parametrize("method", ["mixup", "manifold_mixup"])
def test_both_together_mix_soft_targets_as_they_mix_labels(
    make_runner: Callable, dataset: Dataset, tiny_network: str, method: str
) -> None:
    runner = make_runner(**{method: True}, distillation=True, model=tiny_network)
    batch = next(dataset.train.batches(12))
    _, seen = runner.forward(dataclasses.replace(batch, soft_targets=batch.targets.flip(1)))
    assert not torch.equal(seen.targets, batch.targets)
    assert torch.equal(seen.soft_targets, seen.targets.flip(1))
