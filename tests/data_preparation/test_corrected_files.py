"""A review of pictures in an .npz or in parquet files becomes another such file, in which nothing else changes."""

import json
from pathlib import Path

import numpy as np
import pytest

from project.data_preparation import apply_corrections
from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures.listing import read_list
from project.work.common import UserError

HEADER = "row,key_id,given_label,new_label,given_name,new_name\n"
IMAGES = np.arange(8 * 4 * 4 * 3, dtype=np.uint8).reshape(8, 4, 4, 3)
ARRAYS = {
    "images": IMAGES, "labels": np.array([0, 1] * 4, np.uint8)[:, None], "second": np.array([1, 0] * 4),
    "person": np.arange(8) // 2, "class_names": np.array(["cat", "\u72ac"]), "test_images": IMAGES[:4],
    "test_labels": np.array([0, 1, 0, 1]), "weights": np.linspace(0, 1, 8), "version": np.array(3),
}  # fmt: skip


def apply(source: Path, target: Path, *lines: str) -> None:
    file = source.parent / "corrections.csv"
    file.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    apply_corrections.main([f"--corrections={file}", f"--to={target}", f"--input={source}"])


def labels_of(source: Path) -> dict[str, str]:
    return {entry.path: entry.label for entry in read_list(ImageFolderSettings(input=str(source))).entries}


def test_an_npz_becomes_another_with_its_other_arrays(tmp_path: Path) -> None:
    source, target = tmp_path / "set.npz", tmp_path / "new.npz"
    np.savez_compressed(source, **ARRAYS)
    before = source.read_bytes()
    apply(source, target, "0,images/0,0,1,cat,\u72ac", "0,images/5,1,drop,\u72ac,", "0,test_images/3,1,0,\u72ac,cat")
    assert source.read_bytes() == before
    stay = np.delete(np.arange(8), 5)
    with np.load(target) as new:
        assert list(new) == list(ARRAYS)
        for name in ("images", "second", "person", "weights"):
            assert np.array_equal(new[name], ARRAYS[name][stay])
        for name in ("class_names", "test_images", "version"):
            assert np.array_equal(new[name], ARRAYS[name])
        assert new["labels"].dtype == np.uint8
        assert new["labels"].tolist() == [[1], [1], [0], [1], [0], [0], [1]]
        assert new["test_labels"].tolist() == [0, 1, 0, 0]
    assert target.stat().st_size < sum(each.nbytes for each in ARRAYS.values()) + 2500  # compressed, as it was
    assert len(labels_of(target)) == 11


def test_labels_may_be_text(tmp_path: Path) -> None:
    source, target = tmp_path / "set.npz", tmp_path / "new.npz"
    text = {"images": IMAGES, "labels": np.array(["cat", "crocodile"] * 4), "test_images": IMAGES[:2]}
    np.savez(source, **text, test_labels=np.array(["cat", "crocodile"]))
    apply(source, target, "0,test_images/0,0,1,cat,crocodile")
    with np.load(target) as new:
        assert new["test_labels"].tolist() == ["crocodile", "crocodile"]


def parquet(file: Path, labels: list, metadata: dict | None = None) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet as pq

    rows = [{"bytes": bytes([at]) * 9, "path": f"{file.stem}{at}.png"} for at in range(len(labels))]
    table = pa.table({"image": rows, "label": labels, "note": [f"n{at}" for at in range(len(labels))]})
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(metadata), file, row_group_size=3)


def test_a_parquet_file_becomes_another_with_its_names_and_columns(tmp_path: Path) -> None:
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    parquet(tmp_path / "set.parquet", [0, 1, 0, 1, 0, 1, -1],
            {"huggingface": json.dumps({"info": {"features": features}})})  # fmt: skip
    from pyarrow import parquet as pq

    before = (tmp_path / "set.parquet").read_bytes()
    apply(tmp_path / "set.parquet", tmp_path / "new.parquet", "0,set4.png,0,1,cat,dog", "1,set1.png,1,drop,dog,")
    assert (tmp_path / "set.parquet").read_bytes() == before
    old, new = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("set", "new"))
    assert new.schema.equals(old.schema, check_metadata=True)
    assert new["label"].to_pylist() == [0, 0, 1, 1, 1, -1]
    stay = [0, 2, 3, 4, 5, 6]
    assert [new[name].to_pylist() for name in ("image", "note")] == [
        [old[name].to_pylist()[at] for at in stay] for name in ("image", "note")
    ]


def test_a_folder_of_parquet_files_becomes_a_folder(tmp_path: Path) -> None:
    parquet(tmp_path / "hub/data/train-0.parquet", ["cat", "dog"] * 2)
    parquet(tmp_path / "hub/data/test-0.parquet", ["cat", "dog", "cat"])
    apply(tmp_path / "hub", tmp_path / "new", "0,train-01.png,1,0,dog,cat", "0,test-00.png,0,1,cat,dog")
    old, new = labels_of(tmp_path / "hub"), labels_of(tmp_path / "new")
    assert new == old | {"train-01.png": "cat", "test-00.png": "dog"}


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("set.npz", "new", "give --to NEW.npz"),
        ("set.npz", "new.csv", "give --to NEW.npz"),
        ("set.npz", "new.parquet", "give --to NEW.npz"),
        ("photos", "new.npz", "give --to NEW_FOLDER or NEW.csv"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(tmp_path: Path, source: str, target: str, why: str) -> None:
    np.savez(tmp_path / "set.npz", **ARRAYS)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "photos" / name / f"{number}.png").touch()
    key = "images/0" if source == "set.npz" else "cat/0.png"
    with pytest.raises(UserError, match=why) as refused:
        apply(tmp_path / source, tmp_path / target, f"0,{key},0,1,,")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / target).exists()


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "set.npz", **ARRAYS)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises((OSError, UserError), match="No space"):
        apply(tmp_path / "set.npz", tmp_path / "new.npz", "0,images/0,0,1,,")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corrections.csv", "set.npz"]
