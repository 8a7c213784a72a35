"""How pictures become training, validation and test rows: whole groups, so many to validate, so many of each class."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures.dividing import divide
from project.data_preparation.pictures.entries import Entry
from project.work.common import UserError


def masks(people: int = 40) -> list[Entry]:
    """Seven photos a person, as in the mask set: five of one class and one of each of two others."""
    return sorted(
        Entry(label, "", f"{person:03d}/{row}.jpg", f"{person:03d}")
        for person in range(people)
        for row, label in enumerate(["mask"] * 5 + ["wrong", "none"])
    )


def settings(**values: object) -> ImageFolderSettings:
    return ImageFolderSettings(**values)


def test_no_person_is_on_both_sides_and_classes_keep_their_shares() -> None:
    for seed in range(3):
        division = divide(masks(), settings(seed=seed, valid_per_class=6), "person")
        train = {entry.group for entry in division.train.entries if entry.said == "train"}
        valid = {entry.group for entry in division.train.entries if entry.said == "valid"}
        test = {entry.group for entry in division.test.entries}
        assert len(train) + len(valid) + len(test) == len(train | valid | test) == 40
        counts = Counter(entry.label for entry in division.test.entries)
        assert counts == {"mask": 40, "wrong": 8, "none": 8}  # a fifth of each
    assert [e.path for e in divide(masks(), settings(), "person").test.entries] == [
        e.path for e in divide(masks(), settings(), "person").test.entries
    ]
    other = divide(masks(), settings(seed=1), "person").test.entries
    assert {e.group for e in other} != {e.group for e in divide(masks(), settings(), "person").test.entries}


def test_the_draw_without_groups_is_that_of_before() -> None:
    entries = masks()
    division = divide(entries, settings())
    kept = [entry.path for entry in divide([e._replace(group="") for e in entries], settings()).test.entries]
    assert [entry.path for entry in division.test.entries] == kept
    generator = np.random.default_rng([0, *b"none"])
    assert division.test.rows[40:48].tolist() == (200 + np.sort(generator.permutation(40)[32:])).tolist()


def test_a_class_of_one_person_cannot_be_divided() -> None:
    entries = sorted([*masks(4), *(Entry("rare", "", f"r{row}.jpg", "000") for row in range(9))])
    with pytest.raises(UserError, match="class rare: too few of person have pictures of it"):
        divide(entries, settings(), "person")


def test_so_many_of_each_class_validate() -> None:
    entries = sorted(Entry(label, "", f"{label}{row}") for label in "ab" for row in range(10))
    division = divide(entries, settings(valid_per_class=3))
    counts = Counter((entry.label, entry.said) for entry in division.train.entries)
    assert counts == {("a", "valid"): 3, ("b", "valid"): 3, ("a", "train"): 5, ("b", "train"): 5}
    assert division.keys(division.train)["part"].tolist() == [entry.said for entry in division.train.entries]
    assert set(division.keys(division.test)["part"]) == {"test"}
    with pytest.raises(UserError, match="class a has 8 training pictures, and one of them at least must be left"):
        divide(entries, settings(valid_per_class=8))
    parts = [("train", "train"), ("train", "valid"), ("test", "test"), ("train", "train")] * 5
    given = [entry._replace(part=part, said=said) for entry, (part, said) in zip(entries, parts, strict=True)]
    with pytest.raises(UserError, match="the source has a validation part already"):
        divide(given, settings(valid_per_class=1))


def test_a_balanced_set_thins_and_repeats_and_keeps_repeats_together() -> None:
    entries = sorted(
        Entry(label, "", f"{label}{row}") for label, count in (("a", 100), ("b", 5)) for row in range(count)
    )
    division = divide(entries, settings(balance=10, valid_per_class=1))
    learnt = [entry for entry in division.train.entries if entry.said != "valid"]
    assert Counter(entry.label for entry in learnt) == {"a": 10, "b": 10}
    assert sorted(Counter(entry.path for entry in learnt if entry.label == "b").values()) == [3, 3, 4]
    assert Counter(entry.label for entry in division.test.entries) == {"a": 20, "b": 1}
    keys = division.keys(division.train)
    assert keys["key_id"].is_unique
    assert (division.together, division.repeated, set(keys["group"]) == set(keys["path"])) == ("picture", 7, True)
    for row, entry in zip(division.train.rows, division.train.entries, strict=True):
        assert entries[row].path == entry.path
    thinned = divide(entries, settings(balance=3))
    assert (thinned.together, thinned.repeated, "group" in thinned.keys(thinned.train)) == ("", 0, False)


def test_keys_say_the_true_class_where_it_is_known() -> None:
    said = [Entry("a", "", "0", true_label="b"), Entry("a", "", "1"), Entry("b", "", "2", true_label="dog"),
            Entry("b", "", "3", true_label="b")]  # fmt: skip
    division = divide(said, settings())
    both = [*division.keys(division.train).itertuples(), *division.keys(division.test).itertuples()]
    known = {row.path: row.true_label for row in both}
    assert (known["0"], known["2"], known["3"]) == (1, -1, 1)
    assert pd.isna(known["1"])
