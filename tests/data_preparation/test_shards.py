"""Keys become the text that the csv module writes; equal keys and pictures have equal marks, others have not."""

import csv
import io

import numpy as np
import pytest

from project.data_preparation.shards import any_twice, csv_text, key_marks, picture_marks

PLAIN = {
    "row": np.arange(98, 102),
    "key_id": np.array(["5000123", "1", "", "a b"]),
    "recognized": np.array([True, False, False, True]),
    "true_label": np.array([0, 7, 10, 123]),
}


def by_module(columns, header):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([tuple(columns)] if header else [])
    writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    return text.getvalue().encode()


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"countrycode": np.array(["US", "a,b", 'c"d', "e\nf"])},
        {"countrycode": np.array(["US", "\u00e9", "\u732b", ""])},
        {"countrycode": np.array(["US", 5, "x", ""], dtype=object)},
        {"true_label": np.array([0, -1, 3, 12])},
        {"a,b": np.zeros(4, dtype=int)},
    ],
)
def test_text_is_what_the_module_writes(odd, header):
    assert csv_text(PLAIN | odd, header) == by_module(PLAIN | odd, header)


def test_no_rows_are_a_header():
    none = {name: column[:0] for name, column in PLAIN.items()}
    assert csv_text(none, header=True) == b"row,key_id,recognized,true_label\n"


def test_marks_are_the_same_for_the_same_text_and_picture_alone():
    keys = np.array(["1", "12", "21", "", "12"])
    marks = key_marks(keys)
    assert marks[1] == marks[4]
    assert len(set(marks.tolist())) == 4
    assert key_marks(keys.astype(object)).tolist() == marks.tolist()
    assert key_marks(keys.astype("U40")).tolist() == marks.tolist()
    assert any_twice(marks)
    assert not any_twice(marks[:4])
    pictures = np.zeros((6, 10, 10), np.uint8)  # 100 bytes are no whole number of words
    for number in range(1, 5):
        pictures[number, number, 99 % (number + 6)] = 1
    assert len(set(picture_marks(pictures).tolist())) == 5


def test_twenty_thousand_pictures_that_differ_in_one_pixel_have_marks_of_their_own():
    pictures = np.random.default_rng(0).integers(0, 2, (1, 32, 32), dtype=np.uint8).repeat(20_000, axis=0)
    for number, picture in enumerate(pictures):
        picture.ravel()[number % 1024] = 2 + number // 1024
    assert len(set(picture_marks(pictures).tolist())) == 20_000
