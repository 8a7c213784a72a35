"""The robust losses and the margins, worked out by hand."""

import math

import numpy as np
import pytest
import torch

from project.work.runner import history
from project.work.runner.elr_runner import regulariser, remembered
from project.work.runner.gce_runner import generalised_cross_entropy
from project.work.runner.sce_runner import reverse_cross_entropy

# Probabilities 1/2, 1/4, 1/4 and 1/8, 1/8, 3/4.
LOGITS = torch.tensor([[math.log(2), 0.0, 0.0], [0.0, 0.0, math.log(6)]])
TARGETS = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])


def test_gce_by_hand():
    # q = 0.5: (1 - sqrt(1/2)) / 0.5 = 0.585786 and (1 - sqrt(1/8)) / 0.5 = 1.292893; the mean is 0.939340.
    assert generalised_cross_entropy(LOGITS, TARGETS, 0.5).item() == pytest.approx(0.939340, abs=1e-6)


def test_gce_runs_from_cross_entropy_to_absolute_error():
    cross_entropy = torch.nn.functional.cross_entropy(LOGITS, TARGETS).item()
    assert generalised_cross_entropy(LOGITS, TARGETS, 1e-4).item() == pytest.approx(cross_entropy, abs=1e-3)
    assert generalised_cross_entropy(LOGITS, TARGETS, 1.0).item() == pytest.approx((1 / 2 + 7 / 8) / 2)


def test_gce_of_a_mixed_target_is_the_mix():
    mixed = 0.3 * TARGETS + 0.7 * TARGETS.flip(1)
    parts = [generalised_cross_entropy(LOGITS, targets, 0.7) for targets in (TARGETS, TARGETS.flip(1))]
    expected = 0.3 * parts[0] + 0.7 * parts[1]
    assert generalised_cross_entropy(LOGITS, mixed, 0.7).item() == pytest.approx(expected.item(), abs=1e-6)


def test_gce_learns_from_a_label_it_gives_no_probability():
    logits = torch.tensor([[0.0, -200.0]], requires_grad=True)
    generalised_cross_entropy(logits, torch.tensor([[0.0, 1.0]]), 0.7).backward()
    assert torch.isfinite(logits.grad).all()


def test_reverse_cross_entropy_by_hand():
    # 4 x the probability of what is not the label: 4 x 1/2 and 4 x 7/8; the mean is 2.75.
    assert reverse_cross_entropy(LOGITS, TARGETS).item() == pytest.approx(2.75)


def test_elr_by_hand():
    belief = LOGITS.softmax(1)
    memory = torch.tensor([[0.5, 0.5, 0], [0, 0, 1.0]])
    # <p, t> = 3/8 and 3/4: the mean of log(5/8) and log(1/4).
    assert regulariser(belief, memory).item() == pytest.approx((math.log(5 / 8) + math.log(1 / 4)) / 2)
    expected = [[0.5, 0.425, 0.075], [0.0375, 0.0375, 0.925]]
    torch.testing.assert_close(remembered(memory, belief, 0.7), torch.tensor(expected))


def test_elr_pulls_towards_what_is_remembered():
    logits = torch.zeros(1, 3, requires_grad=True)
    regulariser(logits.softmax(1), torch.tensor([[0.0, 1.0, 0.0]])).backward()
    assert logits.grad[0, 1] < 0 < logits.grad[0, 0]


def test_margins_by_hand():
    logits = torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0], [0.0, 0.0, -1.0]])
    assert history.margins(logits, torch.tensor([0, 2, 1])).tolist() == [1.0, -1.0, 0.0]


def test_mean_margins_of_rows_that_were_seen():
    means = history.mean_margins(torch.tensor([[6.0, 3.0], [0.0, 0.0], [-1.0, 2.0]]))
    np.testing.assert_array_equal(means, np.array([2, np.nan, -0.5], dtype=np.float32))
    table = history.margins_table(means, np.array(["a", "b", "c"]), np.array([5, 6, 7]))
    assert table.to_dict("list") == {"row": [2, 0], "key_id": ["c", "a"], "label": [7, 5], "margin": [-0.5, 2.0]}
