"""Generalised cross entropy: between cross entropy, which memorises, and absolute error, which hardly learns."""

from torch import Tensor
from torch.nn import functional

from project.work.dataset.base_dataset import Batch
from project.work.runner.base_runner import BaseRunner


def generalised_cross_entropy(logits: Tensor, targets: Tensor, power: float) -> Tensor:
    """(1 - p^q) / q of the probability p of the target, the mean over the batch (Zhang and Sabuncu, 2018).

    logits, targets: float (B, K), the rows of targets sum to 1: with soft targets the mean over them. power q: in
    (0, 1]; towards 0 it is cross entropy, 1 is absolute error.
    """
    powers = (functional.log_softmax(logits, dim=1) * power).exp()
    return ((1 - powers) / power * targets).sum(dim=1).mean()


class GceRunner(BaseRunner):
    """Generalised cross entropy with the labels as they are given."""

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        return generalised_cross_entropy(logits, batch.targets, self.settings.gce_power)
