"""Which rows are validation, and which fold a row is in: drawn by seed, every class in proportion."""

import math
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedKFold, train_test_split

from project.work.declaration import UserError


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
    parts = train_test_split(np.arange(rows), test_size=valid_rate, random_state=seed, stratify=labels)
    return np.sort(parts[0]), np.sort(parts[1])


def refuse_few_rows(labels: np.ndarray, folds: int, where: str, names: Sequence[str] = ()) -> None:
    """Raises UserError when a class has fewer rows than folds. names: of the classes."""
    _refuse_rare(labels, folds, where, f"one for each of {folds} folds; use fewer --folds", names)


def fold_numbers(labels: np.ndarray, folds: int, seed: int, where: str, names: Sequence[str] = ()) -> np.ndarray:
    """The fold (0 .. folds-1) of each row, stratified. Raises UserError when a class has fewer rows than folds."""
    refuse_few_rows(labels, folds, where, names)
    numbers = np.empty(len(labels), dtype=np.int64)
    parts = StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels)
    for number, (_, held_out) in enumerate(parts):
        numbers[held_out] = number
    return numbers


def _refuse_rare(labels: np.ndarray, least: int, where: str, why: str, names: Sequence[str]) -> None:
    values, counts = np.unique(labels, return_counts=True)
    if len(values) < 2:
        raise UserError(f"{where}: all training pictures have one label; a classifier needs at least 2")
    if counts.min() < least:
        rare = values[counts.argmin()]
        rare = names[rare] if len(names) else rare
        raise UserError(f"{where}: class {rare} has {counts.min()} training rows, at least {least} are needed ({why})")
