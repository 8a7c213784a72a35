"""Computes an audit's findings from logits, margins, votes and images. Nothing is trained or written here."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from project.work import common
from project.work.audit.find import confident, noise_rate, scores, strength
from project.work.audit.find.copies import Copies
from project.work.audit.find.detection_metrics import flag_metrics, ranking_metrics
from project.work.audit.find.scores import Scores
from project.work.audit.find.strength import NOTHING, Strength


@dataclass(frozen=True)
class Evidence:
    """The input of an audit, for N rows of a training file.

    rows: int64 (N,), row numbers, ascending; labels: int64 (N,), as given; logits: float32 (N, K), out of fold;
    valid: bool (N,), validation rows; margins: float (N,), NaN where unknown, or None; votes: int (N,), the number of
    vote models that disagree, or None; truth: float (N,), see `pictures.Loaded`, or None.
    """

    rows: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    valid: np.ndarray
    repeats: Copies
    margins: np.ndarray | None = None
    votes: np.ndarray | None = None
    truth: np.ndarray | None = None


@dataclass(frozen=True)
class Findings:
    """The result of an audit.

    suspicion: float (N,), low where suspicious; trust: float (N,), the probability that a label is right; order: int
    (N,), positions of rows, the most suspicious first; flagged: bool (N,); rate: the estimated share of wrong labels,
    which decides the number flagged, None where the models learnt nothing; shares: float (K, K), confident learning's
    joint of given label and true class; confident: its noise rate; strength: how reliable all this is; against: metrics
    against known noise, empty where none is known.
    """

    evidence: Evidence
    scores: Scores
    suspicion: np.ndarray
    trust: np.ndarray
    order: np.ndarray
    flagged: np.ndarray
    rate: float | None
    shares: np.ndarray
    confident: float
    strength: Strength
    against: dict[str, object]


def find(evidence: Evidence, flag_by: str, seed: int) -> Findings:
    """Score, rank and flag. flag_by: channel or confident, see `noise_rate`; seed: of the draws behind estimates."""
    labels, classes = evidence.labels, evidence.logits.shape[1]
    generator = np.random.default_rng(common.derive_seed(seed, "audit"))
    found = scores.score(labels, evidence.logits)
    suspicion = scores.suspicion(found.held_out_margin, evidence.margins, labels)
    order = np.argsort(suspicion, kind="stable")
    guessed = confident.guesses(labels, found.self_confidence, evidence.logits)
    joint = confident.confident_joint(labels, guessed, classes)
    shares = confident.calibrated(joint, np.bincount(labels, minlength=classes))
    channel, counted = noise_rate.by_channel(labels, evidence.logits, generator), float(1 - shares.trace())
    strong = strength.strength(labels, evidence.logits, found.suggested, channel.likelihood)
    rate = {"channel": channel.rate, "confident": counted}[flag_by] if strong.verdict != NOTHING else None
    trust = channel.trust if rate is not None else np.ones(len(labels))  # no evidence against any label
    flagged = noise_rate.flagged(order, found.suggested != labels, rate or 0.0)
    against = _against(evidence, found, suspicion, flagged)
    return Findings(evidence, found, suspicion, trust, order, flagged, rate, shares, counted, strong, against)


def _against(evidence: Evidence, found: Scores, suspicion: np.ndarray, flagged: np.ndarray) -> dict[str, object]:
    """Detection metrics of suspicion and of each score alone, where true labels are known; otherwise empty."""
    if evidence.truth is None or not np.isfinite(evidence.truth).any():
        return {}
    known = np.isfinite(evidence.truth)
    wrong = (evidence.truth != evidence.labels)[known]
    alone: dict[str, Any] = {"self_confidence": found.self_confidence, "held_out_margin": found.held_out_margin}
    alone["margin"] = evidence.margins
    if evidence.votes is not None:
        alone["votes"] = np.where(evidence.valid, np.nan, -evidence.votes)
    each = {name: ranking_metrics(wrong, score[known]) for name, score in alone.items() if score is not None}
    counts = {"known": int(known.sum()), "wrong": int(wrong.sum()), "true_noise_rate": float(wrong.mean())}
    return counts | ranking_metrics(wrong, suspicion[known]) | flag_metrics(wrong, flagged[known]) | {"scores": each}
