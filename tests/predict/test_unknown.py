"""Scores and thresholds for pictures of no class, by numbers worked out by hand."""

import numpy as np
import pytest
import torch

from project.work.unknown import Unknown, auroc, curve, directions, scores


def test_the_area_under_the_curve_is_the_chance_that_a_known_picture_scores_higher() -> None:
    assert auroc(np.array([0.9, 0.8, 0.4]), np.array([0.1, 0.8])) == pytest.approx(4.5 / 6)  # a tie counts half
    assert auroc(np.array([1.0, 2.0]), np.array([0.0])) == 1
    assert auroc(np.array([0.0]), np.array([1.0, 2.0])) == 0


def test_a_curve_says_what_each_threshold_does() -> None:
    found = curve(np.array([0.2, 0.6, 0.9]), np.array([False, True, True]), np.array([0.1, 0.3]))
    assert found.accepted.tolist() == pytest.approx([1, 1, 2 / 3, 2 / 3, 1 / 3, 0])
    assert found.right.tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2 / 3, 1 / 3, 0])
    assert found.accuracy.tolist() == pytest.approx([2 / 3, 2 / 3, 1, 1, 1, 1])
    assert found.rejected.tolist() == [0, 0.5, 0.5, 1, 1, 1]
    assert found.best() == 3
    assert found.thresholds[3] == pytest.approx(0.45)


def test_scores_are_high_for_pictures_of_a_class() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    features = torch.tensor([[4.0, 0.0, 0.0], [0.0, 0.0, -9.0]])
    examples = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]]).half()
    assert scores("probability", logits, features).tolist() == pytest.approx([0.8808, 0.5], abs=1e-4)
    assert scores("energy", logits, features).tolist() == pytest.approx([2.1269, 0.6931], abs=1e-4)
    assert scores("similarity", logits, features, examples).tolist() == pytest.approx([1, 0], abs=1e-6)
    assert directions(torch.tensor([[4.0, -1.0]])).tolist()[0] == pytest.approx([2 / 5**0.5, -1 / 5**0.5])


def test_pictures_below_the_threshold_are_of_no_class() -> None:
    judge = Unknown("isnull", "probability", 0.7)
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    assert judge.outside(logits, torch.zeros(2, 3)).tolist() == [False, True]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "magic"}, "threshold or kind"),
        ({"threshold": float("nan")}, "threshold or kind"),
        ({"threshold": "high"}, "no threshold"),
        ({"kind": "similarity"}, "lacks the examples"),
        ({"examples": torch.zeros(2, 3)}, "lacks the examples"),
    ],
)
def test_what_no_file_of_ours_holds_is_refused(values: dict[str, object], said: str) -> None:
    facts = {"name": "isnull", "kind": "energy", "threshold": 1.0, "auroc": 0.9}
    assert Unknown.read(facts).threshold == 1
    with pytest.raises(ValueError, match=said):
        Unknown.read(facts | values)
