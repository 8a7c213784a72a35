"""Which rows are validation, and which fold a row is in: drawn by seed, every class in proportion.

The rows are those of scikit-learn's train_test_split and StratifiedKFold, drawn in the same order. It is not called, as
every run would wait for its import; benchmark/startup.py measures that.
"""

import math
from collections.abc import Sequence

import numpy as np

from project.work.common import UserError


def split(
    labels: np.ndarray, valid_rate: float, seed: int, where: str, names: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of training and validation, sorted, every class in proportion. Raises UserError when too few."""
    _refuse_rare(labels, 2, where, "one row to train and one to validate", names)
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


def fold_numbers(labels: np.ndarray, folds: int, seed: int, where: str, names: Sequence[str] = ()) -> np.ndarray:
    """The fold (0 .. folds-1) of each row, stratified. Raises UserError when a class has fewer rows than folds."""
    refuse_few_rows(labels, folds, where, names)
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
