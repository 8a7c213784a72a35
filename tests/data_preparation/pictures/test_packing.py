"""Photos above 64 px are kept as the bytes of their files: what comes out, what is listed, and what survives a kill."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import photos
import pytest
from picture_files import png
from PIL import Image

from project.data_preparation import image_folder
from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import looking, packing
from project.data_preparation.pictures.entries import Box
from project.data_preparation.pictures.reading import read_pictures
from project.work.common import UserError
from project.work.dataset import packed, storage
from project.work.dataset.packed import PackedPictures
from project.work.picture_files import reader


def prepare(source: Path, output: Path, *flags: object) -> storage.Prepared:
    words = ("--input", source, "--output", output, "--dataset", "own", "--size", 96, *flags)
    image_folder.main([str(word) for word in words])
    return storage.read(output / "own")


def listed(output: Path) -> pd.DataFrame:
    return pd.read_csv(output / "own" / "left_out.csv", dtype=str, keep_default_na=False).set_index("path")


def contents(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir()}


def by_path(part: storage.Pictures) -> dict[str, int]:
    return {path: row for row, path in enumerate(part.keys["path"])}


def test_jpegs_are_kept_byte_for_byte_and_come_out_as_their_own_decode_does(tmp_path: Path) -> None:
    source = photos.folder(tmp_path / "in", height=300, width=400)
    prepared = prepare(source, tmp_path / "out")
    assert prepared.names == ["cat", "犬"]
    assert prepared.train.images.shape == (16, 96, 96, 3)
    for part in (prepared.train, prepared.test):
        for path, row in by_path(part).items():
            assert part.images.encoded(row) == (source / path).read_bytes()
            whole = cv2.cvtColor(cv2.imread(str(source / path)), cv2.COLOR_BGR2RGB)
            direct = cv2.resize(whole, (96, 72), interpolation=cv2.INTER_AREA)
            inside = part.images[row][12:84].astype(int)
            assert np.abs(inside - direct).mean() < 2  # reduced as it is decoded, which rounds otherwise
    facts = json.loads((tmp_path / "out" / "own" / "provenance.json").read_text())
    assert facts["kept"] == {"as they came": 20}
    assert set(facts["sha256"]) >= {"train_images.packed", "test_images.packed"}


@pytest.mark.parametrize("flags", [[], ["--fit", "crop"], ["--fit", "stretch", "--invert"], ["--channels", 1]])
def test_odd_pictures_come_out_as_preparation_at_that_size_makes_them(tmp_path: Path, flags: list) -> None:
    source, odd_ones = photos.folder(tmp_path / "in", count=3), photos.odd_ones()
    for name, data in odd_ones.items():
        (source / "cat" / name).write_bytes(data)
    prepared = prepare(source, tmp_path / "out", "--train-ratio", 0.9, *flags)
    options = dict(zip((flag[2:] for flag in flags[::2]), flags[1::2], strict=False))
    settings = ImageFolderSettings(size=96, fit=options.get("fit", "pad"), invert="--invert" in flags)
    odd = {path: row for path, row in by_path(prepared.train).items() if Path(path).name in odd_ones}
    assert len(odd) >= 5
    read = read_pictures([source / path for path in odd], settings)
    assert read.bits == prepared.train.images.view.bits == 12
    channels = "1" if "--channels" in flags else "3"
    expected = read.kept(ImageFolderSettings(size=96, channels=channels, invert=settings.invert))
    for image, (path, row) in zip(expected, odd.items(), strict=True):
        error = np.abs(prepared.train.images[row].astype(int) - image)
        assert error.mean() < 2 if path.endswith("large.png") else not error.any(), path  # it became a JPEG


def test_any_size_comes_from_one_preparation(tmp_path: Path) -> None:
    source = photos.folder(tmp_path / "in", height=300, width=300)
    small, large = prepare(source, tmp_path / "a"), prepare(source, tmp_path / "b", "--size", 224)
    assert np.array_equal(small.train.images.at(224)[:], large.train.images[:])
    assert np.array_equal(large.train.images.at(96)[:], small.train.images[:])


def test_what_is_larger_than_1024_pixels_is_shrunk_and_said(tmp_path: Path) -> None:
    source = photos.folder(tmp_path / "in", count=4)
    (source / "cat" / "large.jpg").write_bytes(photos.jpeg(photos.photo(7, 1500, 3000)))
    prepared = prepare(source, tmp_path / "out", "--train-ratio", 0.9)
    row = by_path(prepared.train)["cat/large.jpg"]
    with Image.open(io.BytesIO(prepared.train.images.encoded(row))) as kept:
        assert (kept.format, kept.size) == ("JPEG", (1024, 512))
    assert prepared.provenance["kept"]["as JPEG of quality 95, 1024 pixels long"] == 1


def test_the_same_pictures_give_the_same_bytes_whatever_the_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = photos.folder(tmp_path / "in", count=30)
    for count in (1, 7):
        monkeypatch.setattr(packing, "cores", lambda count=count: count)
        monkeypatch.setattr(packed, "cores", lambda count=count: count)
        prepare(source, tmp_path / str(count))
    assert contents(tmp_path / "1" / "own") == contents(tmp_path / "7" / "own")


def test_grey_pictures_have_one_channel_and_one_coloured_one_makes_three(tmp_path: Path) -> None:
    source = tmp_path / "in"
    for name in ("a", "b"):
        (source / name).mkdir(parents=True)
        for row in range(12):
            grey = np.repeat(photos.photo(row)[..., :1], 3, axis=2)
            (source / name / f"{row}.jpg").write_bytes(photos.jpeg(grey))
    assert prepare(source, tmp_path / "grey").train.images.shape == (20, 96, 96)
    (source / "b" / "last.jpg").write_bytes(photos.jpeg(photos.photo(99)))
    assert prepare(source, tmp_path / "colour").train.images.shape == (20, 96, 96, 3)


def test_what_is_left_out_and_what_is_worth_a_look_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    source = photos.folder(tmp_path / "in", height=200, width=200)
    data = (source / "cat" / "000.jpg").read_bytes()
    made = {
        "cat/empty.jpg": b"",
        "cat/cut.jpg": data[: len(data) // 2],
        "cat/page.jpg": b"<html>not found",
        "犬/blank.png": cv2.imencode(".png", np.full((90, 70, 3), 200, np.uint8))[1].tobytes(),
        "cat/narrow.png": cv2.imencode(".png", np.arange(90, dtype=np.uint8)[:, None])[1].tobytes(),
        "犬/same.jpg": data,
        "cat/note.jpg": data[:2] + b"\xff\xfe\x00\x06abcd" + data[2:],  # a comment
    }
    dot = np.full((512, 512, 3), 200, np.uint8)
    dot[300, 300] = 190  # is lost at an eighth of the size
    made["cat/dot.png"], dot[300, 300] = cv2.imencode(".png", dot)[1].tobytes(), 200
    made["cat/all.png"] = cv2.imencode(".png", dot)[1].tobytes()
    for path, some in made.items():
        (source / path).write_bytes(some)
    with pytest.raises(UserError, match=r"cat/cut.jpg cannot be read: .* \(3 of 29 pictures are broken\)"):
        prepare(source, tmp_path / "out")
    prepare(source, tmp_path / "out", "--skip-broken")
    table = listed(tmp_path / "out")
    assert table.loc[["cat/empty.jpg", "cat/cut.jpg", "cat/page.jpg"], "reason"].tolist() == [
        "empty", "truncated", "unreadable",
    ]  # fmt: skip
    assert (table["kept"] == "no").sum() == 3
    assert table.loc["犬/blank.png", "reason"] == table.loc["cat/all.png", "reason"] == "blank"
    assert "cat/dot.png" not in table.index
    assert table.loc["cat/narrow.png", "reason"] == "one pixel wide"
    same = table[table["reason"] == "copy"]
    assert {*same.index, *same["copy_of"]} == {"cat/000.jpg", "犬/same.jpg", "cat/note.jpg"}
    assert any("same file" in text and "labelled" in text for text in same["detail"])
    assert any("same pixels" in text for text in same["detail"])
    assert "listed    in left_out.csv: " in capsys.readouterr().out


def test_a_small_set_is_listed_too_and_a_clean_one_has_no_list(tmp_path: Path) -> None:
    source = photos.folder(tmp_path / "in")
    prepare(source, tmp_path / "out", "--size", 32)
    assert not (tmp_path / "out" / "own" / "left_out.csv").exists()
    (source / "犬" / "same.jpg").write_bytes((source / "cat" / "000.jpg").read_bytes())
    prepared = prepare(source, tmp_path / "out", "--size", 32)
    assert isinstance(prepared.train.images, np.ndarray)
    (detail,) = listed(tmp_path / "out")["detail"]
    assert "same pixels at 32 x 32; labelled " in detail


def test_a_picture_that_claims_900_megapixels_is_refused_by_its_header(tmp_path: Path) -> None:
    source = photos.folder(tmp_path / "in", count=3)
    (source / "cat" / "bomb.png").write_bytes(png(30_000, 30_000, 8, 2, [b"\0" * 10]))
    with pytest.raises(UserError, match=r"bomb.png cannot be read: it is 30,000 x 30,000 pixels, and more than"):
        prepare(source, tmp_path / "out")


def test_a_folder_of_empty_files_is_said_to_be_one(tmp_path: Path) -> None:
    source = photos.folder(tmp_path / "in", count=3)
    for path in source.rglob("*.jpg"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"none of 6 pictures can be read; cat/000\.jpg: the file is empty"):
        prepare(source, tmp_path / "out", "--skip-broken")


def test_the_same_source_replaces_its_own_set_and_no_other(tmp_path: Path) -> None:
    for place in ("a", "b"):
        photos.folder(tmp_path / place / "in", height=100 + 50 * (place == "b"))
    words = ["--output", str(tmp_path / "out"), "--size"]
    image_folder.main(["--input", str(tmp_path / "a" / "in"), *words, "96"])
    image_folder.main(["--input", str(tmp_path / "a" / "in"), *words, "128"])
    assert storage.read(tmp_path / "out" / "in").train.images.shape[1] == 128
    with pytest.raises(UserError, match="out/in is another set"):
        image_folder.main(["--input", str(tmp_path / "b" / "in"), *words, "96"])
    image_folder.main(["--input", str(tmp_path / "a" / "in"), *words, "32"])
    assert isinstance(storage.read(tmp_path / "out" / "in").train.images, np.ndarray)
    assert not list((tmp_path / "out" / "in").glob("*.packed"))


def many(source: Path, count: int) -> Path:
    """Make so many pictures of the twenty of each class, all of them the same files."""
    for place in source.iterdir():
        for row in range(20, count):
            os.link(place / f"{row % 20:03d}.jpg", place / f"{row:03d}.jpg")
    return source


def looks(monkeypatch: pytest.MonkeyPatch) -> list[range]:
    """The pictures that are looked at from here on."""
    seen, look = [], looking.Looker.look
    monkeypatch.setattr(looking.Looker, "look", lambda self, rows: seen.append(rows) or look(self, rows))
    return seen


@pytest.mark.slow
def test_a_killed_preparation_goes_on_with_the_pieces_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = many(photos.folder(tmp_path / "in", count=20, height=384, width=512), 1000)
    expected = contents_of(prepare(source, tmp_path / "other"), tmp_path / "other")
    command = [sys.executable, image_folder.__file__, "--input", source, "--output", tmp_path / "out"]
    command += ["--dataset", "own", "--size", "96"]
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL)
    scratch = tmp_path / "out" / ".own.partial"
    while len(list(scratch.glob("piece-*.npz"))) < 3:
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {int(path.stem.split("-")[1]) for path in scratch.glob("piece-*.npz")}
    assert 3 <= len(done) < 8
    (source / "cat" / "000.jpg").unlink()
    (source / "cat" / "000.jpg").write_bytes((source / "cat" / "020.jpg").read_bytes())  # its piece is looked at again
    seen = looks(monkeypatch)
    prepared = prepare(source, tmp_path / "out")
    assert sum(map(len, seen)) == 2000 - 256 * len(done - {0})
    assert contents_of(prepared, tmp_path / "out") == expected
    assert not scratch.exists()


def contents_of(prepared: storage.Prepared, output: Path) -> dict[str, bytes]:
    assert isinstance(prepared.train.images, PackedPictures)
    return contents(output / "own")


@pytest.mark.parametrize("damage", ["record", "data"])
def test_a_piece_that_the_disk_did_not_keep_whole_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    source = photos.folder(tmp_path / "in", count=20)
    monkeypatch.setattr(packing, "_PIECE", 8)
    prepare(source, tmp_path / "other")
    (source / "cat" / "broken.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"broken\.jpg cannot be read"):
        prepare(source, tmp_path / "out")
    (source / "cat" / "broken.jpg").unlink()
    scratch = tmp_path / "out" / ".own.partial"
    assert packing.begun(scratch)
    broken = scratch / ("piece-000001.npz" if damage == "record" else packing.DATA)
    os.truncate(broken, broken.stat().st_size // 2)
    seen = looks(monkeypatch)
    prepare(source, tmp_path / "out")
    assert 0 < sum(map(len, seen)) < 40
    assert contents(tmp_path / "out" / "own") == contents(tmp_path / "other" / "own")


MEMORY = """
import resource, sys
from project.data_preparation import image_folder
image_folder.main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in kB, as Linux does")
def test_memory_does_not_grow_with_the_pictures(tmp_path: Path) -> None:
    source = photos.folder(tmp_path / "in", count=20, height=384, width=512)
    many(source, 700)  # copies of each other, which are compared
    peaks = []
    for few in (20, 700):
        words = ["--input", source, "--output", tmp_path / str(few), "--size", 224, "--per-class", few]
        done = subprocess.run([sys.executable, "-c", MEMORY, *map(str, words)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.split()[-1]) / 1024)
    assert peaks[1] - peaks[0] < 60  # MB; as pixels they would be 200


