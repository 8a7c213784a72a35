"""How many labels are wrong, and which are flagged."""

import numpy as np
import pytest

from project.work.audit import noise_rate, scores


def test_the_estimate_counts_twice_what_lies_below_the_median_of_chance() -> None:
    rate = noise_rate.by_chance(np.array([0.1, 0.5, 0.6, 0.9, 1, 1, 1, 1, 1, 1]), np.random.default_rng(0))
    assert rate.rate == 0.4
    # Twice a binomial share of 0.2 in 10: 95% of its draws are from 0 to 0.5.
    assert (rate.low, rate.high) == (0, 1)


@pytest.mark.parametrize("true_rate", [0.05, 0.2, 0.6])
def test_it_finds_the_rate_of_labels_that_are_wrong_by_chance_where_models_are_weak(true_rate: float) -> None:
    random = np.random.default_rng(4)
    true = random.integers(0, 50, 8000)
    given = np.where(random.random(8000) < true_rate, (true + random.integers(1, 50, 8000)) % 50, true)
    logits = random.normal(size=(8000, 50)) * 1.5 + 3 * np.eye(50)[true]
    assert 0.4 < (logits.argmax(axis=1) == true).mean() < 0.6
    rate = noise_rate.by_chance(scores.score(given, logits, random).chance, random)
    assert rate.low - 0.02 < true_rate < rate.high
    assert rate.high - rate.low < 0.05


def test_as_many_are_flagged_as_are_wrong_of_those_that_models_dispute() -> None:
    order, disagree = np.array([3, 1, 0, 2]), np.array([True, True, True, False])
    assert noise_rate.flagged(order, disagree, 0.5).tolist() == [True, True, False, False]
    disagree[1] = False
    assert noise_rate.flagged(order, disagree, 0.5).tolist() == [True, False, False, False]
    assert not noise_rate.flagged(order, disagree, 0.0).any()
    assert noise_rate.flagged(order, np.ones(4, bool), 1.0).all()
