"""Prepares raw strokes in plain Python, written straightforwardly from Google's description.

    python benchmark/plain_raw_preparation.py FOLDER OUTPUT PER_CLASS

json, a walk along each stroke point by point, recursive Ramer-Douglas-Peucker, OpenCV, Python's default gzip level.
"""

import csv
import gzip
import json
import math
import pickle
import sys
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
from predecessor_preparation import draw

TOLERANCE = 2.0
Point = tuple[float, float]


def simplify(strokes: list[list[list[float]]]) -> list[list[list[int]]]:
    """Scaled to 255, points 1 px apart, then Ramer-Douglas-Peucker."""
    left, top = min(min(s[0]) for s in strokes), min(min(s[1]) for s in strokes)
    extent = max(max(max(s[0]) for s in strokes) - left, max(max(s[1]) for s in strokes) - top) or 1.0
    simple = []
    for stroke in strokes:
        points = [((x - left) * 255 / extent, (y - top) * 255 / extent) for x, y in zip(*stroke[:2], strict=True)]
        kept = reduce_points(resample(points))
        simple.append([[round(x) for x, _ in kept], [round(y) for _, y in kept]])
    return simple


def resample(points: list[Point]) -> list[Point]:
    """A point every 1 px along the stroke, then its last one."""
    marks, due, travelled = [], 0.0, 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        length = math.hypot(x1 - x0, y1 - y0)
        while due < travelled + length:
            share = (due - travelled) / length
            marks.append((x0 + share * (x1 - x0), y0 + share * (y1 - y0)))
            due += 1.0
        travelled += length
    return [*(marks or points[:1]), points[-1]]


def reduce_points(points: list[Point]) -> list[Point]:
    """Ramer-Douglas-Peucker by recursion."""
    (x0, y0), (x1, y1) = points[0], points[-1]
    length, farthest, distance = math.hypot(x1 - x0, y1 - y0), 0, 0.0
    for i in range(1, len(points) - 1):
        x, y = points[i]
        away = abs((x1 - x0) * (y0 - y) - (x0 - x) * (y1 - y0)) / length if length else math.hypot(x - x0, y - y0)
        if away > distance:
            farthest, distance = i, away
    if distance <= TOLERANCE:
        return [points[0], points[-1]]
    return reduce_points(points[: farthest + 1])[:-1] + reduce_points(points[farthest:])


def prepare(folder: Path, output: Path, per_class: int) -> None:
    """Write pictures and labels."""
    csv.field_size_limit(1 << 30)
    pictures, labels = [], []
    for label, path in enumerate(sorted(folder.glob("*.csv"))):
        with open(path, newline="") as file:
            for row in islice(csv.DictReader(file), per_class):
                pictures.append(draw(simplify(json.loads(row["drawing"]))))
                labels.append(label)
    output.mkdir(parents=True, exist_ok=True)
    with gzip.open(output / "pictures.pkl.gz", "wb") as file:
        pickle.dump((np.stack(pictures), np.array(labels)), file)


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
