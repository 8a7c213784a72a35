"""README and docs tell the truth: settings, commands, files, links, and the example of a new method."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from invoke import Collection

import make_command
import tasks
from project.work.common import ROOT
from project.work.settings.groups import Settings

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
PLACE = re.compile(r"`((?:project|benchmark)/[^`<*]+)`")


def every(pattern: re.Pattern) -> list[tuple[Path, tuple[str, ...]]]:
    """Each page with each of its matches."""
    return [(page, match.groups()) for page in PAGES for match in pattern.finditer(page.read_text())]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_page_of_settings_is_the_one_the_code_prints() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == make_command.settings_page(Settings)


@pytest.mark.slow
def test_the_patches_that_add_a_method_and_a_metric_apply_and_train(tmp_path: Path, prepared: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed, so the patch cannot be applied")
    shutil.copytree(ROOT / "project" / "work", tmp_path / "project" / "work")
    shutil.copy(ROOT / "project" / "__init__.py", tmp_path / "project")
    patches = re.findall(r"```diff\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), re.DOTALL)
    assert len(patches) == 2
    for patch in patches:
        subprocess.run(["git", "apply", "-"], input=patch, text=True, cwd=tmp_path, check=True)
    command = [sys.executable, tmp_path / "project/work/main.py", "--bootstrap", "--epoch=1", "--uuid=b"]
    command += ["--target-metric=balanced"]
    command += [f"--dataset={prepared}", f"--output={tmp_path / 'output'}"]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": str(tmp_path)}, check=True)
    assert "valid_balanced" in (tmp_path / "output" / "bootstrap-b" / "history.csv").read_text()
    assert "best_test_balanced" in (tmp_path / "output" / "results.csv").read_text()


def test_every_link_and_picture_leads_somewhere() -> None:
    assert len(every(LINK)) > 20
    for page, (path, anchor) in every(LINK):
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {path}"
        assert anchor is None or anchor in anchors(target), f"{page.name}: {path}#{anchor}"


def test_every_file_that_is_named_is_there() -> None:
    for page, (path,) in every(PLACE):
        made = path.startswith(("project/input", "project/output"))
        assert made or (ROOT / path).exists(), f"{page.name}: {path}"


def test_every_command_that_is_shown_is_a_task() -> None:
    known = set(Collection.from_module(tasks).task_names)
    for page, (command,) in every(re.compile(r"\./inv ([a-z][a-z-]*)")):
        assert command in known, f"{page.name}: ./inv {command}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 200


def test_the_workflow_runs_the_suite_on_the_oldest_python_that_is_admitted() -> None:
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())["jobs"]["test"]
    oldest = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())[1]
    assert oldest in job["strategy"]["matrix"]["python"]
    assert "./inv test" in [step.get("run") for step in job["steps"]]
