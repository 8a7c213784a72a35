"""A finished run says by class and by picture what it came to; a killed one leaves these files whole or not at all."""

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support

from project.work import main
from project.work.classifier import MODEL_FILE, Classifier
from project.work.dataset.base_dataset import Dataset
from project.work.reporter.outcome import Answers, ConfusionPlot, Outcome, class_report, confusion_figure
from project.work.reporter.result import Result
from project.work.runner.table import outcome, result_row


def test_a_class_report_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    labels, predictions = random.integers(0, 6, (2, 200))
    report = class_report(labels, predictions, list("abcdef"))
    expected = precision_recall_fscore_support(labels, predictions, labels=range(6))
    for name, values in zip(("precision", "recall", "f1", "count"), expected, strict=True):
        assert np.allclose(report[name], values, atol=1e-6)


def test_what_cannot_be_divided_is_empty_so_that_the_mean_of_f1_is_macro_f1() -> None:
    report = class_report(np.array([0, 0, 1]), np.array([0, 2, 0]), ["a", "b", "c", "d"])
    assert report["f1"].tolist()[:2] == [0.5, 0.0]
    assert report["f1"].isna().tolist() == [False, False, True, True]  # nothing is a c or a d
    assert report["precision"].isna().tolist() == [False, True, False, True]


def test_predictions_say_the_probabilities_and_the_rank_of_the_label() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    table = Answers(logits, torch.tensor([0, 0])).table(np.array(["x", "007"]), ["ant", "bee", "cow"], 2.0)
    chances = (logits / 2).softmax(dim=1)
    assert table["key_id"].tolist() == ["x", "007"]
    assert table["predicted_name"].tolist() == ["bee", "ant"]
    assert table["label_rank"].tolist() == [3, 1]
    assert table["confidence"].tolist() == pytest.approx([float(chances[0, 1]), float(chances[1, 0])], abs=1e-5)
    assert table["label_probability"].tolist() == pytest.approx(chances[:, 0].tolist(), abs=1e-5)


def test_ranks_of_equal_logits_agree_with_the_prediction_and_reach_the_last_class() -> None:
    logits = torch.stack([torch.zeros(9), torch.arange(9.0)])
    for label in range(9):
        table = Answers(logits, torch.full((2,), label)).table(np.array(["a", "b"]), list("abcdefghi"), 1.0)
        assert (table["label_rank"] == 1).tolist() == (table["prediction"] == label).tolist()
        assert table["label_rank"][1] == 9 - label


def test_a_run_writes_its_predictions_by_key_and_row_and_files_agree(
    make_runner: Callable, dataset: Dataset, prepared: Path, tiny_network: str
) -> None:
    runner = make_runner(epoch=2, model=tiny_network, folder="run")
    runner.fit()
    came_to, folder = outcome(runner), runner.history.path.parent
    row = result_row(runner.settings, runner, "base", None, came_to)
    came_to.write(folder, dataset, prepared)
    keys = pd.read_csv(prepared / "test_keys.csv.gz", dtype=str)["key_id"]
    table = pd.read_csv(folder / "predictions_test.csv.gz", dtype={"key_id": str})
    assert table["key_id"].tolist() == keys.tolist()
    assert table["label"].tolist() == dataset.test.labels.tolist()
    assert (table["prediction"] == table["label"]).mean() == pytest.approx(row["best_test_accuracy"])
    assert (1 / table["label_rank"]).where(table["label_rank"] <= 3, 0).mean() == pytest.approx(row["best_test_map3"])
    report = pd.read_csv(folder / "report.csv")
    assert report["part"].tolist() == ["test"] * 4 + ["valid"] * 4
    assert report["f1"][:4].mean() == pytest.approx(row["best_test_macro_f1"], abs=1e-6)
    assert report["f1"][4:].mean() == pytest.approx(row["best_valid_macro_f1"], abs=1e-6)
    assert row["best_valid_macro_f1"] == runner.history.selected.valid("macro_f1")
    valid = pd.read_csv(folder / "predictions_valid.csv.gz", dtype={"key_id": str})
    assert valid["key_id"].tolist() == [each.decode() for each in dataset.train_keys[dataset.valid.rows.numpy()]]


@pytest.mark.slow
def test_a_finished_run_has_all_files_and_makes_those_again_that_are_gone(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = [f"--dataset={prepared}", f"--output={tmp_path}", "--epoch=1", "--device=cpu", "--uuid=a", "-t", "macro_f1"]
    main.main(words)
    folder = tmp_path / "base-a"
    row = json.loads((folder / "result.json").read_text())
    assert row["target_metric"] == "macro_f1"
    assert Classifier.load(folder / MODEL_FILE).temperature == row["temperature"]
    whole = {name: (folder / name).read_bytes() for name in ("report.csv", "predictions_test.csv.gz")}
    (folder / "report.csv").unlink()
    (folder / "predictions_test.csv.gz").write_bytes(b"half")
    (folder / ".predictions_test.csv.gz.1.ab").write_bytes(b"what a kill left")
    main.main(words)
    assert {name: (folder / name).read_bytes() for name in whole} == whole
    assert [path.name for path in folder.glob(".*")] == [".lock"]
    assert gzip.decompress(whole["predictions_test.csv.gz"]).count(b"\n") == 41
    assert f"confusions in {folder / 'confusion.png'}" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "names"), [(2, "plain"), (30, "hanzi"), (120, "long and $ odd \N{SNOWMAN}")])
def test_the_confusions_are_a_picture_whatever_the_classes_are_called(
    tmp_path: Path, classes: int, names: str, recwarn: pytest.WarningsRecorder
) -> None:
    called = [chr(0x4E00 + 37 * at) if names == "hanzi" else f"{names} {at}" for at in range(classes)]
    labels = np.arange(classes).repeat(2)
    table = pd.DataFrame({"key_id": labels, "label": labels, "prediction": labels[::-1]})
    (tmp_path / "predictions_test.csv.gz").write_bytes(gzip.compress(table.to_csv(index=False).encode()))
    report = class_report(labels, labels[::-1], called)
    report.insert(0, "part", "test")
    report.to_csv(tmp_path / "report.csv", index=False)
    ConfusionPlot().write(Result({"dataset": "lines"}, tmp_path))
    data = (tmp_path / "confusion.png").read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    assert 300 < height <= width < 2500
    assert not list(recwarn)  # no letter without a font


def test_the_most_frequent_confusions_are_named_beside_a_map_of_many_classes() -> None:
    counts = np.diag(np.full(20, 50))
    counts[3, 7], counts[5, 2] = 12, 30
    axes = confusion_figure(counts, [f"class {at}" for at in range(20)]).axes[1]
    said = [text.get_text() for text in axes.texts]
    assert said[4:] == ["30", "38%", "class 5", "class 2", "12", "19%", "class 3", "class 7"]


def test_the_temperature_of_an_outcome_is_fitted_on_validation_alone() -> None:
    logits, labels = torch.tensor([[4.0, 0.0]]).repeat(10, 1), torch.tensor([0] * 7 + [1] * 3)
    valid, test = Answers(logits, labels), Answers(logits, 1 - labels)
    found = Outcome(valid, test)
    assert found.temperature == Outcome(valid, valid).temperature > 3
    assert valid.calibration_error(1.0) == pytest.approx(0.982 - 0.7, abs=1e-3)
    assert valid.calibration_error(found.temperature) < 0.05
