"""The head of a pretrained network is fitted to features of the training rows first; validation has no part in it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small
import torch
from safetensors.torch import save_file

from project.work import model
from project.work.dataset import base_dataset, storage
from project.work.dataset.base_dataset import Dataset
from project.work.features import extract, heads
from project.work.machine.distributed import RunContext
from project.work.networks import build, library
from project.work.runner import head_first
from project.work.runner.base_runner import BaseRunner
from project.work.settings import resolve

pytestmark = pytest.mark.slow  # timm takes seconds to import

TINY = "test_efficientnet"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weight_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of weights of a tiny network, untrained ones, which see something all the same."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(library.headless(TINY)[0].state_dict(), path)
    return str(path)


@pytest.fixture
def asked(weight_file: str, tmp_path: Path) -> dict[str, Any]:
    """The settings of a run that begins with its head."""
    recipe = resolve.recipe_values("finetune") | {"epoch": 1, "freeze": "stem"}
    return recipe | {"model": TINY, "weights": weight_file, "output": str(tmp_path / "output"), "image_size": 32}


@pytest.fixture
def begun(make_runner: Callable, settings: Callable, asked: dict) -> Callable[..., BaseRunner]:
    """Makes a runner whose networks have their heads; change: what is done to its data before."""

    def make(change: Callable[[Dataset], Dataset] = lambda data: data, **values: Any) -> BaseRunner:
        data = change(base_dataset.load(settings(**(asked | values)), CPU))
        runner = make_runner(data=data, **(asked | values))
        head_first.fit(runner.context, data, runner.trained)
        return runner

    return make


def head(runner: BaseRunner, number: int = 0) -> torch.Tensor:
    layer = model.final_layer(runner.trained[number])
    return torch.cat([layer.weight, layer.bias[:, None]], dim=1).detach()


def relabelled(dataset: Dataset, rows: torch.Tensor) -> Dataset:
    """The same with other labels at some rows of the training file."""
    records = dataset.train.records
    labels = records.labels.clone()
    labels[rows] = (labels[rows] + 1) % 4
    records = dataclasses.replace(records, labels=labels)
    train, valid = (dataclasses.replace(each, records=records) for each in (dataset.train, dataset.valid))
    return dataclasses.replace(dataset, train=train, valid=valid)


def test_the_network_answers_as_the_regression_on_its_features_does(begun: Callable) -> None:
    runner = begun()
    train = runner.dataset.train
    features = extract.training_rows(
        runner.context, runner.dataset, head_first.backbone(runner.model, runner.dataset, TINY)
    )[train.rows.numpy()]
    chosen = head_first._strength(features, train.labels.numpy(), None, runner.dataset, runner.context)
    known = heads.fit(features, train.labels.numpy(), 4, chosen).logits(features)
    said = runner.predict(train).numpy()
    assert np.abs(known - said).max() < 0.02 * np.abs(known).max()  # features are kept as float16
    assert (said.argmax(axis=1) == train.labels.numpy()).mean() > 0.4  # a quarter by chance


def test_validation_and_rows_of_other_folds_have_no_part_in_it(begun: Callable) -> None:
    plain, changed = begun(), begun(lambda data: relabelled(data, data.valid.rows))
    assert torch.equal(head(plain), head(changed))
    assert not torch.equal(head(plain), head(begun(lambda data: relabelled(data, data.train.rows[:20]))))

    def fold(data: Dataset) -> Dataset:
        return dataclasses.replace(data, train=data.train.subset(slice(54)))

    others = begun(lambda data: fold(relabelled(data, data.train.rows[54:])))
    assert torch.equal(head(begun(fold)), head(others))


def test_two_networks_that_teach_each_other_begin_with_different_heads(begun: Callable) -> None:
    runner = begun(co_teaching=True, co_teaching_rate=0.1)
    bodies = [[value for name, value in network.named_parameters()][:-2] for network in runner.trained]
    assert all(torch.equal(*pair) for pair in zip(*bodies, strict=True))
    assert not torch.allclose(head(runner, 0), head(runner, 1), atol=1e-3)


@pytest.fixture
def colour(tmp_path: Path) -> str:
    """The folder of a set of 32 pictures in three colours to train on, as many of each class."""
    parts = [small.pictures(count, seed) for count, seed in ((8, 1), (2, 2))]
    coloured = [dataclasses.replace(part, images=np.stack([part.images] * 3, axis=3)) for part in parts]
    storage.write(tmp_path / "colour", storage.Prepared(*coloured, small.NAMES, {"source": "tests"}))
    return str(tmp_path / "colour")


def test_features_are_those_that_are_kept_where_the_pictures_are_the_same(
    begun: Callable, settings: Callable, asked: dict, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = settings(**(asked | {"dataset": colour, "stage": "features"}))
    extract.features(RunContext(kept, CPU), base_dataset.load(kept, CPU))
    known = build.prepare(settings(**asked))  # the normaliser of the weights, as a run takes it
    monkeypatch.setattr(extract, "_write_part", lambda *given: pytest.fail("they were there"))
    data = base_dataset.load(settings(**(asked | {"dataset": colour})), CPU, known)
    begun(lambda _: data, dataset=colour)
    with pytest.raises(pytest.fail.Exception):  # other numbers reach the network
        begun(lambda _: base_dataset.load(settings(**(asked | {"dataset": colour})), CPU), dataset=colour)


def test_a_run_fits_its_head_once_and_goes_on_from_where_it_stood(
    make_runner: Callable, settings: Callable, asked: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = base_dataset.load(settings(**asked), CPU)
    runner = make_runner(data=data, folder="run", **asked)
    runner.fit()
    monkeypatch.setattr(head_first, "fit", lambda *given: pytest.fail("the run has begun already"))
    again = make_runner(data=data, folder="run", **asked)
    again.fit()
    assert torch.equal(again.predict(data.valid), runner.predict(data.valid))
