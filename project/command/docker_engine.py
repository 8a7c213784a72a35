"""Calls the Docker engine through the docker command; every failure becomes one line."""

import json
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from project.work.common import UserError

PATIENCE = 60  # seconds for a query that an engine answers at once


def ask(dry_run: bool) -> dict[str, Any]:
    """The engine's info. Raises UserError when no engine can be used.

    In a dry run it is a guess: NVIDIA's runtime counts as present if its program is installed.
    """
    if dry_run:
        return {"Runtimes": {"nvidia": {}} if shutil.which("nvidia-container-runtime") else {}}
    if shutil.which("docker") is None:
        raise UserError("docker is not installed: see https://docs.docker.com/engine/install/")
    asked = _question(["docker", "info", "--format", "{{json .}}"])
    said = _read(asked.stdout, dict)
    trouble = " ".join([asked.stderr, *map(str, said.get("ServerErrors") or [])]).strip()
    if "permission denied" in trouble:
        raise UserError("Docker's socket is closed to this account: sudo usermod -aG docker <you>, then log in again")
    if asked.returncode != 0 or not said or said.get("ServerErrors"):
        raise UserError(f"Docker's engine is not reachable; start it (sudo systemctl start docker): {_first(trouble)}")
    return said


def _first(text: str) -> str:
    return next(iter(text.splitlines()), "it says nothing")


def _question(command: Sequence[str]) -> subprocess.CompletedProcess:
    """Query docker. Raises UserError when it cannot be started or does not answer."""
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise UserError(f"Docker's engine has not answered for {PATIENCE} seconds; restart it") from None
    except OSError as error:
        raise UserError(f"docker cannot be started: {error.strerror}") from error


def _read(text: str, kind: type) -> Any:
    """Parse docker's JSON output; empty when it has another type."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return kind()
    return said if isinstance(said, kind) else kind()


def inspect(kind: str, name: str) -> dict[str, Any]:
    """The engine's facts about an image or a container; empty when none has that name."""
    found = _question(["docker", kind, "inspect", name])
    return next(iter(_read(found.stdout, list)), {}) if found.returncode == 0 else {}


def run(commands: Sequence[Sequence[str]], dry_run: bool, quiet: bool = False, advice: str = "") -> None:
    """Run commands in turn, or print them. Raises UserError when one fails; docker has printed why."""
    for command in commands:
        if dry_run:
            print(shlex.join(command))
        elif subprocess.run(command, stdout=subprocess.DEVNULL if quiet else None).returncode != 0:
            raise UserError(f"{shlex.join(command[:2])} failed; what docker said is above{advice}")
