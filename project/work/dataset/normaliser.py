"""The one way pixels become numbers: training, validation, test and serving all pass through here."""

from dataclasses import dataclass

import torch
from torch import Tensor

from project.work.dataset.pictures import Mapped, Resident, at_once
from project.work.settings.groups import Settings

SAMPLE = 65_536  # pictures of a mapped set that are measured


@dataclass(frozen=True)
class Normaliser:
    """Mean and deviation of each channel, in pixels of 0..1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 or float (B, C, H, W) in 0..255 -> float (B, C, H, W), each channel by its mean and deviation."""
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


def chosen(settings: Settings, pictures: Resident | Mapped, rows: Tensor) -> Normaliser:
    """The normaliser that the settings give, or else the pictures at these positions, int64 (n,)."""
    if settings.pixel_mean is None:
        return measured(pictures, rows)
    channels = pictures.shape[0]
    return Normaliser((settings.pixel_mean,) * channels, (settings.pixel_std,) * channels)


def measured(pictures: Resident | Mapped, rows: Tensor) -> Normaliser:
    """By histogram: exact, and without a float copy; of a mapped set an even sample, as reading all takes minutes."""
    if isinstance(pictures, Mapped) and len(rows) > SAMPLE:
        rows = rows[torch.linspace(0, len(rows) - 1, SAMPLE, dtype=torch.float64).long()]
    counts = torch.zeros(pictures.shape[0], 256, dtype=torch.int64)
    for some in pictures.stream(rows.to(pictures.home).split(at_once(pictures.shape))):
        for channel, count in enumerate(counts):
            count += torch.bincount(some[:, channel].flatten(), minlength=256).cpu()
    levels = torch.arange(256, dtype=torch.float64) / 255
    shares = counts.double() / counts.sum(dim=1, keepdim=True)
    means = (shares * levels).sum(dim=1)
    deviations = (shares * (levels - means[:, None]) ** 2).sum(dim=1).sqrt()
    return Normaliser(tuple(means.tolist()), tuple(deviations.clamp(min=1e-3).tolist()))
