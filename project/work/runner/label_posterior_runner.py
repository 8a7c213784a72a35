"""Label posterior: train on the probability of each true class, given the label, the prediction and the noise rate."""

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor

from project.work.dataset.base_dataset import Batch
from project.work.runner.base_runner import BaseRunner
from project.work.runner.elr_runner import remembered

LEAST_RATE = 1e-6  # with a rate of 0, a label whose probability rounds to 0 would leave no class possible


def sharpened(predictions: Tensor, temperature: float) -> Tensor:
    """Predictions to the power of 1 / temperature, normalised. predictions: float (B, K), rows of any positive sum."""
    logs = predictions.clamp(min=torch.finfo(predictions.dtype).tiny).log()
    return (logs / temperature).softmax(dim=1)


def posterior(labels: Tensor, predictions: Tensor, noise_rate: float) -> Tensor:
    """Probability that each class is the true one, float (B, K), given a row's label and the network's prediction.

    Bayes' rule under symmetric noise: a share r of the labels became any other of the K classes with equal probability.
    labels: float (B, K), one 1 a row; predictions: float (B, K), rows sum to 1. At the label's own class this is
    `noise_channel.trust`.
    """
    wrong = noise_rate / (labels.shape[1] - 1)
    joint = predictions * torch.where(labels > 0, 1 - noise_rate, wrong)
    return joint / joint.sum(dim=1, keepdim=True)


class LabelPosteriorRunner(BaseRunner):
    """Cross entropy with the posterior probability of the true class as the target.

    Each label is weighted by the network's prediction and the estimated noise rate; the rest of the target goes to the
    other classes as the network predicts them. The prediction is a moving average over epochs. The noise rate is
    estimated once an epoch on validation. For the first epochs (label_posterior_start) the target is the label.

    M-correction (Arazo et al., 2019) and DivideMix (Li et al., 2020) also weight labels, by a mixture of two
    distributions fitted to the losses; that takes the harder half of the clean labels for wrong. Here the weight
    follows from the prediction and a noise channel (Bekker and Goldberger, 2016).
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.add_memory("predictions", len(self.dataset.names))

    def _start_epoch(self, epoch: int) -> None:
        super()._start_epoch(epoch)
        self.noise_rate: float | None = None
        if epoch >= max(1, math.ceil(self.settings.label_posterior_start * self.settings.epoch)):
            self.noise_rate = max(LEAST_RATE, self.estimated_noise())

    def _predictions(self, rows: Tensor) -> Tensor:
        return sharpened(self.memories["predictions"].values[rows], self.settings.label_posterior_temperature)

    def correct_targets(self, batch: Batch) -> Batch:
        if self.noise_rate is None:
            return batch
        targets = posterior(batch.targets, self._predictions(batch.rows), self.noise_rate)
        return dataclasses.replace(batch, targets=targets)

    @torch.no_grad()
    def observe(self, logits: Tensor, batch: Batch) -> None:
        super().observe(logits, batch)
        memory, momentum = self.memories["predictions"].values, self.settings.label_posterior_momentum
        memory[batch.rows] = remembered(memory[batch.rows], logits.softmax(dim=1), momentum)
