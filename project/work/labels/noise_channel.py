"""Labels as what a noisy channel made of the truth: how noisy it is, and how far each label is trusted."""

import numpy as np

LEAST = 1e-12  # of a probability, so that none is certain
FIRST_RATE, STEPS = 0.1, 100  # of the EM algorithm, which has long converged by then
MOST_RATE = 1 - 1e-6  # so that some trust is left in every label


def trust(confidence: np.ndarray, noise_rate: float, classes: int) -> np.ndarray:
    """Probability that each given label is right, float (n,), by the E-step of a noise channel.

    By Bayes' rule, where a share r of the labels became any other of K classes alike: (1 - r) p against r / (K - 1) x
    (1 - p), where p is confidence, float (n,), what models that did not learn from a row believe of its label.
    Source: Bekker and Goldberger, Training deep neural-networks based on unreliable labels, 2016.
    """
    right = (1 - noise_rate) * np.maximum(confidence, LEAST)
    return right / (right + noise_rate / (classes - 1) * (1 - confidence))


def channel_rate(confidence: np.ndarray, classes: int, counts: np.ndarray | None = None) -> float:
    """The noise rate at which the mean trust says the same: the EM algorithm's estimate for that channel.

    At most MOST_RATE. counts: float (n,), how often each confidence occurs; once when not given.
    """
    rate = FIRST_RATE
    for _ in range(STEPS):
        rate = float(1 - np.average(trust(confidence, rate, classes), weights=counts))
    return min(rate, MOST_RATE)


def likelihood(confidence: np.ndarray, noise_rate: float, classes: int) -> float:
    """Mean logarithm of the probability of the given labels, of their confidence (n,), under that channel."""
    right = (1 - noise_rate) * np.maximum(confidence, LEAST)
    return float(np.log(right + noise_rate / (classes - 1) * (1 - confidence)).mean())
