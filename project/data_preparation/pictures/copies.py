"""Finds pictures that are equal to the pixel: within a class, across classes, and across train and test.

They are in memory or packed, and may be of any size and kind. finalize.py compares drawings, whose sets may be larger
than memory; its compiled marks would cost half a second of imports here.
"""

import hashlib
from collections.abc import Iterable

import numpy as np

from project.work.dataset import storage
from project.work.dataset.packed import PackedPictures

_BYTES = 16  # of a digest: two different pictures of a million share one with a probability of 1e-27


def digests(images: Iterable[np.ndarray]) -> np.ndarray:
    """A digest of each picture, uint8 (N, 16), equal where the pictures are. images: uint8 (N, ...), or packed."""
    if isinstance(images, PackedPictures):
        return images.marks
    found = b"".join(
        hashlib.blake2b(np.ascontiguousarray(image), digest_size=_BYTES).digest() for image in images
    )  # digests alone are kept, not the bytes of all pictures
    return np.frombuffer(found, np.uint8).reshape(-1, _BYTES)


def within_classes(marks: np.ndarray, labels: Iterable[int]) -> list[tuple[int, int]]:
    """Rows that equal an earlier one of their class, each with the first such. marks: `digests`."""
    first: dict[tuple[bytes, int], int] = {}
    keys = ((mark.tobytes(), int(label)) for mark, label in zip(marks, labels, strict=True))
    pairs = [(row, first.setdefault(key, row)) for row, key in enumerate(keys)]
    return [(row, before) for row, before in pairs if row != before]


def across_parts(train: np.ndarray, test: np.ndarray) -> list[tuple[int, int]]:
    """Rows of the test part that equal one of the training part, each with that one. train, test: `digests`."""
    rows = {mark.tobytes(): row for row, mark in reversed(list(enumerate(train)))}
    return [(row, rows[mark.tobytes()]) for row, mark in enumerate(test) if mark.tobytes() in rows]


def count_contradictions(marks: np.ndarray, labels: np.ndarray) -> int:
    """How many pictures equal, pixel by pixel, one with another label: at least one of the two labels is wrong.

    marks: `digests`.
    """
    keys = [mark.tobytes() for mark in marks]
    seen: dict[bytes, set[int]] = {}
    for key, label in zip(keys, labels.tolist(), strict=True):
        seen.setdefault(key, set()).add(label)
    return sum(len(seen[key]) > 1 for key in keys)


def describe(prepared: storage.Prepared) -> str:
    """What to tell a person of a set's copies, with a pair of each kind; empty where there are none."""
    marks = [digests(part.images) for part in (prepared.train, prepared.test)]
    paths = [part.keys["path"].tolist() for part in (prepared.train, prepared.test)]
    labels = np.concatenate([prepared.train.labels, prepared.test.labels])
    every = [*paths[0], *paths[1]]
    pairs = within_classes(np.concatenate(marks), labels)
    within = [(row, before) for row, before in pairs if every[row] != every[before]]  # --balance repeats some
    across, said = across_parts(*marks), []
    if within:
        row, before = within[0]
        verb = "pictures equal" if len(within) > 1 else "picture equals"
        said.append(f"{len(within)} {verb} an earlier one of the same class, such as {every[row]} and {every[before]}")
    if across:
        row, before = across[0]
        verb = "test pictures are" if len(across) > 1 else "test picture is"
        said.append(f"{len(across)} {verb} in the training part too, such as {paths[1][row]} and {paths[0][before]}")
    return "; ".join(said)
