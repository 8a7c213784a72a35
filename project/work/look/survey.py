"""One pass over all pictures of a set: what each measures, a thumbnail and a mark of it, and the mean of each class.

The measures are those of CleanVision (brightness percentiles, contrast, sharpness, proportions), in a few lines: that
library reads image files alone, one by one, and brings a second set of hashes and tables; here pictures are in arrays,
and what is usual depends on the set. cv2 and numpy alone are needed.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from project.work.audit.find import near_copies

CHUNK = 1 << 24  # bytes of pictures that are held at once
MEAN_SIDE = 64  # of a class's mean picture, at most
ROUGH = 8  # side of the rough picture by which outliers are found

Watch = Callable[[Iterable, int], Iterable]


@dataclass(frozen=True)
class Survey:
    """What N pictures measure, those of all parts one after the other.

    dark, light, spread: float32 (N,) in 0..1, percentiles 99.5 and 0.5 of grey, and its range; sharpness:
    float32 (N,), the strongest edges as a share of that range; blank: bool (N,); first: int64 (N,), the first row with
    exactly the same pixels, -1 where it is the row itself; thumbnails: uint8 (N, 32, 32); tints:
    see `near_copies.tint`, None for grey pictures; rough: float32 (N, D), how a
    picture looks roughly; means: uint8 (K, side, side[, 3]), of each class.
    """

    dark: np.ndarray
    light: np.ndarray
    spread: np.ndarray
    sharpness: np.ndarray
    blank: np.ndarray
    first: np.ndarray
    thumbnails: np.ndarray
    tints: np.ndarray | None
    rough: np.ndarray
    means: np.ndarray


def survey(parts: Sequence[Any], labels: np.ndarray, classes: int, watch: Watch = lambda each, _: each) -> Survey:
    """Look at every picture once. parts: of pictures, uint8 (n, H, W[, 3]), arrays or whatever gives slices of them;
    labels: int64 (N,), of all parts; watch: shows progress."""
    count = sum(len(part) for part in parts)
    found, means = _Measured(count, _is_colour(parts[0].shape[1:])), _Means(parts[0].shape[1:], classes)
    pieces = [(part, start) for part in parts for start in range(0, len(part), step(part.shape))]
    row = 0
    for part, start in watch(pieces, len(pieces)):
        some = plain(np.asarray(part[start : start + step(part.shape)]))
        found.add(row, some)
        means.add(some, labels[row : row + len(some)])
        row += len(some)
    return found.done(means.done())


def plain(images: np.ndarray) -> np.ndarray:
    """Pictures uint8 (n, H, W[, C]) as (n, H, W) for one channel, else (n, H, W, 3)."""
    if images.ndim == 3:
        return images
    return images[..., :3] if images.shape[3] >= 3 else images[..., 0]


def _is_colour(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[2] >= 3


def step(shape: tuple[int, ...]) -> int:
    """How many pictures of a shape (N, H, W[, C]) are held at once."""
    return max(1, CHUNK // int(np.prod(shape[1:])))


class _Measured:
    """The measures, as they are taken."""

    def __init__(self, count: int, colour: bool) -> None:
        self.values = np.zeros((4, count), np.float32)
        self.blank, self.first = np.zeros(count, bool), np.full(count, -1)
        self.thumbnails = np.zeros((count, near_copies.SIDE, near_copies.SIDE), np.uint8)
        side = near_copies.TINTS
        self.tints = np.zeros((count, side, side, 2), np.uint8) if colour else None
        self.rough = np.zeros((count, ROUGH * ROUGH + 3), np.float32)
        self.seen: dict[bytes, int] = {}

    def add(self, row: int, images: np.ndarray) -> None:
        """Measure some pictures, the first of which is this row."""
        for at, image in enumerate(images, row):
            grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            self.values[:, at] = measures(grey)
            self.blank[at] = is_blank(image)
            original = self.seen.setdefault(hashlib.blake2b(np.ascontiguousarray(image), digest_size=16).digest(), at)
            self.first[at] = -1 if original == at else original
            self.thumbnails[at] = near_copies.thumbnail(grey[None])[0]
            if self.tints is not None:
                self.tints[at] = near_copies.tint(image)
            self.rough[at, :-3] = cv2.resize(grey, (ROUGH, ROUGH), interpolation=cv2.INTER_AREA).ravel()
            self.rough[at, -3:] = cv2.mean(image)[:3] if image.ndim == 3 else cv2.mean(image)[0]

    def done(self, means: np.ndarray) -> Survey:
        """All of it."""
        dark, light, spread, sharpness = self.values
        seen = (self.blank, self.first, self.thumbnails, self.tints, self.rough / 255)
        return Survey(dark, light, spread, sharpness, *seen, means)


class _Means:
    """The mean picture of each class, shrunk where the pictures are large."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        by = max(1.0, max(shape[:2]) / MEAN_SIDE)
        self.size = max(1, round(shape[1] / by)), max(1, round(shape[0] / by))  # width, height
        channels = (3,) if _is_colour(shape) else ()
        self.sums = np.zeros((classes, self.size[1], self.size[0], *channels), np.float32)
        self.counts = np.zeros(classes, np.int64)

    def add(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Take in some pictures."""
        self.counts += np.bincount(labels, minlength=len(self.counts))
        for image, label in zip(images, labels, strict=True):
            same = image.shape[1::-1] == self.size
            self.sums[label] += image if same else cv2.resize(image, self.size, interpolation=cv2.INTER_AREA)

    def done(self) -> np.ndarray:
        """uint8 (K, H, W[, 3]); black for a class without pictures."""
        counts = np.maximum(self.counts, 1).reshape(-1, *[1] * (self.sums.ndim - 1))
        return (self.sums / counts).round().astype(np.uint8)


def measures(grey: np.ndarray) -> tuple[float, float, float, float]:
    """Percentiles 99.5 and 0.5 of grey, its range from 1 to 99, and its sharpness. grey: uint8 (H, W).

    Padding is left out of all: it is of one colour, and its edge is no edge of the picture.
    """
    inner = without_padding(grey)
    counts = np.cumsum(np.bincount(inner.ravel(), minlength=256))
    low, dim, bright, high = np.searchsorted(counts, counts[-1] * np.array([0.01, 0.005, 0.995, 0.99])) / 255
    edges = np.abs(cv2.Laplacian(inner, cv2.CV_16S)) if min(inner.shape) >= 3 else np.zeros((1, 1))
    place = max(0, round(0.005 * edges.size))
    strong = float(np.partition(edges.ravel(), edges.size - 1 - place)[edges.size - 1 - place]) / 255
    return bright, dim, high - low, strong / max(high - low, 1 / 255)


def without_padding(grey: np.ndarray) -> np.ndarray:
    """The same without rows above and below, or columns beside, that are of one colour; whole where both are there,
    as around a drawing, or where little would be left."""
    rows, columns = np.ptp(grey, axis=1) > 0, np.ptp(grey, axis=0) > 0
    if rows.all() == columns.all() or min(rows.sum(), columns.sum()) < max(3, min(grey.shape) / 4):
        return grey
    top, bottom = rows.argmax(), len(rows) - rows[::-1].argmax()
    left, right = columns.argmax(), len(columns) - columns[::-1].argmax()
    return grey[top:bottom, left:right]


def is_blank(image: np.ndarray) -> bool:
    """Whether a picture shows nothing: one colour, but for the noise of a JPEG or a camera."""
    if int(image.max()) - int(image.min()) > 64 * (image.ndim - 1):  # drawings of one dot are not blank
        return False
    by_colour = image.reshape(-1, 1 if image.ndim == 2 else 3)
    return bool((np.ptp(by_colour, axis=0) <= 24).all() and (by_colour.std(axis=0) < 2.5).all())
