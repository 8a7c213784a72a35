"""A prepared data set as splits: row numbers of files that are held once, and the batches gathered from them."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from project.work.dataset import normaliser, prepared_data
from project.work.dataset.augmentation import Augmentation
from project.work.dataset.loaded import Records, loaded
from project.work.dataset.normaliser import Normaliser
from project.work.dataset.pictures import staged
from project.work.dataset.splits import split
from project.work.labels import label_correction, noise
from project.work.labels.label_correction import LabelCorrection
from project.work.labels.noise import Noise
from project.work.settings.groups import Settings

Share = Callable[[int], slice]


@dataclass(frozen=True)
class Batch:
    """What one step sees. images: float (B, C, H, W), normalised; targets: float (B, K), rows sum to 1;
    rows: int64 (B,), row numbers in the training file; soft_targets: as targets, or None without distillation;
    weights: float (B,), how much each row counts, or None where all count alike.

    Where several processes share a batch, `images` may be those of one share while all else is of the whole.
    """

    images: Tensor
    targets: Tensor
    rows: Tensor
    soft_targets: Tensor | None = None
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, at: slice | Tensor, images: Tensor) -> "Batch":
        """Some of its rows, with all that belongs to them and the pictures given."""
        rest = (None if values is None else values[at] for values in (self.soft_targets, self.weights))
        return Batch(images, self.targets[at], self.rows[at], *rest)


@dataclass(frozen=True)
class Split:
    """Some rows of a file. rows: int64 (n,), on the CPU: positions in records, which splits of a file share."""

    records: Records
    rows: Tensor
    normalise: Normaliser
    classes: int

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of each picture: (C, H, W)."""
        return self.records.pictures.shape

    @cached_property
    def labels(self) -> Tensor:
        """int64 (n,), on the device."""
        return self.records.labels[self.rows.to(self.records.labels.device)]

    def subset(self, index: np.ndarray | slice) -> "Split":
        """The pictures at these positions among its rows; nothing but row numbers is copied."""
        return dataclasses.replace(self, rows=self.rows[index])

    def with_soft_targets(self, soft_targets: Tensor) -> "Split":
        """The same with a belief beside each label. soft_targets: float (N, K), for every row of the file."""
        return dataclasses.replace(self, records=dataclasses.replace(self.records, soft_targets=soft_targets))

    def batches(
        self,
        size: int,
        generator: torch.Generator | None = None,
        augmentation: Augmentation | None = None,
        share: Share = slice,
    ) -> Iterator[Batch]:
        """All pictures once, `size` at a time: shuffled and augmented with a generator, in order without one.

        share: which pictures of a batch of so many are gathered; all are, unless several processes share it.
        """
        device, normalise = self.records.labels.device, self.normalise.on(self.records.labels.device)
        rows = self.rows if generator is None else self.rows[torch.randperm(len(self), generator=generator)]
        sizes = batch_sizes(len(self), size)
        places = staged(rows, self.records.pictures.home).split(sizes)
        pictures = self.records.pictures.stream(place[share(len(place))] for place in places)
        for batch_rows in staged(rows, device).split(sizes):
            amounts = None
            if augmentation is not None:
                drawn = augmentation.draw(len(batch_rows), generator)
                amounts = staged(drawn[share(len(drawn))], device)
            images = next(pictures)
            if amounts is not None and len(images):
                images = augmentation.change(images.float(), amounts)
            yield self._batch(normalise(images), batch_rows)

    def _batch(self, images: Tensor, rows: Tensor) -> Batch:
        labels, beside = self.records.labels[rows], (self.records.soft_targets, self.records.weights)
        targets = torch.zeros(len(rows), self.classes, device=rows.device).scatter_(1, labels[:, None], 1.0)
        return Batch(images, targets, rows, *(None if values is None else values[rows] for values in beside))


@dataclass(frozen=True)
class Dataset:
    """The three splits of a run, with the class names and the keys of the training file's rows (`by_key.packed`).

    noise: what was done on purpose to the labels of the training file, which training and validation come from;
    correction: what was done to put them right; truth: what is known of the true ones, see `loaded.Loaded`.
    """

    train: Split
    valid: Split
    test: Split
    names: list[str]
    train_keys: np.ndarray
    fingerprint: str
    noise: Noise | None = None
    correction: LabelCorrection | None = None
    truth: np.ndarray | None = None


def batch_sizes(count: int, size: int) -> list[int]:
    """Sizes of the batches of an epoch; a last picture that would be alone joins the batch before it.

    Batch normalisation cannot learn from one picture, and none may be dropped.
    """
    full, rest = divmod(count, size)
    sizes = [size] * full + ([rest] if rest else [])
    return [*sizes[:-2], size + 1] if rest == 1 and full else sizes


def load(settings: Settings, device: torch.device) -> Dataset:
    """Read a prepared data set onto the device and hold out validation, stratified. Raises UserError for bad files.

    Which rows are validation depends on the labels of the files alone, so that runs on noisy, mended and clean labels
    are judged by the same pictures.
    """
    folder = prepared_data.find(settings.dataset)
    data = loaded(folder, settings.image_size, device, settings.largest_set)
    parts = split(data.train.labels.cpu().numpy(), settings.valid_rate, settings.split_seed, str(folder), data.names)
    train, valid = (torch.from_numpy(part) for part in parts)
    test = torch.arange(len(data.test.labels))
    normalise = normaliser.chosen(settings, data.train.pictures, train)
    learnt, fingerprint = data.train, data.fingerprint
    made = noise.make(settings, learnt.labels.cpu().numpy(), data.keys, data.names)
    if made is not None:
        learnt = dataclasses.replace(learnt, labels=torch.from_numpy(made.noisy).to(device))
        fingerprint = f"{fingerprint}-{made.fingerprint}"
    corrected = label_correction.make(settings, learnt.labels.cpu().numpy(), data.keys, data.names, *parts)
    if corrected is not None:
        learnt, fingerprint = _with_corrected(learnt, corrected), f"{fingerprint}-{corrected.fingerprint}"
        train, valid = (torch.from_numpy(part[corrected.kept[part]]) for part in parts)
    splits = [
        Split(records, rows, normalise, len(data.names))
        for records, rows in ((learnt, train), (learnt, valid), (data.test, test))
    ]
    truth = made.true.astype(float) if data.truth is None and made is not None else data.truth
    return Dataset(splits[0], splits[1], splits[2], data.names, data.keys, fingerprint, made, corrected, truth)


def _with_corrected(records: Records, corrected: LabelCorrection) -> Records:
    """The records with these labels and weights; what was dropped is still there, for the splits to leave out."""
    labels = torch.from_numpy(corrected.labels).to(records.labels.device)
    weights = None if corrected.weights is None else torch.from_numpy(corrected.weights).to(labels.device)
    return dataclasses.replace(records, labels=labels, weights=weights)
