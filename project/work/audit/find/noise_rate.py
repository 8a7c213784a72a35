"""Estimates how many labels are wrong. The estimate is as good as the models and its assumption; see `strength`.

Channel: the maximum-likelihood noise rate, fitted together with a temperature of the models' probabilities. It assumes
that a wrong label is equally likely to be any other class. A weak model's confusions do not count as noise, because its
probabilities show them. Errors towards a class that the models confuse with the true one are mostly missed. There is no
confidence interval: one from resampled rows would say nothing about other models. Confident learning's estimate is in
`confident`: it counts every confident prediction of another class, a weak model's confusions too.
benchmark/audit_quality.py and audit_coverage.py compare both with known noise.
"""

from dataclasses import dataclass

import numpy as np

from project.work.audit.find.scores import chunks, self_confidence, softmax
from project.work.labels.noise_channel import LEAST, MOST_RATE, channel_rate, likelihood, trust

TEMPERATURES = np.geomspace(0.4, 2.5, 20)
ENOUGH = 50_000  # rows that a temperature is fitted on
SETTLED = 0.005  # how far the EM algorithm's rate may be from the maximum-likelihood rate


@dataclass(frozen=True)
class Channel:
    """rate: share of wrong labels, 0..1; trust: the probability that each label is right, float (N,); likelihood: mean
    log-likelihood of the labels."""

    rate: float
    trust: np.ndarray
    likelihood: float


def by_channel(labels: np.ndarray, logits: np.ndarray, generator: np.random.Generator) -> Channel:
    """The channel's estimate. labels: int (N,); logits: float (N, K), out of fold.

    Sources: Bekker and Goldberger, 2016, for the channel; Guo et al., On calibration of modern neural networks, 2017,
    for the temperature.
    """
    some = generator.permutation(len(labels))[:ENOUGH]
    temperature, classes = fitted_temperature(labels[some], logits[some]), logits.shape[1]
    confidences = np.concatenate([self_confidence(labels[at], each) for at, each in chunks(logits, temperature)])
    confidences = confidences.astype(float).clip(LEAST, 1 - LEAST)
    rate, best = channel_rate(confidences, classes), maximum_likelihood_rate(confidences, classes)
    if abs(rate - best) > SETTLED:  # the EM algorithm has not converged
        rate = best
    return Channel(rate, trust(confidences, rate, classes), likelihood(confidences, rate, classes))


def maximum_likelihood_rate(confidences: np.ndarray, classes: int) -> float:
    """The maximum-likelihood noise rate, to 1e-6. The likelihood is concave in the rate, so bisection finds it.

    confidences: probability of each label, float (N,), inside 0..1.
    """
    step = (1 - confidences) / (classes - 1) - confidences  # derivative of a label's probability by the rate
    low, high = 0.0, MOST_RATE
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if (step / (confidences + middle * step)).sum() > 0 else (low, middle)
    return low


def fitted_temperature(labels: np.ndarray, logits: np.ndarray) -> float:
    """The temperature of highest likelihood, each with its own best noise rate."""

    def fit(temperature: float) -> float:
        confidences = self_confidence(labels, softmax(logits / temperature)).astype(float)
        return likelihood(confidences, channel_rate(confidences, logits.shape[1]), logits.shape[1])

    return float(max(TEMPERATURES, key=fit))


def flagged(order: np.ndarray, disagree: np.ndarray, rate: float) -> np.ndarray:
    """Which rows are flagged, bool (N,): the first round(rate x N) in order of those whose label is disputed.

    order: rows, the most suspicious first, int (N,); disagree: bool (N,), where prediction and label differ.
    """
    found = np.zeros(len(order), dtype=bool)
    disputed = order[disagree[order]]
    found[disputed[: round(rate * len(order))]] = True
    return found
