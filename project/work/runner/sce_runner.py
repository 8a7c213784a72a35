"""Symmetric cross entropy: cross entropy, and cross entropy with label and prediction exchanged."""

from torch import Tensor

from project.work.dataset.base_dataset import Batch
from project.work.runner.base_runner import BaseRunner

LOG_OF_ZERO = -4.0  # the paper's A: what the logarithm of a label's probability 0 counts as


def reverse_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """-sum p log(target), with log 0 = -4, the mean over the batch (Wang et al., 2019).

    logits, targets: float (B, K), the rows of targets sum to 1.
    """
    logs = targets.log().clamp(min=LOG_OF_ZERO)
    return -(logits.softmax(dim=1) * logs).sum(dim=1).mean()


class SceRunner(BaseRunner):
    """sce_alpha x cross entropy + sce_beta x reverse cross entropy."""

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        reverse = reverse_cross_entropy(logits, batch.targets)
        return self.settings.sce_alpha * super().loss(logits, batch) + self.settings.sce_beta * reverse
