"""--overfit fits a few pictures, or says what to look at and fails; nothing is kept."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from project.work import main
from project.work.common import UserError
from project.work.dataset.base_dataset import Dataset
from project.work.machine.distributed import RunContext
from project.work.runner import overfit


@pytest.fixture
def check(settings: Callable, dataset: Dataset, tiny_network: str, tmp_path: Path) -> Callable[..., str]:
    """The check with some settings, on that data set unless another is given."""

    def run(data: Dataset = dataset, **values: object) -> str:
        wanted = settings(model=tiny_network, **values)
        return overfit.check(RunContext(wanted, torch.device("cpu")), data, tmp_path)

    return run


def test_pictures_that_can_be_fitted_are(check: Callable, tmp_path: Path) -> None:
    said = check(overfit=8, mixup=True, augment="affine", label_smoothing=0.3)
    assert said.startswith("--overfit 8: 8 pictures of 4 classes are fitted: accuracy 100%, loss 0.0")
    assert list(tmp_path.glob("*.pt")) == []


def test_the_same_picture_with_two_labels_cannot_be(
    check: Callable, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overfit, "STEPS", 50)
    pixels = dataset.train.records.pictures.pixels.clone()
    pixels[:] = pixels[0]
    records = dataclasses.replace(
        dataset.train.records, pictures=dataclasses.replace(dataset.train.records.pictures, pixels=pixels)
    )
    same = dataclasses.replace(dataset, train=dataclasses.replace(dataset.train, records=records))
    with pytest.raises(UserError) as refusal:
        check(same, overfit=8)
    assert str(refusal.value).startswith("--overfit 8: 8 pictures of 4 classes are not fitted: accuracy ")
    assert str(refusal.value).endswith("8 of them are the same picture with different labels, which no network can"
                                       " tell apart")  # fmt: skip


def test_a_rate_that_learns_nothing_is_named(check: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overfit, "STEPS", 50)
    with pytest.raises(UserError, match=r"the loss hardly fell, from .* look at --learning-rate 1e-09, at what is"):
        check(overfit=8, learning_rate=1e-9, optimizer="sgd")


def test_there_are_as_many_pictures_as_asked_for_of_as_many_classes_as_can_be(dataset: Dataset) -> None:
    some = overfit.chosen(dataset.train, 6, 0)
    counts = torch.bincount(some.labels).tolist()
    assert sorted(counts) == [1, 1, 2, 2]
    assert torch.equal(some.rows, overfit.chosen(dataset.train, 6, 0).rows)
    assert not torch.equal(some.rows, overfit.chosen(dataset.train, 6, 1).rows)


def test_more_than_there_are_are_refused(check: Callable) -> None:
    with pytest.raises(UserError, match=r"^--overfit 500: the training split has 108 pictures$"):
        check(overfit=500)


def test_it_leaves_no_run_and_no_row(
    prepared: Path, tmp_path: Path, tiny_network: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("project.work.settings.groups.OWN_MODELS", ("tiny",))
    monkeypatch.setattr("project.work.settings.resolve.OWN_MODELS", ("tiny",))
    main.main([f"--dataset={prepared}", f"--output={tmp_path}", "--overfit=4", "--device=cpu", "--model=tiny"])
    assert "4 pictures of 4 classes are fitted" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
