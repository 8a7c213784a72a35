"""How far models that judge labels can be relied on: by hand, and what weak and unlearnt ones are called."""

import numpy as np
import pytest

from project.work.audit.find import findings, noise_rate
from project.work.audit.find.copies import Copies
from project.work.audit.find.findings import Evidence, Findings
from project.work.audit.find.strength import ENOUGH, NOTHING, WEAK, Strength


def found(labels: np.ndarray, logits: np.ndarray) -> Findings:
    """What an audit finds in these labels (N,) by these logits (N, K)."""
    rows, nothing = len(labels), np.zeros(len(labels), bool)
    repeats = Copies(np.full(rows, -1), nothing)
    return findings.find(Evidence(np.arange(rows), labels, logits.astype(np.float32), nothing, repeats), "channel", 0)


def test_the_ends_are_shares_of_labels_that_differ_by_hand() -> None:
    # 40 rows of 2 classes, the first two of them the surest; labels differ in rows 1 and 2.
    labels, logits = np.arange(40) % 2, 2 * np.eye(2)[np.arange(40) % 2]
    logits[:2] *= 5
    labels[[1, 2]] = 1 - labels[[1, 2]]
    strong = found(labels, logits).strength
    assert (strong.sure_rows, strong.sure_disagreement, strong.verdict) == (2, 0.5, ENOUGH)
    assert strong.agreement == strong.chance + 0.45 == pytest.approx(0.95)
    assert strong.most == pytest.approx(0.05)
    assert strong.least == pytest.approx(1 - 0.99**0.5)  # one of two or more has a chance of 1% at that share


def test_the_lower_end_asks_nothing_of_weak_models_and_of_none_that_differ() -> None:
    assert Strength(0.4, 0.1, 50, 0.5, WEAK).least == 0
    assert Strength(0.9, 0.1, 50, 0.0, ENOUGH).least == 0


@pytest.mark.parametrize("shape", ["flat", "alike", "the commonest", "random", "faint and random"])
def test_models_that_know_nothing_of_the_labels_give_no_estimate(shape: str) -> None:
    random = np.random.default_rng(0)
    labels = random.choice(5, 1500, p=[0.5, 0.2, 0.1, 0.1, 0.1])
    logits = {
        "flat": np.zeros((1500, 5)),
        "alike": np.tile(random.normal(size=5), (1500, 1)),
        "the commonest": np.tile(np.log([0.5, 0.2, 0.1, 0.1, 0.1]), (1500, 1)),
        "random": random.normal(size=(1500, 5)),
        "faint and random": random.normal(size=(1500, 5)) * 1e-4,
    }[shape]
    nothing = found(labels, logits)
    assert nothing.strength.verdict == NOTHING
    assert nothing.rate is None
    assert not nothing.flagged.any()
    assert (nothing.trust == 1).all()


def test_weak_models_are_called_weak_and_good_ones_are_not() -> None:
    random = np.random.default_rng(1)
    true = random.integers(0, 20, 3000)
    labels = np.where(random.random(3000) < 0.2, random.integers(0, 20, 3000), true)
    noise = random.normal(size=(3000, 20))
    weak, good = (found(labels, noise + sharp * np.eye(20)[true]) for sharp in (1.0, 6.0))
    assert (weak.strength.verdict, good.strength.verdict) == (WEAK, ENOUGH)
    assert weak.rate is not None
    assert good.strength.least <= 0.19 <= good.strength.most
    assert noise_rate.by_channel(labels, 6 * np.eye(20)[true] + noise, random).rate == pytest.approx(0.19, abs=0.02)
