"""A prepared data set as splits: row numbers of files that are held once, and the batches gathered from them."""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from project.work.common import UserError
from project.work.dataset import extra, grouping, label_sets, prepared_data, transforms
from project.work.dataset.pictures import Loaded, Records, loaded, staged
from project.work.dataset.prepared_data import Preparation
from project.work.dataset.transforms import Augmentation, Normaliser
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
        """The same with a soft target beside each label. soft_targets: float (N, K), for every row of the file."""
        return dataclasses.replace(self, records=dataclasses.replace(self.records, soft_targets=soft_targets))

    def batches(
        self,
        size: int,
        generator: torch.Generator | None = None,
        augmentation: Augmentation | None = None,
        share: Share = slice,
        order: Tensor | None = None,
    ) -> Iterator[Batch]:
        """All pictures once, `size` at a time: shuffled and augmented with a generator, in order without one.

        share: which pictures of a batch of so many are gathered; all are, unless several processes share it; order:
        int64 (n,), positions among its rows to take in place of all, shuffled, as a sampler drew them.
        """
        device, normalise = self.records.labels.device, self.normalise.on(self.records.labels.device)
        if order is None and generator is not None:
            order = torch.randperm(len(self), generator=generator)
        rows = self.rows if order is None else self.rows[order]
        sizes = batch_sizes(len(self), size)
        places = staged(rows, self.records.pictures.home).split(sizes)
        pictures = self.records.pictures.stream(place[share(len(place))] for place in places)
        for batch_rows in staged(rows, device).split(sizes):
            amounts = None
            if augmentation is not None:
                drawn = augmentation.draw(len(batch_rows), generator)
                amounts = drawn[share(len(drawn))]
                amounts = amounts if augmentation.on_host else staged(amounts, device)
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
    """The three splits of a run, with the class names and the keys of the training file's rows (`naming.packed`).

    noise: what was done on purpose to the labels of the training file, which training and validation come from;
    correction: what was done to put them right; truth: what is known of the true ones, see `pictures.Loaded`; groups:
    int64 (N,), equal for rows of the training file that no split may divide, or None; preparation: how its pictures
    were made; extra: pictures of another set that are learnt from too, whose labels are those of this one, or None.
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
    groups: np.ndarray | None = None
    preparation: Preparation | None = None
    extra: Split | None = None

    @property
    def learnt(self) -> Split:
        """All that is trained on: rows of the training file and, numbered after all of that file, extra ones."""
        if self.extra is None:
            return self.train
        rows = torch.cat([self.train.rows, len(self.train.records.labels) + self.extra.rows])
        records = extra.joined(self.train.records, self.extra.records)
        return dataclasses.replace(self.train, records=records, rows=rows)


def batch_sizes(count: int, size: int) -> list[int]:
    """Sizes of the batches of an epoch; a last picture that would be alone joins the batch before it.

    Batch normalisation cannot learn from one picture, and none may be dropped.
    """
    full, rest = divmod(count, size)
    sizes = [size] * full + ([rest] if rest else [])
    return [*sizes[:-2], size + 1] if rest == 1 and full else sizes


def load(
    settings: Settings, device: torch.device, known: Callable[[int], Normaliser] | None = None
) -> Dataset:
    """Read a prepared data set onto the device and hold out validation, stratified. Raises UserError for bad files.

    Which rows are validation depends on the labels of the files alone, so that runs on noisy, corrected or clean ones
    are judged by the same pictures. A validation part that the source gave is taken as it is. known: the normaliser of
    a network's weights by channels, see `transforms.chosen`.
    """
    folder = prepared_data.find(settings.dataset)
    data = loaded(folder, settings.image_size, device, settings.largest_set)
    parts = _parts(data, settings, str(folder))
    learnt, fingerprint = data.train, data.fingerprint
    if settings.label_set is not None:
        chosen = label_sets.read(folder, settings.label_set, data.keys, data.names)
        learnt, fingerprint, parts = _with_label_set(learnt, chosen, fingerprint, parts, settings.label_set)
    train, valid = (torch.from_numpy(part) for part in parts)
    test = torch.arange(len(data.test.labels))
    normalise = transforms.chosen(settings, data.train.pictures, train, known)
    made = corrected = None
    if settings.noise_type != "none":
        made = noise.make(settings, learnt.labels.cpu().numpy(), data.keys, data.names)
        learnt = dataclasses.replace(learnt, labels=torch.from_numpy(made.noisy).to(device))
        fingerprint = f"{fingerprint}-{made.fingerprint}"
    if settings.corrections is not None or settings.clean != "none":
        corrected = label_correction.make(settings, learnt.labels.cpu().numpy(), data.keys, data.names, *parts)
        learnt, fingerprint = _with_corrected(learnt, corrected), f"{fingerprint}-{corrected.fingerprint}"
        train, valid = (torch.from_numpy(part[corrected.kept[part]]) for part in parts)
    splits = [
        Split(records, rows, normalise, len(data.names))
        for records, rows in ((learnt, train), (learnt, valid), (data.test, test))
    ]
    truth = made.true.astype(float) if data.truth is None and made is not None else data.truth
    more = None
    if settings.extra_train is not None:
        found, rows, digest = extra.load(settings, folder, data)
        more, fingerprint = Split(found, torch.from_numpy(rows), normalise, len(data.names)), f"{fingerprint}-{digest}"
    facts = (data.names, data.keys, fingerprint, made, corrected, truth, data.given.groups, data.preparation)
    return Dataset(splits[0], splits[1], splits[2], *facts, extra=more)


def _parts(data: Loaded, settings: Settings, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and to validate: as the source says, or else drawn. Raises UserError when too few."""
    labels, given = data.train.labels.cpu().numpy(), data.given
    if given.valid is None:
        return split(labels, settings.valid_rate, settings.split_seed, where, data.names, given.groups)
    train, valid = np.flatnonzero(~given.valid), np.flatnonzero(given.valid)
    _refuse_rare(labels[train], 1, where, "", data.names)
    grouping.refuse_missing(labels, train, where, "the validation part that the source gave has the others", data.names)
    return train, valid


