"""Noise: what is changed and how often, by hand; manifests that fit and that do not; bad matrices."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from project.work.common import UserError
from project.work.dataset.base_dataset import Dataset
from project.work.labels import noise
from project.work.labels.naming import unpacked
from project.work.settings import resolve

NAMES = ["ant", "bee", "cat"]
LABELS = np.repeat([0, 1, 2], 400)
KEYS = np.array([f"k{row}" for row in range(len(LABELS))], dtype="S")


def settings(**values):
    return resolve.combine({f"noise_{name}": value for name, value in values.items()})


def make(**values):
    return noise.make(settings(**values), LABELS, KEYS, NAMES)


def matrix_file(path, matrix, names=NAMES):
    pd.DataFrame(matrix, index=names, columns=names).to_csv(path)
    return str(path)


def test_no_noise_by_default(dataset: Dataset) -> None:
    assert dataset.noise is None


def test_symmetric_changes_exactly_the_share_asked_for_to_every_other_class_alike():
    made = make(type="symmetric", rate=0.4)
    assert len(made.rows) == 480
    assert made.rate == 0.4
    steps = (made.noisy - made.true)[made.rows] % 3
    # 480 steps of 1 or 2: 240 each, give or take 11 (one deviation).
    assert abs((steps == 1).sum() - 240) < 44
    assert (made.true == LABELS).all()


def test_pairflip_makes_each_the_next_class():
    made = make(type="pairflip", rate=0.25)
    assert len(made.rows) == 300
    assert ((made.noisy - made.true)[made.rows] % 3 == 1).all()


def test_the_seed_decides_and_nothing_else_does():
    first, again, other = (make(type="symmetric", rate=0.2, seed=seed) for seed in (1, 1, 2))
    assert (first.noisy == again.noisy).all()
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_confusion_draws_from_the_rows_of_a_matrix(tmp_path):
    matrix = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.1, 0.2, 0.7]])
    made = make(type="confusion", file=matrix_file(tmp_path / "m.csv", matrix))
    drawn = np.array([np.bincount(made.noisy[label == LABELS], minlength=3) / 400 for label in range(3)])
    assert np.abs(drawn - matrix).max() < 0.08  # three deviations of a share of one half in 400
    assert drawn[0].tolist() == [1, 0, 0]


def test_a_rate_scales_a_matrix_and_keeps_its_shape():
    matrix = np.array([[1, 0, 0], [0.2, 0.8, 0], [0.05, 0.05, 0.9]])  # 10% wrong in the mean over the labels
    scaled = noise.scaled(matrix, LABELS, 0.2)
    np.testing.assert_allclose(scaled, [[1, 0, 0], [0.4, 0.6, 0], [0.1, 0.1, 0.8]])
    with pytest.raises(UserError, match=r"up to 0\.500 only"):
        noise.scaled(matrix, LABELS, 0.51)


def test_a_rate_scales_a_matrix_as_far_as_it_reaches():
    # Half of the labels are wrong in the mean, nine tenths of one class; rounding may go below 0 or beyond the reach.
    matrix = np.array([[0.1, 0.6, 0.3], [0.0, 0.7, 0.3], [0.3, 0.0, 0.7]])
    reach = (0.9 + 0.3 + 0.3) / 3 / 0.9
    for rate in (reach, np.nextafter(reach, 0), np.nextafter(reach, 1)):
        scaled = noise.scaled(matrix, LABELS, rate)
        np.testing.assert_allclose(scaled[0], [0, 2 / 3, 1 / 3], atol=1e-12)
        assert scaled.min() >= 0
        noisy = noise.confused(LABELS, scaled, np.random.default_rng(0))
        assert (noisy[LABELS == 0] != 0).all()
    drawn = np.random.default_rng(1).dirichlet(np.ones(3), 200)
    for row in drawn:  # at the reach of many matrices, where a sum of shares is seldom exactly 1
        matrix = np.array([row, [0, 1, 0], [0, 0, 1]])
        noise.confused(LABELS, noise.scaled(matrix, LABELS, 1 / 3), np.random.default_rng(0))


def test_a_matrix_that_changes_nothing_cannot_be_scaled(tmp_path):
    with pytest.raises(UserError, match=r"--noise-rate 0\.1: this matrix leaves every label here as it is"):
        make(type="confusion", rate=0.1, file=matrix_file(tmp_path / "m.csv", np.eye(3)))
    # It would change cats, of which there are none here.
    matrix = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0, 0.5]])
    with pytest.raises(UserError, match="leaves every label here as it is"):
        noise.scaled(matrix, LABELS[:800], 0.1)


def test_a_matrix_is_put_into_the_order_of_the_classes(tmp_path):
    matrix = pd.DataFrame(
        [[0.5, 0.2, 0.3], [0.0, 0.9, 0.1], [0.4, 0.0, 0.6]], index=["bee", "cat", "ant"], columns=["cat", "ant", "bee"]
    )
    matrix.to_csv(tmp_path / "m.csv")
    read = noise.read_matrix(tmp_path / "m.csv", NAMES)
    np.testing.assert_allclose(read, [[0, 0.6, 0.4], [0.2, 0.3, 0.5], [0.9, 0.1, 0]])


def test_a_matrix_is_read_as_a_spreadsheet_of_another_country_saves_it(tmp_path):
    text = ";ant;bee;cat\r\n\r\nant;0,9;0,1;0\r\nbee;0;1;0\r\ncat;0;0,5;0,5\r\n"
    (tmp_path / "m.csv").write_bytes(text.encode("utf-16"))
    np.testing.assert_allclose(noise.read_matrix(tmp_path / "m.csv", NAMES), [[0.9, 0.1, 0], [0, 1, 0], [0, 0.5, 0.5]])


@pytest.mark.parametrize(
    ("delimiter", "fault"),
    [
        (",", r"must hold the 3 class names of this data set, but '2\.0+\d*e-01' in its header is none of them"),
        (" ", r"must hold the 3 class names of this data set, but 'ant' is not in its header"),
    ],
)
def test_a_matrix_without_names_is_told_that_it_needs_them(tmp_path, delimiter, fault):
    np.savetxt(tmp_path / "m.csv", [[0.7, 0.2, 0.1], [0, 1, 0], [0, 0.5, 0.5]], delimiter=delimiter)
    with pytest.raises(UserError, match=fault):
        make(type="confusion", file=str(tmp_path / "m.csv"))


def test_a_matrix_that_is_missing_is_refused_as_every_other_file(tmp_path):
    with pytest.raises(UserError, match=r"m\.csv is missing: give the path of a noise transition matrix"):
        make(type="confusion", file=str(tmp_path / "m.csv"))


@pytest.mark.parametrize(
    ("matrix", "names", "fault"),
    [
        (np.eye(3)[:2], NAMES[:2], "'cat' is not in its first column"),
        (np.eye(3), ["ant", "bee", "bat"], "the 3 class names of this data set, but 'bat' in its header is none of"),
        (np.eye(3)[[0, 1, 2, 2]], [*NAMES, "cat"], "'cat' is twice in its first column"),
        (np.eye(3) * 0.9, NAMES, "the row of ant sums to 0.9000, not to 1"),
        (np.array([[1.5, -0.5, 0], [0, 1, 0], [0, 0, 1]]), NAMES, "not probabilities"),
        (np.array([[np.nan, 0, 0], [0, 1, 0], [0, 0, 1]]), NAMES, "not a matrix|not probabilities"),
    ],
)
def test_a_bad_matrix_is_refused(tmp_path, matrix, names, fault):
    pd.DataFrame(matrix, index=names, columns=names if len(names) == 3 else NAMES).to_csv(tmp_path / "m.csv")
    with pytest.raises(UserError, match=fault):
        make(type="confusion", file=str(tmp_path / "m.csv"))


def test_a_manifest_says_every_changed_row_and_makes_the_same_noise_again(tmp_path):
    asked = settings(type="symmetric", rate=0.1, seed=3)
    made = noise.make(asked, LABELS, KEYS, NAMES)
    noise.write(tmp_path, made, asked, KEYS, NAMES)
    table = pd.read_csv(tmp_path / "noise.csv")
    assert table["row"].tolist() == made.rows.tolist()
    assert table["key_id"].tolist() == [f"k{row}" for row in made.rows]
    assert [NAMES.index(name) for name in table["noisy_name"]] == table["noisy_label"].tolist()
    facts = json.loads((tmp_path / "noise.json").read_text())
    assert (facts["requested_rate"], facts["actual_rate"], facts["changed"]) == (0.1, 0.1, 120)
    again = make(type="file", file=str(tmp_path / "noise.csv"))
    assert again.fingerprint == made.fingerprint


def test_a_manifest_finds_its_rows_by_key_wherever_they_are(tmp_path):
    asked = settings(type="pairflip", rate=0.1)
    noise.write(tmp_path, noise.make(asked, LABELS, KEYS, NAMES), asked, KEYS, NAMES)
    order = np.random.default_rng(0).permutation(len(LABELS))
    keys = unpacked(KEYS)
    _, moved = noise.read_manifest(tmp_path / "noise.csv", LABELS[order], keys[order], NAMES)
    assert (moved == noise.read_manifest(tmp_path / "noise.csv", LABELS, keys, NAMES)[1][order]).all()


def test_a_manifest_of_labels_that_are_wrong_already_says_which_and_changes_none(tmp_path):
    (tmp_path / "noise.csv").write_text("row,key_id,true_label,noisy_label\n0,k0,1,0\n400,k400,-1,1\n")
    made = make(type="file", file=str(tmp_path / "noise.csv"))
    assert (made.noisy == LABELS).all()
    assert made.rows.tolist() == [0, 400]
    assert made.true[[0, 400]].tolist() == [1, -1]
    assert made.rate == 2 / 1200


def test_a_manifest_that_is_half_done_is_refused(tmp_path):
    (tmp_path / "noise.csv").write_text("row,key_id,true_label,noisy_label\n0,k0,1,0\n1,k1,0,2\n")
    with pytest.raises(UserError, match="1 of its 2 rows, k0 the first, already have their noisy label here"):
        make(type="file", file=str(tmp_path / "noise.csv"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("row,key_id\n0,k0\n", "not a noise manifest"),
        ("row,key_id,true_label,noisy_label\n0,x9,0,1\n", "1 of its 1 key ids, x9 the first, are not among"),
        ("row,key_id,true_label,noisy_label\n0,k0,2,1\n", "says that k0 is 2, but its label here is 0"),
        ("row,key_id,true_label,noisy_label\n0,k0,3,0\n", "true_label of k0 is '3', but labels are 0 to 2"),
        ("row,key_id,true_label,noisy_label\n0,k0,0,3\n", "noisy_label of k0 is '3', but labels are 0 to 2"),
        ("row,key_id,true_label,noisy_label\n0,k0,0,one\n", "noisy_label of k0 is 'one'"),
        ("row,key_id,true_label,noisy_label\n0,k0,0,1.7\n", "noisy_label of k0 is '1.7'"),
        ("row,key_id,true_label,noisy_label\n0,k0,0,1\n0,k0,0,2\n", "1 rows name a key id again, k0 the first"),
    ],
)
def test_a_manifest_of_other_data_is_refused(tmp_path, text, fault):
    (tmp_path / "noise.csv").write_text(text)
    with pytest.raises(UserError, match=fault):
        make(type="file", file=str(tmp_path / "noise.csv"))


def test_a_matrix_of_classes_that_look_like_numbers_is_read(tmp_path):
    names = ["00", "01", "1.0"]
    matrix = np.array([[0.8, 0.2, 0.0], [0.1, 0.9, 0.0], [0.0, 0.5, 0.5]])
    pd.DataFrame(matrix, index=names, columns=names).to_csv(tmp_path / "transition.csv")
    np.testing.assert_allclose(noise.read_matrix(tmp_path / "transition.csv", names), matrix)


def test_a_manifest_that_is_missing_is_refused(tmp_path):
    with pytest.raises(UserError, match="is missing: give the path of a noise manifest"):
        make(type="file", file=str(tmp_path / "noise.csv"))


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"type": "symmetric"}, "say how much with --noise-rate"),
        ({"rate": 0.2}, "--noise-type none has none; try --noise-type symmetric"),
        ({"type": "file"}, "--noise-type file: give --noise-file"),
        ({"type": "symmetric", "rate": 0.2, "file": "x"}, "--noise-file is for confusion and file"),
        ({"type": "symmetric", "rate": 1.0}, "noise-rate"),
        ({"type": "symmetric", "rate": -0.1}, "noise-rate"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(values, fault):
    with pytest.raises(UserError, match=fault):
        settings(**values)


def test_fold_models_learn_from_the_same_noise():
    from project.work.teacher.oof import teacher_settings

    student = dataclasses.replace(settings(type="pairflip", rate=0.3), distillation=True)
    assert (teacher_settings(student).noise_type, teacher_settings(student).noise_rate) == ("pairflip", 0.3)
