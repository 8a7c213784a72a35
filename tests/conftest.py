"""A data set small enough that an epoch takes a moment, and ways to train on it."""

import dataclasses
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch loads; tiny pictures gain nothing from more threads

import numpy as np
import pandas as pd
import pytest

if TYPE_CHECKING:
    from torch import nn
    from tqdm import tqdm

    from project.work.common import Settings
    from project.work.dataset.base_dataset import Dataset
    from project.work.dataset.storage import Pictures
    from project.work.runner.base_runner import BaseRunner

# A person's own key file and tokens stay out of it: no test may write into their sheet or channel.
NOBODYS = {"CREDENTIAL_FOLDER": os.devnull, "SLACK_WEBHOOK_URL": "", "SLACK_BOT_TOKEN": "", "SLACK_CHANNEL": ""}
os.environ.update(NOBODYS)

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


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a prepared data set: 4 classes x 30 pictures to train on, 4 x 10 to test."""
    from project.work.dataset import storage

    folder = tmp_path_factory.mktemp("input") / "lines"
    storage.write(folder, storage.Prepared(pictures(30, 1), pictures(10, 2), NAMES, {"source": "tests"}))
    return folder


@pytest.fixture
def settings(prepared: Path) -> Callable[..., "Settings"]:
    """Makes settings of two short epochs on that data set; any can be given, and none is read from settings.yaml."""
    from project.work.common import Settings

    usual = {"dataset": str(prepared), "epoch": 2, "batch_size": 32, "device": "cpu", "amp": False, "uuid": "test"}
    return lambda **values: dataclasses.replace(Settings(), **(usual | values))


@pytest.fixture
def dataset(settings: Callable[..., "Settings"]) -> "Dataset":
    """That data set, loaded: 108 pictures to train on, 12 to validate, 40 to test."""
    import torch

    from project.work.dataset import base_dataset

    return base_dataset.load(settings(), torch.device("cpu"))


@pytest.fixture
def make_runner(settings: Callable, dataset: "Dataset", tmp_path: Path) -> Callable[..., "BaseRunner"]:
    """Makes the runner that some settings ask for, in a folder of its own unless one is named."""
    import torch

    from project.work.runner.table import runner_class

    def make(data: "Dataset" = dataset, folder: str | None = None, **values: Any) -> "BaseRunner":
        place = Path(tempfile.mkdtemp(dir=tmp_path)) if folder is None else tmp_path / folder
        place.mkdir(exist_ok=True)
        wanted = settings(**values)
        return runner_class(wanted)(wanted, data, torch.device("cpu"), place)

    return make


def tiny(classes: int, channels: int) -> "nn.Sequential":
    """A network of the usual stages, but without batch normalisation: pictures do not see each other."""
    from torch import nn

    widths = {"stem": (channels, 6), "layer1": (6, 8), "layer2": (8, 8)}
    network = nn.Sequential()
    for name, (before, after) in widths.items():
        network.add_module(name, nn.Sequential(nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()))
    network.add_module("head", nn.Sequential(nn.Flatten(), nn.Linear(8 * (SIDE // 8) ** 2, classes)))
    return network


@pytest.fixture
def tiny_network(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of that network, for as long as a test lasts."""
    from project.work import model

    monkeypatch.setitem(model.MODELS, "tiny", tiny)
    return "tiny"


def silent() -> "tqdm":
    """A progress bar that nobody sees."""
    from tqdm import tqdm

    return tqdm(disable=True)
