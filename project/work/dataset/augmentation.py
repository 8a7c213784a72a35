"""Random changes of training pictures, drawn for a whole batch at once."""

import math

import torch
from torch import Tensor
from torch.nn import functional

ROTATION = math.radians(12)
SCALE = 0.15
SHIFT = 2 / 32


def none(images: Tensor, generator: torch.Generator) -> Tensor:
    """Leaves pictures as they are."""
    return images


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrors each picture left to right with probability one half. images: (B, C, H, W)."""
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(mirrored.to(images.device)[:, None, None, None], images.flip(3), images)


def affine(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turns, scales, shifts and mirrors each picture by its own amount. images: float (B, C, H, W) in 0..255.

    Uniform in +-12 degrees, +-15% of size, +-1/16 of the side; mirrored with probability one half.
    """
    matrices = affine_matrices(len(images), generator).to(images.device)
    grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def affine_matrices(count: int, generator: torch.Generator) -> Tensor:
    """Random inverse maps, float (count, 2, 3), in the coordinates of `affine_grid` (the side is 2 long)."""
    turn, scale, right, down = torch.rand(4, count, generator=generator) * 2 - 1
    mirror = (torch.rand(count, generator=generator) < 0.5).float() * 2 - 1
    size = 1 + scale * SCALE
    cosine, sine = torch.cos(turn * ROTATION) * size, torch.sin(turn * ROTATION) * size
    across = torch.stack([cosine * mirror, -sine, right * SHIFT * 2], dim=1)
    along = torch.stack([sine * mirror, cosine, down * SHIFT * 2], dim=1)
    return torch.stack([across, along], dim=1)


AUGMENTATIONS = {"none": none, "flip": flip, "affine": affine}
