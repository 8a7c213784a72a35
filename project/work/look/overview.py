"""What a survey comes to: facts, classes, copies, problems and outliers, as plain values that a template shows."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from project.work.audit.find import near_copies, outliers
from project.work.audit.find.near_copies import NearCopies
from project.work.look import problems
from project.work.look.problems import Problem
from project.work.look.survey import Survey, plain, survey

Watch = Callable[[Iterable, int], Iterable]
ACROSS_LABELS, ACROSS_PARTS, WITHIN = "different labels", "in several parts", "same label"


@dataclass(frozen=True)
class Collection:
    """The pictures that are looked at, those of all parts one after the other: N in all, of K classes.

    images: of each part, uint8 (n, H, W[, 3]), arrays or whatever gives slices and rows of them; labels: int64 (N,);
    keys: text (N,); parts: (N,), what each row's part is called; links: where the original files are, none where that
    is not known; sizes: int (N, 2), width and height of these, 0 where unknown, or None.
    """

    title: str
    images: Sequence[Any]
    labels: np.ndarray
    keys: np.ndarray
    parts: np.ndarray
    names: list[str]
    links: Sequence[str] = ()
    sizes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """The pictures of some rows, uint8 (n, H, W) or (n, H, W, 3), in their order."""
        starts = np.cumsum([0, *map(len, self.images)])
        places = [np.flatnonzero((rows >= a) & (rows < b)) for a, b in itertools.pairwise(starts)]
        parts = [
            plain(np.asarray(images[rows[here] - start]))
            for images, here, start in zip(self.images, places, starts, strict=False)
        ]
        found = np.empty((len(rows), *parts[0].shape[1:]), np.uint8)
        for here, part in zip(places, parts, strict=True):
            found[here] = part
        return found


@dataclass(frozen=True)
class Group:
    """Pictures that are copies of one another. kind: ACROSS_LABELS, ACROSS_PARTS (and one label) or WITHIN."""

    rows: np.ndarray
    kind: str


@dataclass(frozen=True)
class Overview:
    """All that is found without asking what a label should be. copies, near: groups of exact and of near copies, those
    with different labels first, then those in several parts; near includes no exact copies but the first of each;
    outliers: int64 (n,), the oddest first."""

    collection: Collection
    survey: Survey
    copies: list[Group]
    near: list[Group]
    pairs: NearCopies
    problems: list[Problem]
    outliers: np.ndarray
    lines: list[str] = field(default_factory=list)


def look(collection: Collection, watch: Callable[[str], Watch], points: np.ndarray | None = None) -> Overview:
    """Look at a set. points: float (N, D), features by which outliers and large crops are found; None: outliers by how
    pictures look roughly, and no such crops; watch: makes what shows the progress of something that is called so."""
    found = survey(collection.images, collection.labels, len(collection.names), watch("looking at pictures"))
    pairs = near_copies.find(found.thumbnails, found.tints, found.first >= 0, watch("comparing pictures"))
    if points is not None:
        pairs = _with_crops(collection, found, pairs, points, watch("looking for crops"))
    odd = problems.find(found, collection.sizes)
    rough = found.rough if points is None else points
    far = outliers.find(rough, found.blank | (found.first >= 0))
    copies = _groups(collection, np.where(found.first >= 0, found.first, np.arange(len(collection))))
    alike, rows = pairs.groups(len(collection)), np.arange(len(collection))
    near = _groups(collection, np.where(alike < 0, len(collection) + rows, alike))
    lines = _lines(collection, copies, near, odd, far)
    return Overview(collection, found, copies, near, pairs, odd, far, lines)


def _with_crops(
    collection: Collection, found: Survey, pairs: NearCopies, points: np.ndarray, watch: Watch
) -> NearCopies:
    from project.work.audit.find import crops  # which brings the heads of features

    if min(collection.images[0].shape[1:3]) < crops.LEAST_SIDE:
        return pairs
    picture = lambda row: collection.gather(np.array([row]))[0]  # noqa: E731
    return crops.with_crops(pairs, points, found.thumbnails, found.blank | (found.first >= 0), picture, watch)


def _groups(collection: Collection, owner: np.ndarray) -> list[Group]:
    """Rows of one owner, int64 (N,), where there are several, the telling ones first."""
    _, codes, counts = np.unique(owner, return_inverse=True, return_counts=True)
    several = np.flatnonzero(counts[codes] > 1)
    order = several[np.argsort(codes[several], kind="stable")]
    cuts = np.flatnonzero(np.diff(codes[order])) + 1
    found = [Group(rows, _kind(collection, rows)) for rows in np.split(order, cuts) if len(rows)]
    rank = {ACROSS_LABELS: 0, ACROSS_PARTS: 1, WITHIN: 2}
    return sorted(found, key=lambda group: (rank[group.kind], group.rows[0]))


def _kind(collection: Collection, rows: np.ndarray) -> str:
    if len(np.unique(collection.labels[rows])) > 1:
        return ACROSS_LABELS
    return ACROSS_PARTS if len(np.unique(collection.parts[rows])) > 1 else WITHIN


def class_counts(collection: Collection) -> dict[str, np.ndarray]:
    """For each part, in the order of the set, how many pictures each class has there, int64 (K,)."""
    parts = list(dict.fromkeys(collection.parts.tolist()))
    return {
        part: np.bincount(collection.labels[collection.parts == part], minlength=len(collection.names))
        for part in parts
    }


def per_class(collection: Collection) -> np.ndarray:
    """How many pictures each class has in all, int64 (K,)."""
    return np.bincount(collection.labels, minlength=len(collection.names))


def imbalance(collection: Collection) -> tuple[int, int]:
    """The classes with most and with fewest pictures."""
    counts = per_class(collection)
    return int(counts.argmax()), int(counts.argmin())


def _lines(
    collection: Collection, copies: list[Group], near: list[Group], odd: list[Problem], far: np.ndarray
) -> list[str]:
    """What stands out, in words."""
    counts = per_class(collection)
    most, least = imbalance(collection)
    lines = [_copied("exact copies", copies), _copied("near copies", near)]
    for problem in odd:
        if problem.usual:
            share = len(problem.rows) / len(collection)
            lines.append(f"{share:.0%} of the pictures are {problem.title.lower()}: that is how this set is")
        elif len(problem.rows):
            lines.append(f"{_pictures(len(problem.rows))}: {problem.title.lower()}")
    if len(far):
        lines.append(f"{_pictures(len(far))}: unlike all others")
    if counts[least] * 2 < counts[most]:
        times = counts[most] / max(1, counts[least])
        lines.append(
            f"unequal classes: {collection.names[most]} has {counts[most]:,} pictures, {collection.names[least]}"
            f" {counts[least]:,}, {times:,.{1 if times < 10 else 0}f} times fewer"
        )
    return [line for line in lines if line]


def _copied(what: str, groups: list[Group]) -> str:
    if not groups:
        return ""
    kinds = [group.kind for group in groups]
    told = [f"{kinds.count(kind):,} {words}" for kind, words in _KINDS.items() if kinds.count(kind)]
    if ACROSS_LABELS in kinds and what == "exact copies":
        told[0] += ", of which at most one is right"
    members = sum(len(group.rows) for group in groups)
    noun = "group" if len(groups) == 1 else "groups"
    return f"{len(groups):,} {noun} of {what} ({members:,} pictures): {', '.join(told)}"


_KINDS = {
    ACROSS_LABELS: "under different labels",
    ACROSS_PARTS: "with members in several parts, so that a test knows what was trained on",
    WITHIN: "under one label",
}


def _pictures(count: int) -> str:
    return f"{count:,} {'picture' if count == 1 else 'pictures'}"
