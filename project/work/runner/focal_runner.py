"""Focal loss: what the network predicts well already counts less, so that rare and hard pictures are learnt."""

import torch
from torch import Tensor
from torch.nn import functional

from project.work.dataset.base_dataset import Batch
from project.work.runner.base_runner import BaseRunner

LEAST = 1e-8  # of 1 - p, at which powers below 1 are infinitely steep


def focal_loss(logits: Tensor, targets: Tensor, gamma: float) -> Tensor:
    """-(1 - p)^gamma log p of the probability p of the target, the mean over the batch (Lin et al., 2017, equation 4).

    logits, targets: float (B, K), the rows of targets sum to 1: with soft targets the mean over them. gamma 0 is cross
    entropy.
    """
    logs = functional.log_softmax(logits, dim=1)
    missed = (-torch.expm1(logs)).clamp(min=LEAST)
    return -(targets * missed**gamma * logs).sum(dim=1).mean()


class FocalRunner(BaseRunner):
    """Focal loss with the labels as they are given."""

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        return focal_loss(logits, batch.targets, self.settings.focal_gamma)
