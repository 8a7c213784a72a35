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


def photos(folder: Path, count: int, width: int, height: int, quality: int, seed: int = 0) -> list[Path]:
    """Write JPEGs like photos: detail at all scales, some with much of it, some with little.

    Each is two crops of a large one, mixed. At 512x384 and quality 87 one takes 19 KB on average, at 150x150 and
    quality 75 3.1 KB; those of TrashNet take 3.3 KB.
    """
    import cv2

    random = np.random.default_rng(seed)
    scene = _scene(random, 3 * max(width, height))
    folder.mkdir(parents=True)
    paths = [folder / f"{number:05d}.jpg" for number in range(count)]
    for path in paths:
        first, second = (_crop(scene, random, width, height) for _ in range(2))
        contrast = random.uniform(0.3, 1.1)
        picture = cv2.addWeighted(first, contrast, second[:, ::-1], 0.9 * contrast, 128 - 1.9 * contrast * 128)
        path.write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())
    return paths


def _scene(random: np.random.Generator, side: int) -> np.ndarray:
    """uint8 (side, side, 3): octaves of noise, each finer one 0.6 times as strong."""
    import cv2

    scene, strength, cells = np.zeros((side, side, 3), np.float32), 1.0, 4
    while cells < side:
        octave = random.standard_normal((cells, cells, 3), np.float32)
        scene += strength * cv2.resize(octave, (side, side), interpolation=cv2.INTER_CUBIC)
        strength, cells = 0.6 * strength, 2 * cells
    return np.clip(128 + 48 * scene / scene.std(), 0, 255).astype(np.uint8)


def _crop(scene: np.ndarray, random: np.random.Generator, width: int, height: int) -> np.ndarray:
    top, left = random.integers(0, len(scene) - height), random.integers(0, len(scene) - width)
    return scene[top : top + height, left : left + width]
