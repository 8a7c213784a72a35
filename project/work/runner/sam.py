"""Sharpness-aware minimisation (SAM): steps with the gradient at the nearby point of highest loss."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from project.work.dataset.base_dataset import Batch

COST = 2.0  # two forward and backward passes for each batch
LEAST = 1e-12  # added to a norm, against division by zero


def ascent(gradients: Sequence[Tensor], radius: float) -> list[Tensor]:
    """radius x g / |g|: the ascent from the weights, with one norm over all (Foret et al., 2021, eq. 2).

    The factor of a GradScaler cancels out, so the gradients need not be unscaled, which would wait for the device.
    """
    factor = radius / (nn.utils.get_total_norm(gradients) + LEAST)
    return [gradient * factor for gradient in gradients]


@contextmanager
def ascended(networks: Sequence[nn.Module], radius: float) -> Iterator[None]:
    """Moves each network by its ascent (with its own norm) and clears its gradients; at the end restores the weights.

    The gradients computed at the ascended point stay. Statistics of batch normalisation are restored too. If fp16
    overflowed before the ascent, the ascended weights and their gradients are NaN, and a GradScaler skips the step.
    """
    tensors = [tensor for network in networks for tensor in (*network.parameters(), *network.buffers())]
    before = [tensor.detach().clone() for tensor in tensors]
    for network in networks:
        _climb(network, radius)
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, old in zip(tensors, before, strict=True):
                tensor.copy_(old)


@torch.no_grad()
def _climb(network: nn.Module, radius: float) -> None:
    learnt = [parameter for parameter in network.parameters() if parameter.grad is not None]
    for parameter, way in zip(learnt, ascent([each.grad for each in learnt], radius), strict=True):
        parameter.add_(way)
    network.zero_grad()


class SteppingRunner(Protocol):
    """What SAM needs of a runner. trained: the networks that learn; repeating: whether this is the second pass."""

    trained: list[nn.Module]
    repeating: bool
    generator: torch.Generator
    numpy_generator: np.random.Generator

    def add_gradients(self) -> None:
        """Sum the gradients of all processes."""

    def backward(self, batch: Batch, pictures: int) -> Any:
        """Add a batch's gradients, weighted by its share of a step of this many images."""


def repeat(runner: SteppingRunner, passes: Sequence["Pass"], radius: float) -> None:
    """Replace the gradients of a step by those at the ascended point: repeat its batches with the same random draws."""
    runner.add_gradients()
    with ascended(runner.trained, radius):
        runner.repeating = True
        for each in passes:
            each.rewind(runner.generator, runner.numpy_generator)
            runner.backward(each.batch, each.pictures)
        runner.repeating = False


@dataclass(frozen=True)
class Pass:
    """A batch and the states of the random generators before its pass."""

    batch: Batch
    pictures: int
    state: Tensor
    numpy_state: Mapping[str, Any]

    @classmethod
    def now(cls, batch: Batch, pictures: int, generator: torch.Generator, numpy: np.random.Generator) -> "Pass":
        """The pass that is about to start."""
        return cls(batch, pictures, generator.get_state(), numpy.bit_generator.state)

    def rewind(self, generator: torch.Generator, numpy: np.random.Generator) -> None:
        """Restore the generators to the start of the pass; after the last pass of a step they are where they were."""
        generator.set_state(self.state)
        numpy.bit_generator.state = self.numpy_state
