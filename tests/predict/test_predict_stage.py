"""The stage predict end to end: which classifier answers, in what form, and what is refused."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from project.work import main
from project.work.classifier import MODEL_FILE, Classifier
from project.work.common import UserError
from project.work.dataset import storage


@pytest.fixture(scope="module")
def output(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two finished runs of one data set."""
    folder = tmp_path_factory.mktemp("output")
    for name, epoch in (("short", 1), ("long", 3)):
        words = [f"--dataset={prepared}", f"--output={folder}", f"--uuid={name}", f"--epoch={epoch}", "--no-amp"]
        main.main([*words, "--device=cpu", "--batch-size=32", "--augment=none"])
    return folder


def predict(output: Path, *words: object) -> None:
    main.main(["-s", "predict", f"--output={output}", "--device=cpu", *map(str, words)])


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def accuracy(path: Path, prepared: Path) -> float:
    test = storage.read(prepared).test
    names = storage.read(prepared).names
    return float(np.mean([row["label"] == names[label] for row, label in zip(rows_of(path), test.labels, strict=True)]))


def test_without_a_checkpoint_the_best_run_on_validation_predicts(
    prepared: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    results = {name: json.loads((output / f"base-{name}" / "result.json").read_text()) for name in ("short", "long")}
    best = max(results, key=lambda name: (results[name]["best_valid_accuracy"], results[name]["finished"]))
    capsys.readouterr()
    predict(output, "-i", prepared, "--to", tmp_path / "answers.csv")
    assert f"base-{best} predicts" in capsys.readouterr().err
    assert accuracy(tmp_path / "answers.csv", prepared) == pytest.approx(results[best]["best_test_accuracy"])


@pytest.mark.parametrize(
    ("metric", "column", "best"), [("macro_f1", "valid_macro_f1", max), ("loss", "valid_loss", min)]
)
def test_the_best_run_is_that_by_the_target_metric(
    prepared: Path, output: Path, capsys: pytest.CaptureFixture, metric: str, column: str, best: Callable
) -> None:
    values = {}
    for name in ("short", "long"):
        selected = json.loads((output / f"base-{name}" / "result.json").read_text())["selected_epoch"]
        values[name] = float(rows_of(output / f"base-{name}" / "history.csv")[selected - 1][column])
    capsys.readouterr()
    predict(output, "-i", prepared, "-m", "narrow", "-t", metric)
    said = capsys.readouterr().err
    chosen = next(name for name in values if f"base-{name} predicts: the best {metric} on validation" in said)
    assert values[chosen] == best(values.values())
    assert f"({values[chosen]:.4f}) of 2 runs" in said


def test_the_forms_say_the_same(prepared: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ("-i", prepared, "-c", "long", "--top", 2)
    predict(output, *words, "--to", tmp_path / "answers.csv")
    predict(output, *words, "--to", tmp_path / "answers.json")
    capsys.readouterr()
    predict(output, *words)
    lines = capsys.readouterr().out.splitlines()
    table, found = rows_of(tmp_path / "answers.csv"), json.loads((tmp_path / "answers.json").read_text())
    assert lines[0].split() == ["picture", "label", "confidence"]
    assert len(lines) - 1 == len(table) == len(found) == 40
    images = storage.read(prepared).test.images
    expected = Classifier.load(output / "base-long" / MODEL_FILE).predict(images)
    for line, row, one, likely in zip(lines[1:], table, found, expected, strict=True):
        first = sorted(range(4), key=lambda label: -likely[label])
        assert [each["label"] for each in one["top"]] == [["bar", "beam", "block", "cross"][at] for at in first[:2]]
        assert one["confidence"] == pytest.approx(likely[first[0]], abs=2e-6)
        assert (row["path"], row["label"], row["label_2"]) == (one["path"], one["label"], one["top"][1]["label"])
        assert float(row["confidence"]) == one["confidence"]
        assert line.split()[:2] == [one["path"], one["label"]]


def test_submissions_are_what_contests_want(prepared: Path, output: Path, tmp_path: Path) -> None:
    predict(output, "-i", prepared, "-c", "long", "--submission", "kaggle", "--to", tmp_path / "a.csv")
    predict(output, "-i", prepared, "-c", "long", "--submission", "ids", "--to", tmp_path / "b.csv")
    keys = storage.read(prepared).test.keys["key_id"].tolist()
    kaggle, ids = rows_of(tmp_path / "a.csv"), rows_of(tmp_path / "b.csv")
    assert [row["key_id"] for row in kaggle] == [row["ImageID"] for row in ids] == keys
    assert all(len(set(row["word"].split(" "))) == 3 for row in kaggle)
    assert [row["word"].split(" ")[0] for row in kaggle] == [row["ans"] for row in ids]


def test_a_vote_is_the_mean_of_probabilities(prepared: Path, output: Path, tmp_path: Path) -> None:
    predict(output, "-i", prepared, "-c", f"short,{output / 'base-long'}", "--top", 4, "--to", tmp_path / "vote.json")
    images = storage.read(prepared).test.images
    mean = sum(Classifier.load(output / f"base-{name}" / MODEL_FILE).predict(images) for name in ("short", "long")) / 2
    for one, likely in zip(json.loads((tmp_path / "vote.json").read_text()), mean, strict=True):
        said = {each["label"]: each["confidence"] for each in one["top"]}
        assert [said[name] for name in ("bar", "beam", "block", "cross")] == pytest.approx(likely.tolist(), abs=2e-6)


def test_a_run_that_is_not_finished_predicts_by_its_selected_epoch_and_says_so(
    prepared: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "base-begun"
    shutil.copytree(output / "base-long", folder)
    for name in (MODEL_FILE, "result.json"):
        (folder / name).unlink()
    predict(tmp_path, "-i", prepared, "-c", "begun", "--top", 4, "--to", tmp_path / "begun.csv")
    assert "base-begun is not finished: 3 of 3 epochs" in capsys.readouterr().err
    predict(output, "-i", prepared, "-c", "long", "--top", 4, "--to", tmp_path / "whole.csv")
    assert (tmp_path / "begun.csv").read_text() == (tmp_path / "whole.csv").read_text()
    assert not (folder / MODEL_FILE).exists()


def test_files_that_cannot_be_read_are_named_and_the_others_predicted(
    prepared: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    import cv2

    images = storage.read(prepared).test.images
    for number in (1, 3):
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), images[number])
    (tmp_path / "2.png").write_bytes(b"no picture")
    with pytest.raises(SystemExit) as stop:
        predict(output, "-i", tmp_path, "-c", "long", "--submission", "ids", "--to", tmp_path / "answers.csv")
    assert stop.value.code == 1
    said = capsys.readouterr().err
    assert "2.png could not be read: not a picture" in said
    assert "error: 1 of 3 pictures could not be read" in said
    found = rows_of(tmp_path / "answers.csv")
    expected = Classifier.load(output / "base-long" / MODEL_FILE)
    labels = [expected.names[at] for at in expected.predict(images[[1, 3]]).argmax(axis=1)]
    assert [row["ImageID"] for row in found] == ["1", "2", "3"]  # a contest wants a line for each
    assert [found[0]["ans"], found[2]["ans"]] == labels


@pytest.mark.parametrize("kind", ["similarity", "probability", "energy"])
def test_outsiders_get_the_answer_that_was_asked_for(
    prepared: Path, output: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture
) -> None:
    import cv2

    folder = tmp_path / "base-long"
    shutil.copytree(output / "base-long", folder)
    for number in range(12):
        noise = np.random.default_rng(number).integers(0, 255, (16, 16), np.uint8)
        (tmp_path / "strange").mkdir(exist_ok=True)
        assert cv2.imwrite(str(tmp_path / "strange" / f"{number}.png"), noise)
    predict(tmp_path, "--unknown", "isnull", "--unknown-by", kind, "--outsiders", tmp_path / "strange", "-c", "long")
    assert "answers isnull where" in capsys.readouterr().err
    kept = Classifier.load(folder / MODEL_FILE).unknown
    assert kept is not None
    assert (kept.name, kept.kind) == ("isnull", kind)
    curve = rows_of(folder / "unknown.csv")
    assert {"threshold", "accepted", "right", "accuracy", "rejected"} == curve[0].keys()
    assert (folder / "unknown.png").stat().st_size > 1000
    predict(tmp_path, "-i", tmp_path / "strange", "-c", "long", "--to", tmp_path / "strange.csv", "--top", 2)
    found = rows_of(tmp_path / "strange.csv")
    at = min(curve, key=lambda row: abs(float(row["threshold"]) - kept.threshold))
    share = np.mean([row["label"] == "isnull" for row in found])
    assert share == pytest.approx(float(at["rejected"]))
    assert all(row["confidence"] == "" and row["label_2"] for row in found if row["label"] == "isnull")


@pytest.mark.slow
def test_without_outsiders_one_class_after_the_other_stands_for_them(
    prepared: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    shutil.copytree(output / "base-long", tmp_path / "base-long")
    predict(tmp_path, "--unknown", "isnull", "--unknown-by", "energy", "-c", "long")
    said = capsys.readouterr().err
    assert "4 of 4 classes stand for outsiders" in said
    assert "of 120 are then isnull" in said  # every picture of training and validation, once


def test_a_class_of_that_name_gives_the_outsiders(prepared: Path, output: Path, tmp_path: Path) -> None:
    shutil.copytree(output / "base-long", tmp_path / "base-long")
    predict(tmp_path, "--unknown", "cross", "--unknown-by", "similarity", "-c", "long")
    kept = Classifier.load(tmp_path / "base-long" / MODEL_FILE).unknown
    assert kept is not None
    assert kept.examples is not None
    assert len(kept.examples) == 81  # 108 pictures to train on, less those of cross
    predict(tmp_path, "-i", prepared, "-c", "long", "--top", 4, "--to", tmp_path / "a.csv")
    for row in rows_of(tmp_path / "a.csv"):
        named = [row[name] for name in ("label", "label_2", "label_3", "label_4")]
        assert sorted(filter(None, named)) == ["bar", "beam", "block", "cross"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-i", "{set}", "-c", "nothing"], "neither a file or folder, nor a run"),
        (["-i", "{set}", "-c", "long,,short"], "holds an empty word"),
        (["-i", "{set}", "-m", "resnet18"], "no finished run with model resnet18"),
        (["-i", "{set}", "-c", "long", "--to", "{set}/nowhere/a.csv"], "no such folder"),
        (["-c", "long"], "say with --input-image"),
        (["-i", "{set}", "-c", "long", "--outsiders", "{set}"], "say with --unknown"),
        (["-i", "{set}", "--submission", "ids", "--format", "csv"], "choose one"),
        (["-i", "{own}", "-c", "long", "--submission", "kaggle"], "these pictures have no ids"),
        (["--unknown", "none", "--unknown-threshold", "9", "-c", "long"], "so that no class is ever named"),
        (["-i", "{set}", "-c", "long,{other}"], "only classifiers of the same classes vote"),
        (["-i", "{colour}", "-c", "long"], "have 3 channels, but the classifier was trained on 1"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_line(
    prepared: Path, output: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    own = tmp_path / "own" / "picture.png"
    own.parent.mkdir()
    own.write_bytes(b"never read")
    places = {
        "set": prepared,
        "own": own.parent,
        "other": _other(output, tmp_path),
        "colour": _colour(prepared, tmp_path),
    }
    before = (output / "base-long" / MODEL_FILE).read_bytes()
    with pytest.raises(UserError, match=said) as refusal:
        predict(output, *(word.format(**places) for word in words))
    assert "\n" not in str(refusal.value)
    assert (output / "base-long" / MODEL_FILE).read_bytes() == before


def _other(output: Path, place: Path) -> Path:
    """A classifier of other classes."""
    state = torch.load(output / "base-long" / MODEL_FILE, weights_only=True)
    torch.save(state | {"names": ["bar", "beam", "block", "tree"]}, place / "other.pt")
    return place / "other.pt"


def _colour(prepared: Path, place: Path) -> Path:
    """The same set with three channels."""
    whole = storage.read(prepared)
    parts = (storage.Pictures(np.repeat(part.images[..., None], 3, axis=3), part.labels, part.keys)
             for part in (whole.train, whole.test))  # fmt: skip
    storage.write(place / "colour", storage.Prepared(*parts, whole.names))
    return place / "colour"
