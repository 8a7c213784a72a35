"""Logits of teachers, out-of-fold (OOF) or not, in files; and the soft targets that they give to training pictures."""

import dataclasses
import lzma
import math
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from project.work.common import UserError
from project.work.dataset.base_dataset import Dataset
from project.work.files import arrays, disk
from project.work.labels.naming import unpacked

VALIDATION, DROPPED, SEEN = -1, -2, -3
_FORM = {"logits": ("f", 2), "keys": ("U", 1), "folds": ("iu", 1), "names": ("U", 1)}  # kinds of dtype, axes
_MARGINS = {"margins": ("f", 1)}  # not in the files of earlier versions
_MOST = 1 << 29  # bytes that a small file may come to
_CHUNK = 1 << 22
_BAD_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, LookupError,
            NotImplementedError, RuntimeError, MemoryError)  # fmt: skip


@dataclass(frozen=True)
class OofLogits:
    """Logits for every row of the training file, from models that did not learn from that row.

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
    margins: dict[str, Any] = {} if oof.margins is None else {"margins": oof.margins}
    with disk.replacing(path) as file:
        np.savez(file, logits=oof.logits, keys=oof.keys, folds=oof.folds, names=np.array(oof.names), **margins)


def read(path: Path, seen: bool = False) -> OofLogits:
    """Read logits. Raises UserError when the file is not what `write` writes.

    seen: whether they may be of a model that learnt from the labels, which is no use where those are to be judged.
    """
    if disk.absent(path):
        raise UserError(f"{path} is missing: run ./inv oof, or leave --oof-logits out to have it made")
    try:
        with disk.opened(path) as file, zipfile.ZipFile(file) as archive:
            form = _FORM | (_MARGINS if "margins.npy" in archive.namelist() else {})
            found = _arrays(archive, form, disk.reach([path], _MOST))
    except _BAD_ZIP as error:
        raise UserError(
            f"{path}: not a file of OOF logits ({disk.said(error)}); delete it and run ./inv oof"
        ) from error
    for name, (kinds, axes) in form.items():
        if found[name].dtype.kind not in kinds or found[name].ndim != axes:
            raise UserError(f"{path}: {name} are {found[name].dtype} {found[name].shape}; run ./inv oof")
    if not seen and (found["folds"] == SEEN).any():
        raise UserError(f"{path}: its model has learnt from these labels (--nts); run ./inv oof for OOF logits")
    return OofLogits(**(found | {"names": found["names"].tolist()}))


def has_margins(path: Path) -> bool:
    """Whether there is a file of logits, with margins; they are not read. Raises UserError when it is none."""
    if disk.absent(path):
        return False
    try:
        with disk.opened(path) as file, zipfile.ZipFile(file) as archive:
            return "margins.npy" in archive.namelist()
    except _BAD_ZIP as error:
        raise UserError(f"{path}: not a file of OOF logits ({disk.said(error)}); delete it") from error


def _arrays(archive: zipfile.ZipFile, names: Iterable[str], most: int) -> dict[str, np.ndarray]:
    """Arrays of an .npz by name; together they claim at most so many bytes. Raises what `_BAD_ZIP` lists."""
    members = {name: archive.getinfo(f"{name}.npy") for name in names}
    claimed = sum(member.file_size for member in members.values())
    if claimed > most:
        raise ValueError(f"it comes to {claimed:,} bytes, but at most {most:,} are read")
    found = {}
    for name, member in members.items():
        with archive.open(member) as file:
            shape, fortran, dtype, _ = arrays.npy_header(file, member.file_size)
            numbers = np.empty(math.prod(shape) * dtype.itemsize, np.uint8)
            view, filled = memoryview(numbers), 0
            while filled < len(numbers) and (read := file.readinto(view[filled : filled + _CHUNK])):  # type: ignore[attr-defined]
                filled += read
            if filled < len(numbers) or file.read(1):
                raise ValueError(f"its {name} are cut short, or longer than they claim")
        found[name] = numbers.view(dtype).reshape(shape, order="F" if fortran else "C")
    return found


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
