"""Groups stay whole in validation and folds; a given validation part is taken; label sets replace the labels."""

import dataclasses
import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small
import torch

from project.work.common import UserError
from project.work.dataset import base_dataset, label_sets, storage
from project.work.dataset.base_dataset import fold_numbers, split
from project.work.dataset.grouping import codes
from project.work.settings.groups import Settings
from project.work.teacher import oof


def people(count: int, each: int = 7, classes: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and groups: each person shows `each` pictures of uneven classes, in no order."""
    random = np.random.default_rng(seed)
    shares = np.arange(1, classes + 1) / np.arange(1, classes + 1).sum()
    order = random.permutation(count * each)
    labels = random.choice(classes, count * each, p=shares)
    labels[: 2 * classes] = np.repeat(np.arange(classes), 2)
    return labels[order], np.repeat(np.arange(count), each)[order]


@pytest.mark.parametrize("seed", range(4))
def test_no_group_is_divided_and_classes_keep_their_shares(seed: int) -> None:
    labels, groups = people(300, seed=seed)
    train, valid = split(labels, 0.1, seed, "here", groups=groups)
    assert sorted([*train, *valid]) == list(range(len(labels)))
    assert not set(groups[train]) & set(groups[valid])
    share = np.bincount(labels[valid], minlength=6) / np.bincount(labels)
    assert np.abs(share - 0.1).max() < 0.03
    numbers = fold_numbers(labels, 5, seed, "here", groups=groups)
    assert all(len(set(numbers[groups == group])) == 1 for group in range(300))
    shares = np.array([np.bincount(labels[numbers == fold], minlength=6) for fold in range(5)]) / np.bincount(labels)
    assert np.abs(shares - 0.2).max() < 0.05
    assert np.array_equal(numbers, fold_numbers(labels, 5, seed, "here", groups=groups))
    assert not np.array_equal(numbers, fold_numbers(labels, 5, seed + 9, "here", groups=groups))


def test_rows_without_a_group_are_groups_of_their_own() -> None:
    found = codes(pd.Series(["a", "", None, "a", "b", ""]))
    assert len(set(found)) == 5
    assert found[0] == found[3]


def test_what_whole_groups_do_not_allow_is_refused() -> None:
    labels, groups = np.repeat([0, 1], 10), np.repeat([0, 1, 2], [10, 5, 5])
    with pytest.raises(UserError, match=r"class 0 has no row left to train on: with all but fold \d of 2"):
        fold_numbers(labels, 2, 0, "here", groups=groups)
    assert set(split(labels, 0.3, 0, "here", groups=groups)[0]) >= set(range(10))


def made(folder: Path, columns: dict[str, list], facts: dict[str, object]) -> Path:
    train = small.pictures(30, 1)
    train = dataclasses.replace(train, keys=train.keys.assign(**columns))
    storage.write(folder, storage.Prepared(train, small.pictures(10, 2), small.NAMES, {"source": "tests", **facts}))
    return folder


def loaded(folder: Path, **settings: object) -> base_dataset.Dataset:
    usual = {"dataset": str(folder), "device": "cpu", "epoch": 1, "folds": 3}
    return base_dataset.load(dataclasses.replace(Settings(), **(usual | settings)), torch.device("cpu"))


def test_a_set_keeps_its_groups_together_only_where_its_provenance_says_so(tmp_path: Path) -> None:
    groups = [f"p{row // 5}" for row in range(120)]
    plain = loaded(made(tmp_path / "a", {"group": groups}, {}))
    whole = loaded(made(tmp_path / "b", {"group": groups}, {"kept_together": "person"}))
    assert plain.groups is None
    sides = [{int(row) // 5 for row in part.rows} for part in (whole.train, whole.valid)]
    assert not sides[0] & sides[1]
    assert 10 <= len(whole.valid) <= 15  # of 120, in persons of five
    folds = oof.parts(dataclasses.replace(Settings(), folds=3, dataset="here"), whole)
    by_person = pd.Series(folds).groupby(whole.train.rows.numpy() // 5).nunique()
    assert by_person.max() == 1
    assert plain.fingerprint != whole.fingerprint


def test_a_given_validation_part_is_the_validation_split(tmp_path: Path) -> None:
    parts = ["valid" if row % 6 == 0 else "train" for row in range(120)]
    given = loaded(made(tmp_path / "a", {"part": parts}, {"validation": "by the source"}))
    assert given.valid.rows.tolist() == list(range(0, 120, 6))
    assert torch.equal(given.valid.rows, loaded(tmp_path / "a", split_seed=3, valid_rate=0.4).valid.rows)
    before = loaded(made(tmp_path / "b", {"part": parts}, {}))  # of a set that was made before
    assert len(before.valid) == 12


def test_a_label_set_takes_the_place_of_the_labels(tmp_path: Path) -> None:
    folder = made(tmp_path / "a", {}, {})
    keys, names = storage.read(folder).train.keys["key_id"].tolist(), small.NAMES
    plain = loaded(folder)
    labels = [names[(row + 1) % 4] if row % 10 else "" for row in range(120)]
    label_sets.write(folder, "other", keys, labels)
    other = loaded(folder, label_set="other")
    rows = [*other.train.rows.tolist(), *other.valid.rows.tolist()]
    assert sorted(rows) == [row for row in range(120) if row % 10]
    assert set(other.valid.rows.tolist()) <= set(plain.valid.rows.tolist())  # judged by the same pictures
    assert other.train.labels.tolist() == [(row + 1) % 4 for row in other.train.rows.tolist()]
    assert torch.equal(other.test.labels, plain.test.labels)
    assert other.fingerprint != plain.fingerprint
    assert loaded(folder).fingerprint == plain.fingerprint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("key_id,name\nnowhere,{0}\n", "1 of its 1 key ids, nowhere the first, are not among the training rows"),
        ("key_id,name\n{key},ant\n", "line 2: 'ant' is none of the 4 classes"),
        ("key_id,name\n{key},{0}\n", "all its pictures have one label"),
        ("key,name\n{key},{0}\n", "no column key_id"),
    ],
)
def test_label_sets_of_other_data_are_refused(tmp_path: Path, text: str, said: str) -> None:
    folder = made(tmp_path / "a", {}, {})
    key = storage.read(folder).train.keys["key_id"].iloc[0]
    (folder / "labels_mine.csv.gz").write_bytes(gzip.compress(text.format(*small.NAMES, key=key).encode()))
    with pytest.raises(UserError) as caught:
        loaded(folder, label_set="mine")
    assert said in str(caught.value)
    with pytest.raises(UserError, match=r"--label-set \.\./x: .* has no such label set; there are mine"):
        loaded(folder, label_set="../x")