def test_boxes_arrays_and_bytes_are_kept_without_loss_and_margins_come_later(tmp_path: Path) -> None:
    picture, box = photos.photo(3, 120, 200), Box(20, 10, 90, 70)
    data = photos.jpeg(picture)
    (tmp_path / "a.jpg").write_bytes(data)
    contents, boxes = [tmp_path / "a.jpg", data, picture, picture[..., 0], lambda: data], [box, (), (), (), ()]
    settings = ImageFolderSettings(size=96, channels="3")
    images = packing.pack(contents, settings, tmp_path / "packed", boxes).kept(settings)
    upright = [reader.decode_upright(images.encoded(row)) for row in range(5)]
    assert np.array_equal(upright[0], reader.decode_upright(data)[10:80, 20:110])
    assert images.encoded(1) == images.encoded(4) == data
    assert np.array_equal(upright[2], picture)
    assert np.array_equal(upright[3], np.repeat(picture[..., :1], 3, axis=2))
    for row, (content, cut) in enumerate(zip(contents, boxes, strict=True)):
        small = read_pictures([content], settings, [cut]).images[0]
        assert np.abs(images[row].astype(int) - small).mean() < 2
    wide = ImageFolderSettings(size=96, channels="3", margin=0.5, border="black")
    framed = packing.pack(contents, wide, tmp_path / "packed", boxes).kept(wide)  # in place of the pieces without
    assert np.array_equal(framed[2], read_pictures([picture], wide).images[0])
    assert not framed[2][:10].any()
    assert framed.encoded(1) == data  # what stands round a picture is put there when it is read
    packed.write(tmp_path / "set.packed", framed)
    again = packed.read(tmp_path / "set.packed")
    assert (again.view.margin, again.view.border) == (0.5, "black")
    assert np.array_equal(again[:], framed[:])
    small = again.at(48)[1]  # decoded at a quarter, so it may lie half a pixel of that beside
    assert np.abs(small.astype(int) - read_pictures([data], replace(wide, size=48)).images[0]).mean() < 5
    assert packing.pack(contents, wide, tmp_path / "packed", [Box(150, 10, 90, 70), *boxes[1:]]).faults.keys() == {0}
