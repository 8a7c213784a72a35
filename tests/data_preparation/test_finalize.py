"""What is there twice: keys and pictures, found by their marks, all at once or share by share."""

import numpy as np
import pytest

from project.data_preparation import finalize


def marks_of(keys, pictures):
    return np.array([keys, pictures], np.uint64)


@pytest.mark.parametrize("few", [1 << 20, 2])
def test_equal_pictures_are_counted_by_kind(monkeypatch, few):
    # Two classes with 3 rows in train and 2 in test. Pictures by class: a b a, a b in train; c b | d a in test.
    monkeypatch.setattr(finalize, "FEW", few)
    monkeypatch.setattr(finalize, "MANY", few)
    a, b, c, d, e = (number << 60 for number in (1, 5, 9, 13, 15))
    parts = [
        ("train", 0, marks_of(range(3), [a, b, a])),
        ("train", 3, marks_of([3 << 61, 4, 2], [a, b, e])),
        ("test", 0, marks_of([5, 6], [c, b])),
        ("test", 2, marks_of([3 << 61, 8], [d, a])),
    ]
    found = finalize.find_equal(lambda: iter(parts), {"train": 3, "test": 2}, 2)
    assert found.keys.tolist() == [2, 3 << 61]
    # Of the same class: row 2 (a) and test row 1 (b). Of test and in train: test rows 1 and 3. Of another class: train
    # rows 3 and 4, test row 3.
    assert found.twins == {"of the same class": 2, "of test equal to one of train": 2, "of another class": 3}
    assert found.first["of the same class"] in [(("train", 0), ("train", 2)), (("train", 1), ("test", 1))]


def test_every_equal_mark_is_led_back_to_the_first():
    marks = np.random.default_rng(0).integers(0, 400, 1000, dtype=np.uint64)
    first = {}
    expected = [first.setdefault(mark, row) for row, mark in enumerate(marks.tolist())]
    expected = [before if before != row else finalize.NOTHING for row, before in enumerate(expected)]
    assert finalize.earlier_places(marks).tolist() == expected
    assert finalize.earlier_places(np.arange(5, dtype=np.uint64)).tolist() == [finalize.NOTHING] * 5
