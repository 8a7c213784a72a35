"""What the source says about the split of a set: which rows stay together, and which are for validation.

Pictures of one person, writer or other group never stand on both sides of a split: a network that has seen six photos
of a person knows the seventh.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from project.work.common import UserError

TOGETHER = "kept_together"  # facts of a provenance
VALIDATION = "validation"
VALID = "valid"
Random = np.random.RandomState | np.random.Generator


@dataclass(frozen=True)
class Given:
    """groups: int64 (N,), equal for rows that stay together, or None; valid: bool (N,), rows to validate, or None."""

    groups: np.ndarray | None = None
    valid: np.ndarray | None = None

    @property
    def fingerprint(self) -> str:
        """A short name for exactly these groups and rows."""
        digest = hashlib.sha256()
        for array in (self.groups, self.valid):
            digest.update(b"-" if array is None else array.tobytes())
        return digest.hexdigest()[:12]


NOTHING_GIVEN = Given()


def given(keys: pd.DataFrame, facts: Mapping[str, Any]) -> Given:
    """What the keys of a training file say. facts: the provenance, without which they are notes only."""
    groups = codes(keys["group"]) if facts.get(TOGETHER) and "group" in keys else None
    valid = (keys["part"] == VALID).to_numpy() if facts.get(VALIDATION) and "part" in keys else None
    return Given(groups, valid if valid is not None and valid.any() and not valid.all() else None)


def codes(texts: pd.Series) -> np.ndarray:
    """Groups as numbers, int64 (N,); a row without one is a group of its own."""
    alone = texts.isna() | (texts.astype(str) == "")
    found = pd.factorize(texts.astype(str))[0].astype(np.int64)
    found[alone] = len(found) + np.arange(int(alone.sum()))
    return np.unique(found, return_inverse=True)[1]


def by_share(labels: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """How many rows of each class each part is to have, float (parts, K), by its share of all."""
    return np.outer(shares, np.bincount(labels))


def dealt(labels: np.ndarray, groups: np.ndarray, wanted: np.ndarray, random: Random) -> np.ndarray:
    """The part of each row, int64 (N,). No group is divided, and each part gets about as many rows as it should.

    labels, groups: int64 (N,); wanted: float (parts, K), rows of each class. Groups come in by size, the largest first,
    those of one size as they are drawn; each goes where it brings the counts nearest to what is wanted, in squares
    relative to the class. Where a class is then missing from a part, a group of it moves there, as far as a larger part
    keeps some.
    """
    codes, members = np.unique(groups, return_inverse=True)
    rows = np.split(np.argsort(members, kind="stable"), np.cumsum(np.bincount(members))[:-1])
    drawn = random.permutation(len(codes))
    order = drawn[np.argsort([-len(rows[group]) for group in drawn], kind="stable")]
    totals, have = np.maximum(np.bincount(labels), 1), np.zeros_like(wanted, dtype=float)
    holds = [np.unique(labels[at], return_counts=True) for at in rows]
    part_of = np.empty(len(codes), dtype=np.int64)
    for group in order:
        classes, count = holds[group]
        cost = (count * (count - 2 * (wanted - have)[:, classes]) / totals[classes]).sum(axis=1)
        part_of[group] = cost.argmin()
        have[part_of[group], classes] += count
    _give_every_part(part_of, holds, have, wanted)
    return part_of[members]


def _give_every_part(part_of: np.ndarray, holds: list, have: np.ndarray, wanted: np.ndarray) -> None:
    """Move groups to parts that lack a class, the smallest group first; changes part_of and have."""
    by_class: dict[int, list[int]] = {}
    for group in sorted(range(len(holds)), key=lambda group: int(holds[group][1].sum())):
        for label in holds[group][0].tolist():
            by_class.setdefault(label, []).append(group)
    size = wanted.sum(axis=1)
    for part in np.argsort(-size, kind="stable"):
        for label in np.flatnonzero((have[part] == 0) & (wanted[part] > 0)).tolist():
            for group in by_class.get(label, ()):
                classes, count = holds[group]
                other = part_of[group]
                if size[other] < size[part] or (have[other, classes] > count).all():
                    have[other, classes] -= count
                    have[part, classes] += count
                    part_of[group] = part
                    break


def split(
    labels: np.ndarray, groups: np.ndarray, valid_rate: float, seed: int, where: str, names: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of training and validation, sorted, every class as nearly in proportion as whole groups allow.

    Raises UserError where validation would have no row, or training none of a class.
    """
    wanted = by_share(labels, (1 - valid_rate, valid_rate))
    part_of = dealt(labels, groups, wanted, np.random.RandomState(seed))
    train, valid = np.flatnonzero(part_of == 0), np.flatnonzero(part_of == 1)
    if not len(valid):
        raise UserError(f"--valid-rate {valid_rate} on {where}: no group is small enough to validate; give more")
    refuse_missing(labels, train, where, "no group may be divided; give a smaller --valid-rate", names)
    return train, valid


def fold_numbers(
    labels: np.ndarray, groups: np.ndarray, folds: int, seed: int, where: str, names: Sequence[str] = ()
) -> np.ndarray:
    """The fold (0 .. folds-1) of each row. A class may be missing from folds, but never from all but one.

    Raises UserError where it would be, since the model of that fold could not learn it.
    """
    wanted = by_share(labels, (1 / folds,) * folds)
    numbers = dealt(labels, groups, wanted, np.random.RandomState(seed))
    for fold in range(folds):
        why = f"with all but fold {fold} of {folds}, as no group may be divided; add pictures of other groups"
        refuse_missing(labels, np.flatnonzero(numbers != fold), where, why, names)
    return numbers


def refuse_missing(labels: np.ndarray, rows: np.ndarray, where: str, why: str, names: Sequence[str] = ()) -> None:
    """Raises UserError where some rows have none of a class that the file has."""
    missing = np.setdiff1d(labels, labels[rows])
    if len(missing):
        name = names[missing[0]] if len(names) else missing[0]
        raise UserError(f"{where}: class {name} has no row left to train on: {why}")
