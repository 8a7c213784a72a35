"""How many labels are wrong, and which are flagged."""

import numpy as np
import pytest

from project.work.audit import noise_rate, scores


def test_the_estimate_counts_twice_what_lies_below_the_median_of_chance() -> None:
    chance = np.array([0.1, 0.5, 0.6, 0.9, 1, 1, 1, 1, 1, 1])
    rate = noise_rate.by_chance(chance, 10**9, np.random.default_rng(0))
    assert rate.rate == pytest.approx(0.4)
    # Twice a binomial share of 0.2 in 10: 95% of its draws are from 0 to 0.5.
    assert (rate.low, rate.high) == pytest.approx((0, 1))


def test_labels_drawn_for_a_wrong_one_may_be_right() -> None:
    # Of 2 classes, 40% wrong: 60% of the draws are wrong labels, so that 5/6 of the wrong labels are below the median.
    assert noise_rate.unmixed(0.4 * 0.5 / 0.6, 2) == pytest.approx(0.4)
    assert noise_rate.unmixed(0.4 * 0.5 / 0.9, 5) == pytest.approx(0.4)
    assert noise_rate.unmixed(np.array([0.0, 0.8, 1.0]), 2).tolist() == [0, 0.8, 1]


@pytest.mark.parametrize("true_rate", [0.1, 0.4])
def test_it_finds_the_rate_in_two_classes(true_rate: float) -> None:
    random = np.random.default_rng(5)
    true = random.integers(0, 2, 8000)
    given = np.where(random.random(8000) < true_rate, 1 - true, true)
    logits = random.normal(size=(8000, 2)) + 6 * np.eye(2)[true]
    rate = noise_rate.by_chance(scores.score(given, logits, random).chance, 2, random)
    assert rate.rate == pytest.approx(true_rate, abs=0.02)


@pytest.mark.parametrize("true_rate", [0.05, 0.2, 0.6])
def test_it_finds_the_rate_of_labels_that_are_wrong_by_chance_where_models_are_weak(true_rate: float) -> None:
    random = np.random.default_rng(4)
    true = random.integers(0, 50, 8000)
    given = np.where(random.random(8000) < true_rate, (true + random.integers(1, 50, 8000)) % 50, true)
    logits = random.normal(size=(8000, 50)) * 1.5 + 3 * np.eye(50)[true]
    assert 0.4 < (logits.argmax(axis=1) == true).mean() < 0.6
    rate = noise_rate.by_chance(scores.score(given, logits, random).chance, 50, random)
    # Of the right labels 2.3% lie two deviations low, where every second label drawn by chance lies.
    assert rate.rate == pytest.approx(true_rate + 2 * 0.023 * (1 - true_rate), abs=0.03)
    assert rate.high - rate.low < 0.05


def test_as_many_are_flagged_as_are_wrong_of_those_that_models_dispute() -> None:
    order, disagree = np.array([3, 1, 0, 2]), np.array([True, True, True, False])
    assert noise_rate.flagged(order, disagree, 0.5).tolist() == [True, True, False, False]
    disagree[1] = False
    assert noise_rate.flagged(order, disagree, 0.5).tolist() == [True, False, True, False]
    assert not noise_rate.flagged(order, disagree, 0.0).any()
    assert noise_rate.flagged(order, np.ones(4, bool), 1.0).all()
