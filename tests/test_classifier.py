"""A trained classifier: the runner's own numbers, from a file that is small, complete and harmless to read."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import processes
import pytest
import torch

from project.work.classifier import MODEL_FILE, Classifier, at_once
from project.work.common import UserError
from project.work.dataset.base_dataset import Dataset
from project.work.dataset.transforms import Normaliser
from project.work.model import make

LARGEST = 6 << 20  # bytes


def images_of(dataset: Dataset) -> np.ndarray:
    """The test images as a person has them: uint8 (N, H, W, C)."""
    return dataset.test.records.pictures.pixels.numpy()


@pytest.mark.slow
@pytest.mark.parametrize("values", [{}, {"ema": 0.9}, {"model": "resnet18"}])
def test_it_gives_the_runners_numbers_to_the_bit(
    make_runner: Callable, dataset: Dataset, tmp_path: Path, values: dict[str, object]
) -> None:
    runner = make_runner(epoch=2, **values)
    runner.fit()
    runner.save_classifier(tmp_path / MODEL_FILE)
    expected = runner.predict_selected(dataset.test).softmax(dim=1).numpy()
    found = Classifier.load(tmp_path / MODEL_FILE).predict(images_of(dataset))
    assert found.tobytes() == expected.tobytes()
    assert np.allclose(found.sum(axis=1), 1, atol=1e-6)


def test_it_knows_what_it_was_trained_on(make_runner: Callable, dataset: Dataset, tmp_path: Path) -> None:
    runner = make_runner(epoch=1, seed=7)
    runner.fit()
    runner.save_classifier(tmp_path / MODEL_FILE)
    found = Classifier.load(tmp_path / MODEL_FILE)
    assert found.names == dataset.names
    assert found.shape == dataset.train.shape
    assert found.normaliser == dataset.train.normalise
    assert found.settings["seed"] == 7
    assert found.threshold is None
    assert "credential_path" not in found.settings


def test_the_default_network_of_340_classes_takes_less_than_six_megabytes(tmp_path: Path) -> None:
    network = make("narrow", 340, 1, seed=0)
    names = [f"class {number}" for number in range(340)]
    Classifier(network, "narrow", names, (1, 32, 32), Normaliser((0.1,), (0.3,)), {}).save(tmp_path / MODEL_FILE)
    assert (tmp_path / MODEL_FILE).stat().st_size < LARGEST


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The file of a classifier of square images with one channel."""
    network = make("narrow", 3, 1, seed=0)
    path = tmp_path / MODEL_FILE
    Classifier(network, "narrow", ["a", "b", "c"], (1, 32, 32), Normaliser((0.1,), (0.3,)), {"amp": False}).save(path)
    return path


def test_images_of_another_size_are_resized_as_in_training(small: Path) -> None:
    plain = np.full((2, 64, 64), 200, np.uint8)
    classifier = Classifier.load(small)
    assert np.array_equal(classifier.predict(plain), classifier.predict(plain[:, ::2, ::2]))
    assert classifier.predict(plain[:0]).shape == (0, 3)


@pytest.mark.parametrize(("images", "why"), [
    (np.zeros((2, 32, 32), np.float32), "float32 (2, 32, 32), but uint8"),
    (np.zeros((32, 32), np.uint8), "uint8 (32, 32), but uint8 (N, H, W)"),
    (np.zeros((2, 32, 32, 3), np.uint8), "3 channels, but this classifier was trained on 1"),
])  # fmt: skip
def test_images_of_another_kind_are_refused(small: Path, images: np.ndarray, why: str) -> None:
    with pytest.raises(UserError) as error:
        Classifier.load(small).predict(images)
    assert why in str(error.value)


def changed(path: Path, **values: object) -> None:
    """Write the file anew with other values."""
    state = torch.load(path, weights_only=True) | values
    data = io.BytesIO()
    torch.save(state, data)
    path.write_bytes(data.getvalue())


@pytest.mark.parametrize(("values", "why"), [
    ({"names": ["a", "b"]}, "size mismatch"),
    ({"names": None}, "its names is missing"),
    ({"format": 99}, "it is of format 99"),
    ({"shape": [1, 32, -1]}, "its shape is"),
    ({"mean": []}, "its mean and std are not one number a channel"),
    ({"state": {}}, "Missing key"),
])  # fmt: skip
def test_a_file_that_does_not_fit_together_is_refused(small: Path, values: dict[str, object], why: str) -> None:
    changed(small, **values)
    with pytest.raises(UserError, match="not a trained classifier") as error:
        Classifier.load(small)
    assert why in str(error.value)
    assert str(small) in str(error.value)


@pytest.mark.slow
def test_a_file_of_a_network_that_nobody_has_is_refused(small: Path) -> None:
    changed(small, model="nothing")
    with pytest.raises(UserError, match=r"model\.pt: --model nothing: timm has no such network"):
        Classifier.load(small)


def test_a_file_that_is_cut_off_or_absent_is_refused(small: Path, tmp_path: Path) -> None:
    small.write_bytes(small.read_bytes()[:1000])
    for path in (small, tmp_path / "nothing.pt"):
        with pytest.raises(UserError):
            Classifier.load(path)


@pytest.mark.slow
def test_a_finished_run_leaves_the_classifier_that_its_result_speaks_of(
    prepared: Path, dataset: Dataset, tmp_path: Path
) -> None:
    words = [f"--dataset={prepared}", f"--output={tmp_path}", "--epoch=2", "--device=cpu", "--uuid=one"]
    process = processes.fork_main(tmp_path / "log", *words)
    assert processes.finish(process) == 0, (tmp_path / "log").read_text()
    found = Classifier.load(tmp_path / "base-one" / MODEL_FILE).predict(images_of(dataset)).argmax(axis=1)
    result = json.loads((tmp_path / "base-one" / "result.json").read_text())
    assert (found == dataset.test.labels.numpy()).mean() == pytest.approx(result["best_test_accuracy"])


def test_large_pictures_are_evaluated_a_few_at_a_time_and_small_ones_as_before() -> None:
    counts = {side: at_once((3, side, side)) for side in (32, 64, 128, 224, 4096)}
    assert counts == {32: 512, 64: 512, 128: 12, 224: 4, 4096: 1}
    assert at_once((3, 224, 224), torch.device("cuda")) == 41
