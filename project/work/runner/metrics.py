"""How good predictions are: pure functions of logits and labels."""

from dataclasses import dataclass

import torch
from sklearn.metrics import f1_score
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Metrics:
    """loss: mean cross entropy; accuracy, top5, macro_f1: shares of 1."""

    loss: float
    accuracy: float
    top5: float
    macro_f1: float


def measure(logits: Tensor, labels: Tensor) -> Metrics:
    """Metrics of logits float (N, K) against labels int64 (N,).

    Top-5 of fewer than five classes is 1; macro F1 is the mean over the classes that occur.
    """
    best = logits.topk(min(5, logits.shape[1]), dim=1).indices
    hit = best == labels[:, None]
    f1 = f1_score(labels.cpu(), best[:, 0].cpu(), average="macro", labels=torch.unique(labels).cpu(), zero_division=0)
    loss = functional.cross_entropy(logits, labels)
    return Metrics(float(loss), float(hit[:, 0].float().mean()), float(hit.any(dim=1).float().mean()), float(f1))
