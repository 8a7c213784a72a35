"""Mixup and manifold mixup: train on convex combinations of pairs."""

import dataclasses

import torch
from torch import Tensor

from project.work.dataset.base_dataset import Batch
from project.work.dataset.pictures import staged
from project.work.machine.distributed import ALONE, Distributed
from project.work.runner.base_runner import BaseRunner

MIX_AFTER = ("input", "layer1", "layer2")
LEAST = 1e-12  # of a pair's weight, to divide by; what costs nothing has no direction anyway


def mix(values: Tensor, partners: Tensor, weight: float | Tensor) -> Tensor:
    """weight * values + (1 - weight) * values[partners], along the first dimension. values: (B, C, ...).

    weight: one for all, or (B, 1).
    """
    if not values.is_contiguous():  # channels last, as convolutions hold them: then a row is one stretch of memory
        return mix(values.movedim(1, -1).contiguous(), partners, weight).movedim(-1, 1)
    rows = values.flatten(1)
    return rows.index_select(0, partners).lerp(rows, weight).view_as(values)


def mix_targets(batch: Batch, partners: Tensor, weight: float | Tensor) -> Batch:
    """The batch with its targets, hard and soft, mixed; its pictures as they were.

    Where rows have weights w, a pair's is weight x w + (1 - weight) x w[partners], and the share of each row's target
    is its share of that: a cost that is linear in the target then is the sum of what each row would cost alone.
    """
    weights = batch.weights
    if weights is not None:
        weights = mix(weights[:, None], partners, weight)[:, 0]
        weight = (weight * batch.weights / weights.clamp(min=LEAST))[:, None]
    soft = None if batch.soft_targets is None else mix(batch.soft_targets, partners, weight)
    targets = mix(batch.targets, partners, weight)
    return dataclasses.replace(batch, targets=targets, soft_targets=soft, weights=weights)


class MixupRunner(BaseRunner):
    """Mixes pictures and targets with one weight a batch from Beta(alpha, alpha) (Zhang et al., 2017).

    A row keeps the larger share of its own picture (Berthelot et al., 2019): pairs are drawn evenly, so nothing else
    changes, but margins and predictions are those of the row they are noted for.
    """

    def seen(self, count: int) -> slice:
        """All pictures: a partner may be in another process's share."""
        return slice(count)

    def forward(self, batch: Batch) -> tuple[Tensor, Batch]:
        weight, partners = self._draw(batch)
        images = mix(batch.images, partners, weight)[self.distributed.share(len(batch))]
        return self.model(images), self.mine(mix_targets(batch, partners, weight), images)

    def _draw(self, batch: Batch) -> tuple[float, Tensor]:
        weight = float(self.numpy_generator.beta(self.settings.mixup_alpha, self.settings.mixup_alpha))
        return max(weight, 1 - weight), staged(torch.randperm(len(batch), generator=self.generator), self.device)


class ManifoldMixupRunner(MixupRunner):
    """Mixes after the input, layer1 or layer2, chosen anew for each batch (Verma et al., 2018).

    A network whose body is one stage has fewer places.
    """

    def seen(self, count: int) -> slice:
        """This process's share: what is mixed comes from the others as values of a stage."""
        return self.distributed.share(count)

    def forward(self, batch: Batch) -> tuple[Tensor, Batch]:
        weight, partners = self._draw(batch)
        places = mix_places(self.model)
        place = places[self.numpy_generator.integers(len(places))]
        logits = mixed_forward(self.model, batch.images, partners, weight, place, self.distributed)
        return logits, self.mine(mix_targets(batch, partners, weight), batch.images)


def mix_places(model: torch.nn.Module) -> list[str]:
    """Those of MIX_AFTER that a network has: logits, which a body without a head gives, are no place."""
    stages = dict(model.named_children())
    logits = isinstance(stages.get("head"), torch.nn.Identity)
    return [place for place in MIX_AFTER if place == "input" or (place in stages and not logits)]


def mixed_forward(
    model: torch.nn.Sequential,
    images: Tensor,
    partners: Tensor,
    weight: float,
    place: str,
    distributed: Distributed = ALONE,
) -> Tensor:
    """Logits of a network of named stages whose values are mixed after one stage, or before the first ("input").

    images: this process's share of a batch; partners: of the whole batch, so that a partner may be another process's.
    """
    names = [name for name, _ in model.named_children()]
    cut = 0 if place == "input" else names.index(place) + 1
    values = distributed.whole(model[:cut](images), len(partners))
    return model[cut:](mix(values, partners, weight)[distributed.share(len(partners))])
