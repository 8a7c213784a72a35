"""What trees of folders are understood as: parts, folds, classes, wrappers, links, and what is not read."""

import os
from collections import Counter
from pathlib import Path

import pytest

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures.listing import read_list
from project.work.common import UserError


def tree(root: Path, *folders: str, count: int = 2) -> Path:
    """Empty files called as pictures in each folder: to list them takes no more. 3:a/b makes three."""
    for text in folders:
        number, _, name = text.rpartition(":")
        (root / name).mkdir(parents=True, exist_ok=True)
        for row in range(int(number or count)):
            (root / name / f"{row}.png").touch()
    return root


def listed(root: Path, **settings: object) -> dict[tuple[str, ...], int]:
    """Pictures by class, part, and group or the source's own part where there are any."""
    found = read_list(ImageFolderSettings(input=str(root), **settings))
    return dict(Counter((e.label, e.part, *filter(None, (e.group,))) for e in found.entries))


def notes(root: Path, **settings: object) -> dict[str, str]:
    return read_list(ImageFolderSettings(input=str(root), **settings)).notes


def refusal(root: Path, **settings: object) -> str:
    with pytest.raises(UserError) as caught:
        read_list(ImageFolderSettings(input=str(root), **settings))
    assert "\n" not in str(caught.value)
    return str(caught.value)


TWO = {("a", "train"): 3, ("b", "train"): 3, ("a", "test"): 2, ("b", "test"): 2}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"), ("Training", "Testing"), ("Train", "Test"), ("TRAIN", "TEST"), ("train_set", "test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"), ("training_set/training_set", "test_set/test_set"),
        ("train_images", "test_images"), ("train1", "test1"), ("train", "val"), ("train", "Validation"),
        ("train", "dev"), ("train", "eval"), ("train", "hold-out"), ("dataset/train", "dataset/test"),
        ("x/y/train", "x/y/test"), ("a/train", "a/test"),
    ],
)  # fmt: skip
def test_parts_are_parts_however_they_are_spelled(tmp_path: Path, train: str, test: str) -> None:
    tree(tmp_path, f"3:{train}/a", f"3:{train}/b", f"2:{test}/a", f"2:{test}/b")
    (tmp_path / "README.md").touch()
    assert listed(tmp_path) == TWO


def test_parts_within_each_class(tmp_path: Path) -> None:
    assert listed(tree(tmp_path, "3:a/train", "2:a/test", "3:b/train", "2:b/test")) == TWO


def test_a_validation_part_is_trained_on_and_stays_known(tmp_path: Path) -> None:
    tree(tmp_path, "train/a", "train/b", "1:val/a", "1:val/b", "test/a", "test/b")
    found = read_list(ImageFolderSettings(input=str(tmp_path)))
    assert Counter((e.said, e.part) for e in found.entries) == {
        ("train", "train"): 4, ("valid", "train"): 2, ("test", "test"): 4
    }  # fmt: skip
    assert found.notes["parts"] == "train/ is train, val/ is valid, test/ is test"


def test_several_folders_of_a_part_are_groups(tmp_path: Path) -> None:
    tree(tmp_path, "train1/a", "train1/b", "1:train2/a", "1:train2/b", "1:test/a", "1:test/b")
    assert listed(tmp_path) == {
        ("a", "train", "train1"): 2, ("b", "train", "train1"): 2, ("a", "train", "train2"): 1,
        ("b", "train", "train2"): 1, ("a", "test"): 1, ("b", "test"): 1,
    }  # fmt: skip


def test_a_part_with_a_word_of_its_own_is_one_where_it_holds_the_same_classes(tmp_path: Path) -> None:
    tree(tmp_path, *(f"{part}/{name}" for part in ("Training", "PublicTest", "PrivateTest", "pred") for name in "ab"))
    assert listed(tmp_path) == {
        ("a", "train"): 2, ("b", "train"): 2, ("a", "test", "PublicTest"): 2, ("b", "test", "PublicTest"): 2,
        ("a", "test", "PrivateTest"): 2, ("b", "test", "PrivateTest"): 2,
    }  # fmt: skip
    tree(tmp_path / "x", "train/a", "train/b", "test/a", "test/b", "crash_test/a", "crash_test/c", "test_dark/a")
    assert notes(tmp_path / "x")["beside"].startswith("6 pictures ")


