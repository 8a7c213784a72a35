"""Sets as the Hugging Face hub has them: metadata files beside pictures, and parquet files."""

import builtins
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures.listing import read_list
from project.data_preparation.pictures.reading import read_pictures
from project.work.common import UserError


def encoded(level: int) -> bytes:
    return cv2.imencode(".png", np.full((8, 8, 3), level, np.uint8))[1].tobytes()


def listed(source: Path, **settings: object):
    return read_list(ImageFolderSettings(input=str(source), **settings))


def test_metadata_beside_the_pictures_of_each_part(tmp_path: Path) -> None:
    for part, count in (("train", 4), ("validation", 2), ("test", 2)):
        (tmp_path / part).mkdir()
        lines = ["file_name,label,text"]
        for row in range(count):
            (tmp_path / part / f"{row}.png").touch()
            lines.append(f'{row}.png,{("cat", "dog")[row % 2]},"a, b"')
        (tmp_path / part / "metadata.csv").write_text("\n".join(lines))
    found = listed(tmp_path)
    assert len(found.entries) == 8
    assert {(entry.path.split("/")[0], entry.part, entry.said) for entry in found.entries} == {
        ("train", "train", "train"), ("validation", "train", "valid"), ("test", "test", "test")
    }  # fmt: skip
    assert {entry.label for entry in found.entries} == {"cat", "dog"}
    (tmp_path / "train" / "metadata.csv").write_text("file_name,label\n9.png,cat\n")
    with pytest.raises(UserError, match=r"line 2 of train: train/9.png is missing"):
        listed(tmp_path)


def test_metadata_of_json_lines_at_the_root(tmp_path: Path) -> None:
    rows = []
    for row in range(4):
        (tmp_path / f"{row}.png").touch()
        rows.append({"file_name": f"{row}.png", "label": row % 2, "person": "ab"[row // 2], "objects": {"bbox": []}})
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = listed(tmp_path)
    assert {entry.path: (entry.label, entry.group) for entry in found.entries} == {
        f"{row}.png": (str(row % 2), "ab"[row // 2]) for row in range(4)
    }
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "0.png", "label": 1}\n{"file\n')
    with pytest.raises(UserError, match=r"metadata\.jsonl line 2: no JSON"):
        listed(tmp_path)


def test_metadata_without_classes_leaves_them_to_the_folders(tmp_path: Path) -> None:
    for name in ("cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "metadata.csv").write_text("file_name,text\ncat/0.png,a cat\n")
    assert {entry.label for entry in listed(tmp_path).entries} == {"cat", "dog"}


def write_parquet(path: Path, rows: list[tuple[int, int]], names: list[str] | None = None, paths: bool = True) -> None:
    """rows: (level of the picture, label)."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    images = [{"bytes": encoded(level), "path": f"{level}.png" if paths else None} for level, _ in rows]
    image = arrow.array(images, arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())]))
    table = arrow.table({"image": image, "label": arrow.array([label for _, label in rows])})
    if names is not None:
        info = {"info": {"features": {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    parquet.write_table(table, path, row_group_size=3)


def test_a_parquet_file_gives_each_class_its_own_pictures(tmp_path: Path) -> None:
    write_parquet(tmp_path / "set.parquet", [(10 * row, row % 2) for row in range(10)], ["cat", "\u72ac"])
    found = listed(tmp_path / "set.parquet")
    read = read_pictures([found.content(entry) for entry in found.entries], ImageFolderSettings(size=8))
    for entry, image in zip(found.entries, read.images, strict=True):
        assert entry.path == f"{image[0, 0, 0]}.png"
        assert entry.label == ("cat", "\u72ac")[image[0, 0, 0] // 10 % 2]
    assert not read.faults


def test_a_folder_of_parquet_files_has_the_parts_of_their_names(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train-00000-of-00002.parquet", [(1, 0), (2, 1)], paths=False)
    write_parquet(tmp_path / "train-00001-of-00002.parquet", [(3, 0), (4, 1)], paths=False)
    write_parquet(tmp_path / "test-00000-of-00001.parquet", [(5, 0), (6, 1)], paths=False)
    found = listed(tmp_path)
    read = read_pictures([found.content(entry) for entry in found.entries], ImageFolderSettings(size=8))
    levels = {entry.path: int(image[0, 0, 0]) for entry, image in zip(found.entries, read.images, strict=True)}
    assert levels["train-00001-of-00002/0000001"] == 4
    assert sorted((entry.part, levels[entry.path]) for entry in found.entries) == [
        ("test", 5), ("test", 6), ("train", 1), ("train", 2), ("train", 3), ("train", 4)
    ]  # fmt: skip


def test_parquet_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "set.parquet"
    write_parquet(source, [(row, row % 3) for row in range(6)], ["cat", "dog"])
    with pytest.raises(UserError, match="label has '2', and its 2 classes are 0 to 1"):
        listed(source)
    source.write_bytes(source.read_bytes()[:-30])
    with pytest.raises(UserError, match="not a parquet file"):
        listed(source)
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match="parquet files need pyarrow: install it with pip install"):
        listed(source)
