"""Rows that count more or less: the gradient is that of the weighted mean, whatever a method's loss is."""

import dataclasses

import pytest
import torch
from torch.nn import functional

from project.work.dataset.base_dataset import Batch
from project.work.runner.base_runner import weighed
from project.work.runner.gce_runner import generalised_cross_entropy
from project.work.runner.mixup_runner import mix_targets


def gradient(loss, weights):
    logits = torch.tensor([[1.0, -2.0, 0.5], [0.3, 0.2, -1.0]], requires_grad=True)
    loss(weighed(logits, weights)).backward()
    return logits.grad


@pytest.mark.parametrize("kind", ["cross entropy", "smoothed", "gce"])
def test_the_gradient_is_that_of_the_weighted_mean(kind: str) -> None:
    targets, weights = torch.eye(3)[[0, 2]], torch.tensor([1.5, 0.25])

    def rows(logits):
        if kind == "gce":
            return torch.stack(
                [generalised_cross_entropy(logits[at : at + 1], targets[at : at + 1], 0.7) for at in (0, 1)]
            )
        smoothing = 0.1 if kind == "smoothed" else 0.0
        return functional.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="none")

    by_weights = gradient(lambda logits: rows(logits).mean(), weights)
    by_hand = gradient(lambda logits: (weights * rows(logits)).mean(), None)
    torch.testing.assert_close(by_weights, by_hand)


def test_the_logits_stay_what_they_are() -> None:
    logits = torch.tensor([[1.0, 3.0]])
    assert weighed(logits, None) is logits
    assert weighed(logits, torch.tensor([0.1])).tolist() == [[1.0, 3.0]]


def test_a_mixed_pair_costs_what_its_rows_would_cost_alone() -> None:
    targets, weights = torch.eye(3)[[0, 2]], torch.tensor([1.5, 0.5])
    batch = Batch(torch.zeros(2, 1, 1, 1), targets, torch.arange(2), None, weights)
    mixed = mix_targets(batch, torch.tensor([1, 0]), 0.8)
    assert mixed.weights.tolist() == pytest.approx([0.8 * 1.5 + 0.2 * 0.5, 0.8 * 0.5 + 0.2 * 1.5])
    torch.testing.assert_close(
        mixed.weights[:, None] * mixed.targets,
        0.8 * weights[:, None] * targets + 0.2 * (weights[:, None] * targets)[[1, 0]],
    )
    nothing = mix_targets(dataclasses.replace(batch, weights=torch.zeros(2)), torch.tensor([1, 0]), 0.8)
    assert torch.isfinite(nothing.targets).all()


@pytest.mark.parametrize("method", [{}, {"mixup": True}, {"elr": True}, {"sce": True}])
def test_a_row_of_no_weight_teaches_nothing(make_runner, dataset, tiny_network, method: dict) -> None:
    """Its label may be anything: the network comes out the same to the last bit."""
    weights = torch.ones(120)
    rows = dataset.train.rows[::3]
    weights[rows] = 0

    def learnt(labels):
        records = dataclasses.replace(dataset.train.records, labels=labels, weights=weights)
        changed = dataclasses.replace(dataset, train=dataclasses.replace(dataset.train, records=records))
        runner = make_runner(changed, model=tiny_network, augment="none", **method)
        runner.fit()
        return torch.cat([value.flatten() for value in runner.network.state_dict().values()])

    labels = dataset.train.records.labels
    other = labels.clone()
    other[rows] = (other[rows] + 1) % 4
    assert torch.equal(learnt(labels), learnt(other))
