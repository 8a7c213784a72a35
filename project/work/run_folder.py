"""The folder of a run: found by uuid, locked while in use, with the settings that the run was started with."""

import dataclasses
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from filelock import FileLock, Timeout

from project.work import common
from project.work.common import CODE, InUse, UserError
from project.work.files import disk
from project.work.settings import resolve
from project.work.settings.flags import build
from project.work.settings.groups import ReportSettings, Settings

SETTINGS_FILE = "settings.yaml"
CHECKPOINT_FILE = "checkpoint.pt"
HISTORY_FILE = "history.csv"
LOGITS_FILE = "oof_logits.npz"
TEACHER_FILE = "teacher_logits.npz"
RESULT_FILE = "result.json"
REPORT_FILE = "report.csv"
PREDICTION_FILES = {"valid": "predictions_valid.csv.gz", "test": "predictions_test.csv.gz"}
RUN_LOCK = ".lock"  # in a run folder, held by the process that uses it
_PUT_BACK = "put it back as it was, or delete the folder to begin again"


@dataclass(frozen=True)
class Run:
    """An open run: no other process can work in its folder until this one ends."""

    settings: Settings
    folder: Path
    lock: FileLock | None
    new: bool

    @property
    def command(self) -> str:
        """The command that resumes it."""
        return resume_command(self.settings)

    def __reduce__(self) -> tuple[type["Run"], tuple[Settings, Path, None, bool]]:
        """The pickled form for the other processes of the run: only the first holds the lock."""
        return Run, (self.settings, self.folder, None, False)

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Release the lock. A new run that was refused (no data, a loss that is not finite) leaves its uuid free."""
        if self.new and isinstance(error, UserError) and not (self.folder / CHECKPOINT_FILE).exists():
            shutil.rmtree(self.folder)
        if self.lock is not None:
            self.lock.release()


def resume_command(settings: Settings) -> str:
    """The command that resumes a run."""
    place = [] if settings.output is None else ["--output", settings.output]
    return shlex.join(["./inv", "train", "--resume", settings.resume or settings.uuid or "UUID", *place])


def output_folder(settings: Settings) -> Path:
    """The folder of run folders and of results.csv. Raises UserError when it cannot be written."""
    folder = common.output_folder(settings.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"0")
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); choose another with --output") from error
    return folder


def placed(settings: Settings) -> Settings:
    """The same settings; if --resume is a path of a run folder, it is split into name and output folder."""
    if settings.resume is None or not (Path(settings.resume) / SETTINGS_FILE).is_file():
        return settings
    place = Path(settings.resume).resolve()
    return dataclasses.replace(settings, resume=place.name, output=str(place.parent))


def open_run(settings: Settings, name: str, typed: Mapping[str, Any]) -> Run:
    """Open the run of a uuid, new or begun earlier, or the one that --resume names.

    typed: the settings given on the command line; for a run to resume, settings.yaml does not count.
    Raises UserError when the run is in use, unknown, or was started with other settings.
    """
    settings = placed(settings)
    output = output_folder(settings)
    wanted = settings.uuid if settings.resume is None else Path(settings.resume.rstrip("/")).name
    folder = None if wanted is None else _find(output, wanted, settings.resume is not None)
    if folder is None:
        settings = dataclasses.replace(settings, uuid=_checked(settings.uuid or uuid.uuid4().hex[:12]))
        folder = output / f"{name}-{settings.uuid}"
        folder.mkdir(exist_ok=True)
        lock = _lock(folder)
        save_settings(folder, settings)
        return Run(settings, folder, lock, new=True)
    lock = _lock(folder)
    return Run(_continued(settings, load_settings(folder), folder, typed), folder, lock, new=False)


def _find(output: Path, wanted: str, must_exist: bool) -> Path | None:
    for folder in output.iterdir():
        ours = folder.name == wanted or folder.name.endswith(f"-{wanted}")
        if not ours or not folder.is_dir():
            continue
        if os.path.lexists(folder / SETTINGS_FILE):
            if wanted in (folder.name, load_settings(folder).uuid):
                return folder
        elif os.path.lexists(folder / CHECKPOINT_FILE):
            raise UserError(f"{folder}: has a checkpoint but no {SETTINGS_FILE}; {_PUT_BACK}")
    if must_exist:
        raise UserError(f"--resume {wanted}: {output} has no such run; ./inv results lists those that are finished")
    return None


def _continued(given: Settings, old: Settings, folder: Path, typed: Mapping[str, Any]) -> Settings:
    """The settings to go on with: those of the run folder, with the device and other place settings asked for now."""
    changes, advice = resolve.differences(old, given), "give those, or another --uuid for a new run"
    if given.resume is not None:
        changes, advice = resolve.changed_by(typed, old), "with these it is a new run: start it without --resume"
    if changes:
        raise UserError(f"run {old.uuid} in {folder} was started with other settings ({', '.join(changes)}); {advice}")
    here = {name: getattr(given, name) for name in resolve.place_settings() if name != "uuid"}
    report = dataclasses.fields(ReportSettings)
    kept = {field.name: getattr(old, field.name) for field in report if here[field.name] == field.default}
    return dataclasses.replace(old, **(here | kept))  # a run keeps reporting to the destinations it was started with


def _checked(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise UserError(f"--uuid {name}: up to 100 letters, digits, dots, dashes and underscores make a folder name")
    return name


def _lock(folder: Path) -> FileLock:
    lock = FileLock(folder / RUN_LOCK)
    try:
        lock.acquire(timeout=0.3)  # a sweep that checks whether a run is in use holds the lock briefly
    except Timeout as error:
        raise InUse(f"{folder}: another process is working on this run; wait for it or give another --uuid") from error
    return lock


def save_settings(folder: Path, settings: Settings) -> None:
    """Write settings.yaml into a run folder."""
    text = yaml.safe_dump(dataclasses.asdict(settings), sort_keys=False)
    disk.replace_file(folder / SETTINGS_FILE, text.encode())


def load_settings(folder: Path) -> Settings:
    """Read a run folder's settings.yaml. Raises UserError when it is damaged: a truncated file lacks the uuid."""
    path = folder / SETTINGS_FILE
    try:
        settings = build(Settings, resolve.read_yaml(path))
    except UserError as error:
        raise UserError(f"{error}; {_PUT_BACK}") from error
    if settings.uuid is None:
        raise UserError(f"{path}: damaged, it does not say which run it is of; {_PUT_BACK}")
    return settings


@cache
def git_revision() -> str:
    """The commit checked out at the first call, with "-dirty" for changed files or untracked code.

    Outside a repository: the revision that the image was built from, or an empty string.
    """
    describe = ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        revision, new = _git(*describe), _git("ls-files", "--others", "--exclude-standard", "--", "*.py")
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("GIT_REVISION", "")
    return f"{revision}-dirty" if new and not revision.endswith("-dirty") else revision


def _git(*words: str) -> str:
    return subprocess.run(["git", "-C", str(CODE), *words], capture_output=True, text=True, check=True).stdout.strip()
