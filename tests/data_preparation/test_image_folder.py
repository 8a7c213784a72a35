"""The command line end to end: a folder, two parts or a CSV become one set, alike each time; what it refuses."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from project.data_preparation import sample_sheet
from project.data_preparation.image_folder import main
from project.work.common import UserError
from project.work.dataset import storage

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def draw(path, level, colour=False):
    """A picture 8 x 8 of one level with a black corner; red where it has a colour."""
    picture = np.full((8, 8, 3), (0, 0, level) if colour else level, np.uint8)
    picture[0, 0] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def folder(place, classes=("dog", "cat"), count=10, colour=False):
    """Pictures of a level of their own, from 10 on."""
    for number, name in enumerate(classes):
        for row in range(count):
            draw(place / name / f"{row:02d}.png", 10 + 20 * number + row, colour)
    return place


def prepare(source, output, *flags):
    main([str(word) for word in ("--input", source, "--output", output, "--dataset", "own", "--size", 8, *flags)])
    return storage.read(output / "own")


def contents(place):
    return {path.name: path.read_bytes() for path in place.iterdir()}


def refuses(match, source, output, *flags):
    before = contents(output / "own") if (output / "own").exists() else None
    with pytest.raises(UserError, match=match) as caught:
        prepare(source, output, *flags)
    assert "\n" not in str(caught.value)
    assert (contents(output / "own") if (output / "own").exists() else None) == before


def test_the_pictures_are_those_of_the_files_and_the_labels_sorted_by_name(tmp_path):
    prepared = prepare(folder(tmp_path / "in"), tmp_path / "out")
    assert prepared.names == ["cat", "dog"]
    for part, rows in ((prepared.train, 8), (prepared.test, 2)):
        assert part.labels.tolist() == [0] * rows + [1] * rows
        assert part.images.shape == (2 * rows, 8, 8)
        for image, label, key in zip(part.images, part.labels, part.keys["key_id"], strict=True):
            assert key.split("/")[0] == prepared.names[label]
            np.testing.assert_array_equal(image, cv2.imread(str(tmp_path / "in" / key))[..., 0])
    assert prepared.train.keys["path"].tolist() == prepared.train.keys["key_id"].tolist()
    assert len({*prepared.train.keys["key_id"], *prepared.test.keys["key_id"]}) == 20


def test_colour_inversion_and_channels(tmp_path):
    source = folder(tmp_path / "in", colour=True)
    colour, inverted, grey = (
        prepare(source, tmp_path / name, *flags).train.images
        for name, flags in (("a", []), ("b", ["--invert"]), ("c", ["--channels", 1]))
    )
    assert colour.shape == inverted.shape == (16, 8, 8, 3)
    assert colour[0, 5, 5, 0] >= 30  # red first
    assert not colour[..., 1:].any()
    np.testing.assert_array_equal(inverted, 255 - colour)
    np.testing.assert_array_equal(grey, np.round(0.299 * colour[..., 0]))


def test_a_csv_gives_the_same_set_as_the_folder_whatever_the_order_of_its_lines(tmp_path):
    source = folder(tmp_path / "in")
    paths = sorted(source.rglob("*.png"), key=lambda path: path.name)
    lines = [f"{path if row % 2 else path.relative_to(source)},{path.parent.name},x" for row, path in enumerate(paths)]
    (source / "list.csv").write_text("\ufeffpath,label,note\n" + "\n".join(lines))  # as Excel writes it
    a, b = prepare(source, tmp_path / "a"), prepare(source / "list.csv", tmp_path / "b")
    assert (a.provenance["source"], b.provenance["source"]) == ("folder", "csv")
    assert a.provenance["sha256"] == b.provenance["sha256"]


def test_two_parts_stay_as_they_are(tmp_path):
    folder(tmp_path / "in" / "train", count=5)
    folder(tmp_path / "in" / "test", count=1)
    prepared = prepare(tmp_path / "in", tmp_path / "out")
    assert prepared.test.keys["key_id"].tolist() == ["test/cat/00.png", "test/dog/00.png"]
    assert prepared.train.labels.tolist() == [0] * 5 + [1] * 5
    assert all(key.startswith("train/") for key in prepared.train.keys["key_id"])
    (tmp_path / "in" / "test" / "cat" / "00.png").unlink()
    refuses("in/test/cat holds no picture", tmp_path / "in", tmp_path / "out")
    (tmp_path / "in" / "test" / "cat").rmdir()
    refuses("class cat has no picture in test/", tmp_path / "in", tmp_path / "out")


def test_folders_called_train_and_test_that_hold_pictures_are_classes(tmp_path):
    assert prepare(folder(tmp_path / "in", ("train", "test")), tmp_path / "out").names == ["test", "train"]


def test_the_same_seed_gives_the_same_bytes_wherever_the_folder_lies(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        prepare(folder(tmp_path / name / "in", count=30), tmp_path / name, "--seed", seed, "--per-class", 20)
    a, b, c = (contents(tmp_path / name / "own") for name in "abc")
    assert a == b
    assert a["train_keys.csv.gz"] != c["train_keys.csv.gz"]
    assert "image_sample.png" in a
    assert str(tmp_path) not in a["provenance.json"].decode()


def test_at_most_so_many_pictures_a_class(tmp_path):
    draw(tmp_path / "in" / "ant" / "a.png", 1)
    draw(tmp_path / "in" / "ant" / "b.png", 2)
    prepared = prepare(folder(tmp_path / "in"), tmp_path / "out", "--per-class", 4, "--train-ratio", 0.5)
    assert prepared.provenance["counts"] == {
        "ant": {"train": 1, "test": 1},
        "cat": {"train": 2, "test": 2},
        "dog": {"train": 2, "test": 2},
    }


def test_broken_pictures_are_named_or_left_out(tmp_path, capfd):
    source, out = folder(tmp_path / "in"), tmp_path / "out"
    prepare(source, out)
    (source / "cat" / "03.png").write_bytes(b"")
    (source / "dog" / "04.jpg").symlink_to("nowhere")
    (source / "dog" / "05.png").write_bytes(cv2.imencode(".tif", np.zeros((9, 9)))[1].tobytes()[:-20])
    capfd.readouterr()
    refuses(r"cat/03.png cannot be read: the file is empty \(3 of 21 .*--skip-broken", source, out)
    prepared = prepare(source, out, "--skip-broken")
    assert len(prepared.train.labels) + len(prepared.test.labels) == 18
    printed = capfd.readouterr()
    assert "left out  broken pictures: 3\n" in printed.out
    assert "TIFF" not in printed.err  # OpenCV would report each
    for path in (source / "cat").iterdir():
        path.write_bytes(b"")
    refuses("at least 2 classes, but there is 1", source, out, "--skip-broken")
    for path in (source / "dog").iterdir():
        path.unlink()
        path.write_bytes(b"")
    refuses("none of 21 pictures can be read; cat/00.png: the file is empty", source, out, "--skip-broken")


def test_the_summary_says_what_was_left_out_what_contradicts_and_what_to_type(tmp_path, capsys):
    source = folder(tmp_path / "my pictures")
    draw(source / "cat" / "same.png", 10)  # as dog/00.png
    for name in ("notes.txt", "cat/phone.HEIC", ".DS_Store", "cat/._00.png", ".cache/a.png"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text("no picture")
    main(["--input", str(source), "--output", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert "classes   2: cat 11, dog 10\n" in printed
    assert "left out  other files: 2\n" in printed
    assert "unread    1 .heic file is not read: convert it to JPEG or PNG\n" in printed
    assert "skipped   3 hidden or of the system: " in printed
    assert "noise     2 pictures equal one with another label" in printed
    assert f"./inv train --dataset '{tmp_path}/out/my pictures'" in printed
    assert storage.read(tmp_path / "out" / "my pictures").train.images.shape == (17, 32, 32)


def test_copies_and_classes_of_few_pictures_are_told(tmp_path, capsys):
    source = folder(tmp_path / "in", count=4)
    draw(source / "cat" / "copy.png", 33)  # as 03.png of this class: cat has five, of 30 to 33
    draw(source / "dog" / "copy.png", 30)
    prepare(source, tmp_path / "out", "--train-ratio", 0.5)
    printed = capsys.readouterr().out
    assert "1 picture equals an earlier one of the same class, such as cat/" in printed
    assert "noise     2 pictures equal one with another label" in printed
    assert "few       validation needs one picture of each class: train with --valid-rate 0.50 or more; " in printed
    assert "an audit needs 5 of each class there, or fewer --folds; there are cat 2, dog 2\n" in printed


def test_what_the_source_says_of_parts_and_folds_stays_in_the_keys(tmp_path):
    for part, count in (("train", 3), ("val", 2), ("test", 1)):
        folder(tmp_path / "in" / part, count=count)
    prepared = prepare(tmp_path / "in", tmp_path / "out")
    assert prepared.train.keys["part"].tolist() == ["train", "train", "train", "valid", "valid"] * 2
    assert prepared.test.keys["part"].tolist() == ["test"] * 2
    for fold in ("fold1", "fold2"):
        folder(tmp_path / "folds" / fold, count=2)
    keys = prepare(tmp_path / "folds", tmp_path / "out").train.keys
    assert keys.columns.tolist() == ["key_id", "path", "group"]
    assert all(path.startswith(group) for path, group in zip(keys["path"], keys["group"], strict=True))


def run(source, output, *flags):
    main([str(word) for word in ("--input", source, "--output", output, "--size", 8, *flags)])


def test_a_csv_is_called_by_its_name_unless_that_says_nothing(tmp_path):
    source = folder(tmp_path / "birds")
    lines = "".join(f"{path.relative_to(source)},{path.parent.name}\n" for path in sorted(source.rglob("*.png")))
    for name in ("labels", "train_labels", "garden", "wood"):
        (source / f"{name}.csv").write_text(f"path,label\n{lines}")
    for name in ("labels", "garden", "wood"):
        run(source / f"{name}.csv", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["birds", "garden", "wood"]
    with pytest.raises(UserError, match=r"out/birds is another set, 20 pictures of 2 classes from csv labels.csv: "):
        run(source / "train_labels.csv", tmp_path / "out")
    with pytest.raises(UserError, match="out/birds is another set"):
        run(source, tmp_path / "out")


def test_a_set_of_another_source_is_replaced_only_where_a_person_names_it(tmp_path, capsys):
    out = tmp_path / "out"
    run(folder(tmp_path / "a" / "in"), out)
    before = contents(out / "in")
    other = folder(tmp_path / "b" / "in", classes=("cat", "cow", "dog"))  # the names of the files are the same
    with pytest.raises(UserError, match=r"out/in is another set, 20 pictures .*: give this one a name with --data"):
        run(other, out)
    assert contents(out / "in") == before
    assert [path.name for path in out.iterdir()] == ["in"]
    capsys.readouterr()
    draw(tmp_path / "a" / "in" / "cat" / "new.png", 99)
    (tmp_path / "a").rename(tmp_path / "moved")
    run(tmp_path / "moved" / "in", out, "--size", 16, "--invert")  # the same pictures, one more of them
    printed = capsys.readouterr().out
    assert "replaced  the set of that name, 20 pictures of 2 classes from folder in\n" in printed
    run(tmp_path / "moved" / "in", out, "--size", 8)
    run(other, out, "--dataset", "in")
    assert "replaced  the set of that name, 21 pictures of 2 classes from folder in\n" in capsys.readouterr().out
    assert storage.read(out / "in").names == ["cat", "cow", "dog"]


def test_what_is_no_prepared_set_is_never_written_into(tmp_path):
    source = folder(tmp_path / "in")
    (tmp_path / "out" / "in").mkdir(parents=True)
    run(source, tmp_path / "out")  # an empty folder is nobody's
    (tmp_path / "out" / "notes").mkdir()
    (tmp_path / "out" / "notes" / "diary.txt").write_text("mine")
    (tmp_path / "out" / "file").write_text("mine")
    for name, said in (("notes", "is there and no prepared set"), ("file", "is there and no folder")):
        with pytest.raises(UserError, match=said):
            run(source, tmp_path / "out", "--dataset", name)
    with pytest.raises(UserError, match="in holds the pictures themselves"):
        run(source, tmp_path)
    assert not list(source.glob("*.*"))
    assert contents(tmp_path / "out" / "notes") == {"diary.txt": b"mine"}


@pytest.mark.parametrize("flags", [[], ["--invert"]])
def test_the_sheet_shows_grey_pictures_as_they_were(tmp_path, flags):
    for name in ("a", "b"):
        draw(tmp_path / "in" / name / "1.png", 100)
        draw(tmp_path / "in" / name / "2.png", 100)
    prepared = prepare(tmp_path / "in", tmp_path / "out", *flags)
    assert prepared.train.images[0, 5, 5] == (155 if flags else 100)
    pixels, _ = sample_sheet.sheet(prepared, [0], per_class=1)
    assert pixels[40, 40].tolist() == [100] * 3


def test_without_input_it_says_the_forms(tmp_path):
    with pytest.raises(UserError, match="say with --input where they are") as refused:
        main(["--output", str(tmp_path)])
    lines = "\n".join(refused.value.lines)
    assert re.search(r"(?s)--input FOLDER .*train/cat/1.jpg.*--input FILE.csv .*path,label", lines)


def test_folders_that_cannot_be_prepared(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    refuses("in is missing", source, out)
    source.mkdir()
    refuses("in is empty", source, out)
    draw(source / "loose.png", 1)
    refuses("in has no sub-folders: put the pictures of each class in one", source, out)
    folder(source, ["cat"])
    refuses("at least 2 classes, but there is 1 .cat.", source, out)
    (source / "dog").mkdir()
    refuses("in/dog holds no picture", source, out)
    draw(source / "dog" / "1.png", 1)
    refuses("class dog has 1 picture, and one to train and one to test are needed: add some", source, out)
    folder(source / "train")
    folder(source / "val")
    refuses("has train/ with folders in it, but not both train/ and test/", source, out)
    assert not out.exists()
    for flags in (("--channels", 2), ("--fit", "squeeze"), ("--size", 7), ("--per-class", 1), ("--train-ratio", 1)):
        refuses(flags[0], folder(tmp_path / "fine"), out, *flags)
    for name in ("a/b", "..", ""):
        refuses("give a plain name", tmp_path / "fine", out, "--dataset", name)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no column label: line 1 must be path,label, but is 'empty'"),
        ("where;what\na.png;cat\n", "no column label: .* but is 'where,what'"),
        ("path,label\n", "lists no pictures"),
        ("path,label\na.png,cat\nc.png,dog\n", "list.csv line 3: c.png is missing"),
        ("path,label\na.png,cat\nb.png\n", "line 3: no label"),
        ("path,label\na.png,cat\n\nb.png, \n", "line 4: no label"),
        ("path,label\na.png,cat\n./a.png,dog\n", "line 3: a.png stands in line 2 already"),
        ("path,label\na.png,cat\nb.png,cat\n", "at least 2 classes"),
        ("path,label\na.png,cat\nb.png,dog\n", "class cat has 1 picture.* .2 classes lack some.: add some"),
        (b"path,label\n\xff.png,cat\n", "line 2: \u00ff.png is missing"),
    ],
)
def test_lists_that_cannot_be_prepared(tmp_path, text, fault):
    draw(tmp_path / "a.png", 1)
    draw(tmp_path / "b.png", 2)
    (tmp_path / "list.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    refuses(fault, tmp_path / "list.csv", tmp_path / "out")


@pytest.mark.skipif(not (SHARED / "trashnet").exists(), reason="needs ../shared/data/trashnet")
def test_real_photos_include_pictures_with_two_labels(tmp_path):
    # The files themselves are equal: glass176 and plastic152, glass389 and plastic332; metal is not taken here.
    for name in ("glass", "plastic"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).symlink_to(SHARED / "trashnet" / name)
    prepared = prepare(tmp_path / "in", tmp_path / "out", "--size", 32)
    assert prepared.train.images.shape == (401 + 386, 32, 32, 3)
    assert json.loads((tmp_path / "out" / "own" / "provenance.json").read_text())["contradictions"] == 4


@pytest.mark.skipif(not (SHARED / "omniglot").exists(), reason="needs ../shared/data/omniglot")
def test_real_characters_are_white_on_black_once_inverted(tmp_path):
    for place in sorted((SHARED / "omniglot").glob("Greek*"))[:3]:
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / place.name).symlink_to(place)
    prepared = prepare(tmp_path / "in", tmp_path / "out", "--size", 32, "--invert")
    assert prepared.train.images.shape == (48, 32, 32)
    assert 0.01 < prepared.train.images.mean() / 255 < 0.15
    assert prepared.train.images.reshape(48, -1).max(axis=1).min() > 100
