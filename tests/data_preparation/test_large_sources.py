"""The same sources above 64 pixels, where the bytes of pictures are kept: boxes, margins, arrays, parquet, people."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from project.data_preparation.image_folder import main
from project.work.dataset import storage


def prepare(source: Path, output: Path, *flags: object) -> storage.Prepared:
    main([str(word) for word in ("--input", source, "--output", output, "--dataset", "own", *flags)])
    return storage.read(output / "own")


def levels(prepared: storage.Prepared) -> dict[str, set[int]]:
    parts = (prepared.train, prepared.test)
    return {key: set(np.unique(np.asarray(part.images[row])).tolist()) for part in parts
            for row, key in enumerate(part.keys["key_id"])}  # fmt: skip


def test_a_box_of_a_large_picture_with_a_margin_round_it(tmp_path: Path) -> None:
    halves = np.repeat(np.array([60, 200], np.uint8), 100)[None].repeat(100, axis=0)
    rows = ["path,label,x,y,width,height"]
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(cv2.imencode(".png", halves)[1].tobytes())
        rows.append(f"{number}.png,{'ab'[number % 2]},{100 * (number % 2)},0,100,100")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    flags = ("--size", 96, "--margin", 0.5, "--border", "white", "--balance", 1)
    prepared = prepare(tmp_path / "list.csv", tmp_path / "out", *flags)
    assert prepared.train.images.shape[1:3] == (96, 96)
    for key, found in levels(prepared).items():
        assert {60 if key[0] in "02" else 200, 255} <= found
        assert (200 in found) == (key[0] in "13")
    middle = np.asarray(prepared.train.images[0])[17:79, 17:79]
    assert len(np.unique(middle)) == 1  # 64 of 96 are the picture


def test_arrays_and_parquet_give_the_same_pictures(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    images = np.random.default_rng(0).integers(0, 256, (12, 72, 72, 3), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", images=images, labels=np.arange(12) % 2, crowd=1 - np.arange(12) % 2)
    data = [{"bytes": cv2.imencode(".png", image[..., ::-1])[1].tobytes(), "path": None} for image in images]
    table = arrow.table({"image": data, "label": [str(row % 2) for row in range(12)]})
    parquet.write_table(table, tmp_path / "set.parquet")
    for source in ("set.npz", "set.parquet"):
        prepared = prepare(tmp_path / source, tmp_path / source[4:], "--size", 72)
        for part in (prepared.train, prepared.test):
            for row, key in enumerate(part.keys["key_id"]):
                np.testing.assert_array_equal(np.asarray(part.images[row]), images[int(key[-2:])])
    assert (tmp_path / "npz" / "own" / "labels_crowd.csv.gz").exists()
