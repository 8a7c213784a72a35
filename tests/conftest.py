"""A data set small enough that an epoch takes a moment, and ways to train on it."""

import dataclasses
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch loads; tiny pictures gain nothing from more threads

import pytest
import small

if TYPE_CHECKING:
    from project.work.dataset.base_dataset import Dataset
    from project.work.runner.base_runner import BaseRunner
    from project.work.settings.groups import Settings

# A person's own key file and tokens stay out of it: no test may write into their sheet or channel.
NOBODYS = {"CREDENTIAL_FOLDER": os.devnull, "SLACK_WEBHOOK_URL": "", "SLACK_BOT_TOKEN": "", "SLACK_CHANNEL": ""}
os.environ.update(NOBODYS)

for each, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(each) == signal.SIG_IGN:  # a shell's background process or nohup; children would ignore it too
        signal.signal(each, usual)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a prepared data set: 4 classes x 30 pictures to train on, 4 x 10 to test."""
    from project.work.dataset import storage

    folder = tmp_path_factory.mktemp("input") / "lines"
    storage.write(
        folder, storage.Prepared(small.pictures(30, 1), small.pictures(10, 2), small.NAMES, {"source": "tests"})
    )
    return folder


@pytest.fixture
def settings(prepared: Path) -> Callable[..., "Settings"]:
    """Makes settings of two short epochs on that data set; any can be given, and none is read from settings.yaml."""
    from project.work.settings.groups import Settings

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

    from project.work.machine.distributed import RunContext
    from project.work.runner.table import runner_class

    def make(data: "Dataset" = dataset, folder: str | None = None, **values: Any) -> "BaseRunner":
        place = Path(tempfile.mkdtemp(dir=tmp_path)) if folder is None else tmp_path / folder
        place.mkdir(exist_ok=True)
        wanted = settings(**values)
        return runner_class(wanted)(RunContext(wanted, torch.device("cpu")), data, place)

    return make


@pytest.fixture
def tiny_network(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of that network, for as long as a test lasts."""
    from project.work import model

    monkeypatch.setitem(model.MODELS, "tiny", small.tiny)
    return "tiny"
