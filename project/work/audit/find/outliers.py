"""Pictures that are like no other: far from their nearest neighbours, by features or by how they look roughly."""

import numpy as np

NEAREST = 5  # the neighbour whose distance counts, so that a few copies of one odd picture do not hide it
FAR = 6.0  # deviations above the median distance from which a picture is an outlier
AMONG = 20_000  # rows that neighbours are looked for among, spread over a larger set
_BLOCK = 2048


def distances(points: np.ndarray, nearest: int = NEAREST) -> np.ndarray:
    """The distance of each of N points, (N, D), to its so-many-th nearest other one, float32 (N,); 0 for too few."""
    count = len(points)
    among = np.arange(count) if count <= AMONG else np.unique(np.linspace(0, count - 1, AMONG).astype(int))
    known = points[among].astype(np.float32)
    lengths, found = (known * known).sum(axis=1), np.zeros(count, np.float32)
    if len(known) <= nearest:
        return found
    for start in range(0, count, _BLOCK):
        some = points[start : start + _BLOCK].astype(np.float32)
        square = (some * some).sum(axis=1)[:, None] + lengths - 2 * some @ known.T
        own = np.searchsorted(among, np.arange(start, start + len(some)))
        here = (own < len(among)) & (among[np.minimum(own, len(among) - 1)] == np.arange(start, start + len(some)))
        square[np.flatnonzero(here), own[here]] = np.inf
        found[start : start + len(some)] = np.sqrt(np.maximum(np.partition(square, nearest - 1)[:, nearest - 1], 0))
    return found


def find(points: np.ndarray, left_out: np.ndarray | None = None) -> np.ndarray:
    """Places of the outliers among points (N, D), int64, the farthest first. left_out: bool (N,), never among them."""
    kept = np.arange(len(points)) if left_out is None else np.flatnonzero(~left_out)
    if len(kept) == 0:
        return kept
    far = distances(points[kept])
    middle = np.median(far)
    deviation = 1.4826 * float(np.median(np.abs(far - middle)))
    out = np.flatnonzero(far > middle + FAR * max(deviation, 0.05 * float(middle)))
    return kept[out[np.argsort(-far[out], kind="stable")]]
