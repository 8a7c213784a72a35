"""Accuracy, top-5, macro F1 and loss, worked out by hand."""

import math

import pytest
import torch
from sklearn.metrics import f1_score

from project.work.runner.history import f1, measure


def certain(predictions: list[int], classes: int) -> torch.Tensor:
    """Logits of 1 for what is predicted and 0 for all else."""
    return torch.nn.functional.one_hot(torch.tensor(predictions), classes).float()


def test_accuracy_is_the_share_of_rows_whose_highest_logit_is_their_label() -> None:
    assert measure(certain([0, 1, 2, 2], 3), torch.tensor([0, 1, 2, 0]))["top1"] == 0.75


def test_loss_is_the_mean_cross_entropy() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])
    expected = (-math.log(0.75) - math.log(0.5)) / 2
    assert measure(logits, torch.tensor([1, 0]))["loss"] == pytest.approx(expected)


def test_macro_f1_is_the_mean_over_classes_whatever_their_size() -> None:
    labels, predictions = [0, 0, 0, 0, 1, 1, 2], [0, 0, 0, 1, 1, 0, 2]
    # class 0: precision 3/4, recall 3/4; class 1: precision 1/2, recall 1/2; class 2: both 1
    assert measure(certain(predictions, 3), torch.tensor(labels))["macro_f1"] == pytest.approx((0.75 + 0.5 + 1) / 3)


def test_a_class_that_is_never_predicted_counts_as_zero_and_one_that_never_occurs_not_at_all() -> None:
    # class 0: precision 1/2, recall 1, F1 2/3; class 1: 0; classes 2 and 3 do not occur
    assert measure(certain([0, 0], 4), torch.tensor([0, 1]))["macro_f1"] == pytest.approx(1 / 3)


def test_top5_counts_labels_among_the_five_highest_logits() -> None:
    logits = torch.arange(7.0).expand(7, 7)  # the five highest are always classes 2 to 6
    assert measure(logits, torch.arange(7))["top5"] == pytest.approx(5 / 7)


def test_map3_is_one_over_the_rank_of_the_label_among_three_guesses() -> None:
    logits = torch.arange(5.0).expand(5, 5)  # guessed in the order 4, 3, 2, 1, 0
    assert measure(logits, torch.arange(5))["map3"] == pytest.approx((0 + 0 + 1 / 3 + 1 / 2 + 1) / 5)
    assert measure(certain([0, 1], 2), torch.tensor([1, 1]))["map3"] == pytest.approx((1 / 2 + 1) / 2)


def test_top5_of_fewer_than_five_classes_is_one() -> None:
    assert measure(certain([0, 1], 3), torch.tensor([1, 2]))["top5"] == 1.0


@pytest.mark.parametrize("classes", [2, 5, 340])
def test_macro_f1_is_that_of_scikit_learn(classes: int) -> None:
    random = torch.Generator().manual_seed(classes)
    for rows in (1, 7, 500):
        labels, predictions = (torch.randint(classes, (rows,), generator=random) for _ in range(2))
        expected = f1_score(labels, predictions, average="macro", labels=torch.unique(labels), zero_division=0)
        assert f1(predictions, labels) == pytest.approx(expected, abs=1e-12)
