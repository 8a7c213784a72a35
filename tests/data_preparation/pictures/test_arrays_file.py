"""Pictures in an .npz: which arrays are what, parts, label sets, and files that claim or hold what they must not."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures.listing import read_list
from project.work.common import UserError

IMAGES = np.arange(8 * 4 * 4 * 3, dtype=np.uint8).reshape(8, 4, 4, 3)
LABELS = np.array([0, 1] * 4)


def read(folder: Path, settings: dict | None = None, **arrays: np.ndarray):
    np.savez(folder / "set.npz", **arrays)
    return read_list(ImageFolderSettings(input=str(folder / "set.npz"), **(settings or {})))


def refusal(folder: Path, settings: dict | None = None, **arrays: np.ndarray) -> str:
    with pytest.raises(UserError) as caught:
        read(folder, settings, **arrays)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_parts_names_index_groups_and_label_sets(tmp_path: Path) -> None:
    found = read(
        tmp_path, images=IMAGES, labels=LABELS, test_images=IMAGES[:4], test_labels=LABELS[:4, None], index=LABELS
        + 10 * np.arange(8), person=np.arange(8) // 2, true_labels=1 - LABELS, first=1 - LABELS, second=LABELS,
        counts=np.full(8, 7), class_names=np.array(["cat", "\u72ac"]), weights=np.ones(8),
    )  # fmt: skip
    train = [entry for entry in found.entries if entry.part == "train"]
    assert [entry.path[-2:] for entry in train] == ["00", "20", "40", "60", "11", "31", "51", "71"]
    assert {entry.label for entry in train} == {"cat", "\u72ac"}
    assert sorted(entry.group for entry in train) == [*"00112233"]
    assert found.label_sets == ["true_labels", "first", "second"]
    assert [entry.labels for entry in train[:4]] == [("\u72ac", "\u72ac", "cat")] * 4
    assert {entry.true_label for entry in train[:4]} == {"\u72ac"}
    np.testing.assert_array_equal(found.content(train[4]), IMAGES[1])
    assert len(found.entries) == 12


def test_names_that_other_libraries_use(tmp_path: Path) -> None:
    found = read(tmp_path, x_train=IMAGES[..., 0], y_train=LABELS, x_test=IMAGES[..., :1], y_test=LABELS)
    assert [entry.part for entry in found.entries] == ["test"] * 4 + ["train"] * 4 + ["test"] * 4 + ["train"] * 4
    assert found.content(found.entries[0]).shape == (4, 4)
    found = read(tmp_path, train_images=IMAGES, train_labels=LABELS, val_images=IMAGES, val_labels=LABELS,
                 test_images=IMAGES, test_labels=LABELS)  # fmt: skip
    assert {(entry.part, entry.said) for entry in found.entries} == {
        ("train", "train"), ("train", "valid"), ("test", "test")
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"pixels": IMAGES}, "has no array images, but pixels"),
        ({"images": IMAGES}, "has no array labels, but images"),
        ({"images": IMAGES, "labels": LABELS[:5]}, "one for each of the 8 pictures"),
        ({"images": IMAGES / 255, "labels": LABELS}, "images are float64 (8, 4, 4, 3), but uint8"),
        ({"images": IMAGES, "labels": LABELS - 1}, "whole numbers from 0 on"),
        ({"images": IMAGES, "labels": LABELS, "class_names": np.array(["a"])}, "class_names has 1 names"),
        ({"images": IMAGES, "labels": np.array([{}] * 8)}, "not an .npz of numbers and text"),
        ({"images": IMAGES, "labels": LABELS, "test_images": IMAGES, "test_labels": LABELS * 5}, "but 0 to 1"),
    ],
)
def test_arrays_that_say_too_little(tmp_path: Path, arrays: dict[str, np.ndarray], said: str) -> None:
    assert said in refusal(tmp_path, **arrays)


def test_files_that_claim_what_they_do_not_hold(tmp_path: Path) -> None:
    (tmp_path / "set.npz").write_bytes(b"PK\3\4 no archive")
    with pytest.raises(UserError, match=r"not an \.npz"):
        read_list(ImageFolderSettings(input=str(tmp_path / "set.npz")))
    read(tmp_path, images=IMAGES, labels=LABELS)
    whole = (tmp_path / "set.npz").read_bytes()
    (tmp_path / "set.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"not an \.npz"):
        read_list(ImageFolderSettings(input=str(tmp_path / "set.npz")))
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (9000000, 9000, 9000, 3), }"
    text = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n"
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
        archive.writestr("images.npy", text)
        archive.writestr("labels.npy", text)
    with pytest.raises(UserError, match=r"take 2,187,000,000,000,0\d\d bytes, but it has"):
        read_list(ImageFolderSettings(input=str(tmp_path / "set.npz")))


def test_labels_of_classes_that_no_picture_has_are_no_label_set(tmp_path: Path) -> None:
    names = np.array(["cat", "dog", "ship"])
    texts = LABELS.astype(str)
    found = read(tmp_path, images=IMAGES, labels=LABELS, crowd=LABELS + 1, names=texts, class_names=names)
    assert found.label_sets == []
    assert found.notes["unread"].startswith("crowd, names: ")
