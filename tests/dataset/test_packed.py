"""A set of encoded pictures: the same whatever the threads, at any side, and one clear line where it is damaged."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from project.work.common import UserError
from project.work.dataset import base_dataset, packed, pictures, storage, transforms
from project.work.dataset.packed import PackedPictures
from project.work.dataset.pictures import Encoded, Resident, hold
from project.work.picture_files import reader
from project.work.picture_files.view import View

CPU = torch.device("cpu")
SIDE = 72


def files(count: int) -> list[bytes]:
    """JPEGs and PNGs of half of the sides, each of its own."""
    random, made = np.random.default_rng(0), []
    for row in range(count):
        coarse = random.integers(0, 256, (4, 5, 3)).astype(np.uint8)
        picture = cv2.resize(coarse, (200, 150 + row), interpolation=cv2.INTER_CUBIC)
        made.append(cv2.imencode(".png" if row % 7 == 0 else ".jpg", picture)[1].tobytes())
    return made


def pack(folder: Path, data: list[bytes], name: str, **view: object) -> PackedPictures:
    """These files end to end, as preparation leaves them."""
    path = folder / f"{name}.bin"
    path.write_bytes(b"".join(data))
    lengths = np.array([len(some) for some in data])
    thumbnails = np.stack([reader.thumbnail(reader.decode_upright(some)) for some in data])
    marks = np.arange(16 * len(data), dtype=np.uint8).reshape(-1, 16)
    starts = np.cumsum(lengths) - lengths
    return PackedPictures(path, starts, lengths, thumbnails, marks, View(**({"side": SIDE} | view)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A prepared set of 2 classes: 40 pictures to train on, 8 to test."""
    keys = pd.DataFrame({"key_id": [f"猫/{row}.jpg" for row in range(40)]})
    train = storage.Pictures(pack(tmp_path, files(40), "train"), np.arange(40) % 2, keys)
    test = storage.Pictures(pack(tmp_path, files(8), "test"), np.arange(8) % 2, keys[:8])
    storage.write(tmp_path / "set", storage.Prepared(train, test, ["a", "b"], {"source": "tests"}))
    return tmp_path / "set"


def images(folder: Path) -> PackedPictures:
    found = storage.read(folder).train.images
    assert isinstance(found, PackedPictures)
    return found


def test_what_was_written_is_read_again_and_written_alike(folder: Path, tmp_path: Path) -> None:
    found = images(folder)
    assert [found.encoded(row) for row in range(40)] == files(40)
    assert found.view == View(side=SIDE)
    assert np.array_equal(found.thumbnails, pack(tmp_path, files(40), "again").thumbnails)
    storage.write(tmp_path / "copy", storage.read(folder))
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "copy" / path.name).read_bytes(), path.name


def test_it_is_indexed_as_an_array_is(folder: Path) -> None:
    found = images(folder)
    whole = found[:]
    assert whole.shape == found.shape == (40, SIDE, SIDE, 3)
    assert (found.dtype, found.ndim, found.size, len(found)) == (whole.dtype, whole.ndim, whole.size, 40)
    assert np.array_equal(found[7], whole[7])
    assert np.array_equal(found[np.array([9, 2])], whole[[9, 2]])
    assert np.array_equal(found.take(np.array([9, 2]))[:], whole[[9, 2]])
    assert np.array_equal(np.stack(list(found)), whole)
    assert found.at(20)[3].shape == (20, 20, 3)


@pytest.mark.parametrize("side", [None, 40, 300])
def test_streamed_and_resident_pictures_are_the_same_whatever_the_threads(
    folder: Path, monkeypatch: pytest.MonkeyPatch, side: int | None
) -> None:
    held, places = hold(images(folder), side, CPU), list(torch.randperm(40).split(16))
    assert isinstance(held, Resident)
    expected = list(held.stream(places))
    monkeypatch.setattr(pictures, "free_memory", lambda: 1000)
    for threads in (1, 5):
        monkeypatch.setattr(pictures, "cores", lambda threads=threads: threads)
        streamed = hold(images(folder), side, CPU)
        assert isinstance(streamed, Encoded)
        assert streamed.shape == held.shape == (3, side or SIDE, side or SIDE)
        for one, other in zip(streamed.stream(places), expected, strict=True):
            assert torch.equal(one, other)
    rows = torch.arange(0, 40, 3)
    assert transforms.measured(streamed, rows) == transforms.measured(held, rows)


def test_the_reader_makes_what_a_decode_at_full_size_makes_nearly() -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (512, 384), interpolation=cv2.INTER_CUBIC)
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    whole = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    for side in (32, 64, 128, 224, 500):
        seen = reader.decode(data, View(side, "stretch")).astype(int)
        direct = cv2.resize(whole, (side, side), interpolation=cv2.INTER_AREA)
        assert np.abs(seen - direct).mean() < 1.5, side
        assert reader.decode(data, View(side, "pad", 1)).shape == (side, side)
    assert np.array_equal(reader.decode(data, View(96, invert=True)), 255 - reader.decode(data, View(96)))
    assert reader.decode_upright(data, 100).shape == (75, 100, 3)
    assert np.array_equal(reader.decode_upright(data), whole)


