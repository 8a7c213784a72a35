"""What a CSV of pictures is understood as: its columns, the part of each row, its paths, and what is refused."""

import os
from pathlib import Path

import pytest

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures.entries import PictureList
from project.data_preparation.pictures.listing import read_list
from project.work.common import UserError

PATHS = [f"{name}/{row}.png" for name in ("cat", "dog") for row in range(4)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Empty files called as pictures, four of each class: to list them takes no more."""
    for path in PATHS:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    return tmp_path


def rows(form: str, *words: str) -> str:
    """A line a picture of a form in which p is its path, c its class and w the next of the words, over and over."""
    each = zip(PATHS, (words or ("",)) * len(PATHS), strict=False)
    return "".join(f"{form.format(p=path, c=path[:3], w=word, s=path[:-4])}\n" for path, word in each)


def listed(folder: Path, text: str | bytes, **settings: object) -> PictureList:
    (folder / "list.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_list(ImageFolderSettings(input=str(folder / "list.csv"), **settings))


def refusal(folder: Path, text: str, **settings: object) -> str:
    with pytest.raises(UserError) as caught:
        listed(folder, text, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("path,label", "{p},{c}"), ("path;label", "{p};{c}"), ("path\tlabel", "{p}\t{c}"), ("path|label", "{p}|{c}"),
        ("Path,Label", "{p},{c}"), ("path, label", "{p}, {c}"), ("filename,class", "{p},{c}"),
        ("image,target", "{p},{c}"),
        ("file_name;label", "{p};{c}"), ("Image Path,Category", "{p},{c}"), ("id,breed", "{s},{c}"),
        ("path,art", "{p},{c}"),
        ("label,note,path", '{c},"a,b",{p}'), ("path,label,,", "{p},{c},,"), ("path,label,note", "{p},{c}"),
        ("sep=;\npath;label", "{p};{c}"), ("\n\npath,label\n", "{p},{c}\n"), ('"path","label"', '"{p}","{c}"'),
    ],
)  # fmt: skip
def test_columns_and_separators_as_people_write_them(folder: Path, header: str, form: str) -> None:
    text = f"{header}\n{rows(form)}"
    for written in (text, text.replace("\n", "\r\n"), "\ufeff" + text, text.encode("utf-16")):
        assert [(entry.path, entry.label) for entry in listed(folder, written).entries] == [
            (path, path[:3]) for path in PATHS
        ]


def test_windows_paths_and_code_page(folder: Path) -> None:
    text = "path,label\n" + rows("{p},{c}\u00e9").replace("/", "\\")
    first = listed(folder, text.encode("cp1252")).entries[0]
    assert (first.path, first.label) == ("cat/0.png", "cat\u00e9")
    assert "encoding" not in listed(folder, text).notes


def test_letters_of_an_encoding_that_is_not_known_are_said_to_be_guessed(folder: Path) -> None:
    text = "path,label\n" + rows("{p},\u043a{c}")
    assert listed(folder, text.encode("cp1251")).notes["encoding"].startswith("not UTF-8, so read as Windows-1252")
    assert "encoding" not in listed(folder, text.encode("utf-16")).notes


def test_paths_with_letters_and_marks_apart_as_macs_write_them(folder: Path) -> None:
    for name in ("a\u0301", "\u00f6"):
        for row in range(2):
            (folder / f"{name}{row}.png").touch()
    text = "path,label\n" + "".join(f"\u00e1{row}.png,a\no\u0308{row}.png,o\n" for row in range(2))
    assert sorted(entry.path for entry in listed(folder, text).entries) == [
        "a\u03010.png", "a\u03011.png", "\u00f60.png", "\u00f61.png"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("t.xlsx", "is no CSV: save its table as one with the columns path,label"),
        ("t.jsonl", "is no CSV"),
        ("t.csv.gz", "is packed: unpack it"),
        ("t.ZIP", "is packed: unpack it"),
        ("t.jpg", "is one picture: give the folder"),
        ("t.HEIC", "is one picture"),
    ],
)
def test_what_is_no_csv_by_its_name_is_refused_with_what_to_do(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / name).write_bytes(b"PK\3\4\0\0")
    with pytest.raises(UserError, match=said):
        read_list(ImageFolderSettings(input=str(tmp_path / name)))


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("data_split", ("train", "test")), ("train_or_test", ("train", "test")), ("mode", ("training", "val")),
        ("is_test", ("0.0", "1.0")), ("is_train", ("y", "n")),
    ],
)  # fmt: skip
def test_a_column_that_divides_the_set_by_another_name_is_obeyed(
    folder: Path, column: str, words: tuple[str, ...]
) -> None:
    found = listed(folder, f"path,label,{column}\n" + rows("{p},{c},{w}", *words))
    parts = {entry.path: entry.part for entry in found.entries}
    assert [parts[path] for path in PATHS] == ["train", "test"] * 4
    assert found.notes["parts"].startswith(f"by the column {column}: ")


@pytest.mark.parametrize("words", [("train", "express"), ("train",), ("slow", "fast")])
def test_a_column_that_merely_sounds_like_a_division_is_none(folder: Path, words: tuple[str, ...]) -> None:
    found = listed(folder, "path,label,train_mode\n" + rows("{p},{c},{w}", *words))
    assert {entry.part for entry in found.entries} == {""}
    assert found.notes["columns"].endswith("not read: train_mode")


def test_columns_that_are_named_and_columns_that_are_not_read(folder: Path) -> None:
    text = "datei,klasse,zeit\n" + rows("{p},{c},1")
    found = listed(folder, text, path_column="datei", label_column="klasse")
    assert found.notes["columns"] == "datei is the path, klasse the class; not read: zeit"
    assert "no column label: line 1 must be path,label, but is 'datei,klasse,zeit'; --path-column" in refusal(
        folder, text
    )
    assert "--label-column art: " in refusal(folder, text, label_column="art")
    assert "has no such column, but datei,klasse,zeit" in refusal(folder, text, label_column="art")


@pytest.mark.parametrize(
    ("column", "words", "parts"),
    [
        ("split", ("train", "train", "train", "test"), ("train", "train", "train", "test")),
        ("Part", ("Training", "Testing"), ("train", "test")),
        ("Usage", ("Training", "Training", "PublicTest", "PrivateTest"), ("train", "train", "test", "test")),
        ("data set", ("train", "valid", "train", "test"), ("train", "train", "train", "test")),
        ("subset", ("train", "val"), ("train", "test")),
        ("is_valid", ("False", "True"), ("train", "test")),
        ("is_train", ("1", "0"), ("train", "test")),
    ],
)
def test_a_column_of_parts_is_obeyed(folder: Path, column: str, words: tuple[str], parts: tuple[str]) -> None:
    found = listed(folder, f"path,label,{column}\n" + rows("{p},{c},{w}", *words))
    by_path = sorted(found.entries, key=lambda entry: entry.path)
    assert [entry.part for entry in by_path] == list(parts) * (8 // len(parts))
    assert f"by the column {column}: " in found.notes["parts"]


def test_rows_of_validation_are_counted_and_stay_known(folder: Path) -> None:
    found = listed(folder, "path,label,split\n" + rows("{p},{c},{w}", "train", "val", "train", "test"))
    assert found.notes["parts"] == "by the column split: 4 of train, 2 of valid, 2 of test"
    by_path = sorted(found.entries, key=lambda entry: entry.path)
    assert [entry.said for entry in by_path] == ["train", "valid", "train", "test"] * 2


def test_columns_of_that_name_that_divide_nothing(folder: Path) -> None:
    found = listed(folder, "path,label,part\n" + rows("{p},{c},{w}", "head", "leg"))
    assert {entry.part for entry in found.entries} == {""}
    assert found.notes["columns"].endswith("not read: part")
    found = listed(folder, "path,label,split\n" + rows("{p},{c},train"))
    assert {entry.part for entry in found.entries} == {""}
    assert found.notes["parts"].startswith("every row is of train")
    found = listed(folder, "path,label,fold\n" + rows("{p},{c},{w}", "1", "2"))
    assert [entry.group for entry in found.entries] == ["1", "2"] * 4


def test_rows_that_are_repeated_count_once(folder: Path) -> None:
    found = listed(folder, "path,label\n" + rows("{p},{c}") + "cat/0.png,cat \n./cat/0.png,cat\u200b\n")
    assert [entry.path for entry in found.entries] == PATHS
    assert found.notes["repeated"].startswith("2 rows ")


def test_paths_without_their_suffix_are_found_where_one_file_fits(folder: Path) -> None:
    found = listed(folder, "id,label\n" + rows("{s},{c}"))
    assert [entry.path for entry in found.entries] == PATHS
    assert found.notes["suffixes"].startswith("8 paths")
    (folder / "cat" / "0.JPG").touch()
    assert "line 2: cat/0 is missing" in refusal(folder, "id,label\n" + rows("{s},{c}"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("cat/0.png,dog", "line 10: cat/0.png stands in line 2 already, with the label cat"),
        ("https://x.org/0.png,dog", "line 10: https://x.org/0.png is an address: fetch the pictures"),
        ("gs://b/0.png,dog", "is an address"),
        ("cat,dog", "line 10: cat is a folder, but a plain file is needed"),
        ("pipe.png,dog", "line 10: pipe.png is a named pipe"),
        ("loop.png,dog", "loop.png cannot be read (Too many levels of symbolic links)"),
        (f"{'x' * 5000}.png,dog", "cannot be read (File name too long)"),
        ("a.png,dog\nb.png,dog", "line 10: a.png is missing; paths start from "),
        ("a.png,dog\nb.png,dog", "(2 of 10 are not there)"),
        ('cat/9.png,"a\tb"', "cat/9.png is missing"),
        ("cat/0.png,cat,x", "line 10: 3 fields, but the header has 2"),
        ("cat/0.png,\u200b", "line 10: cat/0.png stands in line 2 already"),
    ],
)
def test_rows_that_cannot_be_prepared(folder: Path, line: str, said: str) -> None:
    os.mkfifo(folder / "pipe.png")
    (folder / "loop.png").symlink_to("loop.png")
    assert said in refusal(folder, "path,label\n" + rows("{p},{c}") + line)


@pytest.mark.parametrize(
    ("header", "form", "words", "said"),
    [
        (
            "path,label,split",
            "{p},{c},{w}",
            ("train", "test", "foo", "test"),
            "line 4: 'foo' in the column split names no",
        ),
        (
            "path,label,split",
            "{p},{c},{w}",
            ("train", "test", "", "test"),
            "line 4: '' in the column split names no part",
        ),
        ("path,label,split", "{p},{c},{w}", ("val", "test"), "has the parts valid and test, but none to train on"),
        ("path,label", "{p},{c}\u200b\t{w}x", (), "'cat\\u200b\\tx' has a control character"),
        ("path,label", "{p},\u200b", (), "a class is called '\\u200b', which nobody can see"),
        ("path,label", "{p},{c}{w}", ("x" * 5000,), "is the name of no class: it has 5,003 letters"),
        ("path,path,label", "{p},x,{c}", (), "two columns are called 'path'"),
        ("path,path", "{p},x", (), "has no column label"),
    ],
)
def test_lists_that_cannot_be_prepared(folder: Path, header: str, form: str, words: tuple[str], said: str) -> None:
    assert said in refusal(folder, f"{header}\n" + rows(form, *words))


def test_pictures_that_are_not_there_can_be_left_out(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    text = "path,label\n" + rows("{p},{c}") + "pipe.png,cat\na.png,dog\n"
    found = listed(folder, text, skip_broken=True)
    assert ([entry.path for entry in found.entries], found.unlike) == (PATHS, ["pipe.png", "a.png"])
    assert "(2 of 2 are not there)" in refusal(folder, "path,label\na.png,dog\nb.png,cat\n", skip_broken=True)


def test_parts_that_only_the_folders_name_are_told(folder: Path) -> None:
    for part in ("train", "test"):
        (folder / part).symlink_to(".")
    text = "path,label\n" + rows("{w}/{p},{c}", "train", "test")
    assert listed(folder, text).notes["parts"].startswith("pictures lie in test/, train/, but no column")
