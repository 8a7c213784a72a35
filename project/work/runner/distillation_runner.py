"""Distillation: learn from another model's predictions beside the label."""

from torch import Tensor
from torch.nn import functional

from project.work.dataset.base_dataset import Batch
from project.work.runner.base_runner import BaseRunner

DEFAULT_FOLDS = 5


def soft_loss(logits: Tensor, soft_targets: Tensor, temperature: float) -> Tensor:
    """T^2 x KL(soft target || softmax(logits / T)), the mean over the batch (Hinton et al., 2015).

    logits: float (B, K); soft_targets: float (B, K), softmax of the teacher's logits at the same temperature.
    """
    log_probabilities = functional.log_softmax(logits / temperature, dim=1)
    return temperature**2 * functional.kl_div(log_probabilities, soft_targets, reduction="batchmean")


class DistillationRunner(BaseRunner):
    """Hard loss + soft_loss_weight x soft loss; the soft targets are out-of-fold, so no teacher saw the row's label.

    The fold models' cost is not in `cost`: see `table.cost`.
    """

    def penalties(self, logits: Tensor, batch: Batch) -> list[Tensor]:
        soft = self.settings.soft_loss_weight * soft_loss(logits, batch.soft_targets, self.settings.softmax_temperature)
        return [*super().penalties(logits, batch), soft]
