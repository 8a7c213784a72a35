"""Confident learning (Northcutt et al., JAIR 2021): counts wrong labels where models are confident.

The counts equal cleanlab's; tests check it. cleanlab itself would hold several copies of all probabilities in memory.
"""

import numpy as np

from project.work.audit.find.scores import chunks

_SLACK = 1e-6  # a probability this close below its threshold still reaches it, as in cleanlab
_LEAST = 2 * _SLACK  # the lowest threshold: above 0 even less the slack, so that probability 0 reaches no class
_ABSENT = 2.0  # the threshold of a class without rows: no probability reaches it
NONE = -1


def thresholds(labels: np.ndarray, confidences: np.ndarray, classes: int) -> np.ndarray:
    """The mean self-confidence of each class's rows, float (K,): a probability from there on is confident.

    labels: int (N,); confidences: self-confidence, float (N,).
    """
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=confidences, minlength=classes)
    return np.where(counts > 0, np.maximum(sums / np.maximum(counts, 1), _LEAST), _ABSENT)


def confident_classes(probabilities: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """The confident class of each row, int (n,); NONE where no probability reaches its threshold.

    If several classes reach theirs, the most probable class of all counts, even one below its own threshold.
    probabilities: (n, K); limits: thresholds (K,).
    """
    reached = probabilities >= limits - _SLACK
    many = reached.sum(axis=1)
    one = reached.argmax(axis=1)
    return np.where(many > 1, probabilities.argmax(axis=1), np.where(many == 1, one, NONE))


def guesses(labels: np.ndarray, confidences: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """The confident class of every row of logits (N, K), int (N,), or NONE."""
    limits = thresholds(labels, confidences, logits.shape[1]).astype(logits.dtype)
    found = np.empty(len(labels), np.int64)
    for at, probabilities in chunks(logits):
        found[at] = confident_classes(probabilities, limits)
    return found


def confident_joint(labels: np.ndarray, guessed: np.ndarray, classes: int) -> np.ndarray:
    """How often each given label (row) goes with each confident class (column), int (K, K), diagonal at least 1.

    labels, guessed: int (N,).
    """
    sure = guessed != NONE
    cells = np.bincount(labels[sure] * classes + guessed[sure], minlength=classes**2)
    return _filled(cells.reshape(classes, classes))


def calibrated(joint: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The same as shares of all rows, float (K, K), sum 1: each label's confident rows stand for all its rows.

    joint: (..., K, K); counts: rows of each label (K,).
    """
    scaled = joint / joint.sum(axis=-1, keepdims=True) * counts[:, None]
    return scaled / scaled.sum(axis=(-2, -1), keepdims=True)


def transition(shares: np.ndarray) -> np.ndarray:
    """P(given label | true class), float (K, K), a row for each true class, from calibrated shares (K, K).

    A class without rows keeps its label.
    """
    true = shares.sum(axis=0)
    return np.where(true[:, None] > 0, shares.T / np.where(true > 0, true, 1)[:, None], np.eye(len(shares)))


def wrong_by_class(shares: np.ndarray) -> np.ndarray:
    """The share of each given label that is wrong, float (K,); 0 for a class without rows."""
    given = shares.sum(axis=1)
    return np.where(given > 0, 1 - shares.diagonal() / np.where(given > 0, given, 1), 0.0)


def _filled(joint: np.ndarray) -> np.ndarray:
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))
    return joint
