"""How suspicious each label is: scores of single rows, and the rank that is made of them.

Probabilities are softmaxes of out-of-fold logits, taken some rows at a time: a million rows of 340 classes fit in
memory once, and not twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from project.work.runner.history import margins

ROWS = 16_384  # of logits, whose probabilities are in memory at once
LEVEL = 0.5  # how far margins are set right for their class: half way, as how noisy a class is lowers its mean too


@dataclass(frozen=True)
class Scores:
    """What out-of-fold models say of N rows. self_confidence: float32 (N,), see the function of this name;
    held_out_margin: float32 (N,), the logit of the label less the highest other one; suggested: int64 (N,), the class
    that they predict, which may be the given one."""

    self_confidence: np.ndarray
    held_out_margin: np.ndarray
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


def score(labels: np.ndarray, logits: np.ndarray) -> Scores:
    """All scores of N rows. labels: int (N,); logits: float (N, K)."""
    confidences, margin, suggested = (np.empty(len(logits), kind) for kind in (np.float32, np.float32, np.int64))
    for at, probabilities in chunks(logits):
        confidences[at] = self_confidence(labels[at], probabilities)
        margin[at] = margins(torch.from_numpy(logits[at]), torch.from_numpy(labels[at])).numpy()
        suggested[at] = probabilities.argmax(axis=1)
    return Scores(confidences, margin, suggested)


def percentiles(values: np.ndarray) -> np.ndarray:
    """The place of each value among all, float (n,) in 0..1, equal values at equal places; 0.5 on average."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - counts / 2)[place] / max(1, len(values))


def levelled(margins: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Margins (n,) less half the mean of their label's, int (n,): right labels of a hard class have low ones too."""
    counts, sums = np.bincount(labels), np.bincount(labels, margins)
    return margins - LEVEL * (sums / np.maximum(counts, 1))[labels]


def suspicion(held_out: np.ndarray, learnt: np.ndarray | None, labels: np.ndarray) -> np.ndarray:
    """What rows are ranked by, float (N,) in 0..1: low means suspicious.

    The mean of two percentiles: of the margin that models give which did not learn the row, and of the mean margin
    while others learnt it (AUM, Pleiss et al., 2020), both levelled by class; benchmark/audit_quality.py shows what
    each finds alone. Rows of validation have no margin of the second kind. They were drawn at random, so that as large
    a share of them is wrong: they are ranked among themselves, and the two rankings are merged by percentile.
    held_out: (N,); learnt: (N,), not a number where there is none, or None; labels: int (N,).
    """
    apart = percentiles(levelled(held_out, labels))
    if learnt is None:
        return apart
    found, there = np.empty(len(held_out)), np.isfinite(learnt)
    both = percentiles(apart[there]) + percentiles(levelled(learnt[there], labels[there]))
    found[there] = percentiles(both)
    found[~there] = percentiles(apart[~there])
    return found
