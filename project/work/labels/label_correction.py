"""Labels and row weights of a training file after a person's corrections and --clean."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from project.work.common import UserError
from project.work.files import arrays, disk, tables
from project.work.labels import corrections, naming
from project.work.labels.corrections import DROPPED, Corrections
from project.work.labels.naming import unpacked
from project.work.settings.groups import Settings

WEIGHTS_FILE = "weights.csv.gz"
AUDIT_FILE = "audit.csv"
_AUDIT_COLUMNS = ("key_id", "given_label", "suggested_label", "trust", "flagged")


@dataclass(frozen=True)
class LabelCorrection:
    """The corrected state of N rows. labels: int64 (N,), afterwards; kept: bool (N,), rows not dropped; weights:
    float32 (N,), of mean 1 over the training rows, or None; done: every correction; notes: for a person."""

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


@dataclass(frozen=True)
class AuditedRows:
    """An audit's columns for n rows of a training file.

    rows: int64; given, suggested: labels int64; trust: float in 0..1, the probability that a label is right;
    flagged: bool.
    """

    rows: np.ndarray
    given: np.ndarray
    suggested: np.ndarray
    trust: np.ndarray
    flagged: np.ndarray

    def part(self, index: np.ndarray) -> "AuditedRows":
        """A subset. index: positions, or bool (n,)."""
        return AuditedRows(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def make(
    settings: Settings, labels: np.ndarray, keys: np.ndarray, names: list[str], train: np.ndarray, valid: np.ndarray
) -> LabelCorrection:
    """The correction that the settings ask for; it depends on the files alone. Raises UserError.

    labels: int64 (N,), with their noise; keys: (N,), see `naming.packed`; train, valid: the rows of both splits, int64.
    A person's corrections apply to both splits. --clean changes training rows alone, and none that a person has
    reviewed. Wrong validation labels lower all epochs alike, so selection still works. Validation rows chosen or
    relabelled by models would favour the epoch that agrees with those models.
    """
    done, notes = Corrections(*np.empty((3, 0), dtype=np.int64)), []
    if settings.corrections is not None:
        done = corrections.read(Path(settings.corrections), labels, keys, names)
        notes.append(f"{settings.corrections}: {done}")
    now, weights = done.applied(labels), None
    if settings.clean != "none":
        left = train[(now[train] != DROPPED) & ~np.isin(train, done.rows)]
        audit = audit_of(_audit_path(settings), left, now, keys, names)
        if settings.clean == "reweight":
            weights = _weights(audit.trust, left, train[now[train] != DROPPED], len(labels))
        else:
            done = done.joined(flagged_rows(audit, settings.clean))
            now = done.applied(labels)
        notes.append(f"--clean {settings.clean}: {said(audit, settings.clean)}")
    _refuse_empty(labels, now, train, valid, names)
    return LabelCorrection(np.where(now == DROPPED, labels, now), now != DROPPED, weights, done, notes)


def write(folder: Path, correction: LabelCorrection, keys: np.ndarray, names: list[str] | None = None) -> list[str]:
    """Write corrections.csv (which another run can use) and the weights into a run folder.

    Returns notes for a person.
    """
    corrections.write(folder / corrections.FILE, correction.done, keys, names)
    if correction.weights is not None:
        rows = np.flatnonzero(np.isfinite(correction.weights))
        columns = {"row": rows, "key_id": unpacked(keys[rows]), "weight": correction.weights[rows].round(5)}
        text = pd.DataFrame(columns).to_csv(index=False)
        arrays.write_gzip(folder / WEIGHTS_FILE, text.encode())
    return correction.notes


def _audit_path(settings: Settings) -> Path:
    if settings.audit_file is None:
        raise UserError(f"--clean {settings.clean}: run ./inv audit first and give --audit-file")
    return Path(settings.audit_file)


def _weights(trust: np.ndarray, rows: np.ndarray, train: np.ndarray, count: int) -> np.ndarray:
    """float32 (count,): the trust of these rows, and 1 for rows of `train` that a person reviewed; scaled to mean 1.

    NaN for rows that are not trained on. Raises UserError when the trust of every row is 0.
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
    """Raises UserError when a class has no training row left, or validation has no row."""
    had = np.bincount(before[train], minlength=len(names)) > 0
    has = np.bincount(after[train][after[train] != DROPPED], minlength=len(names)) > 0
    empty = np.flatnonzero(had & ~has)
    if len(empty) > 0:
        raise UserError(f"{len(empty)} of {len(names)} classes, {names[empty[0]]} the first, would have no row to train"
                        " on: keep some of their rows, or choose --clean reweight")  # fmt: skip
    if (after[valid] == DROPPED).all():
        raise UserError("the corrections drop every validation row, so no epoch could be selected; keep some of them")


