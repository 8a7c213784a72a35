"""How many labels are wrong: two estimates, each with a 95% interval.

Channel: the rate and the temperature of the models' beliefs under which the given labels are likeliest, where a wrong
label is any other class alike. What a weak model confuses is not counted as noise, as its beliefs say how much that is.
Confident: confident learning's, which counts all that a model takes for another class: a weak model's confusions too.
benchmark/audit_quality.py holds both against known noise.
"""

from dataclasses import dataclass

import numpy as np

from project.work.audit import confident
from project.work.audit.scores import chunks, self_confidence, softmax
from project.work.dataset.noise_channel import LEAST, channel_rate, likelihood, trust

TEMPERATURES = np.geomspace(0.4, 2.5, 20)
ENOUGH = 50_000  # rows that a temperature is fitted on
BINS = 1000  # of confidences, that rows are drawn again from
TIMES = 200  # that they are


@dataclass(frozen=True)
class NoiseRate:
    """A share of wrong labels, 0..1, with its 95% interval: the bootstrap over rows."""

    rate: float
    low: float
    high: float


def by_channel(labels: np.ndarray, logits: np.ndarray, generator: np.random.Generator) -> tuple[NoiseRate, np.ndarray]:
    """The channel's estimate, and the probability that each label is right by it, float (N,).

    labels: int (N,); logits: float (N, K), out of fold.

    Sources: Bekker and Goldberger, 2016, for the channel; Guo et al., On calibration of modern neural networks, 2017,
    for the temperature, which the interval holds fixed.
    """
    some = generator.permutation(len(labels))[:ENOUGH]
    temperature = fitted_temperature(labels[some], logits[some])
    believed = np.concatenate([self_confidence(labels[at], each) for at, each in chunks(logits, temperature)])
    believed = believed.astype(float).clip(LEAST, 1 - LEAST)
    odds = np.log(believed / (1 - believed))
    counts, edges = np.histogram(odds, BINS)
    centres = 1 / (1 + np.exp(-(edges[1:] + edges[:-1]) / 2))
    drawn = generator.multinomial(len(labels), counts / len(labels), TIMES)
    rates = [channel_rate(centres, logits.shape[1], each) for each in drawn]
    rate = channel_rate(believed, logits.shape[1])
    return _rate(rate, np.array(rates)), trust(believed, rate, logits.shape[1])


def fitted_temperature(labels: np.ndarray, logits: np.ndarray) -> float:
    """The temperature at which the labels are likeliest, together with the best noise rate for it."""

    def fit(temperature: float) -> float:
        believed = self_confidence(labels, softmax(logits / temperature)).astype(float)
        return likelihood(believed, channel_rate(believed, logits.shape[1]), logits.shape[1])

    return float(max(TEMPERATURES, key=fit))


def by_confidence(
    labels: np.ndarray, guessed: np.ndarray, shares: np.ndarray, generator: np.random.Generator
) -> NoiseRate:
    """Confident learning's. guessed: see `confident.guesses`, int (N,); shares: `confident.calibrated`, (K, K)."""
    drawn = confident.bootstrapped(labels, guessed, len(shares), TIMES, generator)
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
