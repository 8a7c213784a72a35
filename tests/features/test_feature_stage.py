"""Features of a data set: made once, whatever its labels, and what a head or an audit makes of them."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from project.work import main
from project.work.classifier import Classifier
from project.work.common import UserError
from project.work.dataset import base_dataset, storage
from project.work.dataset.pictures import resized
from project.work.features import extract, stage
from project.work.machine.distributed import RunContext
from project.work.networks import backbones, library
from project.work.settings.groups import Settings

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
def asked(settings: Callable, weight_file: str, tmp_path: Path) -> Callable[..., Settings]:
    """Makes settings of features with that network."""
    usual = {"stage": "features", "model": TINY, "weights": weight_file, "output": str(tmp_path / "output")}
    return lambda **values: settings(**(usual | {"image_size": 32} | values))


def made(settings: Settings) -> extract.Features:
    """The features that some settings ask for."""
    return extract.features(RunContext(settings, CPU), base_dataset.load(settings, CPU))


def test_each_row_is_what_the_network_says_of_the_picture(asked: Callable, prepared: Path) -> None:
    settings, data = asked(image_size=None), storage.read(prepared)  # of 16 pixels, for a network of 160
    found, backbone = made(settings), backbones.open_backbone(settings)
    assert found.train.dtype == np.float16
    for part, rows, keys in (("train", found.train, found.train_keys), ("test", found.test, found.test_keys)):
        pictures = getattr(data, part)
        assert keys.tolist() == pictures.keys["key_id"].tolist()
        images = resized(torch.from_numpy(pictures.images)[:, None], backbone.side).repeat(1, 3, 1, 1)
        mean, std = (torch.tensor(each)[:, None, None] for each in (backbone.normaliser.mean, backbone.normaliser.std))
        with torch.inference_mode():
            known = backbone.network((images[:10] / 255 - mean) / std)
        assert np.allclose(rows[:10], known.numpy(), atol=2e-3 * float(known.abs().max()))


def test_they_are_made_once_for_all_labels_and_anew_for_other_pictures(
    asked: Callable, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(prepared, tmp_path / "lines")
    settings = asked(dataset=str(tmp_path / "lines"))
    first = made(settings)
    with monkeypatch.context() as patch:
        patch.setattr(extract, "_make", lambda *given: pytest.fail("they were there"))
        patch.setattr(backbones, "open_backbone", lambda *given: pytest.fail("no network is needed"))
        noisy = dataclasses.replace(settings, noise_type="symmetric", noise_rate=0.3)
        assert made(noisy).folder == first.folder
        assert extract.needed(noisy) is None
    data = storage.read(tmp_path / "lines")
    train = dataclasses.replace(data.train, images=data.train.images[:, ::-1].copy())
    storage.write(tmp_path / "lines", dataclasses.replace(data, train=train))
    other = made(settings)
    assert other.folder != first.folder
    assert not np.array_equal(other.train, first.train)


def test_what_was_killed_goes_on_to_the_same_bytes(asked: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "CHUNK", 8)
    settings = asked()
    whole = made(settings)
    names = ("train.npy", "test.npy")
    known = {name: (whole.folder / name).read_bytes() for name in names}
    shutil.rmtree(whole.folder)
    seen: list[int] = []
    plain = extract._Extractor._of

    def until(stop: int) -> Callable:
        def of(self: Any, images: torch.Tensor) -> torch.Tensor:
            seen.append(len(images))
            if sum(seen) > stop:
                raise KeyboardInterrupt
            return plain(self, images)

        return of

    monkeypatch.setattr(extract._Extractor, "_of", until(45))
    with pytest.raises(KeyboardInterrupt):
        made(settings)
    assert not (whole.folder / "train.npy").exists()
    seen.clear()
    monkeypatch.setattr(extract._Extractor, "_of", until(1000))
    again = made(settings)
    assert sum(seen) == 160 - 40  # five chunks were on the disk
    assert {name: (again.folder / name).read_bytes() for name in names} == known


def test_a_folder_that_lost_a_file_says_what_to_do(asked: Callable) -> None:
    settings = asked()
    (made(settings).folder / "test.npy").unlink()
    with pytest.raises(UserError, match=r"test\.npy is missing; delete the folder .*features-"):
        made(settings)


def test_a_linear_head_reports_as_a_run_and_leaves_a_classifier(
    asked: Callable, prepared: Path, capsys: pytest.CaptureFixture
) -> None:
    settings = asked(head="linear", uuid="head")
    main.features(RunContext(settings, CPU))
    said, folder = capsys.readouterr().out, Path(settings.output) / "linear-features-head"
    row = json.loads((folder / "result.json").read_text())
    assert f"top-1 accuracy on the test split: {row['best_test_accuracy']:.1%}" in said
    assert row["best_test_accuracy"] > 0.5  # of four classes
    assert pd.read_csv(Path(settings.output) / "results.csv")["method"].tolist() == ["linear-features"]
    classifier, data = Classifier.load(folder / "model.pt"), storage.read(prepared)
    probabilities = classifier.predict(data.test.images)  # grey pictures of 16 pixels, as they were prepared
    found, dataset = made(settings), base_dataset.load(settings, CPU)
    head = stage.train_head(settings, dataset, found, None)
    assert (probabilities.argmax(axis=1) == data.test.labels).mean() == pytest.approx(head.test["top1"], abs=0.026)
    assert row["best_test_accuracy"] == head.test["top1"]  # the same every time
    assert classifier.temperature == row["temperature"] != 1
    table = pd.read_csv(folder / "predictions_test.csv.gz")
    assert (table["prediction"] == table["label"]).mean() == pytest.approx(row["best_test_accuracy"])
    assert (folder / "report.csv").exists()
    assert (folder / "confusion.png").exists()


def test_the_vote_of_the_nearest_reports_too(asked: Callable) -> None:
    settings = asked(head="knn", uuid="votes")
    main.features(RunContext(settings, CPU))
    row = json.loads((Path(settings.output) / "knn-features-votes" / "result.json").read_text())
    assert row["best_test_accuracy"] > 0.4
    assert row["head_choice"] in (5, 10, 20, 30, 50)


def test_an_audit_by_features_finds_wrong_labels_without_training(
    asked: Callable, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("project.work.teacher.teachers.logits_file", lambda *given: pytest.fail("fold models"))
    settings = asked(stage="audit", features=True, noise_type="symmetric", noise_rate=0.2, uuid=None, valid_rate=0.2)
    main.audit(RunContext(settings, CPU))
    folder = Path(capsys.readouterr().out.splitlines()[-1].removeprefix("audit folder "))
    facts, rows = json.loads((folder / "audit.json").read_text()), pd.read_csv(folder / "audit.csv")
    assert facts["method"] == f"logistic regression on features of {TINY}"
    assert facts["auroc"] > 0.7
    assert len(rows) == 120
    assert rows["self_confidence"].is_monotonic_increasing  # the rank goes by it
