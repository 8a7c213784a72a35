"""Sharpness-aware minimisation (SAM): a step by the gradient at the place nearby where the loss is highest."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from project.work.dataset.base_dataset import Batch

COST = 2.0  # each batch is passed twice
LEAST = 1e-12  # of a norm, so that nothing is divided by zero


def ascent(gradients: Sequence[Tensor], radius: float) -> list[Tensor]:
    """radius x g / |g|: how far and where to climb from the weights, one norm over all (Foret et al., 2021, eq. 2).

    What a GradScaler multiplied all gradients by cancels out, so they need not be unscaled, which waits for the device.
    """
    factor = radius / (nn.utils.get_total_norm(gradients) + LEAST)
    return [gradient * factor for gradient in gradients]


@contextmanager
def ascended(networks: Sequence[nn.Module], radius: float) -> Iterator[None]:
    """Networks at the top of their ascents, each with a norm of its own, without gradients; then back to the bit.

    The gradients of the climb stay. Statistics of batch normalisation go back too: those nearby are not the network's.
    Where fp16 overflowed before the climb, all is NaN up there; so are the gradients, and a GradScaler skips the step.
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
    """What SAM needs of a runner. trained: the networks that learn; repeating: whether a batch is passed again."""

    trained: list[nn.Module]
    repeating: bool
    generator: torch.Generator
    numpy_generator: np.random.Generator

    def add_gradients(self) -> None:
        """Add up the gradients of all processes."""

    def backward(self, batch: Batch, pictures: int) -> Any:
        """Add a batch's gradients, as its share of a step of so many pictures."""


def repeat(runner: SteppingRunner, passes: Sequence["Pass"], radius: float) -> None:
    """Replace the gradients of a step by those at the top of the ascent: its batches are passed again, drawn alike."""
    runner.add_gradients()
    with ascended(runner.trained, radius):
        runner.repeating = True
        for each in passes:
            each.rewind(runner.generator, runner.numpy_generator)
            runner.backward(each.batch, each.pictures)
        runner.repeating = False


@dataclass(frozen=True)
class Pass:
    """A batch on its way through a network, with what decides the random draws on that way."""

    batch: Batch
    pictures: int
    state: Tensor
    numpy_state: Mapping[str, Any]

    @classmethod
    def now(cls, batch: Batch, pictures: int, generator: torch.Generator, numpy: np.random.Generator) -> "Pass":
        """The pass that is about to begin."""
        return cls(batch, pictures, generator.get_state(), numpy.bit_generator.state)

    def rewind(self, generator: torch.Generator, numpy: np.random.Generator) -> None:
        """Bring generators back to where it began; the last pass of a step leaves them where they were before."""
        generator.set_state(self.state)
        numpy.bit_generator.state = self.numpy_state
