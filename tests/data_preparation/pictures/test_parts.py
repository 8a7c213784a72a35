"""Words for parts: which names mean train, valid and test, and which only look as if they did."""

import pytest

from project.data_preparation.pictures import parts
from project.work.common import UserError


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Training", "train"), ("TRAIN", "train"), ("train_set", "train"), ("trainset", "train"), ("train1", "train"),
        ("TrainImages", "train"), ("train-data", "train"), ("train_val", "train"), ("trainval", "train"),
        ("Testing", "test"), ("test_images", "test"), ("testset2", "test"), ("tst", "test"),
        ("val", "valid"), ("Valid", "valid"), ("validation_set", "valid"), ("dev", "valid"),
        ("evaluation", "eval"), ("hold-out", "holdout"), ("holdout", "holdout"), ("Hold_Out", "holdout"),
    ],
)  # fmt: skip
def test_usual_spellings_of_parts(name: str, part: str) -> None:
    assert parts.spelled(name) == (part, "")


@pytest.mark.parametrize("name", ["cat", "training day and test day", "constraint", "latest", "restrained", "1", ""])
def test_other_names_are_no_parts(name: str) -> None:
    assert parts.spelled(name) is None


def test_a_word_beside_counts_only_where_two_parts_share_it() -> None:
    assert parts.spellings(["seg_train", "seg_test", "seg_pred"]) == {
        "seg_train": "train", "seg_test": "test", "seg_pred": parts.UNLABELLED
    }  # fmt: skip
    assert parts.spellings(["bullet_train", "crash_test", "car"]) == {}
    assert parts.spellings(["train", "mnist_test"]) == {"train": "train"}


def test_the_best_of_several_parts_is_tested_on_and_one_alone_is_divided() -> None:
    assert parts.roles(["train", "valid", "train", "test"], "x") == {"train": "train", "valid": "train", "test": "test"}
    assert parts.roles(["train", "valid"], "x") == {"train": "train", "valid": "test"}
    assert parts.roles(["valid", "eval", "train"], "x") == {"train": "train", "valid": "train", "eval": "test"}
    assert parts.roles(["test"], "x") == {"test": ""}
    assert parts.roles(["", ""], "x") == {"": ""}
    with pytest.raises(UserError, match="x has the parts valid and test, but none to train on"):
        parts.roles(["test", "valid"], "x")


def test_numbered_folds() -> None:
    assert all(map(parts.is_fold, ["fold1", "Fold_02", "k-fold 3", "split4", "cv5", "batch10"]))
    assert not any(map(parts.is_fold, ["fold", "folder", "cat1", "1"]))


def test_names_that_say_nothing_of_what_is_in_a_list() -> None:
    assert all(
        map(parts.says_nothing, ["labels", "train_labels", "Annotations (1)", "data", "index", "trainLabels", "3"])
    )
    assert not any(map(parts.says_nothing, ["flowers", "cat_labels", "hanzi"]))