def read_audit(path: Path, keys: np.ndarray, names: list[str]) -> AuditedRows:
    """Read an audit of a training file from audit.csv or its folder. Raises UserError when it is of other data."""
    path = path / AUDIT_FILE if path.is_dir() else path
    table = tables.read_table(path, _AUDIT_COLUMNS, "the audit.csv of ./inv audit")
    key_ids = table["key_id"]
    rows = naming.rows(key_ids, keys, path)
    given, suggested = (naming.labels(table[name], key_ids, names, path) for name in _AUDIT_COLUMNS[1:3])
    try:
        trust = table["trust"].to_numpy(dtype=np.float64)
    except ValueError as error:
        raise UserError(f"{path}: a trust is not a number ({disk.said(error)})") from error
    if not ((trust >= 0) & (trust <= 1)).all():
        raise UserError(f"{path}: a trust is not a probability in 0..1")
    if not table["flagged"].isin(["0", "1"]).all():
        raise UserError(f"{path}: flagged must be 0 or 1")
    return AuditedRows(rows, given, suggested, trust, (table["flagged"] == "1").to_numpy())


def audit_of(path: Path, rows: np.ndarray, labels: np.ndarray, keys: np.ndarray, names: list[str]) -> AuditedRows:
    """The audit of these rows, int64 (n,), in their order. labels: int64 (N,), of the whole training file now.

    Raises UserError when the audit lacks a row, has another label for one, or flags all of them.
    """
    whole, place = read_audit(path, keys, names), np.full(len(labels), -1)
    place[whole.rows] = np.arange(len(whole.rows))
    missing = int((place[rows] < 0).sum())
    if missing > 0:
        raise UserError(f"{path}: lacks {missing} of {len(rows)} training rows; it is of other data")
    audit = whole.part(place[rows])
    other = int((audit.given != labels[rows]).sum())
    if other > 0:
        raise UserError(f"{path}: {other} of {len(rows)} training rows have another label here than when it was made;"
                        " audit again, with the same noise and corrections")  # fmt: skip
    if len(rows) > 0 and audit.flagged.all():
        raise UserError(f"{path}: all {len(rows)} training rows are flagged, so there is none to trust")
    return audit


def flagged_rows(audit: AuditedRows, how: str) -> Corrections:
    """Corrections that drop the flagged rows (how: drop) or give them the suggested label (how: relabel)."""
    some = audit.part(audit.flagged)
    return Corrections(some.rows, some.given, np.full_like(some.given, DROPPED) if how == "drop" else some.suggested)


def said(audit: AuditedRows, how: str) -> str:
    """What --clean does, for a person."""
    flagged, count = int(audit.flagged.sum()), len(audit.rows)
    if how == "reweight":
        return f"{count} training rows weighted by the probability that their label is right"
    if flagged == 0:
        return f"none of {count} training rows is flagged, so the labels stay as they are"
    return f"{flagged} of {count} training rows {'dropped' if how == 'drop' else 'given the suggested label'}"
