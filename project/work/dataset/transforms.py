"""What happens to a batch of images on its device: random changes in training, and normalisation everywhere.

What is drawn is drawn for a whole batch; the images may be a share of it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from project.work.dataset.pictures import Home, Resident, at_once
from project.work.settings.groups import Settings

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
SAMPLE = 65_536  # pictures of a set on disk that are measured


@dataclass(frozen=True)
class Normaliser:
    """Mean and standard deviation (std) of each channel, in pixels of 0..1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 or float (B, C, H, W) in 0..255 -> float (B, C, H, W), each channel by its mean and std."""
        return self.on(images.device)(images)

    def on(self, device: torch.device) -> "DeviceNormaliser":
        """The same with its numbers on a device already: to send them there for each batch would wait for it."""
        mean, std = torch.tensor(self.mean, dtype=torch.float64), torch.tensor(self.std, dtype=torch.float64)
        terms = (1 / (255 * std), -mean / std)
        return DeviceNormaliser(*(term.float().view(1, -1, 1, 1).to(device) for term in terms))


@dataclass(frozen=True)
class DeviceNormaliser:
    """One multiplication and one addition. scale, offset: float (1, C, 1, 1)."""

    scale: Tensor
    offset: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 or float (B, C, H, W) in 0..255 -> float (B, C, H, W)."""
        return torch.addcmul(self.offset, images.float(), self.scale)


def chosen(
    settings: Settings, pictures: Home, rows: Tensor, known: Callable[[int], Normaliser] | None = None
) -> Normaliser:
    """The normaliser that the settings give, or else that of a network's weights, or else the pictures at these
    positions, int64 (n,). known: gives that of the weights for a number of channels."""
    if settings.pixel_mean is None and known is not None:
        return known(pictures.shape[0])
    if settings.pixel_mean is None:
        return measured(pictures, rows)
    channels = pictures.shape[0]
    return Normaliser((settings.pixel_mean,) * channels, (settings.pixel_std,) * channels)


def measured(pictures: Home, rows: Tensor) -> Normaliser:
    """By histogram: exact, and without a float copy; of a set on disk an even sample, as reading all takes minutes."""
    if not isinstance(pictures, Resident) and len(rows) > SAMPLE:
        rows = rows[torch.linspace(0, len(rows) - 1, SAMPLE, dtype=torch.float64).long()]
    counts = torch.zeros(pictures.shape[0], 256, dtype=torch.int64)
    for some in pictures.stream(rows.to(pictures.home).split(at_once(pictures.shape))):
        for channel, count in enumerate(counts):
            count += torch.bincount(some[:, channel].flatten(), minlength=256).cpu()
    levels = torch.arange(256, dtype=torch.float64) / 255
    shares = counts.double() / counts.sum(dim=1, keepdim=True)
    means = (shares * levels).sum(dim=1)
    stds = (shares * (levels - means[:, None]) ** 2).sum(dim=1).sqrt()
    return Normaliser(tuple(means.tolist()), tuple(stds.clamp(min=1e-3).tolist()))
