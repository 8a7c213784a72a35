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


def two_gaussians(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, means and variances, each float (2,), of the mixture of two Gaussians that fits best, lower mean first.

    values: float (N,). By expectation maximisation from one start, so that neither chance nor the order of rows decides
    (scikit-learn's begins with k-means, whose seeds are drawn among the rows).
    """
    weights, means, variances = np.full(2, 0.5), np.quantile(values, [0.1, 0.9]), np.full(2, values.var() + NARROWEST)
    for _ in range(ROUNDS):
        shares = posterior(values, weights, means, variances)
        counts, before = shares.sum(axis=1) + LEAST, means
        weights, means = counts / counts.sum(), shares @ values / counts
        variances = (shares * (values - means[:, None]) ** 2).sum(axis=1) / counts + NARROWEST
        if np.abs(means - before).max() < TOLERANCE:
            break
    order = means.argsort(kind="stable")
    return weights[order], means[order], variances[order]


def posterior(values: np.ndarray, weights: np.ndarray, means: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """The probability of each Gaussian given each value, float (2, N), columns sum to 1."""
    distances = (values - means[:, None]) ** 2 / variances[:, None]
    logs = (np.log(weights) - np.log(variances) / 2)[:, None] - distances / 2
    densities = np.exp(logs - logs.max(axis=0))
    return densities / densities.sum(axis=0)


def trust(losses: np.ndarray) -> np.ndarray:
    """The probability that each row belongs to the lower of two Gaussians fitted to all losses: float (N,).

    losses: float (N,). Rows with right labels are learnt first and gather at the low one (Arazo et al., 2019, with two
    beta laws; Li et al., 2020, with these). A loss beyond both means counts as the nearer mean: the wider of two
    Gaussians claims both ends, however low a loss is.
    """
    weights, means, variances = two_gaussians(losses)
    if means[1] - means[0] < TOLERANCE:
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
        losses = label_losses(self._beliefs(rows), labels).double().cpu().numpy()
        found[self.dataset.train.rows] = torch.from_numpy(trust(losses)).float()
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
