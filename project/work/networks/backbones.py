"""A pretrained network of timm without its head, which turns pictures into features and learns nothing more."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from project.work.common import UserError
from project.work.dataset.transforms import Normaliser
from project.work.files import disk
from project.work.networks import fusing, library, weights
from project.work.settings.groups import Settings


@dataclass(frozen=True)
class Backbone:
    """A pretrained network without its head. network: float (B, 3, side, side), normalised -> float (B, width);
    normaliser, side: of the pictures that its weights were made for; width: of its features; digest: a short name for
    the weights; source: in words, where they come from."""

    name: str
    network: nn.Module
    normaliser: Normaliser
    side: int
    width: int
    digest: str
    source: str

    @cached_property
    def fused(self) -> nn.Module:
        """The same network with less to do, see `fusing`."""
        return fusing.fused(self.network, self.side)


def open_backbone(settings: Settings, side: int | None = None) -> Backbone:
    """The network that the settings name, with its weights, on the CPU and in evaluation mode.

    side: of its pictures; --image-size, or that of its weights' configuration, when not given. Raises UserError: an
    unknown name, weights that are not there, damaged or of another network, a side that it cannot take.
    """
    name = settings.model
    network, config, source = weights.filled(name, settings.weights)
    wanted = side or settings.image_size or _side(config, name)
    if library.sized(name, config, (wanted, wanted)):
        network = library.create(name, 0, 3, 0, (wanted, wanted), network.state_dict())
    network.eval().requires_grad_(False)
    width = _width(network, name, wanted)
    normaliser = weights.normaliser(config, 3)
    return Backbone(name, network, normaliser, wanted, width, state_digest(network), source)


def _side(config: Any, name: str) -> int:
    _, height, width = config.input_size
    if height != width:
        raise UserError(f"--model {name}: takes pictures of {height} x {width}, and only square ones are made")
    return height


@torch.inference_mode()
def _width(network: nn.Module, name: str, side: int) -> int:
    """The number of features of a picture. Raises UserError where the network cannot take one of that side."""
    try:
        found = network(torch.zeros(1, 3, side, side))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UserError(f"--image-size {side}: {name} cannot take it ({disk.said(error)})") from error
    if not isinstance(found, Tensor) or found.ndim != 2:
        raise UserError(f"--model {name}: gives no row of features for a picture; choose another network")
    return found.shape[1]


def state_digest(network: nn.Module) -> str:
    """A short name for the weights of a network, wherever they came from: 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        if not name.endswith("num_batches_tracked"):
            digest.update(f"{name}{tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:12]
