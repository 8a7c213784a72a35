"""Near copies: pictures that are one another, but for a small crop, JPEG again, brightness, or a mirror.

Thumbnails are compared, in three steps. The nearest neighbours of each by a coarse descriptor are candidates. Each
candidate is laid over the other picture as well as a shift and a scale along each axis can do it (Gauss-Newton on all
pairs at once, from coarse to fine; what does not fit at a coarse step is not looked at finely). Then two things must
agree: the pictures as a whole, and their fine detail alone, which is what tells a copy from another picture of the same
kind; and no part may have another tint. How much detail must agree is asked of the set itself: two drawings of one
letter agree far more than two photos of a dog, so the bar is the higher of a fixed one and what the set's other
neighbours reach. benchmark/near_copies.py measures all that, and names the sets that chose these numbers.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

SIDE = 32  # of a thumbnail
COARSE = 8  # side of the descriptor by which neighbours are found
NEIGHBOURS, CROPPED, MIRRORED = 5, 2, 2  # candidates of each picture: as it is, as a crop of another, mirrored
MIDDLE = 0.92  # of either side, that is left in such a crop
LEAST_COSINE = 0.4  # of a candidate's descriptor
FLAT = 2.0  # standard deviation of grey below which a picture shows nothing that could be compared
WHOLE, DETAIL = 0.85, 0.85  # correlations of a near copy: of the pictures, and of their fine detail
TINT = 32  # of 255, by which no part of a near copy may differ in hue
TINTS = 4  # parts along a side whose hue is compared
BEYOND = 5.0  # and so many deviations above what other neighbours of the set reach
_STEPS = ((8, 3, 0.7, -1.0), (16, 3, 0.8, 0.3), (32, 3, 0.0, -1.0))  # side, steps; least whole and detail to go on
_BLUR = 1.5  # pixels at 32: detail is what is finer
_SCALES, _SHIFT = (0.78, 1.28), 0.25  # the largest change of a copy, of a side
_BATCH, _BLOCK = 512, 512  # pairs that are laid over each other, and rows that are compared, at once
_CELL = 20_000  # rows that are compared with each other whole; larger sets are divided into overlapping cells of these
_WAYS = 3  # cells that a row of a larger set is in

Watch = Callable[[Iterable, int], Iterable]


@dataclass(frozen=True)
class NearCopies:
    """Pairs of pictures that are near copies. pairs: int64 (n, 2), the earlier row first; likeness: float (n,), the
    correlation of their detail; mirrored: bool (n,); bar: the correlation that was asked for."""

    pairs: np.ndarray
    likeness: np.ndarray
    mirrored: np.ndarray
    bar: float = DETAIL

    def groups(self, count: int) -> np.ndarray:
        """Which group each of `count` rows is in, int64 (count,), -1 for those that are in none."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        first, second = self.pairs.T
        _, found = connected_components(coo_matrix((np.ones(len(first)), (first, second)), shape=(count, count)), False)
        return np.where(np.isin(np.arange(count), self.pairs), found, -1)


def find(
    thumbnails: np.ndarray,
    tints: np.ndarray | None = None,
    left_out: np.ndarray | None = None,
    watch: Watch = lambda each, _: each,
) -> NearCopies:
    """Near copies among grey thumbnails, uint8 (N, SIDE, SIDE), which may be mapped.

    tints: uint8 (N, TINTS, TINTS, 2), see `tint`, None for grey pictures; left_out: bool (N,), rows that are not
    compared, such as exact copies of others; watch: shows progress. Memory is under 1 KB a row beside these; time
    grows with the square of N up to 20,000, then about as N.
    """
    kept, *descriptors = _described(thumbnails, left_out)
    pairs, mirrored = _candidates(*descriptors)
    pairs = kept[pairs]
    whole, detail = np.zeros(len(pairs), np.float32), np.full(len(pairs), -1.0, np.float32)

    def measure(start: int) -> None:
        some = slice(start, start + _BATCH)
        first, second, turned = thumbnails[pairs[some, 0]], thumbnails[pairs[some, 1]], mirrored[some]
        second[turned] = second[turned, :, ::-1]
        whole[some], detail[some] = compare(first, second)

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), "pairs") as pool:  # numpy lets other threads run
        starts = range(0, len(pairs), _BATCH)
        for _ in watch(pool.map(measure, starts), len(starts)):
            pass
    bar = _bar(detail)
    found = np.flatnonzero((whole >= WHOLE) & (detail >= bar))
    if tints is not None:
        found = found[_tinted_alike(tints, pairs[found], mirrored[found])]
    found = found[np.argsort(-detail[found], kind="stable")]
    _, once = np.unique(pairs[found], axis=0, return_index=True)  # one that is found both ways is taken once
    found = found[np.sort(once)]
    return NearCopies(pairs[found], detail[found], mirrored[found], bar)


