"""A noise channel: given labels are true labels, changed at some rate. Estimates the rate and the labels' trust."""

import numpy as np

LEAST = 1e-12  # of a probability, so that none is certain
FIRST_RATE, STEPS = 0.1, 100  # of the EM algorithm, which may not have converged; see `noise_rate`
MOST_RATE = 1 - 1e-6  # so that no label has trust 0


def trust(confidence: np.ndarray, noise_rate: float, classes: int) -> np.ndarray:
    """Probability that each given label is right, float (n,): the E-step for a symmetric noise channel.

    The channel changes a share r of the labels to any other of K classes, with equal probability. By Bayes' rule the
    odds are (1 - r) p : r / (K - 1) x (1 - p). p is confidence, float (n,): the label's probability by models that did
    not learn from the row.
    Source: Bekker and Goldberger, Training deep neural-networks based on unreliable labels, 2016.
    """
    right = (1 - noise_rate) * np.maximum(confidence, LEAST)
    return right / (right + noise_rate / (classes - 1) * (1 - confidence))


def channel_rate(confidence: np.ndarray, classes: int, counts: np.ndarray | None = None) -> float:
    """The EM algorithm's estimate of the channel's noise rate: 1 minus the mean trust at that rate.

    At most MOST_RATE. counts: float (n,), how often each confidence occurs; once when not given.
    """
    rate = FIRST_RATE
    for _ in range(STEPS):
        rate = float(1 - np.average(trust(confidence, rate, classes), weights=counts))
    return min(rate, MOST_RATE)


def likelihood(confidence: np.ndarray, noise_rate: float, classes: int) -> float:
    """Mean log-likelihood of the given labels under that channel. confidence: float (n,)."""
    right = (1 - noise_rate) * np.maximum(confidence, LEAST)
    return float(np.log(right + noise_rate / (classes - 1) * (1 - confidence)).mean())
