"""Pictures of another prepared set that are learnt from too: collected or generated ones (--extra-train).

They stand beside the data set, not in it. Its rows keep their numbers and keys, so that noise, corrections, audits,
folds and margins are of the set alone; every fold model learns from all extra pictures. Only training joins them.
"""

from pathlib import Path

import numpy as np
import torch

from project.work.common import UserError
from project.work.dataset import prepared_data
from project.work.dataset.pictures import Joined, LastLoaded, Loaded, Records, loaded
from project.work.labels.naming import canonical
from project.work.settings.groups import Settings

LAST = LastLoaded()  # beside the data set's own
_NAMED = 5  # classes that a message names


def load(settings: Settings, folder: Path, data: Loaded) -> tuple[Records, np.ndarray, str]:
    """The other set's training file with the labels of a data set; its rows to learn from; a short name for all that.

    folder, data: the data set. Rows that the other set's source keeps for validation are left out. Raises UserError
    where the two do not fit.
    """
    assert settings.extra_train is not None
    where = f"--extra-train {settings.extra_train}"
    other = prepared_data.find(settings.extra_train)
    if other.resolve() == folder.resolve():
        raise UserError(f"{where}: this is the data set itself, whose validation pictures would be learnt from")
    device = data.train.labels.device
    found = loaded(other, settings.image_size, device, settings.largest_set, LAST)
    _refuse_other_shape(where, found.train.pictures.shape, data.train.pictures.shape)
    rows = np.arange(len(found.keys)) if found.given.valid is None else np.flatnonzero(~found.given.valid)
    labels = _translated(where, found.train.labels.cpu().numpy(), rows, found.names, data.names)
    return Records(found.train.pictures, torch.from_numpy(labels).to(device)), rows, found.fingerprint


def _refuse_other_shape(where: str, theirs: tuple[int, ...], ours: tuple[int, ...]) -> None:
    if theirs[0] != ours[0]:
        raise UserError(f"{where}: its pictures have {theirs[0]} channels, those of the data set {ours[0]}; prepare it"
                        " again with the same --channels")  # fmt: skip
    if theirs != ours:
        raise UserError(f"{where}: its pictures are {theirs[1]} pixels wide, those of the data set {ours[1]}; give"
                        " --image-size, which both are resized to")  # fmt: skip


def _translated(where: str, labels: np.ndarray, rows: np.ndarray, names: list[str], ours: list[str]) -> np.ndarray:
    """Labels int64 (N,) by the names of another set; rows: those that are taken. Raises UserError for unknown names."""
    numbers = {canonical(name): number for number, name in enumerate(ours)}
    place = np.array([numbers.get(canonical(name), -1) for name in names], dtype=np.int64)
    unknown = [names[label] for label in np.unique(labels[rows]) if place[label] < 0]
    if unknown:
        few = ", ".join(unknown[:_NAMED]) + (" ..." if len(unknown) > _NAMED else "")
        raise UserError(f"{where}: {len(unknown)} of its classes are none of the data set's {len(ours)}: {few}; rename"
                        " them in its label_name.csv, or prepare it without them")  # fmt: skip
    return place[labels].clip(min=0)


def joined(first: Records, second: Records) -> Records:
    """The records of a training file, then the extra ones, which count 1 where the others have weights."""
    labels = torch.cat([first.labels, second.labels])
    weights = first.weights
    if weights is not None:
        weights = torch.cat([weights, torch.ones(len(second.labels), dtype=weights.dtype, device=weights.device)])
    assert first.soft_targets is None, "extra pictures have no soft targets"
    pictures = Joined(first.pictures, second.pictures, len(first.labels))
    return Records(pictures, labels, None, weights)  # type: ignore[arg-type]  # training asks for its stream alone
