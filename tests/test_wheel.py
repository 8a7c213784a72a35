"""The package as pip installs it: it has what the code needs, nothing of a person's, and works without a checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import small

from project.work.common import ROOT, repository
from project.work.dataset import storage
from project.work.dataset.base_dataset import split

pytestmark = pytest.mark.slow

SECRET = "planted-secret-91c4"
PLANTED = [
    "project/work/settings.yaml",
    "project/work/reporter/key.json",
    "project/work/audit/page/template/key.json",
    "project/work/id_rsa",
    "project/input/planted/page.css",
    "project/output/audit-planted/audit.html",
    "project/work/audit-planted.html",
    "project/output/planted.py",
    "project/notebook/planted.py",
    "project/data_preparation/quickdraw_original/__init__.py",
]
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a checkout with things of a person's in it."""
    setuptools = pytest.importorskip("setuptools", minversion="77")
    assert setuptools
    copy, place = tmp_path_factory.mktemp("checkout") / "copy", tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "project", copy / "project", ignore=shutil.ignore_patterns("__pycache__", "input", "output"))
    for path in (*ROOT.glob("*.py"), *(ROOT / name for name in ("pyproject.toml", "requirements.txt", "LICENSE"))):
        shutil.copy(path, copy)
    for name in PLANTED:
        path = copy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {SECRET}\n")
    built = subprocess.run([sys.executable, "-c", BUILD, place], cwd=copy, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stderr
    return next(place.glob("*.whl"))


def test_it_has_every_file_of_the_code_and_nothing_of_a_persons(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if "dist-info" not in name}
        tainted = [name for name in names if SECRET.encode() in archive.read(name)]
    assert tainted == []
    kinds = {".py", ".css", ".html", ".js"}
    places = ("command", "data_preparation", "work")
    ours = [path for place in places for path in (ROOT / "project" / place).rglob("*") if path.suffix in kinds]
    outside = {"quickdraw_original", "__pycache__"}
    code = {path.relative_to(ROOT).as_posix() for path in ours if not outside & set(path.parts)}
    assert names == code | {"project/__init__.py", "tasks.py", "make_command.py", "ai_platform.py"}


def test_installed_without_a_checkout_it_audits_to_the_page_in_the_current_folder(
    wheel: Path, prepared: Path, tmp_path: Path
) -> None:
    installed, here = tmp_path / "site", tmp_path / "here"
    here.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    part = storage.read(prepared).train
    folds = np.arange(len(part.labels)) % 3
    folds[split(part.labels, 0.1, 0, "")[1]] = -1  # validation, of which no fold model says anything
    logits, keys = np.eye(4, dtype=np.float32)[part.labels], part.keys["key_id"].to_numpy(dtype=str)
    np.savez(here / "logits.npz", logits=logits, keys=keys, folds=folds, names=np.array(small.NAMES))
    words = ["--stage=audit", f"--dataset={prepared}", "--oof-logits=logits.npz", "--device=cpu"]
    command = [sys.executable, "-m", "project.work.main", *words]
    done = subprocess.run(
        command, cwd=here, env=os.environ | {"PYTHONPATH": str(installed)}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    (page,) = here.glob("project/output/audit-*/audit.html")
    assert (ROOT / "project/work/audit/page/template/page.css").read_text().strip() in page.read_text()


def test_a_checkout_is_known_from_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert repository(tmp_path) == tmp_path
    (tmp_path / "noisy_label_experiments-0.1.0.dist-info").mkdir()
    assert repository(tmp_path) == Path("/")
