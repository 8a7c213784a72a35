"""How good predictions are: pure functions of logits and labels."""

from dataclasses import dataclass

import numpy as np
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
    loss = functional.cross_entropy(logits, labels)
    accuracy, top5 = float(hit[:, 0].float().mean()), float(hit.any(dim=1).float().mean())
    return Metrics(float(loss), accuracy, top5, macro_f1(best[:, 0], labels))


def macro_f1(predictions: Tensor, labels: Tensor) -> float:
    """The mean of F1 over the classes that occur in labels; both: int64 (n,).

    Written out: scikit-learn, which gives the same, is slow to import.
    """
    guesses, truth = predictions.cpu().numpy(), labels.cpu().numpy()
    classes = int(max(guesses.max(), truth.max())) + 1
    right, guessed, there = (np.bincount(rows, minlength=classes) for rows in (truth[guesses == truth], guesses, truth))
    occurs = there > 0
    return float(np.mean(2 * right[occurs] / (guessed + there)[occurs]))
