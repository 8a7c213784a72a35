"""What is predicted is what training would have seen: files and drawings become the pictures of a prepared set."""

import csv
import io
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from project.data_preparation import image_folder, quickdraw
from project.data_preparation.sources import sample
from project.work import main
from project.work.common import UserError
from project.work.dataset import storage
from project.work.dataset.pictures import prepared_as
from project.work.predict import inputs
from project.work.predict.inputs import PictureFiles, PreparedSet, open_input
from project.work.run_folder import PREDICTION_FILES


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of colour pictures of other shapes than squares, as PNG and as JPEG, some larger than is kept."""
    folder, random = tmp_path_factory.mktemp("files") / "own", np.random.default_rng(0)
    for label, tint in (("blue", 0), ("red", 2)):
        for number in range(8):
            size = (1100, 300) if number == 0 else tuple(random.integers(30, 90, 2))
            picture = cv2.resize(random.integers(0, 255, (6, 5, 3)).astype(np.uint8), (int(size[0]), int(size[1])))
            picture[..., tint] //= 2
            path = folder / label / f"{number}.{'png' if number % 2 else 'jpg'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), picture)
    return folder


@pytest.mark.parametrize(
    "flags",
    [
        ["--size=24"],
        ["--size=24", "--fit=stretch", "--channels=1", "--invert"],
        ["--size=24", "--margin=.3", "--border=white"],
        ["--size=96"],
        ["--size=96", "--fit=crop", "--channels=1"],
        ["--size=80", "--border=replicate", "--invert"],
    ],
)
def test_a_file_becomes_the_picture_that_preparation_made_of_it(files: Path, tmp_path: Path, flags: list[str]) -> None:
    image_folder.main([f"--input={files}", f"--output={tmp_path}", "--dataset=own", *flags])
    prepared = storage.read(tmp_path / "own")
    paths = [files / key for key in prepared.test.keys["key_id"]]
    side = 40 if "--size=96" in flags else None  # training may read encoded pictures at another side
    made = prepared_as(prepared, side)
    chunk = PictureFiles(paths, list(map(str, paths))).chunk(0, len(paths), made)
    images = prepared.test.images
    assert chunk.faults == {}
    assert made.told
    assert np.array_equal(chunk.images, images[:] if side is None else images.at(side)[:])  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.parametrize("flags", [["--size=24", "--margin=.2", "--border=black"], ["--size=80"]])
def test_the_files_of_the_test_part_are_answered_as_the_run_answered_its_test_part(
    files: Path, tmp_path: Path, flags: list[str]
) -> None:
    image_folder.main([f"--input={files}", f"--output={tmp_path}", "--dataset=own", "--train-ratio=.5", *flags])
    words = [f"--output={tmp_path / 'runs'}", "--device=cpu", "--no-amp"]
    main.main(
        [*words, f"--dataset={tmp_path / 'own'}", "--epoch=1", "--valid-rate=.25", "--image-size=24", "--uuid=one"]
    )
    own = pd.read_csv(tmp_path / "runs" / "base-one" / PREDICTION_FILES["test"])
    (tmp_path / "list.txt").write_text("".join(f"{files / key}\n" for key in own["key_id"]))
    main.main([*words, "-s=predict", f"-i={tmp_path / 'list.txt'}", "-c=one", f"--to={tmp_path / 'answers.csv'}"])
    answers = pd.read_csv(tmp_path / "answers.csv")
    assert answers["label"].tolist() == own["predicted_name"].tolist()
    assert np.allclose(answers["confidence"], own["confidence"], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [["--size=32"], ["--size=24", "--raster=upstream"]])
def test_drawings_become_the_pictures_that_preparation_made_of_them(tmp_path: Path, flags: list[str]) -> None:
    sample.write(tmp_path / "in", 6, seed=0)
    words = [f"--input={tmp_path / 'in'}", f"--output={tmp_path}", "--dataset=drawn", "--per-class=5"]
    quickdraw.main([*words, "--classes=cup,fish,star", *flags])
    prepared = storage.read(tmp_path / "drawn")
    rows: dict[str, str] = {}
    for name in ("cup", "fish", "star"):
        with open(tmp_path / "in" / "train_simplified" / f"{name}.csv", newline="") as file:
            rows |= {row["key_id"]: row["drawing"] for row in csv.DictReader(file)}
    keys = prepared.test.keys["key_id"].tolist()
    text = io.StringIO()
    csv.writer(text).writerows([["key_id", "countrycode", "drawing"], *([key, "US", rows[key]] for key in keys)])
    (tmp_path / "test_simplified.csv").write_text(text.getvalue())
    (tmp_path / "test.ndjson").write_text(
        "".join(f'{{"key_id": "{key}", "drawing": {rows[key]}}}\n' for key in keys)
    )  # fmt: skip
    for name in ("test_simplified.csv", "test.ndjson"):
        given = open_input(str(tmp_path / name))
        chunk = given.chunk(0, len(keys), prepared_as(prepared, None))
        assert list(given.names) == list(given.ids or ()) == keys
        assert np.array_equal(chunk.images, prepared.test.images)


def test_a_broken_drawing_is_named_and_the_others_are_drawn(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    good = '"[[[0, 255], [0, 255]]]"'
    path.write_text(f'key_id,drawing\n11,{good}\n12,"[[[0, 1], [0]]]"\n,{good}\n14,{good}\n')
    given = open_input(str(path))
    made = prepared_as(storage.Prepared(*[_set()] * 2, ["a", "b"]), None)
    chunk = given.chunk(0, 4, made)
    assert list(given.names) == ["11", "12", "line 4", "14"]
    assert chunk.faults.keys() == {1, 2}
    assert "stroke 1 has 2 x but 1 y" in chunk.faults[1]
    assert np.array_equal(chunk.images[0], chunk.images[3])
    assert chunk.images[0].any()


def _set() -> storage.Pictures:
    return storage.Pictures(np.zeros((2, 16, 16), np.uint8), np.arange(2), pd.DataFrame({"key_id": ["1", "2"]}))


def test_raw_strokes_are_simplified_as_in_preparation(tmp_path: Path) -> None:
    raw = "[[[100, 200, 600], [50, 50, 300], [0, 10, 20]]]"
    (tmp_path / "raw.csv").write_text(f'key_id,drawing\n1,"{raw}"\n')
    (tmp_path / "plain.csv").write_text('key_id,drawing\n1,"[[[0, 51, 255], [0, 0, 128]]]"\n')
    made = prepared_as(storage.Prepared(*[_set()] * 2, ["a", "b"]), None)
    images = [open_input(str(tmp_path / name)).chunk(0, 1, made).images for name in ("raw.csv", "plain.csv")]
    assert np.array_equal(*images)


def test_a_folder_is_read_however_deep_in_the_order_of_its_paths(files: Path) -> None:
    given = open_input(str(files))
    assert len(given.names) == 16
    assert list(given.names) == sorted(given.names)
    assert given.names[0] == "blue/0.jpg"
    assert given.ids is None  # 0 to 7 occur twice


@pytest.mark.parametrize(
    ("text", "names", "ids"),
    [
        ("own/blue/3.png\nown/red/1.png\n", ["own/blue/3.png", "own/red/1.png"], ["3", "1"]),
        ("ImageID,path\n7,own/red/1.png\n3,own/blue/3.png\n", ["own/red/1.png", "own/blue/3.png"], ["7", "3"]),
        ("path,label\nown/red/1.png,red\nown/blue/1.png,blue\n", ["own/red/1.png", "own/blue/1.png"], None),
        ("id\nown/red/1\n", ["own/red/1"], ["1"]),
    ],
)
def test_a_list_keeps_its_order_and_its_ids(files: Path, text: str, names: list[str], ids: list[str] | None) -> None:
    path = files.parent / "list.csv"
    path.write_text(text)
    given = open_input(str(path))
    assert isinstance(given, PictureFiles)
    assert list(given.names) == names
    assert given.ids == ids
    assert all(path.is_file() for path in given.paths)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty", None, "holds no picture"),
        ("absent.png", ..., "is missing"),
        ("list.txt", "", "is empty"),
        ("list.csv", "width,height\n1,2\n", "no column path"),
        ("list.csv", "path\n", "lists no pictures"),
        ("list.csv", "id,path\n1,a.png\n1,b.png\n", "the id '1' stands there twice"),
        ("film.mp4", "x", "not a kind of file"),
        ("drawings.csv", "drawing,word\n[],cat\n", "no key_id"),
        ("drawings.ndjson", "{}\n", "no drawing that can be read"),
    ],
)
def test_what_holds_nothing_to_predict_is_refused_in_a_line(
    tmp_path: Path, name: str, content: object, said: str
) -> None:
    path = tmp_path / name
    if content is None:
        path.mkdir()
    elif isinstance(content, str):
        path.write_text(content)
    with pytest.raises(UserError, match=said) as refusal:
        _ = open_input(str(path)).names
    assert "\n" not in str(refusal.value)


def test_a_prepared_set_stands_for_its_test_part(prepared: Path) -> None:
    given = open_input(str(prepared))
    assert isinstance(given, PreparedSet)
    stored = storage.read(prepared).test
    assert list(given.ids or ()) == stored.keys["key_id"].tolist()
    chunks = list(inputs.stream(given, prepared_as(storage.read(prepared), None), [16, 24]))
    assert np.array_equal(np.concatenate([chunk.images for chunk in chunks]), stored.images)
