"""What is said where --dataset names something that is not prepared: the command that makes a data set of it."""

import os
from pathlib import Path

import pytest

from project.work.common import UserError
from project.work.dataset import prepared_data, storage, unprepared


def refusal(dataset: object) -> str:
    with pytest.raises(UserError) as refused:
        prepared_data.find(str(dataset))
    text = str(refused.value)
    assert "\n" not in text
    return text


def lay(folder: Path, *names: str, text: str = "") -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    "names", [("cat/1.jpg", "dog/2.PNG"), ("train/cat/1.webp", "test/cat/2.webp"), ("a.jpg", "notes.txt")]
)
def test_a_folder_of_pictures_is_for_prepare_images(tmp_path: Path, names: tuple[str, ...]) -> None:
    place = lay(tmp_path / "photos", *names)
    assert f"run ./inv prepare-images --input {place} first, then give --dataset photos" in refusal(place)


def test_a_name_may_mean_a_folder_of_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path / "my photos", "cat/1.jpg")
    monkeypatch.chdir(tmp_path)
    assert "run ./inv prepare-images --input 'my photos' first" in refusal("my photos")


def test_pictures_beside_their_list_are_prepared_by_the_list(tmp_path: Path) -> None:
    place = lay(lay(tmp_path / "scans", "a.png"), "labels.csv", text="Path;Label\na.png;cat\n")
    assert f"run ./inv prepare-images --input {place}/labels.csv first, then give --dataset scans" in refusal(place)
    assert f"run ./inv prepare-images --input {place}/labels.csv first" in refusal(place / "labels.csv")


@pytest.mark.parametrize("name", ["cat.ndjson", "simplified/cat.ndjson", "train_simplified/cat.csv", "train_raw/a.csv"])
def test_drawings_are_for_prepare(tmp_path: Path, name: str) -> None:
    place = lay(tmp_path / "drawn", name, text="key_id,drawing\n")
    for given in (place, (place / name).parent, place / name):
        assert f"run ./inv prepare --input {place} first" in refusal(given)


def test_what_can_be_made_into_nothing_is_said(tmp_path: Path, prepared: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nothing")
    lay(tmp_path, "data.zip", "model.pt", "junk/notes.txt", "nothing here/.DS_Store")
    said = {
        "pipe": "is a named pipe, and no folder",
        "link": "is a link to nothing, and no folder",
        "data.zip": "is an archive: unpack it",
        "model.pt": "is a file, and a prepared set is a folder",
        "junk": "is no prepared set (it has no label_name.csv)",
        "nothing here": "is empty: prepare a data set first",
    }
    assert {
        name: refusal(tmp_path / name).removeprefix(f"{tmp_path / name} ")[: len(text)] for name, text in said.items()
    } == said
    assert refusal("").startswith("--dataset is empty")
    assert f"give --dataset {prepared}" in refusal(prepared.parent)
    assert f"give --dataset {prepared}" in refusal(prepared / "label_name.csv")
    assert prepared_data.find(str(prepared)) == prepared


def test_a_link_in_a_circle_ends(tmp_path: Path) -> None:
    (lay(tmp_path / "round", "cat/notes.txt") / "cat" / "again").symlink_to(tmp_path / "round")
    assert "is no prepared set" in refusal(tmp_path / "round")


def test_the_names_are_those_of_the_modules_that_cost_more_to_import() -> None:
    assert {storage.LABEL_NAME, storage.PROVENANCE} <= set(unprepared.FILES)
    assert {storage.map_file(Path(), part).name for part in storage.PARTS} <= set(unprepared.FILES)
