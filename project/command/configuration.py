"""Reads and checks invoke.yaml before any task runs: the allowed names and the types of their values."""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from project.command.containers import LocalSettings, RemoteSettings, section, texts
from project.command.training_job import JobSettings, PullSettings, PushSettings
from project.work.common import UserError
from project.work.files import disk
from project.work.settings.flags import build, nearest

FILE = "invoke.yaml"
SECTIONS = {"local": LocalSettings, "remote": RemoteSettings}
LISTS = ("build_args", "build_options")
INVOKES_OWN = ("run", "sudo", "tasks", "timeouts", "runners")


def read(path: Path, ours: bool) -> dict[str, Any]:
    """Read a configuration file. ours: it is this repository's, so unknown names are refused.

    Raises UserError for a file that is not YAML or JSON and for an invalid value. A missing file raises OSError, after
    which invoke looks for the next file.
    """
    if disk.absent(path):
        raise FileNotFoundError(2, "No such file or directory", str(path))
    values = disk.read_json(path) if path.suffix == ".json" else disk.read_yaml(path)
    values = {} if values is None else values
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise UserError(f"{path}: needs lines such as bucket: my-bucket")
    known = [*_jobs(), *SECTIONS, *LISTS, "base_image", *INVOKES_OWN]
    unknown = next((name for name in values if name not in known), None)
    if ours and unknown is not None:
        raise UserError(f"{path}: {unknown} is not a setting{nearest(unknown, known)}")
    try:
        check({name: value for name, value in values.items() if name in known})
    except UserError as error:
        raise UserError(f"{path}: {str(error).removeprefix(f'{FILE}, ').removeprefix(f'{FILE}: ')}") from error
    return values


def check(values: Mapping[str, Any]) -> None:
    """Raises UserError for a value of the wrong type. values: as YAML gives them, with known names only."""
    for cls in (PushSettings, PullSettings, JobSettings):
        names = {field.name for field in dataclasses.fields(cls)}
        build(cls, {name: value for name, value in values.items() if name in names and value is not None})
    for name, declared in SECTIONS.items():
        section(declared, values, name, *(("run_options",) if name == "local" else ()))
    texts(values.get("local") or {}, "run_options")
    for name in LISTS:
        texts(values, name)
    base = values.get("base_image")
    if base is not None and not isinstance(base, str):
        raise UserError(f"base_image: {type(base).__name__} given, but the name of an image is text")
    check_invokes_own(values)


def _jobs() -> list[str]:
    return [field.name for cls in (JobSettings, PushSettings, PullSettings) for field in dataclasses.fields(cls)]


def check_invokes_own(values: Mapping[str, Any]) -> None:
    """Raises UserError for values of invoke's own settings that would make it crash."""
    for name in INVOKES_OWN:
        if not isinstance(values.get(name) or {}, Mapping):
            raise UserError(f"{name}: needs lines under it, such as {name}: {{...}}; see invoke's documentation")
    run, timeouts = values.get("run") or {}, values.get("timeouts") or {}
    switches = ("dry", "echo", "pty", "warn", "asynchronous", "disown", "fallback", "replace_env")
    kinds: dict[str, type] = dict.fromkeys(switches, bool)
    kinds |= {"env": Mapping, "watchers": list, "shell": str, "echo_format": str, "encoding": str}
    for name, value in run.items():
        if value is not None and name in kinds and not isinstance(value, kinds[name]):
            raise UserError(f"run.{name}: a {type(value).__name__} is not a valid value; see invoke's documentation")
    if run.get("hide") not in (None, False, True, "out", "stdout", "err", "stderr", "both"):
        raise UserError("run.hide: must be out, err or both")
    if run.get("shell") is not None and shutil.which(run["shell"]) is None:
        raise UserError(f"run.shell: {run['shell']} is not a program on this machine")
    command = timeouts.get("command")
    if command is not None and (isinstance(command, bool) or not isinstance(command, (int, float))):
        raise UserError("timeouts.command: must be a number of seconds")
