"""Large crops among near copies, mirrored or not: pictures that show a part of another one.

Thumbnails do not lead to them, as what is left of a picture looks like another as a whole. The features of a pretrained
network do: a crop's nearest neighbours by features are candidates. The smaller one is then looked for in the larger, at
every size and place: first roughly by thumbnails, then near the best place by fine detail alone, at SIDE pixels. How
much detail must agree is asked of the set itself, as `near_copies` does. benchmark/near_copies_by_features.py measures
this, and names the sets that chose these numbers.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from project.work.audit.find import near_copies
from project.work.audit.find.near_copies import NearCopies, Watch
from project.work.features import heads

SIDE = 96  # pixels at which detail is compared
LEAST_SIDE = 64  # of pictures; smaller ones show too little detail
NEIGHBOURS, LEAST_COSINE = 5, 0.45  # candidates of each picture, by features from which the mean was taken
LEAST = 0.55  # of a side, that a crop has kept
ROUGHLY = 0.8  # correlation of thumbnails from which a pair is looked at closely
DETAIL = 0.8  # correlation of fine detail of a crop, at least
FLAT = 1.0  # standard deviation of grey, or of its fine detail, below which there is nothing to compare
_DIRECTIONS = 128  # principal components that neighbours of many rows are found by
_MANY = 20_000
_BLUR = 2.0  # pixels at SIDE: detail is what is finer
_SCALE = SIDE // near_copies.SIDE
_AROUND = 4  # pixels at SIDE: how far from the rough place, and from the rough size, it is looked closely
_STEP = 2  # of the size of a thumbnail; `_AROUND` covers what lies between
_BATCH = 64  # pairs that a thread compares at once

Picture = Callable[[int], np.ndarray]


def with_crops(
    found: NearCopies,
    points: np.ndarray,
    thumbnails: np.ndarray,
    left_out: np.ndarray,
    picture: Picture,
    watch: Watch = lambda each, _: each,
) -> NearCopies:
    """The same near copies and the large crops among pictures.

    points: float (N, D), their features; thumbnails, left_out: see `near_copies.find`; picture: gives that of a
    row, uint8 (H, W[, 3]); watch: shows progress. Time grows with the square of N, by features in 128 directions.
    """
    pairs = _candidates(points, left_out)
    known = {tuple(pair) for pair in found.pairs.tolist()}
    pairs = np.array([pair for pair in pairs.tolist() if tuple(pair) not in known], np.int64).reshape(-1, 2)
    detail, mirrored = np.full(len(pairs), -1.0), np.zeros(len(pairs), bool)

    def measure(start: int) -> None:
        for at, (one, other) in enumerate(pairs[start : start + _BATCH].tolist(), start):
            rough = _roughly(thumbnails[one], thumbnails[other])
            mirrored[at] = rough.mirrored
            if rough.score >= ROUGHLY:
                detail[at] = _closely(picture(one), picture(other), rough)

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), "crops") as pool:  # OpenCV lets other threads run
        starts = range(0, len(pairs), _BATCH)
        for _ in watch(pool.map(measure, starts), len(starts)):
            pass
    good = np.flatnonzero(detail >= DETAIL)
    good = good[np.argsort(-detail[good], kind="stable")]
    return NearCopies(
        np.concatenate([found.pairs, pairs[good]]),
        np.concatenate([found.likeness, detail[good]]),
        np.concatenate([found.mirrored, mirrored[good]]),
        found.bar,
    )


def _candidates(points: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """The nearest neighbours of each row by features: pairs int64 (n, 2), the smaller first, each once."""
    kept = np.flatnonzero(~left_out)
    if len(kept) < 2:
        return np.empty((0, 2), np.int64)
    rows = points[kept]
    rows = heads.space(rows, _DIRECTIONS).of(rows) if len(kept) > _MANY else rows - rows.mean(axis=0, dtype=np.float32)
    own = np.arange(len(kept))
    near, cosine = heads.neighbours(rows, rows, min(NEIGHBOURS, len(kept) - 1), (own, own))
    pairs = kept[np.stack([np.repeat(own, near.shape[1]), near.ravel()], axis=1)[cosine.ravel() >= LEAST_COSINE]]
    return np.unique(np.sort(pairs, axis=1), axis=0)


@dataclass(frozen=True)
class _Place:
    """Where a picture lies on another. score: the correlation there; within: whether the second is the crop; mirrored:
    whether the crop is; size: pixels of its side, of near_copies.SIDE; left, top: of its corner."""

    score: float
    within: bool
    mirrored: bool
    size: int
    left: int
    top: int


def _roughly(one: np.ndarray, other: np.ndarray) -> _Place:
    """The best place of one thumbnail on the other, uint8 (32, 32) each; either may be the crop."""
    best = _Place(-1.0, True, False, near_copies.SIDE, 0, 0)
    for within, whole, crop in ((True, one, other), (False, other, one)):
        for mirrored in (False, True):
            turned = np.ascontiguousarray(crop[:, ::-1]) if mirrored else crop
            for size in range(round(LEAST * near_copies.SIDE), near_copies.SIDE + 1, _STEP):
                score, left, top = _matched(whole, cv2.resize(turned, (size, size), interpolation=cv2.INTER_AREA))
                if score > best.score:
                    best = _Place(score, within, mirrored, size, left, top)
    return best


def _closely(one: np.ndarray, other: np.ndarray, rough: _Place) -> float:
    """The highest correlation of fine detail near the rough place of two pictures, uint8 (H, W[, 3]) each; -1 where
    they differ in hue there."""
    whole, crop = (_square(each) for each in ((one, other) if rough.within else (other, one)))
    crop = np.ascontiguousarray(crop[:, ::-1]) if rough.mirrored else crop
    detail, small = _fine(_grey(whole)), _grey(crop)
    best, corner, middle = -1.0, (0, 0, SIDE), rough.size * _SCALE
    first = [max(0, at * _SCALE - _AROUND) for at in (rough.left, rough.top)]
    for size in range(middle - _AROUND, min(SIDE, middle + _AROUND) + 1):
        part = detail[first[1] :, first[0] :][: size + 2 * _AROUND, : size + 2 * _AROUND]
        if min(part.shape) >= size:
            score, left, top = _matched(part, _fine(cv2.resize(small, (size, size), interpolation=cv2.INTER_AREA)))
            if score > best:
                best, corner = score, (first[0] + left, first[1] + top, size)
    left, top, size = corner
    alike = whole.ndim == 2 or crop.ndim == 2 or _hues_agree(whole[top : top + size, left : left + size], crop)
    return best if alike else -1.0


def _hues_agree(one: np.ndarray, other: np.ndarray) -> bool:
    apart = near_copies.tint(one).astype(int) - near_copies.tint(other)
    return int(np.abs(apart).max()) <= near_copies.TINT


def _square(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(np.ascontiguousarray(picture), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _grey(square: np.ndarray) -> np.ndarray:
    return square if square.ndim == 2 else cv2.cvtColor(square, cv2.COLOR_RGB2GRAY)


def _fine(grey: np.ndarray) -> np.ndarray:
    """What is finer than a blur, float32."""
    values = grey.astype(np.float32)
    return values - cv2.GaussianBlur(values, (0, 0), _BLUR)


def _matched(whole: np.ndarray, part: np.ndarray) -> tuple[float, int, int]:
    """The highest correlation of a part with what is as large in a picture, and the corner where it is reached; -1
    where the part shows nothing, which OpenCV would find everywhere."""
    if part.std() < FLAT:
        return -1.0, 0, 0
    scores = cv2.matchTemplate(whole, part, cv2.TM_CCOEFF_NORMED)
    _, score, _, (left, top) = cv2.minMaxLoc(scores)
    return float(score), left, top
