"""./inv itself: it works wherever the checkout is, mends what is half installed, and says what it cannot mend."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from project import PROGRAM, __version__
from project.work.common import ROOT

pytestmark = pytest.mark.slow

NEEDED = ("inv", "invoke.yaml", "requirements.txt", "pyproject.toml", "tasks.py", "make_command.py", "ai_platform.py")
# Stands for Python and pip: makes an environment of itself, and installs the second time that it is asked to.
PYTHON = """#!/bin/sh
echo "$@" >> "$LOG"
case "$*" in
*venv*--clear*) rm -rf "$4"; mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;;
*pip*install*) [ -e "$LOG.pip" ] || { touch "$LOG.pip"; exit 1; } ;;
esac
"""


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    """A copy of this repository at a place that is hard to quote."""
    place = Path(tempfile.mkdtemp(prefix='it\'s a "café" '))
    place.chmod(0o755)
    left_out = shutil.ignore_patterns("__pycache__", "input", "output")
    shutil.copytree(ROOT / "project", place / "project", ignore=left_out)
    for name in NEEDED:
        shutil.copy(ROOT / name, place)
    yield place
    shutil.rmtree(place)


def inv(checkout: Path, *words: object, cwd: object = "/", **variables: object) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "INV_ENVIRONMENT")}
    environment |= {name: str(value) for name, value in variables.items()}
    command = [str(checkout / "inv"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd, env=environment)


def refusal(done: subprocess.CompletedProcess) -> str:
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in done.stderr
    return line.removeprefix("error: ")


def environment(folder: Path, checkout: Path | None = None) -> Path:
    """An environment with what this one has; where a checkout is given, as one that ./inv has installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=120)
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "others.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")) + "\n")
    if checkout is not None:
        both = (checkout / "requirements.txt").read_bytes() + (checkout / "pyproject.toml").read_bytes()
        sum_ = subprocess.run(["cksum"], input=both, capture_output=True, check=True).stdout
        (folder / "installed").write_bytes(sum_)
    return packages


def test_the_code_is_that_of_the_checkout_whatever_is_installed_beside_it(checkout: Path, tmp_path: Path) -> None:
    packages = environment(checkout / ".venv", checkout)
    (packages / "noisy_label_experiments-0.1.0.dist-info").mkdir()  # as a plain pip install . leaves it
    for name in ("project", "make_command", "tasks"):
        (packages / f"{name}.py").write_text("raise SystemExit('the installed copy')")
    missing = f"{checkout}/project/output/results.csv is missing"
    other = tmp_path / "project"
    other.mkdir()
    (other / "__init__.py").write_text("raise SystemExit('the copy in the current folder')")
    assert refusal(inv(checkout, "results", cwd=tmp_path)).startswith(missing)
    (tmp_path / "link").symlink_to("inv")
    (tmp_path / "inv").symlink_to(checkout / "inv")
    linked = subprocess.run([tmp_path / "link", "--version"], capture_output=True, text=True, timeout=120)
    assert (linked.returncode, linked.stdout) == (0, f"{PROGRAM} {__version__}\n")
    moved = checkout.with_name(f"{checkout.name} moved")
    checkout.rename(moved)
    try:
        assert refusal(inv(moved, "results")).startswith(f"{moved}/project/output/results.csv is missing")
    finally:
        moved.rename(checkout)
        shutil.rmtree(checkout / ".venv")


def test_alone_it_shows_the_tasks(checkout: Path) -> None:
    shown = inv(checkout, INV_ENVIRONMENT=sys.prefix)
    assert shown.returncode == 0
    assert {"prepare", "train", "audit", "quickstart"} <= {
        line.split()[0] for line in shown.stdout.splitlines() if line
    }


def test_an_installation_that_broke_off_is_begun_anew(checkout: Path, tmp_path: Path) -> None:
    python, log = tmp_path / "python", tmp_path / "log"
    python.write_text(PYTHON)
    python.chmod(0o755)
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to("/usr/bin/python2.6")  # one that is no longer there
    first = inv(checkout, "results", PYTHON=python, LOG=log)
    assert refusal(first) == "the installation failed, as pip says above; ./inv tries again"
    assert not (checkout / ".venv" / "installed").exists()
    assert inv(checkout, "results", PYTHON=python, LOG=log).returncode == 0
    said = log.read_text().splitlines()
    assert said[-1] == f"{checkout}/project/command/program.py results"
    assert sum("venv --clear" in line for line in said) == 1  # what was there and ran was kept
    assert inv(checkout, "jobs", PYTHON="/nowhere", LOG=log).returncode == 0
    assert log.read_text().splitlines()[len(said) :] == [f"{checkout}/project/command/program.py jobs"]
    (checkout / ".venv" / "bin" / "python").unlink()  # and what is gone is noticed, whatever the stamp says
    inv(checkout, "results", PYTHON=python, LOG=log)
    assert "venv --clear" in log.read_text().split("program.py jobs")[1]
    shutil.rmtree(checkout / ".venv")


@pytest.mark.parametrize("python", ["/nowhere/python3", "false"])
def test_a_python_that_is_missing_or_too_old_is_said(checkout: Path, python: str) -> None:
    said = refusal(inv(checkout, "results", PYTHON=python))
    assert said.startswith(f"Python 3.10 or newer is needed, and {python} is none; name one with PYTHON=")


def test_an_environment_without_the_packages_is_said(checkout: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True, timeout=120)
    said = refusal(inv(checkout, "results", INV_ENVIRONMENT=tmp_path / "bare"))
    assert said.startswith(f"{tmp_path / 'bare'} has no invoke: it is half installed")
    assert refusal(inv(checkout, "results", INV_ENVIRONMENT=tmp_path)) == (
        f"INV_ENVIRONMENT names no Python environment: {tmp_path}"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="another account is needed, that may not write there")
def test_a_checkout_that_cannot_be_written_to_says_where_an_environment_can_be(checkout: Path) -> None:
    command = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", str(checkout / "inv"), "results"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, cwd="/", env=os.environ | {"PYTHON": "true"}
    )
    assert refusal(done).startswith(f"{checkout} cannot be written to; make an environment elsewhere (python3 -m venv")
