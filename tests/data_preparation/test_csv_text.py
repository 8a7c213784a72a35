"""Columns become the text that the csv module writes, whether fields have to be quoted or not."""

import csv
import io

import numpy as np
import pytest

from project.data_preparation.csv_text import csv_text

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
