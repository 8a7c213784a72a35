"""Noisy teacher-student (NTS): a student that learns from the teacher selected on noisy validation."""

import dataclasses

from torch import Tensor

from project.work.dataset.base_dataset import Batch
from project.work.runner.base_runner import BaseRunner


def taught_targets(targets: Tensor, predictions: Tensor, label_weight: float) -> Tensor:
    """label_weight x label + (1 - label_weight) x the teacher's prediction: float (B, K), rows sum to 1."""
    return predictions.lerp(targets, label_weight)


class NtsRunner(BaseRunner):
    """The loss with labels replaced by what a teacher predicts of the clean view (Chen et al., AAAI 2021).

    Accuracy is robust to noise, so the epoch that a noisy validation split selects is a good teacher; and it was right
    about many a wrong label. Targets alone are replaced, after mixing, so it goes with mixup and with any loss.
    """

    cost = 2.0  # the teacher's training beside the student's

    def teach_targets(self, batch: Batch) -> Batch:
        targets = taught_targets(batch.targets, batch.soft_targets, self.settings.nts_label_weight)
        return dataclasses.replace(batch, targets=targets)
