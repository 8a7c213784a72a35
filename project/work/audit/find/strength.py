"""How far models that judge labels can be relied on: how many labels they agree with, and two bounds of the noise rate.

Both bounds are shares of labels that differ from the class predicted out of fold. Neither looks at how likely the label
is; what each assumes is said beside it. benchmark/audit_coverage.py compares them with known noise.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from project.work.audit.find.scores import ROWS

SURE = 0.05  # share of rows whose predictions are the surest
LIMIT = 0.01  # chance that the share among so few rows is above the lower bound by luck alone
HALF = 0.5  # of the labels: models that agree with fewer are too weak, or hardly a label is right
EVIDENCE = 5.0  # nats in all by which labels must be likelier than by how common their class is
NOTHING, WEAK, ENOUGH = "nothing learnt", "weak", "enough"


@dataclass(frozen=True)
class Strength:
    """agreement: share of labels that are the predicted class; chance: that of always predicting the commonest label;
    sure_rows: how many predictions are called sure; sure_disagreement: share of their labels that differ; verdict:
    NOTHING, WEAK or ENOUGH."""

    agreement: float
    chance: float
    sure_rows: int
    sure_disagreement: float
    verdict: str

    @property
    def least(self) -> float:
        """The lower bound: what the surest predictions show, if these are right and labels there as wrong as anywhere.

        0 where the models are weak, whose surest predictions are wrong too.
        """
        wrong = round(self.sure_disagreement * self.sure_rows)
        if self.verdict != ENOUGH or wrong == 0:
            return 0.0
        return float(betaincinv(wrong, self.sure_rows - wrong + 1, LIMIT))  # Clopper and Pearson, 1934

    @property
    def most(self) -> float:
        """The upper bound: every label that differs from the prediction is wrong, and of the others none."""
        return 1 - self.agreement


def widths(logits: np.ndarray) -> np.ndarray:
    """How far the highest logit stands above the second one, float (N,); a copy of all (N, K) would not fit."""
    found = np.empty(len(logits), dtype=logits.dtype)
    for start in range(0, len(logits), ROWS):
        second, first = np.partition(logits[start : start + ROWS], -2, axis=1)[:, -2:].T
        found[start : start + ROWS] = first - second
    return found


def strength(labels: np.ndarray, logits: np.ndarray, suggested: np.ndarray, likelihood: float) -> Strength:
    """The strength of models that gave logits (N, K) out of fold, of which suggested, int (N,), are the highest.

    labels: int (N,); likelihood: mean logarithm of the labels' probability, given the models and the estimated noise.
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
