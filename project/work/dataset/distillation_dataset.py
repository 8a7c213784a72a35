"""Logits of teachers at rest, out-of-fold (OOF) or not, and the soft targets they give to training pictures."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from project.work.dataset import array_files
from project.work.dataset.base_dataset import Dataset
from project.work.dataset.by_key import unpacked
from project.work.declaration import UserError

VALIDATION, DROPPED, SEEN = -1, -2, -3
_FORM = {"logits": ("f", 2), "keys": ("U", 1), "folds": ("iu", 1), "names": ("U", 1)}  # kinds of dtype, axes
_MARGINS = {"margins": ("f", 1)}  # not in the files of earlier versions


@dataclass(frozen=True)
class OofLogits:
    """For every row of the training file, logits of models that did not learn from it.

    logits: float32 (N, K); keys: key ids, text (N,); folds: int64 (N,), the fold that held a row out, or -1 for the
    rows of validation, which no model learns from (theirs are the mean over all), -2 for rows that corrections or
    cleaning had dropped (theirs are zeros), or -3 where a model did learn from a row; names: the K classes; margins:
    float32 (N,), the mean margin of a row while fold models learnt from it, not a number for validation; None: unknown.
    """

    logits: np.ndarray
    keys: np.ndarray
    folds: np.ndarray
    names: list[str]
    margins: np.ndarray | None = None


def write(path: Path, oof: OofLogits) -> None:
    """Write logits as an .npz that others can read without pickles."""
    margins = {} if oof.margins is None else {"margins": oof.margins}
    with array_files.replacing(path) as file:
        np.savez(file, logits=oof.logits, keys=oof.keys, folds=oof.folds, names=np.array(oof.names), **margins)


def read(path: Path, seen: bool = False) -> OofLogits:
    """Read logits. Raises UserError when the file is not what `write` writes.

    seen: whether they may be of a model that learnt from the labels, which is no use where those are to be judged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            form = _FORM | (_MARGINS if "margins" in file else {})
            arrays = {name: file[name] for name in form}
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: run ./inv oof, or leave --oof-logits out to have it made") from error
    except Exception as error:
        raise UserError(f"{path}: not a file of OOF logits ({type(error).__name__}); run ./inv oof") from error
    for name, (kinds, axes) in form.items():
        if arrays[name].dtype.kind not in kinds or arrays[name].ndim != axes:
            raise UserError(f"{path}: {name} are {arrays[name].dtype} {arrays[name].shape}; run ./inv oof")
    if not seen and (arrays["folds"] == SEEN).any():
        raise UserError(f"{path}: its model has learnt from these labels (--nts); run ./inv oof for OOF logits")
    return OofLogits(**(arrays | {"names": arrays["names"].tolist()}))


def has_margins(path: Path) -> bool:
    """Whether there is a file of logits, with margins; they are not read. Raises UserError when it is none."""
    if not path.exists():
        return False
    try:
        with np.load(path, allow_pickle=False) as file:
            return "margins" in file
    except Exception as error:
        raise UserError(f"{path}: not a file of OOF logits ({type(error).__name__}); delete it") from error


def with_soft_targets(dataset: Dataset, oof: OofLogits, temperature: float, where: str) -> Dataset:
    """The data set with softmax(logits / temperature) beside each training label, matched by key.

    Raises UserError when the logits were made for other rows, classes or another validation split.
    """
    oof = aligned(dataset, oof, where)
    train_rows, valid_rows = (part.rows.cpu().numpy() for part in (dataset.train, dataset.valid))
    if (oof.folds[valid_rows] != VALIDATION).any() or (oof.folds[train_rows] == VALIDATION).any():
        raise UserError(
            f"{where}: made for another validation split: its models have seen labels that this run is judged by;"
            " give the same --valid-rate and --split-seed, or make new logits"
        )
    if (oof.folds[train_rows] == DROPPED).any():
        raise UserError(f"{where}: made without rows that are trained on here; make new ones with the same corrections")
    soft = torch.softmax(torch.from_numpy(oof.logits) / temperature, dim=1).to(dataset.train.labels.device)
    return dataclasses.replace(dataset, train=dataset.train.with_soft_targets(soft))


def aligned(dataset: Dataset, oof: OofLogits, where: str) -> OofLogits:
    """The same in the order of the data set's rows. Raises UserError when they are of other rows or classes."""
    if oof.names != dataset.names:
        raise UserError(
            f"{where}: made for {len(oof.names)} classes that are not the {len(dataset.names)} of this data set"
        )
    others = [oof.folds] if oof.margins is None else [oof.folds, oof.margins]
    if oof.logits.shape != (len(oof.keys), len(oof.names)) or any(len(each) != len(oof.keys) for each in others):
        raise UserError(f"{where}: logits {oof.logits.shape} for {len(oof.keys)} keys and {len(oof.names)} classes")
    if not np.isfinite(oof.logits).all():
        raise UserError(f"{where}: holds logits that are not finite; make new ones")
    keys = unpacked(dataset.train_keys)
    if np.array_equal(oof.keys, keys):  # no copy of what may be gigabytes
        return dataclasses.replace(oof, logits=oof.logits.astype(np.float32, copy=False))
    known, place = np.unique(oof.keys, return_index=True)
    missing = keys[~np.isin(keys, known)]
    if len(missing) or len(known) != len(keys):
        example = f", the first is {missing[0]}" if len(missing) else ""
        raise UserError(
            f"{where}: {len(missing)} of {len(keys)} training keys have no logits{example};"
            f" the file has {len(oof.keys)} rows; make new ones for this data"
        )
    place = place[np.searchsorted(known, keys)]
    margins = None if oof.margins is None else oof.margins[place]
    return OofLogits(oof.logits[place].astype(np.float32, copy=False), keys, oof.folds[place], oof.names, margins)
