"""./inv check: from a folder of photos with planted faults to a page that has them all."""

import json
import re
from pathlib import Path

import cv2
import made_photos
import numpy as np
import pandas as pd
import pytest

from project.command import check
from project.work.common import UserError

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


@pytest.mark.slow
def test_what_is_planted_stands_on_the_page(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("timm")
    source = photos(tmp_path / "my photos")
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    words = [f"--input={source}", f"--output={tmp_path / 'out'}", "--device=cpu", "--size=64"]
    check.main(words)
    folder = next((tmp_path / "out").glob("check-*"))
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
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == before
    said = capsys.readouterr()
    assert str(folder / "check.html") in said.out
    check.main(words)  # nothing has changed: nothing is read again
    assert "as they were at the last check" in capsys.readouterr().out


def test_small_pictures_are_looked_at_as_they_are_and_photos_as_photos() -> None:
    assert check._side([(28, 28)] * 5) == 32
    assert check._side([(64, 48)] * 5) == 64
    assert check._side([(150, 150)] * 5) == 224
    assert check._side([(4000, 3000)] * 5 + [(20, 20)]) == 224


@pytest.mark.parametrize(
    ("words", "why"),
    [([], "say which pictures"), (["--input=/nowhere/at/all"], "missing"), (["--input=/dev/null"], "null")],
)
def test_what_is_no_source_is_refused_in_a_line(words: list[str], why: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=why):
        check.main([*words, f"--output={tmp_path}"])
    assert list(tmp_path.iterdir()) == []
