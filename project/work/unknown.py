"""Pictures of no class: scores that tell them from those of the classes, and the threshold between both.

A score is high for a picture of a class. Arrays in, arrays out; what a classifier keeps of it is `Unknown`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

KINDS = ("similarity", "probability", "energy")
EXAMPLES = 4096  # features of training pictures that a classifier keeps at most


@dataclass(frozen=True)
class Unknown:
    """name: what is answered to a picture of no class; kind: one of KINDS; threshold: the score below which a picture
    is of none; auroc: of the score where it was chosen, NaN where the threshold was given; examples: float16 (M, D), of
    length 1, of the training pictures that similarity is to, see `directions`."""

    name: str
    kind: str
    threshold: float
    auroc: float = float("nan")
    examples: Tensor | None = None

    def outside(self, logits: Tensor, features: Tensor) -> Tensor:
        """Whether each picture is of no class, bool (n,). logits: (n, K); features: (n, D), what the head takes."""
        return scores(self.kind, logits, features, self.examples) < self.threshold

    def as_dict(self) -> dict[str, Any]:
        """As plain values and tensors, for a file."""
        return {"name": self.name, "kind": self.kind, "threshold": self.threshold, "auroc": self.auroc} | (
            {} if self.examples is None else {"examples": self.examples.cpu()}
        )

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> "Unknown":
        """From what `as_dict` gives. Raises ValueError for values that cannot be."""
        forms = {"name": str, "kind": str, "threshold": float, "auroc": float}
        wrong = [name for name, form in forms.items() if not isinstance(facts.get(name), form)]
        examples = facts.get("examples")
        if wrong or facts["kind"] not in KINDS or not np.isfinite(facts["threshold"]):
            raise ValueError(f"its answer to pictures of no class has no {wrong[0] if wrong else 'threshold or kind'}")
        if (facts["kind"] == "similarity") != isinstance(examples, Tensor):
            raise ValueError("its answer to pictures of no class lacks the examples that similarity is to")
        if isinstance(examples, Tensor) and (examples.ndim != 2 or examples.dtype != torch.float16):
            raise ValueError(f"its examples are {examples.dtype} {tuple(examples.shape)}")
        return cls(facts["name"], facts["kind"], facts["threshold"], facts["auroc"], examples)


def scores(kind: str, logits: Tensor, features: Tensor, examples: Tensor | None = None) -> Tensor:
    """How surely each picture is of a class, float (n,), by one of KINDS.

    similarity: the cosine of its `directions` and the nearest of the examples; probability: the highest one; energy:
    the logarithm of the sum of exp(logits) (Liu et al., Energy-based out-of-distribution detection, NeurIPS 2020).
    """
    if kind == "similarity":
        assert examples is not None
        if features.shape[1] != examples.shape[1]:
            raise ValueError(f"features are {features.shape[1]} numbers, and examples {examples.shape[1]}")
        return (directions(features) @ examples.to(features).T).amax(dim=1)
    return logits.softmax(dim=1).amax(dim=1) if kind == "probability" else logits.logsumexp(dim=1)


def directions(features: Tensor) -> Tensor:
    """Features (n, D) as vectors of length 1, of the square root of each number with its sign.

    The root keeps a few large numbers from deciding alone (Perronnin et al., Improving the Fisher kernel, ECCV 2010).
    """
    rooted = features.sign() * features.abs().sqrt()
    return rooted / rooted.norm(dim=1, keepdim=True).clamp_min(1e-12)


def auroc(known: np.ndarray, outside: np.ndarray) -> float:
    """The probability that a picture of a class has a higher score than an outsider; equal ones count half.

    known: float (n,); outside: float (m,).
    """
    both = np.concatenate([known, outside])
    _, places, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places[: len(known)]]
    return float((ranks.sum() - len(known) * (len(known) + 1) / 2) / (len(known) * len(outside)))


@dataclass(frozen=True)
class Curve:
    """What each threshold does, ascending: float (t,) each. accepted: share of known pictures that a class is named
    for; right: share of known pictures for which the right one is; accuracy: right / accepted, 1 where none is
    accepted; rejected: share of outsiders for which none is named."""

    thresholds: np.ndarray
    accepted: np.ndarray
    right: np.ndarray
    accuracy: np.ndarray
    rejected: np.ndarray

    def best(self) -> int:
        """Where known pictures answered rightly and outsiders rejected have the highest mean; the lowest of equals."""
        return int(np.argmax((self.right + self.rejected) / 2))


def curve(known: np.ndarray, right: np.ndarray, outside: np.ndarray) -> Curve:
    """known: float (n,), scores of pictures of a class; right: bool (n,), whether it is named; outside: float (m,)."""
    values = np.unique(np.concatenate([known, outside]).astype(np.float64))
    between = (values[1:] + values[:-1]) / 2
    thresholds = np.concatenate([[np.nextafter(values[0], -np.inf)], between, [np.nextafter(values[-1], np.inf)]])
    order = np.argsort(known, kind="stable")
    below = np.searchsorted(known[order], thresholds)
    hits = np.concatenate([[0], np.cumsum(right[order])])
    accepted, answered = len(known) - below, hits[-1] - hits[below]
    accuracy = np.where(accepted > 0, answered / np.maximum(accepted, 1), 1.0)
    rejected = np.searchsorted(np.sort(outside), thresholds) / len(outside)
    return Curve(thresholds, accepted / len(known), answered / len(known), accuracy, rejected)
