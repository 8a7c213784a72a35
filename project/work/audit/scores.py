"""How suspicious each label is: scores of single rows, and the rank that is made of them.

Probabilities are softmaxes of out-of-fold logits, taken some rows at a time: a million rows of 340 classes fit in
memory once, and not twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

ROWS = 16_384  # of logits, whose probabilities are in memory at once
LEVEL = 0.5  # how far margins are set right for their class: half way, as how noisy a class is lowers its mean too


@dataclass(frozen=True)
class Scores:
    """What out-of-fold models say of N rows. self_confidence: float32 (N,), see the function of this name; suggested:
    int64 (N,), the class they believe most, which may be the given one."""

    self_confidence: np.ndarray
    suggested: np.ndarray


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (n, K), whose rows sum to 1, of logits (n, K); in the precision of the logits."""
    powers = logits - logits.max(axis=1, keepdims=True)
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def chunks(logits: np.ndarray, temperature: float = 1.0) -> Iterator[tuple[slice, np.ndarray]]:
    """softmax(logits / temperature) of logits (N, K), ROWS at a time, each with its place among the N."""
    for start in range(0, len(logits), ROWS):
        at = slice(start, start + ROWS)
        yield at, softmax(logits[at] / temperature)


def self_confidence(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Probability that a model gives to each row's own label, float (n,): low means suspicious.

    labels: int (n,); probabilities: float (n, K), rows sum to 1, predicted out of fold. Source: Northcutt et al.,
    Confident Learning, JAIR 2021.
    """
    return probabilities[np.arange(len(labels)), labels]


def normalised_margin(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Probability of the label less the highest other one, float (n,) in -1..1: low means suspicious.

    labels, probabilities: as for `self_confidence`, same source.
    """
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -1
    return self_confidence(labels, probabilities) - others.max(axis=1)


def score(labels: np.ndarray, logits: np.ndarray) -> Scores:
    """All scores of N rows. labels: int (N,); logits: float (N, K)."""
    believed, suggested = np.empty(len(logits), np.float32), np.empty(len(logits), np.int64)
    for at, probabilities in chunks(logits):
        believed[at] = self_confidence(labels[at], probabilities)
        suggested[at] = probabilities.argmax(axis=1)
    return Scores(believed, suggested)


def percentiles(values: np.ndarray) -> np.ndarray:
    """The place of each value among all, float (n,) in 0..1, equal values at equal places; 0.5 on average."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - counts / 2)[place] / max(1, len(values))


def levelled(margins: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Margins (n,) less half the mean of their label's, int (n,): right labels of a hard class have low ones too."""
    counts, sums = np.bincount(labels), np.bincount(labels, margins)
    return margins - LEVEL * (sums / np.maximum(counts, 1))[labels]


def suspicion(believed: np.ndarray, margins: np.ndarray | None, labels: np.ndarray) -> np.ndarray:
    """What rows are ranked by, float (N,) in 0..1: low means suspicious.

    The mean of two percentiles: self-confidence out of fold, and the mean margin while fold models learnt the row
    (AUM, Pleiss et al., 2020), levelled by class; benchmark/audit_quality.py shows that both find more than either.
    Rows of validation have no margin. They were drawn at random, so that as large a share of them is wrong: they are
    ranked among themselves, by self-confidence, and the two rankings are merged by percentile.
    believed: (N,); margins: (N,), not a number where there is none, or None; labels: int (N,).
    """
    if margins is None:
        return percentiles(believed)
    found = np.empty(len(believed))
    learnt = np.isfinite(margins)
    level = levelled(margins[learnt], labels[learnt])
    both = (percentiles(believed[learnt]) + percentiles(level)) / 2
    found[learnt] = percentiles(both)
    found[~learnt] = percentiles(believed[~learnt])
    return found
