"""A prepared data set as tensors on the device: splits, and batches that are cut, augmented and normalised together."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold, train_test_split
from torch import Tensor
from torch.nn import functional

from project.work.common import INPUT, Settings
from project.work.dataset import storage
from project.work.declaration import UserError

Augment = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Batch:
    """What one step sees. images: float (B, C, H, W), normalised; targets: float (B, K), rows sum to 1;
    rows: int64 (B,), row numbers in the training file; soft_targets: as targets, or None without distillation."""

    images: Tensor
    targets: Tensor
    rows: Tensor
    soft_targets: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def part(self, at: slice) -> "Batch":
        """Some of its pictures, with all that belongs to them."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return Batch(**{name: None if value is None else value[at] for name, value in values.items()})


@dataclass(frozen=True)
class Normaliser:
    """The one way pixels become numbers: training, validation, test and serving all pass through here."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 or float (B, C, H, W) in 0..255 -> float (B, C, H, W), each channel by its mean and deviation."""
        shape = (1, -1, 1, 1)
        mean = torch.tensor(self.mean, device=images.device).view(shape) * 255
        std = torch.tensor(self.std, device=images.device).view(shape) * 255
        return (images.float() - mean) / std


@dataclass(frozen=True)
class Split:
    """Pictures resident on the device. images: uint8 (N, C, H, W); labels, rows: int64 (N,)."""

    images: Tensor
    labels: Tensor
    rows: Tensor
    normalise: Normaliser
    classes: int
    soft_targets: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, index: np.ndarray | slice) -> "Split":
        """The pictures at these positions."""
        at = index if isinstance(index, slice) else torch.as_tensor(index, device=self.labels.device)
        soft = None if self.soft_targets is None else self.soft_targets[at]
        return Split(self.images[at], self.labels[at], self.rows[at], self.normalise, self.classes, soft)

    def batches(
        self, size: int, generator: torch.Generator | None = None, augment: Augment | None = None
    ) -> Iterator[Batch]:
        """All pictures once, `size` at a time: shuffled and augmented with a generator, in order without one."""
        count = len(self)
        order = torch.arange(count) if generator is None else torch.randperm(count, generator=generator)
        for at in order.to(self.labels.device).split(batch_sizes(count, size)):
            images = self.images[at]
            if augment is not None:
                images = augment(images.float(), generator)
            targets = functional.one_hot(self.labels[at], self.classes).float()
            soft = None if self.soft_targets is None else self.soft_targets[at]
            yield Batch(self.normalise(images), targets, self.rows[at], soft)


@dataclass(frozen=True)
class Dataset:
    """The three splits of a run, with the class names and the keys of the training file's rows."""

    train: Split
    valid: Split
    test: Split
    names: list[str]
    train_keys: list[str]
    fingerprint: str


def batch_sizes(count: int, size: int) -> list[int]:
    """Sizes of the batches of an epoch; a last picture that would be alone joins the batch before it.

    Batch normalisation cannot learn from one picture, and none may be dropped.
    """
    full, rest = divmod(count, size)
    sizes = [size] * full + ([rest] if rest else [])
    return [*sizes[:-2], size + 1] if rest == 1 and full else sizes


def load(settings: Settings, device: torch.device) -> Dataset:
    """Read a prepared data set onto the device and hold out validation, stratified. Raises UserError for bad files."""
    folder = find(settings.dataset)
    prepared = storage.read(folder)
    classes = len(prepared.names)
    train_index, valid_index = split(prepared.train.labels, settings.valid_rate, settings.split_seed, str(folder))
    images = [_as_tensor(part.images, settings.image_size) for part in (prepared.train, prepared.test)]
    normalise = _normaliser(settings, images[0][torch.as_tensor(train_index)])
    whole, test = (
        Split(
            pixels.to(device),
            torch.as_tensor(part.labels).to(device),
            torch.arange(len(pixels), device=device),
            normalise,
            classes,
        )
        for pixels, part in zip(images, (prepared.train, prepared.test), strict=True)
    )
    keys = prepared.train.keys["key_id"].astype(str).tolist()
    fingerprint = storage.fingerprint(prepared.train)
    return Dataset(whole.subset(train_index), whole.subset(valid_index), test, prepared.names, keys, fingerprint)


def find(dataset: str) -> Path:
    """The folder of a data set given by name or path."""
    return Path(dataset) if "/" in dataset else INPUT / dataset


def split(labels: np.ndarray, valid_rate: float, seed: int, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of training and validation, sorted, every class in proportion. Raises UserError when too few."""
    _refuse_rare(labels, 2, where, "one row to train and one to validate")
    try:
        parts = train_test_split(np.arange(len(labels)), test_size=valid_rate, random_state=seed, stratify=labels)
    except ValueError as error:
        raise UserError(f"--valid-rate {valid_rate} on {where} ({len(labels)} pictures): {error}") from error
    return np.sort(parts[0]), np.sort(parts[1])


def fold_numbers(labels: np.ndarray, folds: int, seed: int, where: str) -> np.ndarray:
    """The fold (0 .. folds-1) of each row, stratified. Raises UserError when a class has fewer rows than folds."""
    _refuse_rare(labels, folds, where, f"one for each of {folds} folds; use fewer --folds")
    numbers = np.empty(len(labels), dtype=np.int64)
    parts = StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels)
    for number, (_, held_out) in enumerate(parts):
        numbers[held_out] = number
    return numbers


def _refuse_rare(labels: np.ndarray, least: int, where: str, why: str) -> None:
    values, counts = np.unique(labels, return_counts=True)
    if len(values) < 2:
        raise UserError(f"{where}: all training pictures have one label; a classifier needs at least 2")
    if counts.min() < least:
        rare = values[counts.argmin()]
        raise UserError(f"{where}: class {rare} has {counts.min()} training rows, at least {least} are needed ({why})")


def _as_tensor(images: np.ndarray, side: int | None) -> Tensor:
    """uint8 (N, H, W[, C]) -> uint8 (N, C, side, side)."""
    pixels = torch.from_numpy(images)
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2).contiguous()
    if side is None or tuple(pixels.shape[2:]) == (side, side):
        return pixels
    parts = [
        functional.interpolate(part.float(), (side, side), mode="bilinear", antialias=True).round().to(torch.uint8)
        for part in pixels.split(1024)
    ]
    return torch.cat(parts)


def _normaliser(settings: Settings, images: Tensor) -> Normaliser:
    channels = images.shape[1]
    if settings.pixel_mean is not None:
        return Normaliser((settings.pixel_mean,) * channels, (settings.pixel_std,) * channels)
    levels = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for channel in range(channels):  # by histogram: exact, and no float copy of the whole set
        share = torch.bincount(images[:, channel].flatten(), minlength=256).double() / images[:, channel].numel()
        mean = (share * levels).sum()
        means.append(float(mean))
        deviations.append(max(float((share * (levels - mean) ** 2).sum().sqrt()), 1e-3))
    return Normaliser(tuple(means), tuple(deviations))
