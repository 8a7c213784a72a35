"""How many labels are wrong, and which are flagged."""

import numpy as np
import pytest

from project.work.audit import noise_rate, scores


def drawn(random: np.random.Generator, classes: int, rate: float, sharp: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which a share is wrong, and logits of a model that is right about itself but for a factor, sharp."""
    logits = 2 * random.normal(size=(8000, classes))
    probabilities = scores.softmax(logits)
    true = (probabilities.cumsum(axis=1) > random.random((8000, 1))).argmax(axis=1)
    wrong = random.random(8000) < rate
    return np.where(wrong, (true + random.integers(1, classes, 8000)) % classes, true), sharp * logits


@pytest.mark.parametrize("sharp", [1.0, 0.6, 1.7])
@pytest.mark.parametrize("true_rate", [0.05, 0.2, 0.6])
def test_it_finds_the_rate_though_models_are_weak_and_wrong_about_themselves(true_rate: float, sharp: float) -> None:
    random = np.random.default_rng(4)
    labels, logits = drawn(random, 50, true_rate, sharp)
    rate, trust = noise_rate.by_channel(labels, logits, random)
    assert rate.rate == pytest.approx(true_rate, abs=0.03)
    assert trust.mean() == pytest.approx(1 - rate.rate, abs=1e-3)  # and so are weights, whatever the temperature
    assert rate.low <= rate.rate <= rate.high < rate.low + 0.06
    assert noise_rate.fitted_temperature(labels, logits) == pytest.approx(sharp, rel=0.1)


@pytest.mark.parametrize("true_rate", [0.1, 0.4])
def test_it_finds_the_rate_in_two_classes(true_rate: float) -> None:
    random = np.random.default_rng(5)
    true = random.integers(0, 2, 8000)
    given = np.where(random.random(8000) < true_rate, 1 - true, true)
    logits = random.normal(size=(8000, 2)) + 6 * np.eye(2)[true]
    rate, _ = noise_rate.by_channel(given, logits, random)
    assert rate.rate == pytest.approx(true_rate, abs=0.02)


def test_as_many_are_flagged_as_are_wrong_of_those_that_models_dispute() -> None:
    order, disagree = np.array([3, 1, 0, 2]), np.array([True, True, True, False])
    assert noise_rate.flagged(order, disagree, 0.5).tolist() == [True, True, False, False]
    disagree[1] = False
    assert noise_rate.flagged(order, disagree, 0.5).tolist() == [True, False, True, False]
    assert not noise_rate.flagged(order, disagree, 0.0).any()
    assert noise_rate.flagged(order, np.ones(4, bool), 1.0).all()