def test_thumbnails_of_any_set(folder: Path) -> None:
    found = images(folder)
    assert np.array_equal(packed.thumbnails(found), found.thumbnails)
    made = packed.thumbnails(found[:])
    assert made.shape == (40, 32, 32)
    assert np.array_equal(packed.thumbnails(np.repeat(made[..., None], 3, axis=3)), made)
    assert np.array_equal(packed.thumbnails(made), made)


def header(path: Path, **facts: object) -> None:
    """Write other facts into a file's header, of the same length."""
    data = path.read_bytes()
    start, length = len(packed.MAGIC) + 8, int.from_bytes(data[len(packed.MAGIC) :][:8], "little")
    said = json.dumps(json.loads(data[start : start + length]) | facts).encode()
    assert len(said) <= length
    path.write_bytes(data[:start] + said.ljust(length) + data[start + length :])


def holes(path: Path, count: int) -> None:
    """Claim so many pictures, of which there is nothing but a size."""
    text = json.dumps({"count": count, "side": 72, "fit": "pad", "channels": 3, "invert": False, "bits": 16}).encode()
    path.write_bytes(packed.MAGIC + len(text).to_bytes(8, "little") + text)
    os.truncate(path, 2000 * count)


def offset(path: Path, row: int, value: int) -> None:
    data = bytearray(path.read_bytes())
    place = len(packed.MAGIC) + 8 + int.from_bytes(data[len(packed.MAGIC) :][:8], "little") + 8 * row
    data[place : place + 8] = value.to_bytes(8, "little", signed=True)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: os.truncate(path, 0), "it does not begin as one"),
        (lambda path: os.truncate(path, 30), "its header is none"),
        (lambda path: os.truncate(path, 300), "40 pictures take more than the 300 bytes that it has"),
        (lambda path: os.truncate(path, path.stat().st_size - 1), "its pictures end at byte"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "its pictures end at byte"),
        (lambda path: path.write_bytes(b"x" + path.read_bytes()[1:]), "it does not begin as one"),
        (lambda path: header(path, count=-1), "its header holds values that cannot be"),
        (lambda path: header(path, side=0), "its header holds values that cannot be"),
        (lambda path: header(path, side=True), "its header holds values that cannot be"),
        (lambda path: header(path, fit="pax"), "its header holds values that cannot be"),
        (lambda path: header(path, count=41), "its offsets are none"),
        (lambda path: holes(path, 10_000_000), "10,000,000 pictures take more than it has on the disk"),
        (lambda path: offset(path, 0, 0), "its offsets are none"),
        (lambda path: offset(path, 3, 2**62), "its offsets are none"),
        (lambda path: offset(path, 3, -5), "its offsets are none"),
    ],
)
def test_a_damaged_file_is_refused_by_name(folder: Path, damage: Callable[[Path], object], reason: str) -> None:
    path = folder / "train_images.packed"
    damage(path)
    with pytest.raises(UserError) as error:
        storage.read(folder)
    message = str(error.value)
    assert message.startswith(f"{path}: not a whole file of packed pictures (")
    assert reason in message
    assert message.endswith("prepare the data again")
    assert "\n" not in message


def test_a_picture_that_is_none_is_named_when_it_is_met(folder: Path) -> None:
    path = folder / "train_images.packed"
    data = path.read_bytes()
    path.write_bytes(data.replace(files(40)[5], b"x" * len(files(40)[5])))
    with pytest.raises(UserError, match=r"train_images.packed: the picture in bytes .* cannot be decoded .*again"):
        hold(images(folder), None, CPU)


def test_a_stored_picture_that_claims_many_pixels_is_not_decoded(folder: Path, tmp_path: Path) -> None:
    large = cv2.imencode(".png", np.zeros((2000, 2000), np.uint8))[1].tobytes()
    with pytest.raises(UserError, match="2,000 x 2,000 pixels"):
        pack(tmp_path, [large], "large")[0]


def test_two_files_of_pictures_are_one_too_many(folder: Path) -> None:
    (folder / "train_images.npy").write_bytes(b"")
    with pytest.raises(UserError, match="one of both is of another set"):
        storage.read(folder)


def test_a_fingerprint_tells_pictures_and_not_sides_apart(folder: Path, tmp_path: Path) -> None:
    train = storage.read(folder).train
    other = storage.Pictures(pack(tmp_path, files(40)[::-1], "back"), train.labels, train.keys)
    larger = storage.Pictures(train.images.at(300), train.labels, train.keys)
    assert storage.fingerprint(train) == storage.fingerprint(larger) != storage.fingerprint(other)


def test_a_run_sees_the_asked_side(folder: Path, settings: Callable) -> None:
    wanted = {"dataset": str(folder), "valid_rate": 0.2}
    usual = base_dataset.load(settings(**wanted), CPU)
    larger = base_dataset.load(settings(**wanted, image_size=96), CPU)
    assert (usual.train.shape, larger.train.shape) == ((3, SIDE, SIDE), (3, 96, 96))
    assert usual.fingerprint == larger.fingerprint
    (batch,) = larger.test.batches(8)
    assert batch.images.shape == (8, 3, 96, 96)
    pixels = (batch.images - larger.test.normalise.on(CPU).offset) / larger.test.normalise.on(CPU).scale
    direct = torch.from_numpy(storage.read(folder).test.images.at(96)[:]).permute(0, 3, 1, 2)
    assert torch.equal(pixels.round().to(torch.uint8), direct)
