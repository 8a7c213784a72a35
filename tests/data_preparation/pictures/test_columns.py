"""Columns beside path and class: groups, true labels, further labels and boxes, and what contradicts itself."""

from pathlib import Path

import numpy as np
import pytest

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures.entries import PictureList
from project.data_preparation.pictures.framing import framed
from project.data_preparation.pictures.listing import read_list
from project.work.common import UserError


def listed(folder: Path, header: str, rows: list[str], **settings: object) -> PictureList:
    for row in range(len(rows)):
        (folder / f"{row}.png").touch()
    lines = [f"path,label,{header}", *(f"{row}.png,{'ab'[row % 2]},{text}" for row, text in enumerate(rows))]
    (folder / "list.csv").write_text("\n".join(lines))
    return read_list(ImageFolderSettings(input=str(folder / "list.csv"), **settings))


def refusal(folder: Path, header: str, rows: list[str], **settings: object) -> str:
    with pytest.raises(UserError) as caught:
        listed(folder, header, rows, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_groups_and_a_group_in_two_parts(tmp_path: Path) -> None:
    parts = ["train", "train", "valid", "valid", "test", "test"]
    rows = [f"{part},{person}" for part, person in zip(parts, "aabbcc", strict=True)]
    found = listed(tmp_path, "part,person", rows)
    by_path = sorted(found.entries, key=lambda entry: entry.path)
    assert (found.together, [entry.group for entry in by_path]) == ("person", [*"aabbcc"])
    assert [entry.said for entry in by_path] == parts
    rows[-1] = "test,a"
    said = refusal(tmp_path, "part,person", rows)
    assert "person a is in two parts, train (0.png) and test (5.png)" in said
    assert listed(tmp_path, "part,person", rows, group_column="none").together == ""
    assert listed(tmp_path, "part,shop", rows, group_column="none").together == ""
    assert "shop a is in two parts" in refusal(tmp_path, "part,shop", rows, group_column="shop")
    assert "--group-column person: " in refusal(tmp_path, "part,shop", rows, group_column="person")


def test_true_labels_and_label_sets(tmp_path: Path) -> None:
    rows = ["b,a,a", "a,b,b", "dog,,a", ",b,c"]
    found = listed(tmp_path, "true_label,raw_label,label_new", rows)
    by_path = {entry.path: entry for entry in found.entries}
    assert [by_path[f"{row}.png"].true_label for row in range(4)] == ["b", "a", "dog", ""]
    assert found.label_sets == ["raw"]  # label_new has a class c that there is not
    assert [by_path[f"{row}.png"].labels for row in range(4)] == [("a",), ("b",), ("",), ("b",)]
    assert found.notes["columns"].endswith("not read: label_new")
    said = refusal(tmp_path, "true_label,raw_label,label_new", rows, label_columns="raw_label,label_new")
    assert "line 5: 'c' in the column label_new is none of the 2 classes" in said
    assert "--label-columns raw: " in refusal(tmp_path, "true_label,raw_label,label_new", rows, label_columns="raw")


def test_boxes_are_keys_of_their_own_and_bad_ones_are_refused(tmp_path: Path) -> None:
    for row in range(2):
        (tmp_path / f"{row}.png").touch()
    (tmp_path / "list.csv").write_text(
        "path,label,x,y,width,height\n0.png,a,0,0,4,4\n0.png,b,4.0,0,4,4\n1.png,b,,,,\n1.png,a,1,2,3,4\n"
    )
    found = read_list(ImageFolderSettings(input=str(tmp_path / "list.csv")))
    assert [entry.key for entry in found.entries] == ["0.png#0,0,4,4", "1.png#1,2,3,4", "0.png#4,0,4,4", "1.png"]
    for cells, said in (("-1,0,4,4", "line 2: the box -1,0,4,4 is none"), ("1,1,0,4", "is none"),
                        ("1,1,,4", "is not four numbers"), ("a,1,2,4", "is not four"), ("nan,1,2,3", "is not four"),
                        ("1e300,1,2,3", "is not four")):  # fmt: skip
        assert said in refusal(tmp_path, "x,y,width,height", [cells] * 4)
    assert listed(tmp_path, "width,height", ["8,8"] * 4).entries[0].box == ()  # without x and y it is the file's size


def test_margin_and_border_make_a_square_round_the_picture() -> None:
    picture = np.arange(2 * 10 * 3, dtype=np.uint8).reshape(2, 10, 3)
    replicated = framed(picture, (), ImageFolderSettings(border="replicate"))
    assert replicated.shape == (10, 10, 3)
    np.testing.assert_array_equal(replicated[4:6], picture)
    np.testing.assert_array_equal(replicated[:4], np.repeat(picture[:1], 4, axis=0))
    for border, level in (("white", 255), ("black", 0)):
        square = framed(picture, (), ImageFolderSettings(margin=0.2, border=border))
        assert square.shape == (12, 12, 3)
        np.testing.assert_array_equal(square[5:7, 1:11], picture)
        assert (square[[0, 4, 7, 11]] == level).all()
        assert (square[5:7, [0, 11]] == level).all()
    assert framed(picture, (), ImageFolderSettings()) is picture
