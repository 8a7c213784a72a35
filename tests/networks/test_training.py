"""Every method trains every kind of network, and a run that stops goes on to the same bits, dropout or not."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small
import torch

from project.work import main
from project.work.classifier import MODEL_FILE, Classifier, folded
from project.work.dataset import base_dataset, storage
from project.work.dataset.base_dataset import Dataset
from project.work.machine import distributed
from project.work.runner.base_runner import BaseRunner
from project.work.settings.groups import Settings

pytestmark = pytest.mark.slow  # timm takes seconds to import

CNN, VIT, DROPPING = "test_resnet", "test_vit", "own_networks:dropping_vit"
METHODS: dict[str, dict[str, Any]] = {
    "plain": {"optimizer": "sgd"},
    "muon": {"optimizer": "muon"},
    "accumulation": {"accumulation_steps": 2},
    "ema": {"ema": 0.9},
    "mixup": {"mixup": True},
    "manifold-mixup": {"manifold_mixup": True},
    "distillation": {"distillation": True},
    "nts": {"nts": True},
    "elr": {"elr": True},
    "gce": {"gce": True},
    "sce": {"sce": True},
    "label-posterior": {"label_posterior": True},
    "co-teaching": {"co_teaching": True},
    "sam": {"sam": True},
}


@pytest.fixture(autouse=True)
def in_folder_of_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where own_networks can be imported from, as the current folder of a person."""
    monkeypatch.chdir(Path(__file__).parent)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared set: 4 classes x 8 pictures of 32 pixels to train on, 4 x 3 to test."""
    parts = []
    for count, seed in ((8, 1), (3, 2)):
        given = small.pictures(count, seed)
        parts.append(dataclasses.replace(given, images=np.kron(given.images, np.ones((1, 2, 2), np.uint8))))
    folder = tmp_path_factory.mktemp("input") / "photos"
    storage.write(folder, storage.Prepared(parts[0], parts[1], small.NAMES, {"source": "tests"}))
    return folder


@pytest.fixture
def data(photos: Path, settings: Callable[..., Settings]) -> Dataset:
    """That set, loaded."""
    return base_dataset.load(settings(dataset=str(photos), valid_rate=0.25), torch.device("cpu"))


@pytest.fixture
def train(make_runner: Callable[..., BaseRunner], data: Dataset) -> Callable[..., BaseRunner]:
    """Trains an epoch or more of a network with some settings; returns the runner."""

    def run(model: str, **values: Any) -> BaseRunner:
        uniform = torch.full((32, 4), 0.25)
        taught = data
        if values.get("distillation") or values.get("nts"):
            taught = dataclasses.replace(data, train=data.train.with_soft_targets(uniform))
        usual = {"epoch": 1, "batch_size": 8, "learning_rate": 0.01, "model": model}
        runner = make_runner(taught, **(usual | values))
        runner.fit()
        return runner

    return run


def weights_of(runner: BaseRunner) -> bytes:
    """All numbers of the network that is evaluated."""
    return b"".join(value.numpy().tobytes() for value in runner.network.state_dict().values())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", [CNN, VIT])
def test_every_method_trains_a_cnn_and_a_transformer(train: Callable, model: str, method: str) -> None:
    before = torch.get_rng_state()
    runner = train(model, **METHODS[method])
    assert torch.equal(torch.get_rng_state(), before)
    fresh = runner.make_network("weights").state_dict()
    after = runner.model.state_dict()
    learnt = [name for name, _ in runner.model.named_parameters()]
    moved = [name for name in learnt if not torch.equal(after[name], fresh[name])]
    assert len(moved) > 0.9 * len(learnt)  # stem, body and head; a bias of a key never moves
    assert all(torch.isfinite(value).all() for value in after.values())
    assert len(runner.optimizers) == (1 if method == "plain" else 4 if method == "co-teaching" else 2)


@pytest.mark.parametrize(
    ("model", "method"),
    [(CNN, "sam"), (DROPPING, "sam"), (CNN, "manifold-mixup"), (DROPPING, "co-teaching")],
)
def test_a_run_that_stopped_goes_on_to_the_same_bits(
    train: Callable, make_runner: Callable, model: str, method: str, tmp_path: Path
) -> None:
    values = METHODS[method] | {"epoch": 2}
    whole = train(model, folder="whole", **values)

    class Killed(Exception):
        pass

    def kill() -> None:
        raise Killed

    begun = {"epoch": 2, "batch_size": 8, "learning_rate": 0.01, "model": model} | values
    stopped = make_runner(whole.dataset, folder="stopped", **begun)
    with pytest.raises(Killed):
        stopped.fit(kill)
    again = make_runner(whole.dataset, folder="stopped", **begun)
    torch.rand(100)  # whatever else has drawn from the global state
    again.fit()
    assert len(again.history.rows) == 2
    assert weights_of(again) == weights_of(whole)


def test_what_is_left_out_at_random_is_the_seeds_and_nobody_elses(train: Callable) -> None:
    before = torch.get_rng_state()
    first = train(DROPPING)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert weights_of(train(DROPPING)) == weights_of(first)
    assert weights_of(train(DROPPING, seed=1)) != weights_of(first)
    images = torch.rand(4, 1, 32, 32)
    passes = []
    for _ in range(2):  # two steps of an epoch
        with first._drawing(), torch.no_grad():
            passes.append(first.model.train()(images))
    assert not torch.equal(*passes)


def test_cleaning_and_folds_take_any_network(photos: Path, tmp_path: Path) -> None:
    words = [f"--dataset={photos}", f"--output={tmp_path}", "--device=cpu", "--no-amp", "--epoch=1", "--batch-size=8"]
    main.main([*words, f"--model={VIT}", "--clean=drop", "--folds=2", "--valid-rate=.25", "--uuid=clean"])
    folder = tmp_path / "base-clean"
    assert (folder / "corrections.csv").exists()
    classifier, test = Classifier.load(folder / MODEL_FILE), storage.read(photos).test
    assert (classifier.model, classifier.shape) == (VIT, (1, 32, 32))
    right = (classifier.predict(test.images).argmax(axis=1) == test.labels).mean()
    assert right == json.loads((folder / "result.json").read_text())["best_test_accuracy"]


@pytest.mark.parametrize("model", [CNN, VIT, DROPPING])
def test_a_classifier_file_gives_the_runners_numbers_to_the_bit(train: Callable, model: str, tmp_path: Path) -> None:
    runner = train(model)
    runner.save_classifier(tmp_path / MODEL_FILE)
    expected = runner.predict_selected(runner.dataset.test).softmax(dim=1).numpy()
    images = runner.dataset.test.records.pictures.pixels.numpy()
    assert Classifier.load(tmp_path / MODEL_FILE).predict(images).tobytes() == expected.tobytes()


@pytest.mark.parametrize("training", [True, False])
def test_a_shared_normalisation_rectifies_as_timms_does(training: bool) -> None:
    from timm.layers import BatchNormAct2d

    norm = BatchNormAct2d(6)
    torch.nn.init.uniform_(norm.weight, generator=torch.Generator().manual_seed(1))
    joint = distributed.JointBatchNorm(norm, distributed.ALONE)
    images = torch.randn(4, 6, 5, 5, generator=torch.Generator().manual_seed(2))
    found = [each.train(training)(images) for each in (norm, joint)]
    assert torch.allclose(*found, atol=1e-6)
    assert float(found[1].detach().min()) == 0
    assert torch.allclose(norm.running_var, joint.running_var)
    kernel = torch.nn.Conv2d(6, 6, 1)
    after = [folded(torch.nn.Sequential(kernel, each.eval()))(images) for each in (norm, joint)]
    assert torch.allclose(*after, atol=1e-6)
    assert float(after[1].detach().min()) == 0
