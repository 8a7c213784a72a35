"""A checkout of somebody who is not root, with things in it that must not get into an image."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from project.work.common import ROOT

SECRET = "planted-secret-5e1f"
SOMEBODY = 12345  # nobody's number: no name, no home
# An account of its own that may read the tests' Python and the engine's socket, whoever they belong to.
AS_SOMEBODY = [
    *("setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups"),
    *("--inh-caps=+dac_override,+dac_read_search", "--ambient-caps=+dac_override,+dac_read_search"),
]
PLANTED = [
    "key.json",
    ".env",
    ".venv/pyvenv.cfg",
    "project/work/reporter/somebody.json",
    "project/work/id_rsa",
    "project/work/reporter/key.p12",
    "project/input/planted/train_images.pkl.gz",
    "project/output/base-planted/history.csv",
    "project/notebook/planted.ipynb",
    "project/data_preparation/planted.csv",
    "project/work/audit/page/template/planted.json",
    "project/work/audit/page/template/planted.pem",
    "project/output/audit-planted/audit.html",
    "project/experiments/audit-planted/audit.html",
    "project/notebook/planted.html",
]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "input", "output", "__pycache__", ".*_cache", "*.egg-info")


class Checkout:
    """A copy of this repository in git, with its own invoke.yaml, and ./inv run in it as somebody."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment | {"PYTHONPATH": str(folder), "HOME": str(folder.parent)}
        self.environment.pop("USER", None)
        folder.parent.chmod(0o755)
        shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
        for name in ("input", "output"):
            (folder / "project" / name).mkdir()
            (folder / "project" / name / ".gitkeep").touch()
        for name in PLANTED:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{SECRET}\n")
        (folder / "project/work/planted_link.py").symlink_to(folder / "key.json")

    def commit(self) -> None:
        """Put everything that .gitignore lets through into a repository: not a file differs from it then."""
        shutil.rmtree(self.folder / ".git", ignore_errors=True)
        (self.folder / ".git").mkdir()
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, SOMEBODY, SOMEBODY, follow_symlinks=False)
        author = ["-c", "user.name=somebody", "-c", f"user.email={SECRET}@example.org"]
        for words in (["init", "--quiet"], ["add", "--all"], [*author, "commit", "--quiet", "-m", "All"]):
            self.run("git", *words).check_returncode()

    def inv(self, *words: str) -> subprocess.CompletedProcess:
        """An inv command."""
        return self.run(sys.executable, "-m", "invoke", *words)

    def run(self, *words: str) -> subprocess.CompletedProcess:
        """A command in the checkout, as somebody."""
        command = [*AS_SOMEBODY, *words]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=600
        )

    def configure(self, text: str) -> None:
        """Make this all of invoke.yaml."""
        (self.folder / "invoke.yaml").write_text(text)
