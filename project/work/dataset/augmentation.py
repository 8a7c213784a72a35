"""Random changes of training pictures. What is drawn is drawn for a whole batch; pictures may be a share of it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

ROTATION = math.radians(12)
SCALE = 0.15
SHIFT = 2 / 32


@dataclass(frozen=True)
class Augmentation:
    """draw(B, generator): an amount for each picture of a batch, (B, ...); change(images, amounts): the pictures."""

    draw: Callable[[int, torch.Generator], Tensor]
    change: Callable[[Tensor, Tensor], Tensor]


def mirrors(count: int, generator: torch.Generator) -> Tensor:
    """Which pictures to mirror, each with probability one half: bool (count,)."""
    return torch.rand(count, generator=generator) < 0.5


def flip(images: Tensor, mirrored: Tensor) -> Tensor:
    """Mirrors some pictures left to right. images: (B, C, H, W); mirrored: bool (B,)."""
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def affine_matrices(count: int, generator: torch.Generator) -> Tensor:
    """Random inverse maps, float (count, 2, 3), in the coordinates of `affine_grid` (the side is 2 long).

    Uniform in +-12 degrees, +-15% of size, +-1/16 of the side; mirrored with probability one half.
    """
    turn, scale, right, down = torch.rand(4, count, generator=generator) * 2 - 1
    mirror = mirrors(count, generator).float() * 2 - 1
    size = 1 + scale * SCALE
    cosine, sine = torch.cos(turn * ROTATION) * size, torch.sin(turn * ROTATION) * size
    across = torch.stack([cosine * mirror, -sine, right * SHIFT * 2], dim=1)
    along = torch.stack([sine * mirror, cosine, down * SHIFT * 2], dim=1)
    return torch.stack([across, along], dim=1)


def affine(images: Tensor, matrices: Tensor) -> Tensor:
    """Turns, scales, shifts and mirrors each picture by its own map. images: float (B, C, H, W) in 0..255."""
    across, along = (_centres(side, images.device) for side in (images.shape[3], images.shape[2]))
    (a, b, c) = matrices[..., None, None].unbind(dim=2)  # each (B, 2, 1, 1)
    grid = a * across + (b * along[:, None] + c)  # affine_grid multiplies matrices of three for it, 20 times slower
    return functional.grid_sample(images, grid.permute(0, 2, 3, 1), align_corners=False)


def _centres(side: int, device: torch.device) -> Tensor:
    """Of the pixels of a side that is 2 long: float (side,)."""
    return (2 * torch.arange(side, device=device) + 1) / side - 1


AUGMENTATIONS: Mapping[str, Augmentation | None] = {
    "none": None,
    "flip": Augmentation(mirrors, flip),
    "affine": Augmentation(affine_matrices, affine),
}
