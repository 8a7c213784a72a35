"""The README tells the truth: its settings table is the code's, and its example of a new method works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import make_command
from project.work.common import ROOT
from project.work.settings.groups import Settings

README = (ROOT / "README.md").read_text()


def test_the_settings_table_is_the_one_the_code_prints() -> None:
    table = re.search(r"<!-- settings:.*?-->\n(.*?)\n<!-- end of settings -->", README, re.DOTALL)
    assert table is not None
    assert table[1] == make_command.settings_table(Settings)


def test_the_patch_that_adds_a_method_applies_and_trains(tmp_path: Path, prepared: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed, so the README's patch cannot be applied")
    shutil.copytree(ROOT / "project" / "work", tmp_path / "project" / "work")
    shutil.copy(ROOT / "project" / "__init__.py", tmp_path / "project")
    patch = re.search(r"```diff\n(.*?)```", README, re.DOTALL)[1]
    subprocess.run(["git", "apply", "-"], input=patch, text=True, cwd=tmp_path, check=True)
    command = [sys.executable, tmp_path / "project/work/main.py", "--bootstrap", "--epoch=1", "--uuid=b"]
    command += [f"--dataset={prepared}", f"--output={tmp_path / 'output'}"]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": str(tmp_path)}, check=True)
    assert (tmp_path / "output" / "bootstrap-b" / "history.csv").exists()


@pytest.mark.parametrize(
    "path", re.findall(r"\]\((fig/[^)]+)\)", README) + re.findall(r"`((?:project|benchmark)/[^`<*]+)`", README)
)
def test_every_file_it_names_is_there(path: str) -> None:
    assert path.startswith(("project/input", "project/output")) or (ROOT / path).exists()
