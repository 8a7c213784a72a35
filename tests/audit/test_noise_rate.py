"""How many labels are wrong, and which are flagged."""

import numpy as np
import pytest

from project.work.audit.find import noise_rate, scores


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
    found = noise_rate.by_channel(labels, logits, random)
    assert found.rate == pytest.approx(true_rate, abs=0.03)
    assert found.trust.mean() == pytest.approx(1 - found.rate, abs=1e-3)  # and so are weights, whatever the temperature
    assert noise_rate.fitted_temperature(labels, logits) == pytest.approx(sharp, rel=0.1)


@pytest.mark.parametrize("true_rate", [0.1, 0.4])
def test_it_finds_the_rate_in_two_classes(true_rate: float) -> None:
    random = np.random.default_rng(5)
    true = random.integers(0, 2, 8000)
    given = np.where(random.random(8000) < true_rate, 1 - true, true)
    logits = random.normal(size=(8000, 2)) + 6 * np.eye(2)[true]
    assert noise_rate.by_channel(given, logits, random).rate == pytest.approx(true_rate, abs=0.02)


def test_the_rate_is_the_likeliest_one_by_hand() -> None:
    # Two classes, labels believed by 0.9 and 0.2 alike: the slope -0.8 / (0.9 - 0.8 r) + 0.6 / (0.2 + 0.6 r) is 0 at
    # -0.16 - 0.48 r + 0.54 - 0.48 r = 0, which is r = 0.38 / 0.96.
    assert noise_rate.maximum_likelihood_rate(np.array([0.9, 0.2]), 2) == pytest.approx(0.38 / 0.96, abs=1e-5)
    assert noise_rate.maximum_likelihood_rate(np.array([0.9, 0.8]), 2) == 0
    assert noise_rate.maximum_likelihood_rate(np.array([0.1, 0.2]), 2) == pytest.approx(1, abs=1e-5)


def test_the_first_guess_of_an_algorithm_that_has_hardly_moved_is_not_the_answer() -> None:
    random = np.random.default_rng(6)
    labels = random.integers(0, 10, 4000)
    logits = random.normal(size=(4000, 10)) * 1e-3  # nearly flat, and of nothing that the labels are
    found = noise_rate.by_channel(labels, logits, random)
    assert abs(found.rate - 0.1) > 0.05  # where the algorithm begins, and after its 100 steps still is


def test_as_many_are_flagged_as_are_wrong_of_those_that_models_dispute() -> None:
    order, disagree = np.array([3, 1, 0, 2]), np.array([True, True, True, False])
    assert noise_rate.flagged(order, disagree, 0.5).tolist() == [True, True, False, False]
    disagree[1] = False
    assert noise_rate.flagged(order, disagree, 0.5).tolist() == [True, False, True, False]
    assert not noise_rate.flagged(order, disagree, 0.0).any()
    assert noise_rate.flagged(order, np.ones(4, bool), 1.0).all()
