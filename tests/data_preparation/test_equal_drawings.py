"""What is there twice: keys and pictures, found by their marks, all at once or share by share."""

import numpy as np
import pytest

from project.data_preparation import repeats


def marks_of(keys, pictures):
    return np.array([keys, pictures], np.uint64)


def test_marks_are_the_same_for_the_same_text_and_picture_alone():
    keys = np.array(["1", "12", "21", "", "12"])
    marks = repeats.key_marks(keys)
    assert marks[1] == marks[4]
    assert len(set(marks.tolist())) == 4
    assert repeats.key_marks(keys.astype(object)).tolist() == marks.tolist()
    assert repeats.key_marks(keys.astype("U40")).tolist() == marks.tolist()
    assert repeats.any_twice(marks)
    assert not repeats.any_twice(marks[:4])
    pictures = np.zeros((6, 10, 10), np.uint8)  # 100 bytes are no whole number of words
    for number in range(1, 5):
        pictures[number, number, 99 % (number + 6)] = 1
    assert len(set(repeats.picture_marks(pictures).tolist())) == 5


def test_twenty_thousand_pictures_that_differ_in_one_pixel_have_marks_of_their_own():
    pictures = np.random.default_rng(0).integers(0, 2, (1, 32, 32), dtype=np.uint8).repeat(20_000, axis=0)
    for number, picture in enumerate(pictures):
        picture.ravel()[number % 1024] = 2 + number // 1024
    assert len(set(repeats.picture_marks(pictures).tolist())) == 20_000


@pytest.mark.parametrize("few", [1 << 20, 2])
def test_equal_pictures_are_counted_by_kind(monkeypatch, few):
    # Two classes with 3 rows in train and 2 in test. Pictures by class: a b a, a b in train; c b | d a in test.
    monkeypatch.setattr(repeats, "FEW", few)
    monkeypatch.setattr(repeats, "MANY", few)
    a, b, c, d, e = (number << 60 for number in (1, 5, 9, 13, 15))
    parts = [
        ("train", 0, marks_of(range(3), [a, b, a])),
        ("train", 3, marks_of([3 << 61, 4, 2], [a, b, e])),
        ("test", 0, marks_of([5, 6], [c, b])),
        ("test", 2, marks_of([3 << 61, 8], [d, a])),
    ]
    found = repeats.find(lambda: iter(parts), {"train": 3, "test": 2}, 2)
    assert found.keys.tolist() == [2, 3 << 61]
    # Of the same class: row 2 (a) and test row 1 (b). Of test and in train: test rows 1 and 3. Of another class: train
    # rows 3 and 4, test row 3.
    assert found.twins == {"of the same class": 2, "of test equal to one of train": 2, "of another class": 3}
    assert found.first["of the same class"] in [(("train", 0), ("train", 2)), (("train", 1), ("test", 1))]
