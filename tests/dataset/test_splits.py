"""Validation and folds take every class in proportion, and what cannot be split is refused with what would do."""

import re

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold, train_test_split

from project.work.common import UserError
from project.work.dataset.base_dataset import fold_numbers, split

UNEVEN = np.repeat([0, 1, 2], [50, 30, 20])


def test_validation_takes_its_share_of_every_class() -> None:
    train, valid = split(UNEVEN, 0.1, 0, "here")
    assert (len(train), len(valid)) == (90, 10)
    assert np.bincount(UNEVEN[train]).tolist() == [45, 27, 18]
    assert np.bincount(UNEVEN[valid]).tolist() == [5, 3, 2]
    assert sorted([*train, *valid]) == list(range(100))


@pytest.mark.parametrize(
    ("labels", "rate", "reason"),
    [
        (np.array([0, 0, 0, 1, 1, 1, 2]), 0.3, "class 2 has 1 training rows, at least 2 are needed"),
        (np.zeros(10, np.int64), 0.5, "all training pictures have one label"),
        (UNEVEN, 0.01, "--valid-rate 0.01 on here (100 pictures): 1 to validate and 99 to train, but either needs 3"),
        (UNEVEN, 0.99, "99 to validate and 1 to train, but either needs 3, one of each class; give 0.03 to 0.97"),
    ],
)
def test_a_split_that_cannot_be_is_refused(labels: np.ndarray, rate: float, reason: str) -> None:
    with pytest.raises(UserError) as refusal:
        split(labels, rate, 0, "here")
    assert reason in str(refusal.value)


@pytest.mark.parametrize("classes", [2, 7, 24, 170])
@pytest.mark.parametrize("more", [0, 1, 50, 1234])
def test_the_rates_that_a_refusal_names_are_possible(classes: int, more: int) -> None:
    labels = np.concatenate([np.repeat(np.arange(classes), 2), np.zeros(more, np.int64)])
    with pytest.raises(UserError) as refusal:
        split(labels, 1e-9, 0, "here")
    for rate in map(float, re.search(r"give (\S+) to (\S+)$", str(refusal.value)).groups()):
        parts = split(labels, rate, 0, "here")
        assert min(map(len, parts)) >= classes


def test_folds_hold_every_row_once_in_proportion() -> None:
    numbers = fold_numbers(UNEVEN, 5, 0, "here")
    counts = [np.bincount(UNEVEN[numbers == fold]).tolist() for fold in range(5)]
    assert counts == [[10, 6, 4]] * 5
    assert np.array_equal(numbers, fold_numbers(UNEVEN, 5, 0, "here"))
    assert not np.array_equal(numbers, fold_numbers(UNEVEN, 5, 1, "here"))


def test_more_folds_than_rows_of_a_class_are_refused() -> None:
    assert set(fold_numbers(UNEVEN, 20, 0, "here")) == set(range(20))
    with pytest.raises(UserError, match=r"class 2 has 20 training rows, at least 21 are needed.*use fewer --folds"):
        fold_numbers(UNEVEN, 21, 0, "here")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("classes", [2, 3, 10, 171])
def test_rows_are_those_of_scikit_learn(classes: int, seed: int) -> None:
    random = np.random.default_rng([classes, seed])
    for least, rate, folds in ((2, 0.5, 2), (3, 0.37, 3), (5, 1 / 3, 5), (40, 0.1, 10)):
        counts = least + (random.exponential(20, classes)).astype(int)  # some rare, many equal
        labels = random.permutation(np.repeat(np.arange(classes) * 3, counts))
        expected = train_test_split(np.arange(len(labels)), test_size=rate, random_state=seed, stratify=labels)
        assert all(map(np.array_equal, split(labels, rate, seed, "here"), map(np.sort, expected)))
        numbers = fold_numbers(labels, folds, seed, "here")
        parts = StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels)
        assert all(np.array_equal(np.flatnonzero(numbers == fold), held) for fold, (_, held) in enumerate(parts))
