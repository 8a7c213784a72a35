"""Pictures, a network and a progress bar that are small enough for a moment's training."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from torch import nn
    from tqdm import tqdm

    from project.work.dataset.storage import Pictures

SIDE = 16
NAMES = ["bar", "beam", "block", "cross"]


def draw(per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy horizontal lines, vertical lines, squares and diagonals: uint8 (N, 16, 16) and labels, class by class."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(4), per_class)
    images = random.integers(0, 80, (len(labels), SIDE, SIDE))
    for image, label in zip(images, labels, strict=True):
        at = random.integers(2, SIDE - 6)
        shape = (
            np.s_[at, :],
            np.s_[:, at],
            np.s_[at : at + 5, at : at + 5],
            (np.arange(SIDE), np.arange(SIDE)),
        )[label]
        image[shape] += 150
    return images.astype(np.uint8), labels


def pictures(per_class: int, seed: int) -> "Pictures":
    """One part of a prepared data set, in shuffled order, with key ids that are not row numbers."""
    from project.work.dataset.storage import Pictures

    images, labels = draw(per_class, seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    keys = pd.DataFrame({"key_id": [f"{seed}-{row:03d}" for row in order]})
    return Pictures(images[order], labels[order], keys)


def tiny(classes: int, channels: int) -> "nn.Sequential":
    """A network of the usual stages, but without batch normalisation: pictures do not see each other."""
    from torch import nn

    widths = {"stem": (channels, 6), "layer1": (6, 8), "layer2": (8, 8)}
    network = nn.Sequential()
    for name, (before, after) in widths.items():
        network.add_module(name, nn.Sequential(nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()))
    network.add_module("head", nn.Sequential(nn.Flatten(), nn.Linear(8 * (SIDE // 8) ** 2, classes)))
    return network


def silent() -> "tqdm":
    """A progress bar that nobody sees."""
    from tqdm import tqdm

    return tqdm(disable=True)
