"""Labels mended unattended: what an audit says of each row, and what drop, relabel and reweight make of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from project.work.files import disk
from project.work.labels import by_key
from project.work.labels.corrections import DROPPED, Corrections
from project.work.settings.flags import UserError

FILE = "audit.csv"
_COLUMNS = ("key_id", "given_label", "suggested_label", "trust", "flagged")


@dataclass(frozen=True)
class Audit:
    """What an audit says of rows of a training file, all (n,).

    rows: int64; given, suggested: labels int64; trust: float in 0..1, the probability that a label is right;
    flagged: bool.
    """

    rows: np.ndarray
    given: np.ndarray
    suggested: np.ndarray
    trust: np.ndarray
    flagged: np.ndarray

    def part(self, index: np.ndarray) -> "Audit":
        """Some of it; index: positions, or bool (n,)."""
        return Audit(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def read(path: Path, keys: np.ndarray, names: list[str]) -> Audit:
    """An audit of a training file, from audit.csv or its folder. Raises UserError when it is of other data."""
    path = path / FILE if path.is_dir() else path
    table = disk.read_table(path, _COLUMNS, "the audit.csv of ./inv audit")
    key_ids = table["key_id"]
    rows = by_key.rows(key_ids, keys, path)
    given, suggested = (by_key.labels(table[name], key_ids, names, path) for name in _COLUMNS[1:3])
    try:
        trust = table["trust"].to_numpy(dtype=np.float64)
    except ValueError as error:
        raise UserError(f"{path}: a trust is no number ({disk.said(error)})") from error
    if not ((trust >= 0) & (trust <= 1)).all():
        raise UserError(f"{path}: a trust is no probability in 0..1")
    if not table["flagged"].isin(["0", "1"]).all():
        raise UserError(f"{path}: flagged must be 0 or 1")
    return Audit(rows, given, suggested, trust, (table["flagged"] == "1").to_numpy())


def audit_of(path: Path, rows: np.ndarray, labels: np.ndarray, keys: np.ndarray, names: list[str]) -> Audit:
    """What an audit says of these rows, int64 (n,), in their order; labels: int64 (N,), of the whole training file now.

    Raises UserError when it leaves one out, knows another label for it, or suspects all of them.
    """
    whole, place = read(path, keys, names), np.full(len(labels), -1)
    place[whole.rows] = np.arange(len(whole.rows))
    missing = int((place[rows] < 0).sum())
    if missing > 0:
        raise UserError(f"{path}: says nothing of {missing} of {len(rows)} training rows; it is of other data")
    audit = whole.part(place[rows])
    other = int((audit.given != labels[rows]).sum())
    if other > 0:
        raise UserError(f"{path}: {other} of {len(rows)} training rows have another label here than when it was made;"
                        " audit again, with the same noise and corrections")  # fmt: skip
    if len(rows) > 0 and audit.flagged.all():
        raise UserError(f"{path}: all {len(rows)} training rows are flagged, so there is none to trust")
    return audit


def flagged_rows(audit: Audit, how: str) -> Corrections:
    """The flagged rows dropped (how: drop) or given the label that is suggested (how: relabel)."""
    some = audit.part(audit.flagged)
    return Corrections(some.rows, some.given, np.full_like(some.given, DROPPED) if how == "drop" else some.suggested)


def said(audit: Audit, how: str) -> str:
    """What is done, for a person."""
    flagged, count = int(audit.flagged.sum()), len(audit.rows)
    if how == "reweight":
        return f"{count} training rows weighted by how far their labels are trusted"
    if flagged == 0:
        return f"none of {count} training rows is flagged, so the labels stay as they are"
    return f"{flagged} of {count} training rows {'dropped' if how == 'drop' else 'given the label that is suggested'}"
