"""./inv look describes any prepared set: what is planted in it stands on the page."""

import re
import subprocess
import sys
import time
from pathlib import Path

import cv2
import made_photos
import numpy as np
import pandas as pd
import pytest

from project.work import main
from project.work.common import ROOT
from project.work.dataset import storage

HANZI = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往"


def part(images: np.ndarray, labels: np.ndarray, first: int) -> storage.Pictures:
    keys = pd.DataFrame({"key_id": [f"k{row}" for row in range(first, first + len(images))]})
    return storage.Pictures(images, labels, keys)


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """60 photos of 3 classes, 45 to train; k1 is k0 under another label, k50 (test) is k2; k51 is nearly k3; k10 is
    blank and k11 dark."""
    images = np.array([made_photos.photo(seed, 64, seed % 3) for seed in range(60)])
    labels = np.arange(60) % 3
    images[1], images[50], images[51] = images[0], images[2], cv2.resize(images[3][3:61, 2:60], (64, 64))
    labels[[50, 51]] = labels[[2, 3]]
    images[10], images[11] = 90, images[11] // 5
    prepared = storage.Prepared(part(images[:45], labels[:45], 0), part(images[45:], labels[45:], 45), ["a", "b", "c"])
    storage.write(tmp_path / "planted", prepared)
    return tmp_path / "planted"


def issues(folder: Path) -> pd.DataFrame:
    return pd.read_csv(next(folder.glob("look-*/look.csv")))


def test_what_is_planted_is_found(planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    main.main(["--stage=look", f"--dataset={planted}", f"--output={tmp_path}"])
    by_issue = issues(tmp_path).groupby("issue")["key_id"].apply(set).to_dict()
    assert by_issue["exact copy, different labels"] == {"k0", "k1"}
    assert by_issue["exact copy, in several parts"] == {"k2", "k50"}
    assert by_issue["near copy, in several parts"] == {"k3", "k51"}
    assert by_issue["blank"] == {"k10"}
    assert by_issue["dark"] == {"k11"}
    said = capsys.readouterr().out
    assert "60 pictures of 3 classes" in said
    assert "1 under different labels" in said


def test_the_page_is_one_file_with_no_outside_resource(planted: Path, tmp_path: Path) -> None:
    main.main(["--stage=look", f"--dataset={planted}", f"--output={tmp_path}"])
    page = next(tmp_path.glob("look-*/look.html")).read_text(encoding="utf-8")
    assert "different labels" in page
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    assert re.findall(r"url\((?!data:)", page) == []


def test_no_torch_is_loaded(planted: Path, tmp_path: Path) -> None:
    words = ["--stage=look", f"--dataset={planted}", f"--output={tmp_path}"]
    code = f"import sys\nfrom project.work import main\nmain.main({words!r})\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.slow
def test_800_classes_with_chinese_names_take_little(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (4000, 32, 32), np.uint8)
    names = [HANZI[at % 20] + HANZI[at // 20 % 20] + HANZI[at // 400] for at in range(800)]
    labels = np.arange(4000) % 800
    storage.write(tmp_path / "many", storage.Prepared(part(images[:3200], labels[:3200], 0),
                                                      part(images[3200:], labels[3200:], 3200), names))  # fmt: skip
    began = time.process_time()
    main.main(["--stage=look", f"--dataset={tmp_path / 'many'}", f"--output={tmp_path}"])
    assert time.process_time() - began < 20
    path = next(tmp_path.glob("look-*/look.html"))
    page = path.read_text(encoding="utf-8")
    assert all(f">{name}</th>" in page for name in names)
    assert path.stat().st_size < 8e6