def test_pictures_without_folders_of_classes_are_sent_to_the_csv_beside_them(tmp_path: Path) -> None:
    (tree(tmp_path / "x", "train") / "train.csv").touch()
    (tree(tmp_path / "y", ".") / "labels.csv").touch()
    assert f"or give --input {tmp_path}/x/train.csv, if that tells their classes" in refusal(tmp_path / "x")
    assert f"or give --input {tmp_path}/y/labels.csv, if that tells their classes" in refusal(tmp_path / "y")


def test_an_empty_name_is_not_the_folder_that_one_is_in() -> None:
    with pytest.raises(UserError, match="--input is empty: give a folder"):
        read_list(ImageFolderSettings(input=""))


def test_numbered_folds_are_pooled_and_kept_as_groups(tmp_path: Path) -> None:
    tree(tmp_path, *(f"fold{number}/{name}" for number in (1, 2, 3) for name in "ab"))
    assert listed(tmp_path) == {(name, "", f"fold{number}"): 2 for number in (1, 2, 3) for name in "ab"}
    assert "fold1, fold2, fold3 are pooled" in notes(tmp_path)["groups"]


def test_a_part_alone_is_the_set_and_pictures_of_no_class_are_named(tmp_path: Path) -> None:
    assert listed(tree(tmp_path / "x", "train/a", "train/b")) == {("a", ""): 2, ("b", ""): 2}
    assert notes(tmp_path / "x")["inside"] == "the classes are the folders in train/"
    tree(tmp_path / "x", "3:test")
    assert listed(tmp_path / "x") == {("a", ""): 2, ("b", ""): 2}
    assert notes(tmp_path / "x")["beside"].startswith("3 pictures in no folder of a class are left out: test/0.png, ")
    tree(tmp_path / "y", "3:seg_train/a", "3:seg_train/b", "seg_test/a", "seg_test/b", "7:seg_pred/seg_pred")
    assert listed(tmp_path / "y") == TWO
    assert notes(tmp_path / "y")["beside"].startswith("7 pictures")


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        ("Training/a Training/b Testing/a Testing/c", "class b has no picture in Testing/ (2 classes lack some)"),
        ("Training/A Training/b Testing/a Testing/b", "class A has no picture in Testing/ (2 classes lack some) (a d"),
        ("images_background/Greek/c1 images_background/Greek/c2 images_evaluation/Oriya/c1 images_evaluation/Oriya/c2",
         "images_evaluation/ would be the 2 classes, but they hold nothing but folders (Greek, Oriya)"),
        ("Greek/c1 Greek/c2 Oriya/c1 Oriya/c2", "(c1, c2 in all of them): give --class-depth 1 if they are the"),
        ("cat/siamese cat/persian dog/pug dog/poodle", "cat/, dog/ would be the 2 classes"),
        ("fold1/train/a fold1/test/a fold2/train/a fold2/test/a", "several divisions of the same pictures"),
        ("Training Testing", "are parts of a set, but their pictures lie in no folders of classes"),
        ("train val test", "are parts of a set"),
        ("train/images test/images", "are parts of a set"),
        ("val/a val/b test/a test/b", "has the parts valid and test, but none to train on"),
        ("cat", "at least 2 classes, but there is 1 (cat)"),
        ("x/cat", "at least 2 classes, but there is 1 (cat)"),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_refused_with_what_was_understood(tmp_path: Path, folders: str, said: str) -> None:
    assert said in refusal(tree(tmp_path, *folders.split()))


def test_class_depth_says_what_cannot_be_seen(tmp_path: Path) -> None:
    tree(tmp_path / "x", "amazon/bag", "amazon/mug", "dslr/bag", "dslr/mug")
    assert listed(tmp_path / "x", class_depth=1) == {("amazon", ""): 4, ("dslr", ""): 4}
    assert listed(tmp_path / "x", class_depth=2) == {(n, "", g): 2 for n in ("bag", "mug") for g in ("amazon", "dslr")}
    tree(tmp_path / "y", "3:train/p/a", "3:train/q/b", "2:test/p/a", "2:test/q/b")
    assert "test: p/, q/ would be the 2 classes" in refusal(tmp_path / "y")
    assert listed(tmp_path / "y", class_depth=3) == {
        ("a", "train", "p"): 3, ("b", "train", "q"): 3, ("a", "test", "p"): 2, ("b", "test", "q"): 2
    }  # fmt: skip
    assert "no sub-folders 4 folders down" in refusal(tmp_path / "y", class_depth=4)