def _with_label_set(
    records: Records, chosen: np.ndarray, fingerprint: str, parts: tuple[np.ndarray, np.ndarray], name: str
) -> tuple[Records, str, tuple[np.ndarray, np.ndarray]]:
    """The records with the labels of a label set, and the parts without the rows that it does not name.

    chosen: see `label_sets.read`. Raises UserError where a part has none left.
    """
    named = chosen != label_sets.UNNAMED
    train, valid = (part[named[part]] for part in parts)
    if not len(train) or not len(valid):
        what = "validation" if len(train) else "training"
        raise UserError(f"--label-set {name}: it names no picture of the {what} split")
    labels = torch.from_numpy(chosen).to(records.labels.device)
    digest = hashlib.sha256(chosen.tobytes()).hexdigest()[:12]
    whole = labels.where(labels != label_sets.UNNAMED, records.labels)
    return dataclasses.replace(records, labels=whole), f"{fingerprint}-{digest}", (train, valid)


def _with_corrected(records: Records, corrected: LabelCorrection) -> Records:
    """The records with these labels and weights; what was dropped is still there, for the splits to leave out."""
    labels = torch.from_numpy(corrected.labels).to(records.labels.device)
    weights = None if corrected.weights is None else torch.from_numpy(corrected.weights).to(labels.device)
    return dataclasses.replace(records, labels=labels, weights=weights)


