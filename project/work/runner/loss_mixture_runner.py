"""Labels trusted as far as a mixture of two losses says, and the network's own belief for the rest."""

import dataclasses
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from project.work.dataset.base_dataset import Batch
from project.work.runner.base_runner import BaseRunner
from project.work.runner.elr_runner import remembered

LEAST = 1e-6  # of a probability, so that no logarithm is infinite
NARROWEST = 1e-4  # variance of a Gaussian, so that none shrinks to one row
ROUNDS, TOLERANCE = 100, 1e-4


def label_losses(beliefs: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of each belief with its row's label, float (N,). beliefs: float (N, K); labels: int64 (N,)."""
    return -beliefs.gather(1, labels[:, None])[:, 0].clamp(min=LEAST).log()


def chance_losses(beliefs: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean and variance of the losses of all labels but the given ones: what labels put in by chance would cost.

    beliefs: float (N, K), K >= 2; labels: int64 (N,).
    """
    losses = beliefs.clamp(min=LEAST).log_().neg_()
    wrong = torch.ones_like(losses).scatter_(1, labels[:, None], 0)
    mean = float((losses * wrong).sum(dtype=torch.float64) / wrong.sum(dtype=torch.float64))
    spread = ((losses - mean) ** 2 * wrong).sum(dtype=torch.float64) / wrong.sum(dtype=torch.float64)
    return mean, float(spread) + NARROWEST


def posterior(values: np.ndarray, weights: np.ndarray, means: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """The probability of each of two Gaussians given each value, float (2, N), columns sum to 1."""
    distances = (values - means[:, None]) ** 2 / variances[:, None]
    logs = (np.log(weights) - np.log(variances) / 2)[:, None] - distances / 2
    densities = np.exp(logs - logs.max(axis=0))
    return densities / densities.sum(axis=0)


def trust(losses: np.ndarray, chance: tuple[float, float]) -> np.ndarray:
    """The probability that each row's label is not there by chance, float (N,): of a mixture of two Gaussians.

    losses: float (N,). chance: mean and variance of the higher Gaussian. It is given: where both are fitted (Arazo et
    al., 2019; Li et al., 2020) the harder half of clean labels counts as wrong. The rest is fitted by expectation
    maximisation. A loss beyond both means counts as the nearer mean: the wider of two Gaussians claims both ends.
    """
    weights, means = np.full(2, 0.5), np.array([np.quantile(losses, 0.1), chance[0]])
    variances = np.array([losses.var() + NARROWEST, chance[1]])
    for _ in range(ROUNDS):
        share = posterior(losses, weights, means, variances)[0]
        count, before = share.sum() + LEAST, means[0]
        weights = np.clip(np.array([count, len(losses) - count]) / len(losses), LEAST, 1)
        means[0] = share @ losses / count
        variances[0] = share @ (losses - means[0]) ** 2 / count + NARROWEST
        if abs(means[0] - before) < TOLERANCE:
            break
    if means[0] > means[1] - TOLERANCE:  # labels are believed no more than others would be
        return np.ones(len(losses))
    return posterior(losses.clip(*means), weights, means, variances)[0]


def sharpened(beliefs: Tensor, temperature: float) -> Tensor:
    """Beliefs to the power of 1 / temperature, rows summing to 1 again. beliefs: float (B, K), rows sum to 1."""
    powers = beliefs ** (1 / temperature)
    return powers / powers.sum(dim=1, keepdim=True)


def corrected(targets: Tensor, beliefs: Tensor, trusted: Tensor) -> Tensor:
    """trusted x target + (1 - trusted) x belief, each float (B, K). trusted: float (B,) in 0..1."""
    return beliefs.lerp(targets, trusted[:, None])


class LossMixtureRunner(BaseRunner):
    """Cross entropy with each label in the measure that it is trusted, and for the rest with the row's belief.

    Both come from what the network has said of a row in all epochs so far: the losses of these beliefs, fitted once an
    epoch, say how far to trust its label. Targets are corrected before mixup mixes them.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.memories["mixture"] = self.make_memory(len(self.dataset.names))

    def _start_epoch(self, epoch: int) -> None:
        super()._start_epoch(epoch)
        self.trusted: Tensor | None = None
        if epoch >= max(1, math.ceil(self.settings.loss_mixture_start * self.settings.epoch)):
            self.trusted = self.parallel.first(self._trust).to(self.device)

    def _trust(self) -> Tensor:
        """How far to trust the label of each row of the training file, float (N,): of those not trained on, fully."""
        rows, labels = self.dataset.train.rows.to(self.device), self.dataset.train.labels
        found = torch.ones(len(self.dataset.train.records.labels))
        beliefs = self._beliefs(rows)
        losses = label_losses(beliefs, labels).double().cpu().numpy()
        found[self.dataset.train.rows] = torch.from_numpy(trust(losses, chance_losses(beliefs, labels))).float()
        return found

    def _beliefs(self, rows: Tensor) -> Tensor:
        values = self.memories["mixture"].values[rows]
        return values / values.sum(dim=1, keepdim=True)

    def forward(self, batch: Batch) -> tuple[Tensor, Batch]:
        if self.trusted is not None:
            beliefs = sharpened(self._beliefs(batch.rows), self.settings.loss_mixture_temperature)
            targets = corrected(batch.targets, beliefs, self.trusted[batch.rows])
            batch = dataclasses.replace(batch, targets=targets)
        return super().forward(batch)

    @torch.no_grad()
    def observe(self, logits: Tensor, batch: Batch) -> None:
        super().observe(logits, batch)
        memory = self.memories["mixture"].values
        memory[batch.rows] = remembered(memory[batch.rows], logits.softmax(dim=1), self.settings.loss_mixture_momentum)
