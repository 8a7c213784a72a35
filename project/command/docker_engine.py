"""The Docker engine, asked and told through its command; every trouble becomes one line."""

import json
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from project.work.declaration import UserError


def ask(dry_run: bool) -> dict[str, Any]:
    """What the engine says of itself. Raises UserError when there is none to be used.

    In a dry run a guess: NVIDIA's runtime is there when its program is.
    """
    if dry_run:
        return {"Runtimes": {"nvidia": {}} if shutil.which("nvidia-container-runtime") else {}}
    if shutil.which("docker") is None:
        raise UserError("docker is not installed: see https://docs.docker.com/engine/install/")
    asked = subprocess.run(["docker", "info", "--format", "{{json .}}"], capture_output=True, text=True)
    said = json.loads(asked.stdout) if asked.stdout.startswith("{") else {}
    trouble = " ".join([asked.stderr, *(said.get("ServerErrors") or [])]).strip()
    if "permission denied" in trouble:
        raise UserError("Docker's socket is closed to this account: sudo usermod -aG docker <you>, then log in again")
    if asked.returncode != 0 or not said or said.get("ServerErrors"):
        raise UserError(f"Docker's engine is not reachable; start it (sudo systemctl start docker): {_first(trouble)}")
    return said


def _first(text: str) -> str:
    return next(iter(text.splitlines()), "it says nothing")


def inspect(kind: str, name: str) -> dict[str, Any]:
    """What the engine knows of an image or a container; empty when there is none of that name."""
    found = subprocess.run(["docker", kind, "inspect", name], capture_output=True, text=True)
    return json.loads(found.stdout)[0] if found.returncode == 0 else {}


def run(commands: Sequence[Sequence[str]], dry_run: bool, quiet: bool = False, advice: str = "") -> None:
    """Run commands in turn, or print them. Raises UserError after what docker itself said of a failure."""
    for command in commands:
        if dry_run:
            print(shlex.join(command))
        elif subprocess.run(command, stdout=subprocess.DEVNULL if quiet else None).returncode != 0:
            raise UserError(f"{shlex.join(command[:2])} failed; what docker said is above{advice}")
