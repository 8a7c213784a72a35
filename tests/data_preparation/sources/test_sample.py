"""The synthetic sample keeps its promises: Kaggle's columns, Google's coordinates, a known number of wrong labels."""

import json

import numpy as np
import pandas as pd
import pytest

from project.data_preparation.sources import sample
from project.work.common import UserError

PER_CLASS = 15  # round(0.1 * 15) = 2 wrong labels a class


def read(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    sample.write(folder, PER_CLASS, seed=3)
    return folder


@pytest.fixture(scope="module")
def drawings(written):
    return pd.concat([read(path) for path in sorted((written / "train_simplified").glob("*.csv"))], ignore_index=True)


@pytest.mark.slow
def test_files_have_the_columns_of_kaggle_and_a_name_a_class(written, drawings):
    words = sorted(path.stem for path in (written / "train_simplified").glob("*.csv"))
    assert len(words) >= 20
    assert list(drawings.columns) == ["countrycode", "drawing", "key_id", "recognized", "timestamp", "word"]
    assert drawings["word"].value_counts().to_dict() == dict.fromkeys(words, PER_CLASS)
    assert set(drawings["recognized"]) == {"True", "False"}
    assert drawings["countrycode"].str.fullmatch("[A-Z]{2}").all()
    assert drawings["timestamp"].str.fullmatch(r"2017-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}").all()


def test_keys_are_16_digits_and_name_one_drawing_each(written, drawings):
    assert drawings["key_id"].str.fullmatch("[1-9][0-9]{15}").all()
    assert drawings["key_id"].is_unique
    truth = read(written / "truth.csv")
    assert list(truth.columns) == ["key_id", "true_word"]
    assert sorted(truth["key_id"]) == sorted(drawings["key_id"])


def test_truth_says_that_exactly_a_tenth_of_each_class_is_wrong(written, drawings):
    joined = drawings.merge(read(written / "truth.csv"), on="key_id", validate="one_to_one")
    wrong = joined[joined["word"] != joined["true_word"]]
    assert wrong["word"].value_counts().to_dict() == dict.fromkeys(sample.WORDS, 2)
    assert set(wrong["true_word"]) <= set(sample.WORDS)


def test_wrong_drawings_show_what_the_truth_says(monkeypatch):
    """Every template is replaced by one that signs its strokes with the class's number."""
    for number, word in enumerate(sample.WORDS):
        monkeypatch.setitem(sample.TEMPLATES, word, lambda pen, number=number: pen.strokes.append(number))
    monkeypatch.setattr(sample.Pen, "finish", lambda pen: pen.strokes)
    monkeypatch.setattr(sample, "pack", lambda drawings: drawings)
    monkeypatch.setattr(sample, "simplify", lambda signed: [[np.array([[number, 0]]) for number in signed[0]]])
    rows = sample.draw_class("apple", 100, seed=0)
    shown = [sample.WORDS[json.loads(text)[0][0][0]] for text in rows["drawing"]]
    assert shown == rows["true_word"].tolist()
    assert sum(word != "apple" for word in shown) == 10


def test_half_of_the_wrong_labels_come_from_a_look_alike_and_the_rest_from_any_class():
    rng = np.random.default_rng(0)
    wrong = [word for word in sample.true_words("star", 20_000, rng) if word != "star"]
    assert len(wrong) == 2000
    alike = np.mean([word in sample.LOOK_ALIKES["star"] for word in wrong])
    assert alike == pytest.approx(0.5 + 0.5 * 2 / (len(sample.WORDS) - 1), abs=0.04)
    assert set(wrong) == set(sample.WORDS) - {"star"}


def test_look_alikes_are_classes_and_no_class_is_its_own():
    assert set(sample.LOOK_ALIKES) == set(sample.WORDS)
    for word, others in sample.LOOK_ALIKES.items():
        assert set(others) <= set(sample.WORDS) - {word}


def test_unrecognised_drawings_are_half_of_the_wrong_and_few_of_the_right(monkeypatch):
    monkeypatch.setattr(sample, "draw", lambda word, rng: [np.zeros((2, 2), int)])
    rows = sample.draw_class("sun", 10_000, seed=0)
    wrong = rows["true_word"] != "sun"
    assert (~rows["recognized"])[wrong].mean() == pytest.approx(0.5, abs=0.05)
    assert (~rows["recognized"])[~wrong].mean() == pytest.approx(0.03, abs=0.006)


def test_drawings_are_whole_numbers_that_fill_0_to_255_from_the_top_left_corner(drawings):
    corners, largest = [], []
    for text in drawings["drawing"]:
        strokes = [np.array(stroke) for stroke in json.loads(text)]
        assert all(stroke.dtype.kind == "i" and stroke.shape[0] == 2 for stroke in strokes)
        points = np.hstack(strokes)
        assert points.min() >= 0
        assert points.max() <= 255
        corners.append(points.min(axis=1).tolist() == [0, 0])
        largest.append(points.max() == 255)
    # Simplifying may drop a curve's outermost point: of Google's drawings 80% touch the corner and 88% reach 255.
    assert np.mean(corners) > 0.7
    assert np.mean(largest) > 0.8


def test_the_text_of_a_drawing_is_written_as_kaggle_writes_it():
    drawing = [np.array([[130, 72], [113, 40]]), np.array([[76, 136], [28, 128]])]
    assert sample.to_json(drawing) == "[[[130, 113], [72, 40]], [[76, 28], [136, 128]]]"


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_drawings(written, drawings, tmp_path):
    sample.write(tmp_path / "again", PER_CLASS, seed=3)
    for path in written.rglob("*.csv"):
        assert (tmp_path / "again" / path.relative_to(written)).read_bytes() == path.read_bytes()
    other = sample.draw_class("apple", PER_CLASS, seed=4)
    mine = drawings[drawings["word"] == "apple"]
    assert not set(other["drawing"]) & set(mine["drawing"])
    assert not set(other["key_id"]) & set(mine["key_id"])


def test_a_class_is_drawn_the_same_whatever_else_is_drawn(drawings):
    alone = sample.draw_class("house", PER_CLASS, seed=3)
    assert alone["drawing"].tolist() == drawings[drawings["word"] == "house"]["drawing"].tolist()


def test_no_two_drawings_are_alike(drawings):
    assert drawings["drawing"].is_unique


def test_no_drawing_at_all_is_refused(tmp_path):
    with pytest.raises(UserError, match="at least 1 drawing"):
        sample.write(tmp_path, 0, seed=0)
    assert list(tmp_path.iterdir()) == []
