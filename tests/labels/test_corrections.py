"""Corrections: found by key, applied to what is learnt and never to the files; those of other data are refused."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from project.work.common import UserError
from project.work.dataset import base_dataset, storage
from project.work.labels import corrections, noise
from project.work.labels.corrections import DROPPED
from project.work.settings.resolve import combine

NAMES = ["ant", "bee", "cat"]
LABELS = np.array([0, 0, 1, 1, 2, 2])
KEYS = np.array(["k0", 'k"1', "k2", "k3", "k4", "k5"], dtype="S")
HEADER = "row,key_id,given_label,new_label\n"
NAMED = HEADER[:-1] + ",given_name,new_name\n"


def read(path: Path, text: str) -> corrections.Corrections:
    (path / "c.csv").write_text(text)
    return corrections.read(path / "c.csv", LABELS, KEYS, NAMES)


def test_rows_are_found_by_key_wherever_they_stand(tmp_path: Path) -> None:
    made = read(tmp_path, HEADER + '9,k4,2,0\n9,"k""1",0,drop\n9,k2,1,1\n')
    assert (made.rows.tolist(), made.given.tolist(), made.new.tolist()) == ([4, 1, 2], [2, 0, 1], [0, DROPPED, 1])
    assert made.applied(LABELS).tolist() == [0, DROPPED, 1, 1, 0, 2]
    assert str(made) == "1 relabelled, 1 dropped, 1 kept as they were"


def test_they_are_written_as_they_are_read(tmp_path: Path) -> None:
    made = read(tmp_path, HEADER + '9,k4,2,0\n9,"k""1",0,drop\n')
    corrections.write(tmp_path / "again.csv", made, KEYS)
    assert (tmp_path / "again.csv").read_text() == HEADER + '1,"k""1",0,drop\n4,k4,2,0\n'


def test_names_stand_beside_the_numbers_and_are_read_again(tmp_path: Path) -> None:
    made = read(tmp_path, HEADER + '9,k4,2,0\n9,"k""1",0,drop\n')
    corrections.write(tmp_path / "again.csv", made, KEYS, ["ant, red", "bee", "004"])
    text = (tmp_path / "again.csv").read_text()
    assert text == NAMED + '1,"k""1",0,drop,"ant, red",\n4,k4,2,0,004,"ant, red"\n'
    (tmp_path / "again.csv").write_text(text.replace("004", "4"))  # as a spreadsheet saves it
    again = corrections.read(tmp_path / "again.csv", LABELS, KEYS, ["ant, red", "bee", "004"])
    assert (again.rows.tolist(), again.new.tolist()) == ([1, 4], [DROPPED, 0])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("row,key_id,new_label\n0,k0,1\n", r"not a file of corrections.* it needs the columns key_id,given_label"),
        ("", "not a file of corrections"),
        (HEADER + "0,k9,0,1\n0,k0,0,1\n", "1 of its 2 key ids, k9 the first, are not among the training rows"),
        (HEADER + "0,k0,1,2\n", "the label of k0 is 1, but here it is 0; the corrections are of other labels"),
        (HEADER + "0,k0,0,3\n", "new_label of k0 is '3', but it must be a label, 0 to 2, or drop"),
        (HEADER + "0,k0,0,bee\n", "new_label of k0 is 'bee', but it must be a label, 0 to 2, or drop"),
        (HEADER + "0,k0,0,Drop\n", "new_label of k0 is 'Drop', but it must be a label, 0 to 2, or drop"),
        (HEADER + "0,k0,0,-1\n", "new_label of k0 is '-1'"),
        (HEADER + "0,k0,0,\n", "new_label of k0 is '', but it must be a label, 0 to 2, or drop"),
        (HEADER + "0,k0,drop,1\n", "given_label of k0 is 'drop', but labels are 0 to 2$"),
        (
            HEADER[:-1] + ",given_name,new_name\n0,k0,0,1,ant,cat\n",
            "new_label of k0 is 1, which is bee here, but .*cat",
        ),
        (NAMED + "0,k0,0,drop,bee,cat\n", "given_label of k0 is 0, which is ant here"),
        (HEADER + "0,k0,0,1\n0,k0,0,2\n", "1 rows name a key id again, k0 the first"),
    ],
)
def test_corrections_of_other_data_are_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (
            "0,4.5e+15,0,1",
            "line 2: a spreadsheet took the key id 4.5e.15 for a number and changed it; take the file as it",
        ),
        ("0,4.5e+15,0,1\n1,4.5e+15,0,1", "line 3: a spreadsheet took the key id 4.5e.15"),
        ("0,12.0,0,1", r"line 2: a spreadsheet took the key id 12\.0"),
        ("0,k0,0,1.0", r"line 2: new_label of k0 is '1\.0'.*a spreadsheet took it for a number"),
        ("0,k0,0", r"line 2: 3 fields, but the header has 4"),
    ],
)
def test_what_a_spreadsheet_made_of_keys_and_labels_is_refused_in_words(tmp_path: Path, line: str, fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        read(tmp_path, HEADER + line + "\n")


def test_a_file_saved_by_a_spreadsheet_is_read_as_the_page_exports_it(tmp_path: Path) -> None:
    text = "Row;Key_ID;given_label;new_label\r\n\r\n9;k4;2;0\r\n"
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "c.csv").write_bytes(text.encode(encoding))
        made = corrections.read(tmp_path / "c.csv", LABELS, KEYS, NAMES)
        assert (made.rows.tolist(), made.new.tolist()) == ([4], [0])


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "c.csv")
    with pytest.raises(UserError, match="is a named pipe"):
        corrections.read(tmp_path / "c.csv", LABELS, KEYS, NAMES)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.csv is missing"):
        corrections.read(tmp_path / "none.csv", LABELS, KEYS, NAMES)


def test_a_key_that_several_training_rows_share_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(HEADER + "0,k0,0,1\n")
    with pytest.raises(UserError, match="k0 is the key id of several training rows"):
        corrections.read(tmp_path / "c.csv", LABELS, np.array(["k0", "k0", "k1", "k2", "k3", "k4"]), NAMES)


def change(prepared: Path, path: Path, rows: np.ndarray, new: object) -> str:
    """A file that gives these rows of the prepared training file one new label (or the word drop)."""
    part = storage.read(prepared).train
    table = pd.DataFrame({"row": rows, "key_id": part.keys["key_id"].to_numpy()[rows]})
    table.assign(given_label=part.labels[rows], new_label=new).to_csv(path, index=False)
    return str(path)


def load(settings, **values):
    return base_dataset.load(settings(**values), torch.device("cpu"))


def test_labels_change_in_training_and_validation_and_the_splits_stay(prepared, settings, dataset, tmp_path) -> None:
    train, valid = dataset.train.rows.numpy(), dataset.valid.rows.numpy()
    rows = np.sort(np.append(train[dataset.train.labels == 0][:3], valid[dataset.valid.labels == 0][0]))
    mended = load(settings, corrections=change(prepared, tmp_path / "c.csv", rows, 2))
    assert (mended.train.rows == dataset.train.rows).all()
    assert (mended.valid.rows == dataset.valid.rows).all()
    labels = mended.train.records.labels
    assert labels[rows].tolist() == [2, 2, 2, 2]
    assert (labels != dataset.train.records.labels).sum() == 4
    assert (mended.test.labels == dataset.test.labels).all()
    assert mended.fingerprint != dataset.fingerprint
    again = load(settings)  # the files in memory are not mended
    assert (again.train.records.labels == dataset.train.records.labels).all()


def test_dropped_rows_leave_both_splits_and_no_other_row_moves(prepared, settings, dataset, tmp_path) -> None:
    train, valid = dataset.train.rows.numpy(), dataset.valid.rows.numpy()
    rows = np.concatenate([train[:5], valid[:2]])
    mended = load(settings, corrections=change(prepared, tmp_path / "c.csv", rows, "drop"))
    assert mended.train.rows.tolist() == train[5:].tolist()
    assert mended.valid.rows.tolist() == valid[2:].tolist()
    assert mended.train.normalise == dataset.train.normalise


def test_the_noise_comes_first(prepared, settings, tmp_path) -> None:
    noisy = load(settings, noise_type="pairflip", noise_rate=0.5)
    rows = noisy.noise.rows[:4]
    table = pd.DataFrame({"row": rows, "key_id": noisy.train_keys[rows].astype(str)})
    table = table.assign(given_label=noisy.noise.noisy[rows], new_label=noisy.noise.true[rows])
    table.to_csv(tmp_path / "c.csv", index=False)
    mended = load(settings, noise_type="pairflip", noise_rate=0.5, corrections=str(tmp_path / "c.csv"))
    assert (mended.train.records.labels.numpy() != noisy.noise.true).sum() == 60 - 4
    with pytest.raises(UserError, match="the corrections are of other labels"):
        load(settings, corrections=str(tmp_path / "c.csv"))


def test_a_class_without_rows_is_refused_and_so_is_an_empty_validation(prepared, settings, dataset, tmp_path) -> None:
    train, valid = dataset.train.rows.numpy(), dataset.valid.rows.numpy()
    everything = change(prepared, tmp_path / "all.csv", np.arange(120), "drop")
    with pytest.raises(UserError, match="4 of 4 classes, bar the first, would have no row to train on"):
        load(settings, corrections=everything)
    blocks = train[dataset.train.labels == 2]
    with pytest.raises(UserError, match="1 of 4 classes, block the first"):
        load(settings, corrections=change(prepared, tmp_path / "block.csv", blocks, 1))
    with pytest.raises(UserError, match="drop every validation row"):
        load(settings, corrections=change(prepared, tmp_path / "valid.csv", valid, "drop"))


def test_fold_models_and_students_learn_from_the_same_corrections(prepared, settings, dataset, tmp_path) -> None:
    """Rows that were dropped are neither in a fold nor in validation, and logits made without them fit no other run."""
    from project.work.dataset.distillation_dataset import DROPPED as LEFT_OUT
    from project.work.dataset.distillation_dataset import OofLogits, with_soft_targets
    from project.work.teacher.oof import teacher_settings

    rows = dataset.train.rows.numpy()[:5]
    path = change(prepared, tmp_path / "c.csv", rows, "drop")
    assert teacher_settings(combine({"corrections": path, "distillation": True})).corrections == path
    mended = load(settings, corrections=path)
    folds = np.zeros(120, dtype=np.int64)
    folds[dataset.valid.rows] = -1
    folds[rows] = LEFT_OUT
    keys = noise.unpacked(dataset.train_keys)
    logits = OofLogits(np.zeros((120, 4), dtype=np.float32), keys, folds, dataset.names)
    assert with_soft_targets(mended, logits, 1.0, "there").train.records.soft_targets[0].tolist() == [0.25] * 4
    with pytest.raises(UserError, match="made without rows that are trained on here"):
        with_soft_targets(dataset, logits, 1.0, "there")
