"""What an audit finds, put together from logits, margins, votes and pictures: nothing is trained or written here."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from project.work import common
from project.work.audit.find import confident, noise_rate, scores, strength
from project.work.audit.find.copies import Copies
from project.work.audit.find.detection_metrics import judged, judged_flags
from project.work.audit.find.scores import Scores
from project.work.audit.find.strength import NOTHING, Strength


@dataclass(frozen=True)
class Evidence:
    """What is known of N rows of a training file.

    rows: int64 (N,), ascending, which they are; labels: int64 (N,), as given; logits: float32 (N, K), out of fold;
    valid: bool (N,), the rows of validation; margins: float (N,), not a number where unknown, or None; votes: int (N,),
    how many vote models disagree, or None; truth: float (N,), see `pictures.Loaded`, or None; by_probability: rank by
    the probability of the label alone.
    """

    rows: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    valid: np.ndarray
    repeats: Copies
    margins: np.ndarray | None = None
    votes: np.ndarray | None = None
    truth: np.ndarray | None = None
    by_probability: bool = False


@dataclass(frozen=True)
class Findings:
    """What an audit finds.

    suspicion: float (N,), low where suspicious; trust: float (N,), the probability that a label is right; order: int
    (N,), places of rows, the most suspicious first; flagged: bool (N,); rate: the estimated share of wrong labels, by
    which rows are flagged, None where the models know nothing of the labels; shares: float (K, K), of all rows by given
    label and true class, counted by confident learning, whose estimate is confident; strength: how far all that can be
    relied on; against: what known noise says of it.
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
    if evidence.by_probability:  # of logits whose strength was chosen by their likelihood it finds more
        suspicion = scores.percentiles(found.self_confidence)
    order = np.argsort(suspicion, kind="stable")
    guessed = confident.guesses(labels, found.self_confidence, evidence.logits)
    joint = confident.confident_joint(labels, guessed, classes)
    shares = confident.calibrated(joint, np.bincount(labels, minlength=classes))
    channel, counted = noise_rate.by_channel(labels, evidence.logits, generator), float(1 - shares.trace())
    strong = strength.strength(labels, evidence.logits, found.suggested, channel.likelihood)
    rate = {"channel": channel.rate, "confident": counted}[flag_by] if strong.verdict != NOTHING else None
    trust = channel.trust if rate is not None else np.ones(len(labels))  # nothing speaks against any label
    flagged = noise_rate.flagged(order, found.suggested != labels, rate or 0.0)
    against = _against(evidence, found, suspicion, flagged)
    return Findings(evidence, found, suspicion, trust, order, flagged, rate, shares, counted, strong, against)


def _against(evidence: Evidence, found: Scores, suspicion: np.ndarray, flagged: np.ndarray) -> dict[str, object]:
    """How suspicion and each score alone find what is known to be wrong; empty where nothing is known."""
    if evidence.truth is None or not np.isfinite(evidence.truth).any():
        return {}
    known = np.isfinite(evidence.truth)
    wrong = (evidence.truth != evidence.labels)[known]
    alone: dict[str, Any] = {"self_confidence": found.self_confidence, "held_out_margin": found.held_out_margin}
    alone["margin"] = evidence.margins
    if evidence.votes is not None:
        alone["votes"] = np.where(evidence.valid, np.nan, -evidence.votes)
    each = {name: judged(wrong, score[known]) for name, score in alone.items() if score is not None}
    counts = {"known": int(known.sum()), "wrong": int(wrong.sum()), "true_noise_rate": float(wrong.mean())}
    return counts | judged(wrong, suspicion[known]) | judged_flags(wrong, flagged[known]) | {"scores": each}
