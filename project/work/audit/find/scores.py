"""Scores of how suspicious each label is, and the ranking made from them.

Probabilities are softmaxes of out-of-fold logits, computed in chunks of rows: a million rows of 340 classes fit in
memory once, not twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from project.work.runner.history import margins

ROWS = 16_384  # of logits, whose probabilities are in memory at once
LEVEL = 0.5  # how much of its class's mean a margin loses: half, because noise in a class lowers its mean too


@dataclass(frozen=True)
class Scores:
    """Scores of N rows by out-of-fold models. self_confidence: float32 (N,), see the function of this name;
    held_out_margin: float32 (N,), the logit of the label minus the highest other logit; suggested: int64 (N,), the
    predicted class, which may be the given one."""

    self_confidence: np.ndarray
    held_out_margin: np.ndarray
    suggested: np.ndarray


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (n, K) of logits (n, K); rows sum to 1. In the precision of the logits."""
    powers = logits - logits.max(axis=1, keepdims=True)
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def chunks(logits: np.ndarray, temperature: float = 1.0) -> Iterator[tuple[slice, np.ndarray]]:
    """softmax(logits / temperature) of logits (N, K), ROWS at a time, each with its slice of the N."""
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
    """The percentile of each value, float (n,) in 0..1; ties share one; 0.5 on average."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - counts / 2)[place] / max(1, len(values))


def levelled(margins: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Margins (n,) minus half the mean margin of their class: right labels of a hard class have low margins too.

    labels: int (n,).
    """
    counts, sums = np.bincount(labels), np.bincount(labels, margins)
    return margins - LEVEL * (sums / np.maximum(counts, 1))[labels]


def suspicion(held_out: np.ndarray, learnt: np.ndarray | None, labels: np.ndarray) -> np.ndarray:
    """What rows are ranked by, float (N,) in 0..1: low means suspicious.

    The mean of two percentiles: of the margin by models that did not learn from the row, and of the mean margin during
    the training of those that did (AUM, Pleiss et al., 2020), both levelled by class. benchmark/audit_quality.py shows
    what each finds alone. Validation rows have no margin of the second kind. They are ranked among themselves, and the
    two rankings are merged by percentile: validation was drawn at random, so its share of wrong labels is the same.
    held_out: (N,); learnt: (N,), NaN where there is none, or None; labels: int (N,).
    """
    apart = percentiles(levelled(held_out, labels))
    if learnt is None:
        return apart
    found, there = np.empty(len(held_out)), np.isfinite(learnt)
    both = percentiles(apart[there]) + percentiles(levelled(learnt[there], labels[there]))
    found[there] = percentiles(both)
    found[~there] = percentiles(apart[~there])
    return found
