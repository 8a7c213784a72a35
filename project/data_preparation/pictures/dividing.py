"""Which of the pictures that were found become training, validation and test rows, and what their rows are called."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pandas as pd

from project.data_preparation.finalize import split
from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures.entries import Entry
from project.data_preparation.pictures.parts import PARTS
from project.work.common import UserError
from project.work.dataset import grouping
from project.work.dataset.grouping import VALID
from project.work.files.disk import shown


@dataclass(frozen=True)
class Part:
    """One part of a set. rows: int64 (n,), positions among the pictures that were read; entries: of each of them."""

    rows: np.ndarray
    entries: list[Entry]


@dataclass(frozen=True)
class Division:
    """Both parts, each class after the other. together: what a group is that is not divided, "" without any; repeated:
    how many rows are of a picture that has one already."""

    train: Part
    test: Part
    names: list[str]
    together: str = ""
    repeated: int = 0

    def labels(self, part: Part) -> np.ndarray:
        """Of each row of a part, int64 (n,)."""
        numbers = {name: label for label, name in enumerate(self.names)}
        return np.array([numbers[entry.label] for entry in part.entries], dtype=np.int64)

    def keys(self, part: Part) -> pd.DataFrame:
        """A row a picture: key_id, path and, where one is known, group, part (where the source has others than train
        and test) and true_label (-1 for none of the classes, empty where it is not known)."""
        both, entries = [*self.train.entries, *self.test.entries], part.entries
        keys = pd.DataFrame({"key_id": [entry.key for entry in entries], "path": [entry.path for entry in entries]})
        if any(entry.group for entry in both):
            keys["group"] = [entry.group for entry in entries]
        if not {entry.said for entry in both} <= {"", *PARTS}:
            keys["part"] = [entry.said for entry in entries]
        if any(entry.true_label for entry in both):
            numbers = {name: label for label, name in enumerate(self.names)} | {"": None}
            keys["true_label"] = pd.array([numbers.get(entry.true_label, -1) for entry in entries], dtype="Int64")
        return keys


def thin(entries: list[Entry], per_class: int | None, seed: int) -> list[Entry]:
    """At most so many pictures of each class and part, drawn at random; the order stays."""
    if per_class is None:
        return entries
    kept = []
    for (label, part), group in groupby(entries, key=lambda entry: (entry.label, entry.part)):
        pictures = list(group)
        generator = np.random.default_rng([seed, *f"{part}/{label}".encode()])
        kept += [pictures[row] for row in np.sort(generator.permutation(len(pictures))[:per_class])]
    return kept


def divide(entries: Sequence[Entry], settings: ImageFolderSettings, together: str = "") -> Division:
    """Divide pictures into a training and a test part, as the source says or else at random.

    entries: sorted by class, each class with a picture for either part; together: what their groups are, where those
    must stay whole. Raises UserError where they cannot, or a class is too small for --valid-per-class.
    """
    names = sorted({entry.label for entry in entries})
    numbers = {name: label for label, name in enumerate(names)}
    labels = np.array([numbers[entry.label] for entry in entries])
    groups = grouping.codes(pd.Series([entry.group for entry in entries], dtype=object)) if together else None
    if entries[0].part:
        train, test = (np.flatnonzero([entry.part == part for entry in entries]) for part in PARTS)
    elif groups is None:
        train, test = _draw_parts(labels, names, settings)
    else:
        train, test = _draw_whole(labels, groups, names, settings, together)
    learnt, held_out = ([entries[row] for row in rows.tolist()] for rows in (train, test))
    if settings.valid_per_class is not None:
        valid = _draw_valid(train, labels, groups, names, settings, any(entry.said == VALID for entry in learnt))
        said = [VALID if row in valid else "train" for row in train.tolist()]
        learnt = [entry._replace(said=part) for entry, part in zip(learnt, said, strict=True)]
        held_out = [entry._replace(said="test") for entry in held_out]
    if settings.balance is None:
        return Division(Part(train, learnt), Part(test, held_out), names, together)
    part = _balanced(Part(train, learnt), settings, bool(together))
    repeated = sum(entry.copy > 0 for entry in part.entries)
    return Division(part, Part(test, held_out), names, together or ("picture" if repeated else ""), repeated)


def _draw_parts(labels: np.ndarray, names: list[str], settings: ImageFolderSettings) -> list[np.ndarray]:
    """Row numbers of train and test; a class is divided alike whatever other classes there are."""
    parts: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for label, name in enumerate(names):
        of_class = np.flatnonzero(labels == label)
        generator = np.random.default_rng([settings.seed, *name.encode()])
        for part, chosen in zip(parts, split(len(of_class), settings.train_ratio, generator), strict=True):
            part.append(of_class[chosen])
    return [np.concatenate(part) for part in parts]


def _draw_whole(
    labels: np.ndarray, groups: np.ndarray, names: list[str], settings: ImageFolderSettings, together: str
) -> list[np.ndarray]:
    """Row numbers of train and test that no group has on both sides. Raises UserError for a class of one group."""
    wanted = grouping.by_share(labels, (settings.train_ratio, 1 - settings.train_ratio))
    part_of = grouping.dealt(labels, groups, wanted, np.random.default_rng(settings.seed))
    rows = [np.flatnonzero(part_of == part) for part in range(2)]
    for name, part in zip(PARTS, rows, strict=True):
        missing = np.flatnonzero(np.bincount(labels[part], minlength=len(names)) == 0)
        if len(missing):
            raise UserError(
                f"class {shown(names[missing[0]])}: too few of {together} have pictures of it, so none is left for"
                f" {name} when no {together} is divided: add some, or give --group-column none"
            )
    return rows


def _draw_valid(
    train: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray | None,
    names: list[str],
    settings: ImageFolderSettings,
    said: bool,
) -> set[int]:
    """Rows of the training part that are to validate, so many of each class. said: whether the source says some."""
    count = settings.valid_per_class
    assert count is not None
    if said:
        raise UserError("--valid-per-class: the source has a validation part already; leave --valid-per-class out")
    have = np.bincount(labels[train], minlength=len(names))
    if have.min() <= count:
        raise UserError(
            f"--valid-per-class {count}: class {shown(names[have.argmin()])} has {have.min()} training pictures, and"
            " one of them at least must be left to learn from: give a smaller number"
        )
    if groups is not None:
        wanted = np.stack([have - count, np.full(len(names), count)]).astype(float)
        part_of = grouping.dealt(labels[train], groups[train], wanted, np.random.default_rng([settings.seed, 1]))
        return set(train[part_of == 1].tolist())
    valid: set[int] = set()
    for label, name in enumerate(names):
        generator = np.random.default_rng([settings.seed, *f"{VALID}/{name}".encode()])
        valid |= set(generator.permutation(train[labels[train] == label])[:count].tolist())
    return valid


def _balanced(part: Part, settings: ImageFolderSettings, grouped: bool) -> Part:
    """As many training pictures of each class as --balance says, rows to validate aside: more are thinned, fewer are
    repeated. Rows of one picture are a group, so that no split ever divides them."""
    count, taken = settings.balance, list[tuple[int, int]]()
    assert count is not None
    for label, positions in groupby(range(len(part.entries)), key=lambda at: part.entries[at].label):
        whole = list(positions)
        learnt = [at for at in whole if part.entries[at].said != VALID]
        generator = np.random.default_rng([settings.seed, *f"balance/{label}".encode()])
        drawn = np.sort(generator.permutation(len(learnt))[:count])
        times = [(learnt[drawn[at % len(drawn)]], at // len(drawn)) for at in range(count)]
        taken += sorted([*times, *((at, 0) for at in whole if part.entries[at].said == VALID)])
    entries = [part.entries[at]._replace(copy=copy) for at, copy in taken]
    if any(entry.copy for entry in entries):
        entries = [entry._replace(group=(entry.group if grouped else "") or entry.path) for entry in entries]
    return Part(part.rows[[at for at, _ in taken]], entries)
