"""How reliable an audit's models are: their agreement with the labels, and two bounds of the noise rate.

Both bounds are shares of labels that differ from the class predicted out of fold. Neither uses the label's probability.
Each states its assumption. benchmark/audit_coverage.py compares them with known noise.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from project.work.audit.find.scores import ROWS

SURE = 0.05  # share of rows that count as the surest predictions
LIMIT = 0.01  # probability that the share among these few rows exceeds the lower bound by chance
HALF = 0.5  # of the labels: models that agree with fewer are too weak, or most labels are wrong
EVIDENCE = 5.0  # nats in all by which the models must beat the class frequencies in log-likelihood
NOTHING, WEAK, ENOUGH = "nothing learnt", "weak", "enough"


@dataclass(frozen=True)
class Strength:
    """agreement: share of labels that equal the predicted class; chance: that of always predicting the commonest label;
    sure_rows: number of sure predictions; sure_disagreement: share of their labels that differ; verdict: NOTHING, WEAK
    or ENOUGH."""

    agreement: float
    chance: float
    sure_rows: int
    sure_disagreement: float
    verdict: str

    @property
    def least(self) -> float:
        """The lower bound, from the surest predictions. It assumes that these are right and their labels no noisier.

        0 where the models are weak, because then the surest predictions are wrong too.
        """
        wrong = round(self.sure_disagreement * self.sure_rows)
        if self.verdict != ENOUGH or wrong == 0:
            return 0.0
        return float(betaincinv(wrong, self.sure_rows - wrong + 1, LIMIT))  # Clopper and Pearson, 1934

    @property
    def most(self) -> float:
        """The upper bound. It assumes that every label that differs from the prediction is wrong, and no other."""
        return 1 - self.agreement


def widths(logits: np.ndarray) -> np.ndarray:
    """The highest logit minus the second highest, float (N,). In chunks: a copy of all would not fit in memory."""
    found = np.empty(len(logits), dtype=logits.dtype)
    for start in range(0, len(logits), ROWS):
        second, first = np.partition(logits[start : start + ROWS], -2, axis=1)[:, -2:].T
        found[start : start + ROWS] = first - second
    return found


def strength(labels: np.ndarray, logits: np.ndarray, suggested: np.ndarray, likelihood: float) -> Strength:
    """The strength of the models that gave out-of-fold logits (N, K). suggested: int (N,), the argmax of the logits.

    labels: int (N,); likelihood: mean log-likelihood of the labels under the models and the estimated noise.
    """
    differs, counts = suggested != labels, np.bincount(labels)
    rows = max(1, round(SURE * len(labels)))
    sure = np.argsort(-widths(logits), kind="stable")[:rows]
    agreement, chance = float(1 - differs.mean()), float(counts.max() / len(labels))
    shares = counts[counts > 0] / len(labels)
    if len(labels) * (likelihood - float((shares * np.log(shares)).sum())) < EVIDENCE:
        verdict = NOTHING
    else:
        verdict = WEAK if agreement < HALF else ENOUGH
    return Strength(agreement, chance, rows, float(differs[sure].mean()), verdict)
