"""A map of a set: each picture a point, near those whose features are alike."""

import colorsys
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

POINTS = 3000  # that t-SNE places, in half a minute on one core; of larger sets a sample, suspicious ones first
FEWEST = 12  # for t-SNE; the first two principal components place fewer
NAMED = 24  # classes that a legend can tell apart
SIZE = 1000  # of the map's own lengths


@dataclass(frozen=True)
class Plane:
    """rows: int64 (n,), which pictures; places: float (n, 2), in 0..SIZE; how: in words."""

    rows: np.ndarray
    places: np.ndarray
    how: str


def place(features: np.ndarray, marked: np.ndarray, seed: int = 0) -> Plane:
    """Place pictures by their features, float (N, D). marked: bool (N,), those that a sample has before others."""
    random = np.random.default_rng(seed)
    rows = np.arange(len(features))
    if len(rows) > POINTS:
        order = rows[np.lexsort((random.random(len(rows)), ~marked))]
        kept = max(POINTS // 2, POINTS - int(marked.sum()))  # half of them at least show what is usual
        rows = np.sort(np.concatenate([order[: POINTS - kept], random.permutation(order[POINTS - kept :])[:kept]]))
    some = features[rows].astype(np.float32)
    flat = principal(some, 50)
    sample = "" if len(rows) == len(features) else f", of {len(rows):,} of the {len(features):,} pictures"
    if len(rows) < FEWEST:
        return Plane(rows, _scaled(np.pad(flat, ((0, 0), (0, 2)))[:, :2]), f"two principal components{sample}")
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(rows) - 1) / 3)
    start = flat[:, :2] / max(1e-6, float(flat[:, 0].std())) * 1e-4
    made = TSNE(2, perplexity=perplexity, init=start, random_state=seed, max_iter=500, n_jobs=1).fit_transform(flat)
    return Plane(
        rows, _scaled(made), f"t-SNE of the first {flat.shape[1]} principal components of the features{sample}"
    )


def principal(points: np.ndarray, count: int) -> np.ndarray:
    """The first principal components of points (n, D), float32 (n, count or fewer); signs are settled."""
    centred = points - points.mean(axis=0)
    if centred.shape[1] <= len(centred):
        _, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        found = centred @ directions[:, ::-1][:, :count].astype(np.float32)
    else:
        values, sides = np.linalg.eigh((centred @ centred.T).astype(np.float64))
        scale = np.sqrt(np.maximum(values[::-1][:count], 0))
        found = (sides[:, ::-1][:, :count] * scale).astype(np.float32)
    strongest = found[np.abs(found).argmax(axis=0), np.arange(found.shape[1])]
    return found * np.where(strongest < 0, -1, 1)


def _scaled(places: np.ndarray) -> np.ndarray:
    low, high = places.min(axis=0), places.max(axis=0)
    span = max(1e-9, float((high - low).max()))
    middle = (low + high) / 2
    return (places - middle) / span * 0.94 * SIZE + SIZE / 2


def colours(count: int) -> list[str]:
    """A colour for each class; neighbours in the list differ most, and beyond NAMED they can hardly be told apart."""
    golden = (math.sqrt(5) - 1) / 2
    found = []
    for number in range(count):
        hue = number / count if count <= NAMED else number * golden % 1
        red, green, blue = colorsys.hls_to_rgb(hue, (0.42, 0.55)[number % 2], 0.65)
        found.append(f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}")
    return found


def values(made: Plane, labels: np.ndarray, marked: np.ndarray, keys: np.ndarray, names: list[str]) -> dict[str, Any]:
    """What the template shows: points, [across, down, label, whether marked, row, key], the marked ones on top."""
    order = np.argsort(marked[made.rows], kind="stable")
    points = [
        (round(float(made.places[at, 0]), 1), round(float(made.places[at, 1]), 1), int(labels[row]), bool(marked[row]),
         int(row), str(keys[row]))
        for at, row in zip(order.tolist(), made.rows[order].tolist(), strict=True)
    ]  # fmt: skip
    tints = colours(len(names))
    legend = list(zip(names, tints, strict=True)) if len(names) <= NAMED else []
    return {"points": points, "tints": tints, "legend": legend, "how": made.how, "size": SIZE}
