"""Early-learning regularisation: hold on to what the network predicted before it began to memorise."""

from typing import Any

import torch
from torch import Tensor

from project.work.dataset.base_dataset import Batch
from project.work.runner.base_runner import BaseRunner

LEAST = 1e-4  # of a probability, so that no logarithm is infinite


def regulariser(prediction: Tensor, memory: Tensor) -> Tensor:
    """log(1 - <prediction, memory>), the mean over the batch: lowest where both agree (Liu et al., 2020, equation 6).

    prediction, memory: float (B, K), rows sum to 1 (memory to less while it begins).
    """
    return torch.log1p(-(prediction * memory).sum(dim=1)).mean()


def remembered(memory: Tensor, prediction: Tensor, momentum: float) -> Tensor:
    """momentum x memory + (1 - momentum) x prediction: the temporal ensemble of a row's predictions."""
    return momentum * memory + (1 - momentum) * prediction


class ElrRunner(BaseRunner):
    """Cross entropy + elr_weight x regulariser towards a moving average of the row's predictions (Liu et al., 2020)."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.add_memory("elr", len(self.dataset.names))

    def penalties(self, logits: Tensor, batch: Batch) -> list[Tensor]:
        prediction = logits.softmax(dim=1).clamp(LEAST, 1 - LEAST)
        seen, memory = prediction.detach(), self.memories["elr"].values
        now = memory[batch.rows]
        if not self.repeating:
            now = remembered(now, seen / seen.sum(dim=1, keepdim=True), self.settings.elr_momentum)
            memory[batch.rows] = now
        return [*super().penalties(logits, batch), self.settings.elr_weight * regulariser(prediction, now)]
