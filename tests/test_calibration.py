"""Probabilities say how often a prediction is right: the temperature that makes them so, and what is left."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from project.work.classifier import (
    LEAST_TEMPERATURE,
    MODEL_FILE,
    MOST_TEMPERATURE,
    Classifier,
    calibration_error,
    fitted_temperature,
    probabilities,
)
from project.work.common import UserError
from project.work.dataset.transforms import Normaliser
from project.work.model import make


def drawn(count: int, classes: int, sharper: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that are so many times too sharp for labels that are drawn from them."""
    random = torch.Generator().manual_seed(count)
    logits = 1.5 * torch.randn(count, classes, generator=random)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=random)[:, 0]
    return sharper * logits, labels


@pytest.mark.parametrize(("classes", "sharper"), [(2, 3.0), (6, 0.3), (100, 2.0)])
def test_the_temperature_is_the_likeliest_one_and_finds_how_much_too_sharp_logits_are(
    classes: int, sharper: float
) -> None:
    logits, labels = drawn(4000, classes, sharper)
    share = 1 / 4001  # of each label, over all classes

    def loss(temperature: float) -> float:
        chances = (logits.double() / temperature).log_softmax(dim=1)
        return -float(((1 - share) * chances.gather(1, labels[:, None])[:, 0] + share * chances.mean(dim=1)).mean())

    expected = minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-9}).x
    assert fitted_temperature(logits, labels) == pytest.approx(expected, rel=1e-4)
    assert fitted_temperature(logits, labels) == pytest.approx(sharper, rel=0.1)


def test_where_all_are_right_or_wrong_or_nothing_is_said_the_temperature_is_finite() -> None:
    logits = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    right, wrong = logits.argmax(dim=1), logits.argmin(dim=1)
    sure = probabilities(logits, fitted_temperature(logits, right)).amax(dim=1)
    assert 0.8 < float(sure.mean()) < 1  # surer, but not as if 40 rows could prove it
    assert fitted_temperature(logits, wrong) == pytest.approx(MOST_TEMPERATURE, rel=1e-4)
    assert fitted_temperature(1e-6 * logits, right) == pytest.approx(LEAST_TEMPERATURE, rel=1e-4)
    for nothing in (torch.zeros(4, 3), torch.full((4, 3), torch.nan), torch.full((4, 3), torch.inf), torch.empty(0, 3)):
        assert fitted_temperature(nothing, torch.zeros(len(nothing), dtype=torch.int64)) == 1.0


def test_the_calibration_error_is_the_gap_of_confidence_and_accuracy_by_bins() -> None:
    confidence = np.array([0.95, 0.97, 0.5, 0.52, 1 / 15])
    right = np.array([True, False, True, True, False])
    # the last of 15 bins: |1 - 1.92|; the eighth: |2 - 1.02|; the first: 1 / 15
    assert calibration_error(confidence, right) == pytest.approx((0.92 + 0.98 + 1 / 15) / 5)
    assert calibration_error(np.ones(3), np.ones(3, bool)) == 0.0


def test_a_classifier_keeps_its_temperature_and_divides_by_it_and_older_files_have_none(tmp_path: Path) -> None:
    network = make("narrow", 3, 1, seed=1).to(memory_format=torch.channels_last)
    plain = Classifier(network, "narrow", ["a", "b", "c"], (1, 16, 16), Normaliser((0.1,), (0.3,)), {})
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16), dtype=np.uint8)
    path = tmp_path / MODEL_FILE
    dataclasses.replace(plain, temperature=2.5).save(path)
    found, before = Classifier.load(path), plain.predict(images)
    assert found.temperature == 2.5
    softer = before ** (1 / 2.5)
    assert np.allclose(found.predict(images), softer / softer.sum(axis=1, keepdims=True), atol=1e-6)
    assert np.array_equal(found.logits([torch.zeros(1, 1, 16, 16)]), plain.logits([torch.zeros(1, 1, 16, 16)]))
    state = torch.load(path)
    del state["temperature"]
    torch.save(state, path)
    assert Classifier.load(path).temperature == 1.0
    assert np.array_equal(Classifier.load(path).predict(images), before)
    for wrong in (0.0, -1.0, float("nan"), "warm"):
        torch.save(state | {"temperature": wrong}, path)
        with pytest.raises(UserError, match="its temperature is"):
            Classifier.load(path)
