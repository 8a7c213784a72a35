"""./inv check: from a folder of photos with planted faults to a page that has them all."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import made_photos
import numpy as np
import pandas as pd
import pytest
from reviewing import exported, reviewing

from project.command import check
from project.data_preparation import apply_corrections
from project.work.audit.find.strength import ENOUGH, WEAK, Strength
from project.work.common import UserError
from project.work.look import check as look_check
from project.work.look.overview import Collection

COLOURS = ("red", "green", "blue")


def photos(folder: Path, count: int = 16) -> Path:
    """Photos of 3 classes that a network can tell apart, and what is wrong with some; see the test."""
    for label, name in enumerate(COLOURS):
        for number in range(count):
            image = made_photos.photo(100 * label + number, 160)
            image[..., label] = np.clip(image[..., label].astype(int) + 60, 0, 255)
            image[..., (label + 1) % 3] //= 2
            made_photos.save(folder / name / f"{number}.jpg", image)
    (folder / "red" / "3.jpg").rename(folder / "blue" / "was_red.jpg")
    (folder / "green" / "5.jpg").rename(folder / "red" / "was_green.jpg")
    (folder / "green" / "copy.jpg").write_bytes((folder / "green" / "1.jpg").read_bytes())
    whole = cv2.imread(str(folder / "blue" / "2.jpg"))[..., ::-1]
    made_photos.save(folder / "blue" / "near.jpg", whole[8:152, 6:150], 80)
    made_photos.save(folder / "red" / "blank.jpg", np.full((160, 160, 3), 128, np.uint8))
    made_photos.save(folder / "red" / "dark.jpg", made_photos.photo(900, 160) // 6)
    made_photos.save(folder / "red" / "blurred.jpg", cv2.GaussianBlur(made_photos.photo(901, 160), (0, 0), 14))
    made_photos.save(folder / "red" / "long.jpg", np.tile(made_photos.photo(902, 160), (1, 5, 1)))
    (folder / "red" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    return folder


def page_data(page: str) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a check of these photos, which are beside it in "my photos"; they are as they were."""
    pytest.importorskip("timm")
    place = tmp_path_factory.mktemp("checked")
    source = photos(place / "my photos")
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    check.main(words(place))
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == before
    return next((place / "out").glob("check-*"))


def words(place: Path) -> list[str]:
    return [f"--input={place / 'my photos'}", f"--output={place / 'out'}", "--device=cpu", "--size=64"]


@pytest.mark.slow
def test_what_is_planted_stands_on_the_page(checked: Path, capsys: pytest.CaptureFixture) -> None:
    folder, source = checked, checked.parents[1] / "my photos"
    page = (folder / "check.html").read_text(encoding="utf-8")
    rows = pd.read_csv(folder / "audit.csv").set_index("key_id")
    assert set(rows.index[:4]) >= {"blue/was_red.jpg", "red/was_green.jpg"}
    assert rows.loc["blue/was_red.jpg", ["suggested_name", "flagged"]].tolist() == ["red", 1]
    found = pd.read_csv(folder / "look.csv").groupby("issue")["key_id"].apply(set).to_dict()
    assert {"green/1.jpg", "green/copy.jpg"} in [
        keys for issue, keys in found.items() if issue.startswith("exact copy")
    ]
    assert {"blue/2.jpg", "blue/near.jpg"} in [keys for issue, keys in found.items() if issue.startswith("near copy")]
    assert found["blank"] == {"red/blank.jpg"}
    assert "red/dark.jpg" in found["dark"]
    assert "red/blurred.jpg" in found["blurred"]
    assert found["shape"] == {"red/long.jpg"}
    assert "of the labels look wrong" in page
    assert re.search(r"Files that cannot be read: 1.*red/broken.jpg", page, re.S)
    data = page_data(page)
    at = [picture[1] for picture in data["pictures"]].index("blue/was_red.jpg")
    assert data["links"][at] == (source / "blue" / "was_red.jpg").as_uri()
    assert not re.findall(r"(?:src|href)=[\"']?https?:", page)
    check.main(words(checked.parents[1]))  # nothing has changed: nothing is read again
    said = capsys.readouterr().out
    assert "as they were at the last check" in said
    assert str(folder / "check.html") in said


@pytest.mark.slow
def test_a_review_in_a_browser_goes_back_to_the_files(checked: Path, tmp_path: Path) -> None:
    with reviewing(tmp_path) as window:
        window.open(checked / "check.html")
        assert window.run("return document.querySelectorAll('#plane circle').length") == 54
        assert window.run("return document.getElementById('original').href").startswith("file:///")
        for key in ("blue/was_red.jpg", "red/was_green.jpg"):
            number = window.run(f"return plane.points.findIndex((point) => point[5] === {json.dumps(key)})")
            window.run(f"document.querySelector('[data-number=\"{number}\"]')"
                       ".dispatchEvent(new MouseEvent('click', {bubbles: true}))")  # fmt: skip
            assert key in window.text("#place")
            window.press("s")
        exported(window)
        window.screen(390, 844)
        assert window.run("return document.documentElement.scrollWidth") <= 390
    new = tmp_path / "new"
    apply_corrections.main([f"--corrections={tmp_path / 'corrections.csv'}", f"--to={new}",
                            f"--output={checked.parent}"])  # fmt: skip
    assert (new / "red" / "was_red.jpg").exists()
    assert (new / "green" / "was_green.jpg").exists()
    assert not (new / "blue" / "was_red.jpg").exists()
    assert len(list(new.rglob("*.jpg"))) == len(list((checked.parents[1] / "my photos").rglob("*.jpg")))


def test_rows_of_a_rare_class_are_in_a_fold_each() -> None:
    labels = np.repeat([0, 1, 2, 3], [40, 3, 2, 15])
    none = np.array([""] * 60)
    some = Collection("set", [np.zeros((60, 8, 8), np.uint8)], labels, none, none, [*"abcd"])
    folds = look_check._folds(labels, 0, some)
    assert [len(set(folds[labels == label])) for label in range(4)] == [5, 3, 2, 5]
    assert np.bincount(folds[np.isin(labels, (0, 3))]).tolist() == [11] * 5
    assert sorted(look_check._folds(np.array([0, 0, 1, 1]), 0, some)) == [0, 1, 2, 3]
    assert np.bincount(look_check._folds(np.repeat([0, 1], [50, 2]), 0, some)).max() <= 12


@pytest.mark.parametrize(("agreement", "words"), [(0.02, "cannot be told: only 2.0% of"), (0.8, "20.0% of the labels")])
def test_weak_predictions_say_nothing_of_how_many_labels_are_wrong(agreement: float, words: str) -> None:
    verdict = WEAK if agreement < 0.5 else ENOUGH
    strong = Strength(agreement, 0.01, 10, 0.3, verdict)
    assert words in look_check.bracket(cast(Any, SimpleNamespace(strength=strong))).headline


def test_small_pictures_are_looked_at_as_they_are_and_photos_as_photos() -> None:
    assert check._side([(28, 28)] * 5) == 32
    assert check._side([(64, 48)] * 5) == 64
    assert check._side([(150, 150)] * 5) == 224
    assert check._side([(4000, 3000)] * 5 + [(20, 20)]) == 224


@pytest.mark.parametrize(
    ("given", "why"),
    [([], "say which pictures"), (["--input=/nowhere/at/all"], "missing"), (["--input=/dev/null"], "null")],
)
def test_what_is_no_source_is_refused_in_a_line(given: list[str], why: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=why):
        check.main([*given, f"--output={tmp_path}"])
    assert list(tmp_path.iterdir()) == []
