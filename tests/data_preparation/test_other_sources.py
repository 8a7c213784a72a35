"""The command line over sources that are no folders of classes: what becomes of their pictures, labels and parts."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from project.data_preparation.image_folder import main
from project.work.common import UserError
from project.work.dataset import base_dataset, label_sets, storage
from project.work.settings.groups import Settings

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def prepare(source: Path, output: Path, *flags: object) -> storage.Prepared:
    main([str(word) for word in ("--input", source, "--output", output, "--dataset", "own", "--size", 8, *flags)])
    return storage.read(output / "own")


def refusal(source: Path, output: Path, *flags: object) -> str:
    with pytest.raises(UserError) as caught:
        prepare(source, output, *flags)
    assert "\n" not in str(caught.value)
    assert not output.exists() or [*output.iterdir()] == []
    return str(caught.value)


def split(folder: Path, **settings: object) -> base_dataset.Dataset:
    return base_dataset.load(Settings(dataset=str(folder), **settings), torch.device("cpu"))


def photo(path: Path, orientation: int = 1) -> None:
    """12 wide and 8 high as it lies in its file, with a level of its own in each quarter; no loss."""
    pixels = np.zeros((8, 12, 3), np.uint8)
    pixels[:4, :6], pixels[:4, 6:], pixels[4:, :6], pixels[4:, 6:] = 40, 90, 140, 190
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif)


def test_boxes_are_cut_out_of_the_picture_as_it_is_seen(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    photo(tmp_path / "b.png", orientation=6)  # to be turned clockwise: 8 wide and 12 high
    rows = ["a.png,one,6,0,6,4", "a.png,two,0,4,6,4", "b.png,one,4,0,4,6", "b.png,two,4,6,4,6"]
    (tmp_path / "boxes.csv").write_text("\n".join(["path,label,x,y,width,height", *rows]))
    prepared = prepare(tmp_path / "boxes.csv", tmp_path / "out", "--fit", "stretch", "--train-ratio", 0.5)
    levels = {key: set(np.unique(image).tolist()) for part in (prepared.train, prepared.test)
              for key, image in zip(part.keys["key_id"], part.images, strict=True)}  # fmt: skip
    assert levels == {"a.png#6,0,6,4": {90}, "a.png#0,4,6,4": {140}, "b.png#4,0,4,6": {40}, "b.png#4,6,4,6": {90}}
    (tmp_path / "boxes.csv").write_text("\n".join(["path,label,x,y,width,height", *rows, "b.png,two,0,0,9,4"]))
    said = refusal(tmp_path / "boxes.csv", tmp_path / "new")
    assert "b.png cannot be read: its box 0,0,9,4 (line 6) reaches beyond its 8 x 12 pixels" in said
    assert len(prepare(tmp_path / "boxes.csv", tmp_path / "new", "--skip-broken").train.labels) == 2


def test_margin_and_border_of_the_pictures_of_a_set(tmp_path: Path) -> None:
    for row in range(4):
        (tmp_path / "in" / "ab"[row % 2]).mkdir(parents=True, exist_ok=True)
        level = np.full((10, 20, 3), 100 + row, np.uint8)
        (tmp_path / "in" / "ab"[row % 2] / f"{row}.png").write_bytes(cv2.imencode(".png", level)[1].tobytes())
    flags = ("--margin", 0.6, "--border", "black", "--size", 16)
    image = prepare(tmp_path / "in", tmp_path / "out", *flags).train.images[0]
    assert image.shape == (16, 16)
    assert image[6:10, 3:13].min() == image.max() >= 100  # 20 of 32 wide, 10 of 32 high
    assert not image[:5].any()
    assert not image[11:].any()
    assert not image[:, :3].any()
    assert json.loads((tmp_path / "out" / "own" / "provenance.json").read_text())["options"]["margin"] == 0.6
    for flag in (("--margin", 0.1), ("--border", "white")):
        assert "is of padded pictures, and --fit crop pads none" in refusal(
            tmp_path / "in", tmp_path / "new", "--fit", "crop", *flag
        )


def test_the_first_frame_of_a_film_and_a_picture_that_claims_too_much(tmp_path: Path) -> None:
    for label in "ab":
        for row in range(2):
            (tmp_path / "in" / label).mkdir(parents=True, exist_ok=True)
            frames = [Image.new("L", (8, 8), level) for level in (50, 250)]
            frames[0].save(tmp_path / "in" / label / f"{row}.gif", save_all=True, append_images=frames[1:])
    prepared = prepare(tmp_path / "in", tmp_path / "out")
    assert set(np.unique(prepared.train.images)) == {50}
    assert (
        "4 files hold several frames or pages: the first of each was read" in prepared.provenance["reading"]["frames"]
    )
    head = cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes()
    (tmp_path / "in" / "a" / "2.png").write_bytes(head[:16] + (30_000).to_bytes(4, "big") * 2 + head[24:])
    assert "2.png cannot be read: " in refusal(tmp_path / "in", tmp_path / "new")


def test_people_stay_whole_from_the_list_to_the_folds(tmp_path: Path) -> None:
    lines = ["path,label,person"]
    for row in range(84):
        label = "mask" if row % 7 < 5 else ("wrong", "none")[row % 2]
        (tmp_path / f"{row}.png").write_bytes(cv2.imencode(".png", np.full((8, 8), row, np.uint8))[1].tobytes())
        lines.append(f"{row}.png,{label},p{row // 7}")
    (tmp_path / "masks.csv").write_text("\n".join(lines))
    prepared = prepare(tmp_path / "masks.csv", tmp_path / "out")
    assert prepared.provenance["kept_together"] == "person"
    dataset = split(tmp_path / "out" / "own", valid_rate=0.2)
    groups = prepared.train.keys["group"].to_numpy()
    sides = [set(groups[dataset.train.rows]), set(groups[dataset.valid.rows]), set(prepared.test.keys["group"])]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 12
    again = prepare(tmp_path / "masks.csv", tmp_path / "again")
    assert again.provenance["sha256"] == prepared.provenance["sha256"]


def test_a_validation_part_of_the_source_is_what_a_run_validates_on(tmp_path: Path) -> None:
    for part, count in (("train", 3), ("val", 2), ("test", 1)):
        for label in ("a", "b"):
            for row in range(count):
                photo(tmp_path / "in" / part / label / f"{row}.png")
    prepared = prepare(tmp_path / "in", tmp_path / "out")
    dataset = split(tmp_path / "out" / "own")
    assert set(prepared.train.keys["part"].to_numpy()[dataset.valid.rows]) == {"valid"}
    assert (len(dataset.train), len(dataset.valid)) == (6, 4)


def arrays(path: Path, **more: np.ndarray) -> Path:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    np.savez(path, images=images, labels=np.arange(40) % 2, class_names=np.array(["cat", "\u72ac"]), **more)
    return path


def test_label_sets_are_kept_with_the_set_and_go_with_it(tmp_path: Path) -> None:
    source = arrays(tmp_path / "set.npz", crowd=1 - np.arange(40) % 2, clean=np.arange(40) // 20)
    prepared = prepare(source, tmp_path / "out")
    place = tmp_path / "out" / "own"
    assert label_sets.names(place) == ["clean", "crowd"]
    assert prepared.names == ["cat", "\u72ac"]
    rows = prepared.train.keys["path"].str[-2:].astype(int).to_numpy()
    assert prepared.train.keys["true_label"].tolist() == (rows // 20).tolist()
    images = np.load(source)["images"]
    np.testing.assert_array_equal(prepared.train.images, images[rows])
    dataset = split(place, label_set="crowd")
    assert dataset.train.labels.tolist() == (1 - rows[dataset.train.rows] % 2).tolist()
    np.testing.assert_array_equal(dataset.truth, rows // 20)
    prepare(arrays(tmp_path / "set.npz"), tmp_path / "out")
    assert label_sets.names(place) == []


def test_a_parquet_file_makes_a_set(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    levels = [10 * row for row in range(20)]
    data = [cv2.imencode(".png", np.full((8, 8, 3), level, np.uint8))[1].tobytes() for level in levels]
    image = arrow.array([{"bytes": each, "path": None} for each in data])
    parquet.write_table(
        arrow.table({"image": image, "label": ["ab"[row % 2] for row in range(20)]}), tmp_path / "s.parquet"
    )
    prepared = prepare(tmp_path / "s.parquet", tmp_path / "out")
    assert prepared.provenance["source"] == "parquet"
    for key, level, label in zip(
        prepared.train.keys["key_id"], prepared.train.images[:, 0, 0], prepared.train.labels, strict=True
    ):
        assert (level, label) == (10 * int(key[-7:]), int(key[-7:]) % 2)


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "cifar10n").exists(), reason="needs ../shared/data/cifar10n")
def test_real_labels_by_people_beside_their_pictures(tmp_path: Path) -> None:
    prepared = prepare(SHARED / "cifar10n" / "cifar10n_small.npz", tmp_path / "out")
    place = tmp_path / "out" / "own"
    assert (len(prepared.train.labels), len(prepared.test.labels)) == (10_000, 2_000)
    assert label_sets.names(place) == ["aggre", "random1", "random2", "random3", "worst"]
    truth = prepared.train.keys["true_label"].to_numpy()
    for name, rate in (("worst", 0.402), ("aggre", 0.090), ("random1", 0.172)):  # of all 50,000
        labels = label_sets.read(place, name, prepared.train.keys["key_id"].to_numpy(), prepared.names)
        assert abs((labels != truth).mean() - rate) < 0.012


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "hanzi").exists(), reason="needs ../shared/data/hanzi")
def test_real_characters_by_a_list_with_parts(tmp_path: Path) -> None:
    prepared = prepare(SHARED / "hanzi" / "labels.csv", tmp_path / "out")
    assert (len(prepared.train.labels), len(prepared.test.labels), len(prepared.names)) == (4_000, 1_500, 100)
    assert sum(not name.isascii() for name in prepared.names) == 21
    assert set(prepared.train.keys["path"].str.split("/").str[0]) == {"train"}


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "trashnet").exists(), reason="needs ../shared/data/trashnet")
def test_real_photos_in_one_folder_are_those_of_the_folders(tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    for label in ("trash", "cardboard"):
        for path in sorted((SHARED / "trashnet" / label).glob("*.jpg")):
            (tmp_path / "flat" / f"{path.stem.removeprefix(label)}{label[:2]}_{label}.jpg").symlink_to(path)
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / label).symlink_to(SHARED / "trashnet" / label)
    flat, whole = prepare(tmp_path / "flat", tmp_path / "a"), prepare(tmp_path / "in", tmp_path / "b")
    assert flat.names == whole.names
    assert flat.provenance["counts"] == whole.provenance["counts"]
    both = ([*part.train.images, *part.test.images] for part in (flat, whole))
    assert sorted(image.tobytes() for image in next(both)) == sorted(image.tobytes() for image in next(both))