def thumbnail(images: np.ndarray) -> np.ndarray:
    """Grey thumbnails of pictures uint8 (n, H, W[, 3]); returns uint8 (n, SIDE, SIDE)."""
    import cv2

    made = np.empty((len(images), SIDE, SIDE), np.uint8)
    for row, image in enumerate(images):
        grey = image if image.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
        way = cv2.INTER_AREA if min(grey.shape) >= SIDE else cv2.INTER_LINEAR
        made[row] = grey if grey.shape == (SIDE, SIDE) else cv2.resize(grey, (SIDE, SIDE), interpolation=way)
    return made


def tint(image: np.ndarray) -> np.ndarray:
    """The hue of the parts of a picture, uint8 (H, W, 3): uint8 (TINTS, TINTS, 2), 128 where it is grey."""
    import cv2

    rough = cv2.resize(image, (4 * TINTS, 4 * TINTS), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.cvtColor(rough, cv2.COLOR_RGB2YCrCb)[..., 1:], (TINTS, TINTS), interpolation=cv2.INTER_AREA)


def compare(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far pairs of thumbnails, uint8 (n, SIDE, SIDE) each, agree once laid over each other.

    Returns two correlations, float32 (n,): of the pictures, and of their fine detail. Pairs that do not fit at a coarse
    step keep what they had there, which is no near copy's.
    """
    whole, detail = np.zeros(len(one), np.float32), np.full(len(one), -1.0, np.float32)
    rows, place = np.arange(len(one)), np.tile(np.array([1.0, 1.0, 0.0, 0.0]), (len(one), 1))
    for side, steps, least_whole, least_detail in _STEPS:
        first, second = _shrunk(one[rows], side), _shrunk(other[rows], side)
        # A crop was enlarged from a part of the other picture, so that this part is enlarged here, and never the
        # crop shrunk: what interpolation takes away is then the same in both.
        smaller = place[:, 0] * place[:, 1] > 1
        first[smaller], second[smaller] = second[smaller], first[smaller]
        place = np.where(smaller[:, None], _inverse(place), place)
        place, whole[rows] = _aligned(first, second, place, steps)
        if side > COARSE:
            detail[rows] = _detail(first, second, place)
        place = np.where(smaller[:, None], _inverse(place), place)
        good = (whole[rows] >= least_whole) & (detail[rows] >= least_detail)
        rows, place = rows[good], place[good]
    failed = np.setdiff1d(np.arange(len(one)), rows)
    detail[failed] = np.minimum(detail[failed], 0.3)
    return whole, detail


def _described(thumbnails: np.ndarray, left_out: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows that show something, and descriptors, float16 (n, COARSE ** 2), of these and of their middles, as of a
    copy that was cropped."""
    kept, wholes, middles = [np.empty(0, np.int64)], [], []
    for start in range(0, max(1, len(thumbnails)), _BLOCK):
        some = np.asarray(thumbnails[start : start + _BLOCK])
        inner = np.tile([MIDDLE, MIDDLE, 0.0, 0.0], (len(some), 1))
        whole, length = _unit(_shrunk(some, COARSE))
        middle, _ = _unit(_shrunk(_laid(some.astype(np.float32), inner), COARSE))
        good = length >= FLAT * COARSE
        if left_out is not None:
            good &= ~left_out[start : start + len(some)]
        kept.append(start + np.flatnonzero(good))
        wholes.append(whole[good])
        middles.append(middle[good])
    return np.concatenate(kept), np.concatenate(wholes), np.concatenate(middles)


def _unit(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pictures as rows of mean 0 and length 1, float16 (n, COARSE ** 2), and the length that they had."""
    rows = pictures.reshape(-1, COARSE**2)
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1)
    return (rows / np.maximum(length, 1e-6)[:, None]).astype(np.float16), length


def _candidates(descriptors: np.ndarray, middles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of places int64 (n, 2), the smaller first, each once a way, and whether the second is to be mirrored."""
    count = len(descriptors)
    turned = descriptors.reshape(-1, COARSE, COARSE)[:, :, ::-1].reshape(count, COARSE**2)
    cells, found = _cells(descriptors), []
    for ways in (((descriptors, NEIGHBOURS), (middles, CROPPED)), ((turned, MIRRORED),)):
        codes = [np.empty(0, np.int64)]  # of pairs, each of which may be found in several cells
        for members in cells:
            here = [np.empty(0, np.int64)]
            for queries, most in ways:
                for at, near in _nearest(queries[members], descriptors[members], most):
                    one, other = members[at], members[near]
                    here.append(np.minimum(one, other) * count + np.maximum(one, other))
            codes.append(np.unique(np.concatenate(here)))
        every = np.unique(np.concatenate(codes))
        found.append(np.stack([every // max(1, count), every % max(1, count)], axis=1))
    return np.concatenate(found), np.repeat([False, True], [len(found[0]), len(found[1])])


def _nearest(queries: np.ndarray, known: np.ndarray, most: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places of queries and of the nearest of the known to them, but itself, as far as they are near at all."""
    most, known = min(most, len(known) - 1), known.astype(np.float32)
    for start in range(0, len(queries) if most > 0 else 0, _BLOCK):
        cosine = queries[start : start + _BLOCK].astype(np.float32) @ known.T
        own = np.arange(len(cosine))
        cosine[own, start + own] = -1
        near = np.argpartition(-cosine, most - 1, axis=1)[:, :most]
        at = np.repeat(own, most)
        good = cosine[at, near.ravel()] >= LEAST_COSINE
        yield start + at[good], near.ravel()[good]


def _cells(descriptors: np.ndarray) -> list[np.ndarray]:
    """Places of rows that are compared with each other: all of them, or overlapping cells around some of the rows.

    Two near copies are near to the same rows, so they share a cell; a cell that grows too large is cut.
    """
    count = len(descriptors)
    if count <= _CELL:
        return [np.arange(count)]
    middles = descriptors[np.linspace(0, count - 1, -(-_WAYS * count * 8 // _CELL)).astype(int)].astype(np.float32)
    ways = np.empty((count, _WAYS), np.int32)
    for start in range(0, count, _BLOCK):
        cosine = descriptors[start : start + _BLOCK].astype(np.float32) @ middles.T
        ways[start : start + _BLOCK] = np.argpartition(-cosine, _WAYS, axis=1)[:, :_WAYS]
    order = np.argsort(ways, axis=None, kind="stable")
    whole = np.split(order // _WAYS, np.cumsum(np.bincount(ways.ravel(), minlength=len(middles)))[:-1])
    return [part for cell in whole for part in np.array_split(cell, -(-len(cell) // _CELL)) if len(part) > 1]


def _tinted_alike(tints: np.ndarray, pairs: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Which pairs differ little in hue, bool (n,)."""
    first, second = tints[pairs[:, 0]].astype(np.int16), tints[pairs[:, 1]].astype(np.int16)
    second[mirrored] = second[mirrored, :, ::-1]
    return np.abs(first - second).max(axis=(1, 2, 3), initial=0) <= TINT


def _bar(detail: np.ndarray) -> float:
    """How far detail must agree, from what the candidates of a set reach, most of which are no copies."""
    compared = np.arctanh(np.clip(detail[detail > -1], -0.99, 0.999))
    if len(compared) == 0:
        return DETAIL
    middle, high = np.percentile(compared, [50, 84])
    return max(DETAIL, float(np.tanh(middle + BEYOND * (high - middle))))


def _shrunk(thumbnails: np.ndarray, side: int) -> np.ndarray:
    """float32 (n, side, side), by means of blocks."""
    by = SIDE // side
    return thumbnails.reshape(-1, side, by, side, by).mean(axis=(2, 4), dtype=np.float32)


def _aligned(one: np.ndarray, other: np.ndarray, place: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The best places on the way of some Gauss-Newton steps, and the correlation there, each (n, 4) and (n,)."""
    best, reached = place, _correlation(_laid(one, place), other, _inside(place, one.shape[1]))
    for _ in range(steps):
        place = _step(one, other, place)
        now = _correlation(_laid(one, place), other, _inside(place, one.shape[1]))
        better = now > reached
        best, reached = np.where(better[:, None], place, best), np.maximum(now, reached)
    return best, reached


def _inverse(place: np.ndarray) -> np.ndarray:
    """How the other picture lies on the one, (n, 4)."""
    return np.concatenate([1 / place[:, :2], -place[:, 2:] / place[:, :2]], axis=1)


def _step(one: np.ndarray, other: np.ndarray, place: np.ndarray) -> np.ndarray:
    """One step of least squares for scales and shifts, with brightness and contrast free; places (n, 4): the scale
    across and down, the shift across and down, where a side reaches from -1 to 1."""
    count, side = len(one), one.shape[1]
    laid, inside, at = _laid(one, place), _inside(place, side), _positions(side)
    across, down = np.zeros_like(laid), np.zeros_like(laid)
    across[:, :, 1:-1], down[:, 1:-1] = laid[:, :, 2:] - laid[:, :, :-2], laid[:, 2:] - laid[:, :-2]
    across *= (side / 4 / place[:, 0, None, None]).astype(np.float32)
    down *= (side / 4 / place[:, 1, None, None]).astype(np.float32)
    columns = np.stack([across * at, down * at[:, None], across, down, laid, np.ones_like(laid)], axis=1)
    columns = (columns * inside[:, None]).reshape(count, 6, side * side)
    square = (columns @ columns.transpose(0, 2, 1)).astype(float)
    right = (columns @ (other * inside).reshape(count, side * side, 1)).astype(float)
    square += (1e-3 * np.einsum("nii->ni", square)[:, :, None] + 1e-2) * np.eye(6)
    solved = np.linalg.solve(square, right)[..., 0]
    gain = np.where(np.abs(solved[:, 4]) < 0.2, 0.2, solved[:, 4])
    moved = place + np.clip(solved[:, :4] / gain[:, None], -0.15, 0.15)
    return np.concatenate([np.clip(moved[:, :2], *_SCALES), np.clip(moved[:, 2:], -_SHIFT, _SHIFT)], axis=1)


def _positions(side: int) -> np.ndarray:
    """Of the pixels of a side, from -1 to 1."""
    return ((np.arange(side) - (side - 1) / 2) / (side / 2)).astype(np.float32)


def _sampled(place: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the pixels of a side are taken from, across and down, each (n, side)."""
    at = _positions(side)
    return place[:, :1] * at + place[:, 2:3], place[:, 1:2] * at + place[:, 3:]


def _laid(one: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Pictures (n, side, side), shifted and scaled by linear interpolation; what is outside is 0."""
    side = one.shape[1]
    across, down = (
        np.clip(1 - np.abs(at[:, :, None] * (side / 2) + (side - 1) / 2 - np.arange(side)), 0, 1).astype(np.float32)
        for at in _sampled(place, side)
    )
    return down @ one @ across.transpose(0, 2, 1)


def _inside(place: np.ndarray, side: int, margin: float = 0.0) -> np.ndarray:
    """Which pixels lie on the other picture, float32 (n, side, side) of 0 and 1. margin: in pixels."""
    most = (side - 1 - 2 * margin) / side + 1e-6
    across, down = (np.abs(at) <= most for at in _sampled(place, side))
    return (down[:, :, None] & across[:, None]).astype(np.float32)


def _correlation(one: np.ndarray, other: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Of the pixels inside, float32 (n,)."""
    count = inside.sum(axis=(1, 2)) + 1e-6
    first, second = (
        (each - ((each * inside).sum(axis=(1, 2)) / count)[:, None, None]) * inside for each in (one, other)
    )
    norm = np.sqrt((first * first).sum(axis=(1, 2)) * (second * second).sum(axis=(1, 2)) + 1e-6)
    return (first * second).sum(axis=(1, 2)) / norm


def _detail(one: np.ndarray, other: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The correlation of what is finer than a blur, once laid over each other."""
    side = one.shape[1]
    far = np.arange(side)[:, None] - np.arange(side)
    blur = np.exp(-0.5 * (far / (_BLUR * side / SIDE)) ** 2)
    blur = (blur / blur.sum(axis=1, keepdims=True)).astype(np.float32)
    first, second = (each - blur @ each @ blur.T for each in (_laid(one, place), other))
    return _correlation(first, second, _inside(place, side, margin=1.0))
