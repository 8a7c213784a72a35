"""Labels of a training file after a person's corrections and unattended cleaning: what is learnt from, and how much."""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from project.work.common import Settings
from project.work.dataset.loaded import Records
from project.work.files import arrays
from project.work.labels import cleaning, corrections
from project.work.labels.by_key import unpacked
from project.work.labels.corrections import DROPPED, Corrections
from project.work.settings.flags import UserError

WEIGHTS_FILE = "weights.csv.gz"


@dataclass(frozen=True)
class Mending:
    """What was done to N rows. labels: int64 (N,), afterwards; kept: bool (N,), those that are still there; weights:
    float32 (N,), of mean 1 over the training rows, or None; done: every row that was judged; notes: for a person."""

    labels: np.ndarray
    kept: np.ndarray
    weights: np.ndarray | None
    done: Corrections
    notes: list[str]

    @property
    def fingerprint(self) -> str:
        """A short name for exactly these labels, rows and weights."""
        weights = b"" if self.weights is None else self.weights.tobytes()
        return hashlib.sha256(self.labels.tobytes() + self.kept.tobytes() + weights).hexdigest()[:12]

    def applied(self, records: Records) -> Records:
        """The records with these labels and weights; what was dropped is still there, for the splits to leave out."""
        labels = torch.from_numpy(self.labels).to(records.labels.device)
        weights = None if self.weights is None else torch.from_numpy(self.weights).to(labels.device)
        return dataclasses.replace(records, labels=labels, weights=weights)


def make(
    settings: Settings, labels: np.ndarray, keys: np.ndarray, names: list[str], train: np.ndarray, valid: np.ndarray
) -> Mending | None:
    """The mending that the settings ask for, None for none; the same files give the same. Raises UserError.

    labels: int64 (N,), with their noise; keys: (N,), see `by_key.packed`; train, valid: the rows of both splits, int64.
    A person's corrections hold in both, and --clean does not touch what a person has judged. It leaves validation as
    it is: wrong labels there lower every epoch alike and so choose as well, but a split without what models doubt, or
    with labels that they made, would prefer the epoch that agrees with them.
    """
    if settings.corrections is None and settings.clean == "none":
        return None
    done, notes = Corrections(*np.empty((3, 0), dtype=np.int64)), []
    if settings.corrections is not None:
        done = corrections.read(Path(settings.corrections), labels, keys, names)
        notes.append(f"{settings.corrections}: {done}")
    now, weights = done.applied(labels), None
    if settings.clean != "none":
        left = train[(now[train] != DROPPED) & ~np.isin(train, done.rows)]
        audit = cleaning.audit_of(_audit_path(settings), left, now, keys, names)
        if settings.clean == "reweight":
            weights = _weights(audit.trust, left, train[now[train] != DROPPED], len(labels))
        else:
            done = done.joined(cleaning.flagged_rows(audit, settings.clean))
            now = done.applied(labels)
        notes.append(f"--clean {settings.clean}: {cleaning.said(audit, settings.clean)}")
    _refuse_empty(labels, now, train, valid, names)
    return Mending(np.where(now == DROPPED, labels, now), now != DROPPED, weights, done, notes)


def write(folder: Path, mending: Mending, keys: np.ndarray, names: list[str] | None = None) -> list[str]:
    """Write all that was done into a run folder: corrections that another run can be given, and the weights.

    Returns what to tell a person.
    """
    corrections.write(folder / corrections.FILE, mending.done, keys, names)
    if mending.weights is not None:
        rows = np.flatnonzero(np.isfinite(mending.weights))
        columns = {"row": rows, "key_id": unpacked(keys[rows]), "weight": mending.weights[rows].round(5)}
        text = pd.DataFrame(columns).to_csv(index=False)
        arrays.write_gzip(folder / WEIGHTS_FILE, text.encode())
    return mending.notes


def _audit_path(settings: Settings) -> Path:
    if settings.audit_file is None:
        raise UserError(f"--clean {settings.clean}: run ./inv audit first and give --audit-file")
    return Path(settings.audit_file)


def _weights(trust: np.ndarray, rows: np.ndarray, train: np.ndarray, count: int) -> np.ndarray:
    """float32 (count,): trust of these rows, 1 of others of `train`, as a person judged those; their mean is 1.

    Not a number for rows that nobody learns from. Raises UserError when no label is trusted.
    """
    weights = np.full(count, np.nan)
    weights[train] = 1.0
    weights[rows] = trust
    if not weights[train].any():
        raise UserError("--clean reweight: the audit trusts no label at all; its models have learnt nothing")
    return (weights / weights[train].mean()).astype(np.float32)


def _refuse_empty(
    before: np.ndarray, after: np.ndarray, train: np.ndarray, valid: np.ndarray, names: list[str]
) -> None:
    """Raises UserError when a class has no row to train on any more, or validation none at all."""
    had = np.bincount(before[train], minlength=len(names)) > 0
    has = np.bincount(after[train][after[train] != DROPPED], minlength=len(names)) > 0
    empty = np.flatnonzero(had & ~has)
    if len(empty) > 0:
        raise UserError(f"{len(empty)} of {len(names)} classes, {names[empty[0]]} the first, would have no row to train"
                        " on: keep some of their rows, or choose --clean reweight")  # fmt: skip
    if (after[valid] == DROPPED).all():
        raise UserError("the corrections drop every validation row, so no epoch could be selected; keep some of them")
