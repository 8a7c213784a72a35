"""Labels trusted as far as a mixture of two losses says, and the row's own belief for the rest."""

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor

from project.work.dataset.base_dataset import Batch
from project.work.runner.base_runner import BaseRunner
from project.work.runner.elr_runner import remembered

LEAST_RATE = 1e-6  # so that a belief without any trust in a label does not leave it without any true class


def sharpened(beliefs: Tensor, temperature: float) -> Tensor:
    """Beliefs to the power of 1 / temperature, rows summing to 1 again. beliefs: float (B, K), of any positive sum."""
    logs = beliefs.clamp(min=torch.finfo(beliefs.dtype).tiny).log()
    return (logs / temperature).softmax(dim=1)


def corrected(labels: Tensor, beliefs: Tensor, noise_rate: float) -> Tensor:
    """Probability of each class to be the true one, float (B, K), given the label and the belief of a row.

    By Bayes' rule for labels of which a share r became any other of K classes alike. labels: float (B, K), one 1 a row;
    beliefs: float (B, K), rows sum to 1. At the label's own place it is `noise_channel.trust`.
    """
    wrong = noise_rate / (labels.shape[1] - 1)
    joint = beliefs * torch.where(labels > 0, 1 - noise_rate, wrong)
    return joint / joint.sum(dim=1, keepdim=True)


class LabelPosteriorRunner(BaseRunner):
    """Cross entropy with what the true class seems to be, by each row's label and what the network has said of the row.

    What -log of a label's probability is for right labels and for wrong ones are two distributions, mixed by the noise
    rate, which is fitted once an epoch: the loss decides how far a label is trusted, as in M-correction (Arazo et al.,
    2019) and DivideMix (Li et al., 2020). Theirs are two fitted laws, which take the harder half of clean labels for
    wrong; these follow from the belief itself and a noise channel (Bekker and Goldberger, 2016). Targets are corrected
    before mixup mixes them.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.memories["predictions"] = self.make_memory(len(self.dataset.names))

    def _start_epoch(self, epoch: int) -> None:
        super()._start_epoch(epoch)
        self.noise_rate: float | None = None
        if epoch >= max(1, math.ceil(self.settings.label_posterior_start * self.settings.epoch)):
            self.noise_rate = max(LEAST_RATE, self.estimated_noise())

    def _beliefs(self, rows: Tensor) -> Tensor:
        return sharpened(self.memories["predictions"].values[rows], self.settings.label_posterior_temperature)

    def forward(self, batch: Batch) -> tuple[Tensor, Batch]:
        if self.noise_rate is not None:
            targets = corrected(batch.targets, self._beliefs(batch.rows), self.noise_rate)
            batch = dataclasses.replace(batch, targets=targets)
        return super().forward(batch)

    @torch.no_grad()
    def observe(self, logits: Tensor, batch: Batch) -> None:
        super().observe(logits, batch)
        memory, momentum = self.memories["predictions"].values, self.settings.label_posterior_momentum
        memory[batch.rows] = remembered(memory[batch.rows], logits.softmax(dim=1), momentum)
