"""Copies of pictures: counted within a class and across parts, and one pair of each named."""

import numpy as np
import pandas as pd

from project.data_preparation.pictures import copies
from project.work.dataset.storage import Pictures, Prepared


def part(levels: list[int], labels: list[int], name: str) -> Pictures:
    """A picture of one level a row, called by its part and row."""
    images = np.repeat(np.array(levels, np.uint8), 16).reshape(-1, 4, 4)
    return Pictures(images, np.array(labels), pd.DataFrame({"path": [f"{name}{row}" for row in range(len(levels))]}))


def test_copies_are_counted_by_kind_with_an_example() -> None:
    # train1 equals train0; test0 equals train0 within the class; test1 equals train2 of the other class.
    prepared = Prepared(part([1, 1, 2, 3], [0, 0, 1, 1], "train"), part([1, 2, 9], [0, 0, 1], "test"), ["a", "b"])
    assert copies.describe(prepared) == (
        "2 pictures equal an earlier one of the same class, such as train1 and train0; "
        "2 test pictures are in the training part too, such as test0 and train0"
    )
    assert copies.describe(Prepared(part([1, 2], [0, 1], "x"), part([3, 4], [0, 1], "y"), ["a", "b"])) == ""


def test_pictures_are_told_apart_by_every_pixel() -> None:
    images = np.zeros((3, 32, 32, 3), np.uint8)
    images[1, 31, 31, 2] = 1
    marks = copies.digests(images)
    assert marks.shape == (3, 16)
    assert copies.within_classes(marks, [0, 0, 0]) == [(2, 0)]
    assert copies.across_parts(marks[:1], marks[1:]) == [(1, 0)]


def test_contradictions_are_equal_pictures_with_different_labels() -> None:
    # Picture 1 is there as 0, 0 and 2: all three are suspicious. Picture 2 has one label, picture 3 is alone.
    images = np.array([1, 1, 1, 2, 2, 3], np.uint8).reshape(6, 1, 1)
    assert copies.count_contradictions(images, np.array([0, 0, 2, 1, 1, 2])) == 3