def test_folders_that_add_nothing_within_a_class(tmp_path: Path) -> None:
    assert listed(tree(tmp_path / "x", "cats/cats", "dogs/images")) == {("cats", ""): 2, ("dogs", ""): 2}
    tree(tmp_path / "y", "1:cat", "1:cat/old", "dog")
    assert listed(tmp_path / "y") == {("cat", ""): 2, ("dog", ""): 2}
    assert notes(tmp_path / "y")["nested"].endswith("such as cat/old/0.png")


def test_a_class_that_is_called_as_a_part_is_said(tmp_path: Path) -> None:
    assert notes(tree(tmp_path, "cat", "dog", "test"))["alike"].startswith("test: read as classes")


def test_names_that_look_the_same_are_one_class_and_capitals_are_told(tmp_path: Path) -> None:
    tree(tmp_path, "caf\u00e9", "cafe\u0301", "\uff43\uff41f\u00e9", "tea", "Tea", "tea\u200b")
    assert listed(tmp_path) == {("caf\u00e9", ""): 6, ("tea", ""): 4, ("Tea", ""): 2}
    assert "are one class, tea" in notes(tmp_path)["names"]
    assert "Tea and tea differ by capitals alone and are 2 classes" in notes(tmp_path)["names"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("a\tb", "control character"), ("a\nb", "control character"), ("\u200b", "which nobody can see")],
)
def test_names_of_classes_that_nothing_can_hold(tmp_path: Path, name: str, said: str) -> None:
    tree(tmp_path, "cat", name)
    assert said in refusal(tmp_path)
    assert ascii(name)[1:-1] in refusal(tmp_path)


def test_a_name_of_a_file_that_keys_cannot_hold(tmp_path: Path) -> None:
    (tree(tmp_path, "cat", "dog") / "cat" / "x\r.png").touch()
    assert "'cat/x\\r.png' has a control character: rename the file" in refusal(tmp_path)


def test_links_that_lead_back_are_visited_once(tmp_path: Path) -> None:
    tree(tmp_path / "in", "a", "b", "1:a/x")
    for name, target in (("a/all", "."), ("a/x/up", "../.."), ("b/out", "../../.."), ("a/y", "x")):
        (tmp_path / "in" / name).symlink_to(target)
    assert listed(tmp_path / "in") == {("a", ""): 3, ("b", ""): 2}
    assert notes(tmp_path / "in")["skipped"].startswith("3 hidden or of the system: a/all (a link that leads back)")


@pytest.mark.parametrize(("name", "target"), [("c", "a"), ("b/more", "../a"), ("a/more", "../b")])
def test_one_folder_in_two_classes_is_refused(tmp_path: Path, name: str, target: str) -> None:
    (tree(tmp_path, "a", "b") / name).symlink_to(target)
    assert "are one folder, so that its pictures would count twice" in refusal(tmp_path)


def test_what_is_no_plain_file_is_named_or_left_out(tmp_path: Path) -> None:
    os.mkfifo(tree(tmp_path, "a", "b") / "a" / "pipe.png")
    (tmp_path / "b" / "zero.png").symlink_to("/dev/zero")
    assert "a/pipe.png is a named pipe, but a plain file is needed" in refusal(tmp_path)
    found = read_list(ImageFolderSettings(input=str(tmp_path), skip_broken=True))
    assert (len(found.entries), found.unlike, found.others) == (4, ["a/pipe.png", "b/zero.png"], 0)


def test_what_systems_keep_for_themselves_is_passed_over(tmp_path: Path) -> None:
    hidden = ("@eaDir", ".thumbnails", "#recycle", "$RECYCLE.BIN", "__MACOSX", ".ipynb_checkpoints", "lost+found")
    tree(tmp_path, "a", "b", *(f"a/{name}/x" for name in hidden), "@eaDir/a")
    for name in ("Thumbs.db", ".DS_Store", "._0.png", "Icon\r"):
        (tmp_path / "b" / name).touch()
    found = read_list(ImageFolderSettings(input=str(tmp_path)))
    assert (len(found.entries), found.others) == (4, 0)
    assert found.notes["skipped"].startswith("12 hidden or of the system: @eaDir (2), ")


def test_forms_that_are_not_read_are_named(tmp_path: Path) -> None:
    tree(tmp_path, "a", "b")
    for name in ("a/1.heic", "a/2.HEIC", "b/3.cr2", "b/notes.txt"):
        (tmp_path / name).touch()
    said = "1 .cr2 file and 2 .heic files are not read: convert them to JPEG or PNG"
    assert notes(tmp_path)["unread"] == said
    for path in (tmp_path / "a").glob("*.png"):
        path.unlink()
    assert "a holds no picture that can be read: 2 .heic files are not read: convert them" in refusal(tmp_path)
