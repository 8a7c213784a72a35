"""Near copies: what nearest neighbours by features would add to the candidates that thumbnails give.

    .venv/bin/python benchmark/near_copies_by_features.py --dataset trash

Copies are made as benchmark/near_copies.py makes them, and, as a harder kind, by crops that keep 60 to 85% of either
side, half of these mirrored. Every candidate is judged by the same comparison, with the same bars, so that this is
about candidates alone. Features are those of --model; a picture's neighbours are the nearest by cosine.
"""

import resource
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import near_copies as made_copies
import numpy as np
import torch

from project.work.audit.find import near_copies
from project.work.common import UserError
from project.work.dataset import prepared_data, storage
from project.work.dataset.pictures import resized
from project.work.features import extract, weights
from project.work.look.survey import plain
from project.work.machine.process import run_command
from project.work.settings.flags import build, parse, setting
from project.work.settings.groups import Settings

NEIGHBOURS = 5  # by features, of each picture and of its mirror image


@dataclass(frozen=True)
class Options:
    """What to look at."""

    dataset: str | None = setting(None, "a prepared set, by name or path", value="NAME")
    pictures: int = setting(1000, "of the set, at most", within="[100, inf)")
    copies: int = setting(150, "copies of each kind to make", within="[1, inf)")
    seeds: int = setting(3, "times that others are made", within="[1, 100]")
    size: int | None = setting(None, "side at which the network sees pictures; its own when not given")
    model: str = setting("tf_efficientnet_lite0", "network that gives features", value="NAME")


def main(argv: Sequence[str] | None = None) -> None:
    """Make copies, find them both ways, and print the figures."""
    options = parse(Options, argv, "Measure what features add to the finding of near copies.")
    if options.dataset is None:
        raise UserError("--dataset: name a prepared set")
    prepared = storage.read(prepared_data.find(options.dataset), 64.0)
    rows = np.linspace(0, len(prepared.train.labels) - 1, min(options.pictures, len(prepared.train.labels))).astype(int)
    images = plain(np.asarray(prepared.train.images[np.unique(rows)]))
    settings = build(Settings, {"model": options.model, "device": "cpu", "image_size": options.size})
    backbone = weights.open_backbone(settings)
    print(f"{options.dataset}: {len(images):,} pictures of {images.shape[2]} x {images.shape[1]}")
    known = features(images, backbone)
    for seed in range(options.seeds):
        _measure(images, known, options.copies, seed, backbone)


def features(images: np.ndarray, backbone: weights.Backbone) -> np.ndarray:
    """Rows of length 1, float32 (n, D), of pictures uint8 (n, H, W[, 3])."""
    network, normalise = backbone.fused, backbone.normaliser.on(torch.device("cpu"))
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), 2):
            some = torch.from_numpy(np.ascontiguousarray(images[start : start + 2]))
            some = some[:, None] if some.ndim == 3 else some.permute(0, 3, 1, 2)
            pixels = normalise(resized(some, backbone.side)).contiguous(memory_format=torch.channels_last)
            found.append(network(pixels).numpy())
    return extract.unit(np.concatenate(found))


def _measure(images: np.ndarray, known: np.ndarray, count: int, seed: int, backbone: weights.Backbone) -> None:
    easy, soft = made_copies.make(images, count, seed)
    hard, strong = _cropped(images, count, seed)
    every = np.concatenate([images, soft, strong])
    began = _seconds()
    rows = np.concatenate([known, features(every[len(images) :], backbone)])
    spent = _seconds() - began
    thumbnails = near_copies.thumbnail(every)
    kept, *descriptors = near_copies._described(thumbnails, None)
    pairs, mirrored = near_copies._candidates(*descriptors)
    listed = zip(kept[pairs].tolist(), mirrored.tolist(), strict=True)
    by_thumbnails = {(one, other, turned) for (one, other), turned in listed}
    by_features = {(*pair, turned) for pair in _neighbours(rows) for turned in (False, True)}
    tints = np.array([near_copies.tint(image) for image in every]) if every.ndim == 4 else None
    first = _judged(by_thumbnails, by_thumbnails, thumbnails, tints)
    both = _judged(by_thumbnails | by_features, by_thumbnails, thumbnails, tints)
    base = len(images)
    for name, sources, start in (("as before", easy, base), ("crops of 60 to 85%, mirrored", hard, base + count)):
        wanted = [tuple(sorted((source, start + at))) for at, source in enumerate(sources.tolist())]
        near = {pair[:2] for pair in by_features}
        print(
            f"seed {seed}, {name}: found by thumbnails {_share(wanted, first)}, with features {_share(wanted, both)};"
            f" candidates by thumbnails {_share(wanted, {pair[:2] for pair in by_thumbnails})}, by features"
            f" {_share(wanted, near)}"
        )
    natural = [sum(max(pair) < base for pair in found) for found in (first, both)]
    print(f"seed {seed}: natural pairs {natural[0]} and {natural[1]}; features of the copies took {spent:.0f} CPU-s")


def _cropped(images: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1000 + seed)
    rows, made = np.sort(random.choice(len(images), count, replace=False)), []
    height, width = images.shape[1:3]
    for row in rows.tolist():
        share = random.uniform(0.6, 0.85)
        tall, wide = round(height * share), round(width * share)
        top, left = int(random.integers(height - tall + 1)), int(random.integers(width - wide + 1))
        part = cv2.resize(images[row][top : top + tall, left : left + wide], (width, height))
        made.append(part[:, ::-1] if random.random() < 0.5 else part)
    return rows, np.array(made)


def _neighbours(rows: np.ndarray) -> set[tuple[int, int]]:
    cosine = rows @ rows.T
    np.fill_diagonal(cosine, -1)
    near = np.argpartition(-cosine, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    return {(min(one, other), max(one, other)) for one, some in enumerate(near.tolist()) for other in some}


def _judged(
    candidates: set[tuple[int, int, bool]],
    usual: set[tuple[int, int, bool]],
    thumbnails: np.ndarray,
    tints: np.ndarray | None,
) -> set[tuple[int, int]]:
    """The pairs that the comparison takes for copies. usual: the candidates that decide the bar of the set."""
    listed = sorted(candidates)
    pairs, mirrored = np.array([pair[:2] for pair in listed]), np.array([pair[2] for pair in listed])
    whole, detail = np.zeros(len(pairs)), np.zeros(len(pairs))
    for start in range(0, len(pairs), 512):
        some = slice(start, start + 512)
        one, other = thumbnails[pairs[some, 0]], thumbnails[pairs[some, 1]]
        other[mirrored[some]] = other[mirrored[some], :, ::-1]
        whole[some], detail[some] = near_copies.compare(one, other)
    bar = near_copies._bar(detail[[each in usual for each in listed]])
    good = np.flatnonzero((whole >= near_copies.WHOLE) & (detail >= bar))
    if tints is not None:
        good = good[near_copies._tinted_alike(tints, pairs[good], mirrored[good])]
    return {(int(one), int(other)) for one, other in pairs[good]}


def _share(wanted: Sequence[tuple[int, int]], found: set[tuple[int, int]]) -> str:
    return f"{np.mean([tuple(map(int, pair)) in found for pair in wanted]):.1%}"


def _seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    run_command(main)
