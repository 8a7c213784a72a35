"""Large crops: what nearest neighbours by features add to the near copies that thumbnails find.

    .venv/bin/python benchmark/near_copies_by_features.py --dataset trash

Copies are made as benchmark/near_copies.py makes them, and, as a harder kind, by crops that keep 60 to 85% of either
side, half of these mirrored. Features are those of --model. Natural pairs are those among the pictures themselves: look
at them before you call them false.
"""

import resource
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import near_copies as made_copies
import numpy as np
import torch

from project.work.audit.find import crops, near_copies
from project.work.common import UserError
from project.work.dataset import prepared_data, storage
from project.work.dataset.pictures import resized
from project.work.features import extract
from project.work.look.survey import plain
from project.work.machine.process import run_command
from project.work.networks.backbones import Backbone, open_backbone
from project.work.settings.flags import build, parse, setting
from project.work.settings.groups import Settings


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
    backbone = open_backbone(settings)
    print(f"{options.dataset}: {len(images):,} pictures of {images.shape[2]} x {images.shape[1]}")
    known = features(images, backbone)
    for seed in range(options.seeds):
        _measure(images, known, options.copies, seed, backbone)


def features(images: np.ndarray, backbone: Backbone) -> np.ndarray:
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


def _measure(images: np.ndarray, known: np.ndarray, count: int, seed: int, backbone: Backbone) -> None:
    easy, soft = made_copies.make(images, count, seed)
    hard, strong = _cropped(images, count, seed)
    every = np.concatenate([images, soft, strong])
    began = _seconds()
    rows = np.concatenate([known, features(every[len(images) :], backbone)])
    spent = _seconds() - began
    thumbnails = near_copies.thumbnail(every)
    tints = np.array([near_copies.tint(image) for image in every]) if every.ndim == 4 else None
    first = near_copies.find(thumbnails, tints)
    began = _seconds()
    both = crops.with_crops(first, rows, thumbnails, np.zeros(len(every), bool), every.__getitem__)
    looked = _seconds() - began
    found = [set(map(tuple, each.pairs.tolist())) for each in (first, both)]
    base = len(images)
    for name, sources, start in (("as before", easy, base), ("crops of 60 to 85%, mirrored", hard, base + count)):
        wanted = [tuple(sorted((source, start + at))) for at, source in enumerate(sources.tolist())]
        shares = [_share(wanted, each) for each in found]
        print(f"seed {seed}, {name}: found by thumbnails {shares[0]}, with crops {shares[1]}")
    natural = [[pair for pair in each if max(pair) < base] for each in found]
    more = sorted(set(natural[1]) - set(natural[0]))
    print(f"seed {seed}: natural pairs {len(natural[0])} and {len(natural[1])}, new ones {more}; {looked:.0f} CPU-s for"
          f" crops, {spent:.0f} for the features of the copies")  # fmt: skip


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


def _share(wanted: Sequence[tuple[int, int]], found: set[tuple[int, int]]) -> str:
    return f"{np.mean([tuple(map(int, pair)) in found for pair in wanted]):.1%}"


def _seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    run_command(main)