def split(
    labels: np.ndarray,
    valid_rate: float,
    seed: int,
    where: str,
    names: Sequence[str] = (),
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of training and validation, sorted, every class in proportion. Raises UserError when too few.

    groups: int64 (N,), of rows that stay together: none is divided, and the proportions are as near as that allows.
    They are those of scikit-learn's train_test_split, as fold_numbers gives those of its StratifiedKFold, drawn in the
    same order. It is not called, as every run would wait for its import; benchmark/startup.py measures that.
    """
    _refuse_rare(labels, 2, where, "one row to train and one to validate", names)
    if groups is not None:
        return grouping.split(labels, groups, valid_rate, seed, where, names)
    rows, classes = len(labels), len(np.unique(labels))
    held_out = math.ceil(valid_rate * rows)
    if not classes <= held_out <= rows - classes:
        least, most = math.ceil(1000 * classes / rows) / 1000, math.floor(1000 * (1 - classes / rows)) / 1000
        raise UserError(
            f"--valid-rate {valid_rate} on {where} ({rows} pictures): {held_out} to validate and {rows - held_out} to"
            f" train, but either needs {classes}, one of each class; give {least:g} to {most:g}"
        )
    counts, random = np.unique(labels, return_counts=True)[1], np.random.RandomState(seed)
    to_train = _shares(counts, rows - held_out, random)
    to_validate = _shares(counts - to_train, held_out, random)
    train, valid = [], []
    for members, first, second in zip(_members(labels), to_train, to_validate, strict=True):
        members = random.permutation(members)
        train.append(members[:first])
        valid.append(members[first : first + second])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(valid))


def refuse_few_rows(labels: np.ndarray, folds: int, where: str, names: Sequence[str] = ()) -> None:
    """Raises UserError when a class has fewer rows than folds. names: of the classes."""
    _refuse_rare(labels, folds, where, f"one for each of {folds} folds; use fewer --folds", names)


def fold_numbers(
    labels: np.ndarray,
    folds: int,
    seed: int,
    where: str,
    names: Sequence[str] = (),
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """The fold (0 .. folds-1) of each row, stratified. Raises UserError when a class has fewer rows than folds.

    groups: int64 (N,), of rows that stay together: none is divided.
    """
    refuse_few_rows(labels, folds, where, names)
    if groups is not None:
        return grouping.fold_numbers(labels, groups, folds, seed, where, names)
    random = np.random.RandomState(seed)
    numbers = np.empty(len(labels), dtype=np.int64)
    start = 0
    for members in sorted(_members(labels), key=lambda rows: rows[0]):  # by first appearance
        # Classes end to end, dealt out in turn: each goes on where the one before it ended.
        drawn = np.sort(np.arange(start, start + len(members)) % folds)
        random.shuffle(drawn)
        numbers[members] = drawn
        start += len(members)
    return numbers


def _members(labels: np.ndarray) -> list[np.ndarray]:
    """The rows of each class that occurs, ascending."""
    counts = np.unique(labels, return_counts=True)[1]
    return np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])


def _shares(counts: np.ndarray, drawn: int, random: np.random.RandomState) -> np.ndarray:
    """How many of each class are among so many drawn rows; ties in what is left over are broken by chance."""
    exact = counts / counts.sum() * drawn
    shares = np.floor(exact)
    rest, missing = exact - shares, int(drawn - shares.sum())
    for value in np.unique(rest)[::-1]:
        if missing == 0:
            break
        (classes,) = np.where(rest == value)
        more = random.choice(classes, size=min(len(classes), missing), replace=False)
        shares[more] += 1
        missing -= len(more)
    return shares.astype(int)


def _refuse_rare(labels: np.ndarray, least: int, where: str, why: str, names: Sequence[str]) -> None:
    values, counts = np.unique(labels, return_counts=True)
    if len(values) < 2:
        raise UserError(f"{where}: all training pictures have one label; a classifier needs at least 2")
    if counts.min() < least:
        rare = values[counts.argmin()]
        rare = names[rare] if len(names) else rare
        raise UserError(f"{where}: class {rare} has {counts.min()} training rows, at least {least} are needed ({why})")
