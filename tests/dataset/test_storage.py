"""What preparation writes is what training reads, byte for byte, and a write that fails leaves the old file."""

import gzip
import hashlib
import json
import pickle
import resource
from pathlib import Path

import numpy as np
import pandas as pd
import processes
import pytest
import small

from project.work.dataset import prepared_data, storage
from project.work.dataset.storage import Pictures, Prepared
from project.work.files import disk


def write_array(path: Path, array: np.ndarray, protocol: int = 4) -> None:
    path.write_bytes(gzip.compress(pickle.dumps(array, protocol=protocol)))


def test_what_was_written_is_read_again(prepared: Path) -> None:
    read, truth = storage.read(prepared), small.pictures(30, 1)
    assert read.names == ["bar", "beam", "block", "cross"]
    assert np.array_equal(read.train.images, truth.images)
    assert read.train.images.dtype == np.uint8
    assert np.array_equal(read.train.labels, truth.labels)
    assert read.train.labels.dtype == np.int64
    assert read.train.keys["key_id"].tolist() == truth.keys["key_id"].tolist()
    assert (len(read.train.labels), len(read.test.labels)) == (120, 40)
    assert read.provenance["source"] == "tests"


def test_the_same_data_give_the_same_bytes(prepared: Path, tmp_path: Path) -> None:
    storage.write(tmp_path, storage.read(prepared))
    files = sorted(path.name for path in prepared.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    for name in files:
        assert (tmp_path / name).read_bytes() == (prepared / name).read_bytes(), name


def test_the_files_are_the_predecessors_plain_gzipped_pickles(prepared: Path) -> None:
    with gzip.open(prepared / "train_images.pkl.gz") as file:
        data = file.read()
    assert pickle.loads(data).shape == (120, 16, 16)
    assert (prepared / "label_name.csv").read_text() == "label,name\n0,bar\n1,beam\n2,block\n3,cross\n"


def test_checksums_are_those_of_the_files(prepared: Path) -> None:
    checksums = json.loads((prepared / "provenance.json").read_text())["sha256"]
    assert len(checksums) == 6
    for name, checksum in checksums.items():
        assert checksum == hashlib.sha256((prepared / name).read_bytes()).hexdigest(), name


def test_a_data_set_is_told_from_another_of_its_name_by_its_files_alone(prepared: Path, tmp_path: Path) -> None:
    assert prepared_data.digest(tmp_path) is None
    storage.write(tmp_path, storage.read(prepared))
    assert prepared_data.digest(tmp_path) == prepared_data.digest(prepared)
    facts = json.loads((tmp_path / "provenance.json").read_text())
    storage.write(tmp_path, Prepared(small.pictures(30, 3), small.pictures(10, 2), small.NAMES, facts))
    assert prepared_data.digest(tmp_path) not in (None, prepared_data.digest(prepared))
    for text in ("{", "[]", "{}"):
        (tmp_path / "provenance.json").write_text(text)
        assert prepared_data.digest(tmp_path) is None


def test_keys_keep_their_text_and_whatever_the_source_knew(tmp_path: Path) -> None:
    keys = pd.DataFrame({"key_id": ["007", "NA", "1e5"], "countrycode": ["NA", "DE", "JP"]})
    part = Pictures(np.zeros((3, 8, 8), np.uint8), np.array([0, 1, 0]), keys)
    storage.write(tmp_path, Prepared(part, part, ["no", "null"]))
    read = storage.read(tmp_path)
    assert read.train.keys["key_id"].tolist() == ["007", "NA", "1e5"]
    assert read.train.keys["countrycode"].tolist() == ["NA", "DE", "JP"]
    assert read.names == ["no", "null"]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_set_of_the_predecessor_is_read_whatever_its_pickle_protocol(tmp_path: Path, protocol: int) -> None:
    images, labels = small.draw(5, 3)
    for part in ("train", "test"):
        write_array(tmp_path / f"{part}_images.pkl.gz", images, protocol)
        write_array(tmp_path / f"{part}_labels.pkl.gz", labels.astype(np.int32), protocol)
    (tmp_path / "label_name.csv").write_text("name,label\ncross,3\nbar,0\nblock,2\nbeam,1\n")
    read = storage.read(tmp_path)
    assert np.array_equal(read.train.images, images)
    assert read.train.labels.tolist() == labels.tolist()
    assert read.names == ["bar", "beam", "block", "cross"]
    assert read.train.keys["key_id"].tolist() == [str(row) for row in range(20)]
    assert read.provenance == {}


def test_a_pickle_made_under_numpy_1_is_read(prepared: Path, tmp_path: Path) -> None:
    storage.write(tmp_path, storage.read(prepared))
    data = pickle.dumps(small.pictures(30, 1).images, protocol=2)
    assert b"numpy._core.multiarray" in data
    old = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    (tmp_path / "train_images.pkl.gz").write_bytes(gzip.compress(old))
    assert np.array_equal(storage.read(tmp_path).train.images, small.pictures(30, 1).images)


def test_a_fingerprint_tells_pictures_labels_and_keys_apart(prepared: Path) -> None:
    train = storage.read(prepared).train
    images, labels, keys = train.images.copy(), train.labels.copy(), train.keys.copy()
    assert storage.fingerprint(Pictures(images, labels, keys)) == storage.fingerprint(train)
    images[0, 0, 0] ^= 1
    labels[0] = (labels[0] + 1) % 4
    keys.loc[0, "key_id"] = "another"
    others = [
        Pictures(images, train.labels, keys),
        Pictures(images, train.labels, train.keys),
        Pictures(train.images, labels, train.keys),
        Pictures(train.images, train.labels, keys),
        train,
    ]
    assert len({storage.fingerprint(other) for other in others}) == 5


def _replace_with_a_full_disk(path: Path, size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        disk.replace_file(path, b"n" * size)
    except OSError:
        raise SystemExit(28) from None


@pytest.mark.slow
@pytest.mark.parametrize(("size", "code", "first"), [(1000, 0, b"n"), (1001, 28, b"o")])
def test_a_write_that_does_not_fit_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, size: int, code: int, first: bytes
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    assert processes.finish(processes.fork(_replace_with_a_full_disk, path, size)) == code
    assert path.read_bytes()[:1] == first
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
