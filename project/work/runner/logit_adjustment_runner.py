"""Logit adjustment: the network learns what the pictures say beside how frequent each class is."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from project.work.dataset import imbalance
from project.work.dataset.base_dataset import Batch
from project.work.runner.base_runner import BaseRunner


class LogitAdjustmentRunner(BaseRunner):
    """Cross entropy of logits + tau x log of the class frequencies (Menon et al., 2021, equation 10).

    The plain logits, by which it is evaluated and predicts, then rank classes as if all were equally frequent.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        counts = np.bincount(self.learnt.labels.cpu().numpy(), minlength=self.learnt.classes)
        prior = torch.from_numpy(imbalance.log_prior(counts)).float()
        self.adjustment = (self.settings.logit_adjustment_tau * prior).to(self.device)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        return super().loss(logits + self.adjustment, batch)
