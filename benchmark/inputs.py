"""Inputs for benchmarks, made from a seed: realistic drawings in Kaggle's columns, and prepared images."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

WORDS = "abcdefghijklmnopqrstuvwxyz"
HEADER = "countrycode,drawing,key_id,recognized,timestamp,word\n"
Drawing = list[np.ndarray]


def drawings(count: int, seed: int = 0) -> list[Drawing]:
    """Smooth random strokes like Google's simplified ones: on average 6 strokes and 45 points; int32 (points, 2)."""
    random = np.random.default_rng(seed)
    return [[_stroke(random) for _ in range(random.integers(2, 11))] for _ in range(count)]


def _stroke(random: np.random.Generator) -> np.ndarray:
    """A random walk with a slowly changing direction, reflected at the edges of the canvas."""
    points = int(random.integers(2, 14))
    turns = random.normal(random.normal(0, 0.3), 0.25, points)
    angles, steps = random.uniform(0, 2 * np.pi) + turns.cumsum(), random.gamma(2, 14, points)
    walk = np.stack([np.cos(angles), np.sin(angles)], axis=1) * steps[:, None]
    there = np.abs(random.uniform(20, 235, 2) + walk.cumsum(axis=0)) % 510
    return (255 - np.abs(255 - there)).round().astype(np.int32)


def raw(drawing: Drawing, random: np.random.Generator) -> list[list[list[float]]]:
    """A raw drawing: some six points for each simplified point, unscaled, with times."""
    strokes, now = [], 0.0
    for stroke in drawing:
        at = np.linspace(0, len(stroke) - 1, 6 * len(stroke))
        xs, ys = (np.interp(at, np.arange(len(stroke)), axis) * 2.3 + 40 for axis in stroke.T)
        jitter = random.normal(0, 0.4, (2, len(at)))
        times = now + 17 * np.arange(len(at))
        now = float(times[-1]) + 300
        strokes.append([(xs + jitter[0]).round(3).tolist(), (ys + jitter[1]).round(3).tolist(), times.tolist()])
    return strokes


def kaggle_folder(folder: Path, classes: int, rows: int, *, as_raw: bool = False, seed: int = 0) -> Path:
    """Write train_simplified/*.csv (or train_raw/*.csv), `rows` drawings a class from a pool of a few thousand.

    Gzip looks back over 32 pictures, so a pool of that size costs and saves it nothing.
    """
    random = np.random.default_rng(seed)
    pool = drawings(min(4000, classes * rows), seed)
    texts = [json.dumps(raw(each, random) if as_raw else [stroke.T.tolist() for stroke in each]) for each in pool]
    place = folder / ("train_raw" if as_raw else "train_simplified")
    place.mkdir(parents=True)
    for number, word in enumerate(words(classes)):
        lines = (
            f'US,"{texts[chosen]}",{10**15 + number * rows + row},True,2017-03-05 12:34:56.789010,{word}\n'
            for row, chosen in enumerate(random.integers(0, len(texts), rows))
        )
        with open(place / f"{word}.csv", "w", encoding="utf-8") as file:
            file.write(HEADER)
            file.writelines(lines)
    return folder


def words(classes: int) -> list[str]:
    """Names of classes: aa, ab, ac ..."""
    return [WORDS[number // len(WORDS)] + WORDS[number % len(WORDS)] for number in range(classes)]


def prepared_folder(folder: Path, pictures: int, classes: int = 10, seed: int = 0) -> Path:
    """Write a prepared data set of drawn 32x32 pictures; a fifth of them are the test split, labels are random."""
    import pandas as pd

    from project.work.dataset import storage

    random = np.random.default_rng(seed)
    parts = []
    for count in (pictures - pictures // 5, pictures // 5):
        keys = pd.DataFrame({"key_id": [str(row) for row in range(count)]})
        labels = random.permutation(np.arange(count) % classes)
        parts.append(storage.Pictures(drawn(count, seed), labels, keys))
    storage.write(folder, storage.Prepared(*parts, words(classes), {"source": "benchmark"}))
    return folder


def drawn(count: int, seed: int = 0) -> np.ndarray:
    """uint8 (count, 32, 32): up to a thousand different drawings, repeated."""
    from project.work.raster import raster

    return np.resize(raster.render(drawings(min(count, 1000), seed)), (count, 32, 32))


def mean_points(some: Sequence[Drawing]) -> float:
    """Points a drawing."""
    return sum(len(stroke) for drawing in some for stroke in drawing) / len(some)
