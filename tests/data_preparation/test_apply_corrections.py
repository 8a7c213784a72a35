"""A review goes back to a person's own files: a new folder or list of them, and nothing of theirs is changed."""

import csv
import hashlib
from pathlib import Path

import made_photos
import pytest

from project.data_preparation import apply_corrections
from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures.listing import read_list
from project.work.common import UserError

HEADER = "row,key_id,given_label,new_label,given_name,new_name\n"


def tree(folder: Path) -> dict[str, str]:
    """What each file below a folder holds."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two parts of two classes, in folders: train/cat/0.jpg ..."""
    for number, place in enumerate(("train/cat", "train/狗", "test/cat", "test/狗")):
        for name in range(3):
            made_photos.save(tmp_path / "photos" / place / f"{name}.jpg", made_photos.photo(10 * number + name, 32))
    return tmp_path / "photos"


def corrections(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "corrections.csv"
    path.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


USUAL = ("0,train/cat/1.jpg,0,1,cat,狗", "1,train/狗/0.jpg,1,drop,狗,", "2,test/狗/2.jpg,1,1,狗,狗")


def apply(*words: str) -> None:
    apply_corrections.main(list(words))


def test_a_folder_comes_out_with_its_parts_and_the_corrections(photos: Path, tmp_path: Path) -> None:
    before, file = tree(photos), corrections(tmp_path, *USUAL)
    apply(f"--corrections={file}", f"--to={tmp_path / 'new'}", f"--input={photos}")
    wanted = {name: digest for name, digest in before.items() if name not in ("train/cat/1.jpg", "train/狗/0.jpg")}
    wanted["train/狗/1-from-cat.jpg"] = before["train/cat/1.jpg"]  # 1.jpg was taken there
    assert tree(tmp_path / "new") == wanted
    assert tree(photos) == before
    found = read_list(ImageFolderSettings(input=str(tmp_path / "new")))
    assert {(entry.part, entry.label, entry.path) for entry in found.entries} == {
        (name.split("/")[0], name.split("/")[1], name) for name in wanted
    }


def test_links_take_no_room_and_lead_to_the_same_files(photos: Path, tmp_path: Path) -> None:
    file = corrections(tmp_path, *USUAL)
    apply(f"--corrections={file}", f"--to={tmp_path / 'new'}", f"--input={photos}", "--link")
    assert (tmp_path / "new/train/狗/1-from-cat.jpg").samefile(photos / "train/cat/1.jpg")


def test_a_list_comes_out_and_is_read_again(photos: Path, tmp_path: Path) -> None:
    file = corrections(tmp_path, *USUAL)
    apply(f"--corrections={file}", f"--to={tmp_path / 'lists/new.csv'}", f"--input={photos}")
    with open(tmp_path / "lists/new.csv", encoding="utf-8", newline="") as text:
        rows = {row["path"]: (row["label"], row["part"]) for row in csv.DictReader(text)}
    assert len(rows) == 11
    assert rows["../photos/train/cat/1.jpg"] == ("狗", "train")
    assert "../photos/train/狗/0.jpg" not in rows
    found = read_list(ImageFolderSettings(input=str(tmp_path / "lists/new.csv")))
    assert sorted((entry.label, entry.part) for entry in found.entries) == sorted(rows.values())


def test_a_list_of_own_classes_becomes_folders(photos: Path, tmp_path: Path) -> None:
    source = tmp_path / "own.csv"
    lines = [f"photos/{place}/{name}.jpg,{label}" for place, label in (("train/cat", "A"), ("train/狗", "B"))
             for name in range(3)]  # fmt: skip
    source.write_text("\n".join(["path,label", *lines]) + "\n", encoding="utf-8")
    file = corrections(tmp_path, "0,photos/train/cat/0.jpg,0,1,A,B")
    apply(f"--corrections={file}", f"--to={tmp_path / 'new'}", f"--input={source}")
    assert sorted(tree(tmp_path / "new")) == ["A/1.jpg", "A/2.jpg", "B/0-from-A.jpg", "B/0.jpg", "B/1.jpg", "B/2.jpg"]


def test_the_source_is_found_by_the_check_that_has_these_pictures(photos: Path, tmp_path: Path) -> None:
    for name, place in (("check-a", photos), ("check-b", tmp_path / "gone")):
        (tmp_path / "out" / name).mkdir(parents=True)
        apply_corrections.remember(tmp_path / "out" / name, ImageFolderSettings(input=str(place)))
    file = corrections(tmp_path, *USUAL)
    apply(f"--corrections={file}", f"--to={tmp_path / 'new'}", f"--output={tmp_path / 'out'}")
    assert len(tree(tmp_path / "new")) == 11


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("0,other/1.jpg,0,1,cat,狗", "are not among the pictures of"),
        ("0,train/cat/1.jpg,1,0,狗,cat", "the corrections are of other labels"),
        ("0,train/cat/1.jpg,0,7,cat,", "0 to 1"),
    ],
)
def test_corrections_of_other_files_are_refused(photos: Path, tmp_path: Path, line: str, why: str) -> None:
    file = corrections(tmp_path, line)
    with pytest.raises(UserError, match=why):
        apply(f"--corrections={file}", f"--to={tmp_path / 'new'}", f"--input={photos}")
    assert not (tmp_path / "new").exists()


def test_what_is_no_file_of_corrections_is_told_as_that(tmp_path: Path) -> None:
    (tmp_path / "audit.csv").write_text("row,key_id,given_label\n0,a,1\n")
    with pytest.raises(UserError, match=r"^\S*audit.csv: not a file of corrections") as refused:
        apply(f"--corrections={tmp_path / 'audit.csv'}", f"--to={tmp_path / 'new'}", f"--output={tmp_path}")
    assert "no known source" not in str(refused.value)


def test_targets_that_are_there_or_lie_in_the_source_are_refused(photos: Path, tmp_path: Path) -> None:
    file, before = corrections(tmp_path, *USUAL), tree(photos)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for place, why in (
        (tmp_path / "full", "already"),
        (file, "already"),
        (photos, "already"),
        (photos / "train/cat/new", "among the pictures"),
    ):
        with pytest.raises(UserError, match=why):
            apply(f"--corrections={file}", f"--to={place}", f"--input={photos}")
    assert tree(photos) == before
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def test_a_class_that_no_folder_can_be_called_needs_a_list(photos: Path, tmp_path: Path) -> None:
    source, name = tmp_path / "own.csv", "a/b"
    rows = [f"photos/train/cat/{number}.jpg,{name}" for number in range(3)]
    rows += [f"photos/train/狗/{number}.jpg,B" for number in range(3)]
    source.write_text("\n".join(["path,label", *rows]) + "\n", encoding="utf-8")
    number = sorted([name, "B"]).index("B")
    file = corrections(tmp_path, f"0,photos/train/狗/0.jpg,{number},{number},,")
    with pytest.raises(UserError, match="no folder can be called"):
        apply(f"--corrections={file}", f"--to={tmp_path / 'new'}", f"--input={source}")
    apply(f"--corrections={file}", f"--to={tmp_path / 'new.csv'}", f"--input={source}")
    assert name in (tmp_path / "new.csv").read_text(encoding="utf-8")


def test_a_failure_leaves_nothing(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = corrections(tmp_path, *USUAL)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(apply_corrections.shutil, "copy2", full)
    with pytest.raises(OSError, match="No space"):
        apply(f"--corrections={file}", f"--to={tmp_path / 'new'}", f"--input={photos}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corrections.csv", "photos"]
