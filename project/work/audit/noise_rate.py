"""How many labels are wrong: two estimates, each with a 95% interval.

By chance: Storey's estimate of the share of true null hypotheses (JRSS B, 2002), the null being that a label was drawn
by chance. Labels that models believe no more than every second label drawn by chance are counted, twice. What a weak
model confuses does not count as noise here, as long as it believes such labels more than most others; right labels of
pictures that it takes for anything do, and wrong labels that it finds likely do not.
Confident: confident learning's, which counts all that a model takes for another class: a weak model's confusions too.
benchmark/audit_quality.py holds both against known noise.
"""

from dataclasses import dataclass

import numpy as np

from project.work.audit import confident

LIMIT = 0.5  # Storey's lambda
TIMES = 1000  # that rows are drawn again
MANY = 200  # the same for confident learning, whose estimate takes longer


@dataclass(frozen=True)
class NoiseRate:
    """A share of wrong labels, 0..1, with its 95% interval: the bootstrap over rows."""

    rate: float
    low: float
    high: float


def by_chance(chance: np.ndarray, classes: int, generator: np.random.Generator) -> NoiseRate:
    """Storey's estimate. chance: p-values (N,), see `scores.chance`; what they are held against is not drawn again."""
    below = (chance <= LIMIT).mean()
    drawn = generator.binomial(len(chance), below, TIMES) / len(chance)
    return _rate(unmixed(below, classes), unmixed(drawn, classes))


def unmixed(below: np.ndarray | float, classes: int) -> np.ndarray:
    """The share of wrong labels, of the share of p-values below LIMIT.

    A label drawn in place of a wrong one is the right one once in K - 1 times, so that a share c = rate / (K - 1) of
    the draws is believed: below = rate x LIMIT / (1 - c), or the rate itself where that would be more.
    """
    rate = np.asarray(below) / LIMIT
    rate = rate / (1 + rate / (classes - 1))
    return np.where(rate / (classes - 1) > 1 - LIMIT, below, rate)


def by_confidence(
    labels: np.ndarray, guessed: np.ndarray, shares: np.ndarray, generator: np.random.Generator
) -> NoiseRate:
    """Confident learning's. guessed: see `confident.guesses`, int (N,); shares: `confident.calibrated`, (K, K)."""
    drawn = confident.bootstrapped(labels, guessed, len(shares), MANY, generator)
    return _rate(1 - shares.trace(), drawn)


def _rate(rate: float, drawn: np.ndarray) -> NoiseRate:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return NoiseRate(*(float(np.clip(each, 0, 1)) for each in (rate, low, high)))


def flagged(order: np.ndarray, disagree: np.ndarray, rate: float) -> np.ndarray:
    """Which rows are flagged, bool (N,): the first in order, as many as are wrong, of those whose label is disputed.

    order: rows, the most suspicious first, int (N,); disagree: bool (N,), where models believe another class most.
    """
    found = np.zeros(len(order), dtype=bool)
    disputed = order[disagree[order]]
    found[disputed[: round(rate * len(order))]] = True
    return found
