"""Runs that are planned: named by their settings, and all of them checked before any starts."""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import make_command
from project.work import common
from project.work.common import DEFAULTS_FILE, UserError
from project.work.dataset import prepared_data
from project.work.settings import resolve
from project.work.settings.flags import flag, given
from project.work.settings.groups import DataSettings, Settings

PLACE = frozenset(resolve.place_settings())
FILES = ("noise_file", "corrections", "audit_file", "oof_logits")  # settings that name one


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep. name: the settings in which it differs; values: its flags; settings: what they come to."""

    uuid: str
    name: str
    values: dict[str, Any]
    settings: Settings


def expand(values: Mapping[str, Any]) -> list[PlannedRun]:
    """The runs of a grid, each once, all of them checked. Raises UserError."""
    runs: dict[str, PlannedRun] = {}
    for point, differing in make_command.grid(values, whole=PLACE):
        name = " ".join(f"{which}={value}" for which, value in differing.items()) or "the only run"
        run = make_run(name, point)
        runs.setdefault(run.uuid, run)
    return list(runs.values())


def make_run(name: str, values: Mapping[str, Any]) -> PlannedRun:
    """The run of these flags, with the uuid that its settings give it. Raises UserError that says which run it is."""
    if values.get("uuid") is not None or values.get("resume") is not None:
        raise UserError("--uuid, --resume: a sweep names its runs itself, and goes on with those it began")
    if values.get("stage") not in (None, "train"):
        raise UserError(f"--stage {values['stage']}: a sweep trains; ./inv {values['stage']} does that")
    try:
        settings = settings_of(values)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
    uuid = uuid_of(settings)
    return PlannedRun(uuid, name, {**values, "uuid": uuid}, settings)


def settings_of(values: Mapping[str, Any]) -> Settings:
    """The settings that main.py makes of these flags. Raises UserError."""
    return resolve.combine(resolve.read_yaml(DEFAULTS_FILE), given(Settings, make_command.flags(values), ""))


def uuid_of(settings: Settings) -> str:
    """A name for exactly these settings, and for what the files hold that they name.

    A setting that is added to the code later, at its default, changes no name.
    """
    chosen = resolve.chosen(settings)
    chosen |= {name: _digest(chosen[name]) for name in FILES if name in chosen}
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:12]


def _digest(path: str) -> str:
    """What a file holds, or an audit's folder, in short; the path itself where there is none here (gs://, say)."""
    file = _file(path)
    if file is None:
        return path
    from project.work.files.arrays import file_digest  # in pieces, for logits may be large

    return file_digest(file)


def _file(path: str) -> Path | None:
    return next((each for each in (Path(path), Path(path) / "audit.csv") if each.is_file()), None)


def refuse_absent(runs: Iterable[PlannedRun]) -> None:
    """Raises UserError when a run would find no data set here, or no file where a setting of its names one."""
    for run in runs:
        if run.settings.data_uri is None:
            prepared_data.find(run.settings.dataset)
        for name in FILES:
            path = getattr(run.settings, name)
            if path is not None and "://" not in path and _file(path) is None:
                raise UserError(f"{run.name}: {flag(name)} {path} is missing: give the path of a file that is there")


def refuse_changed(runs: Iterable[PlannedRun], digests: Mapping[str, str], output: Path) -> None:
    """Raises UserError when a data set that is here was prepared anew since runs on it finished.

    digests: uuid -> what the row of a finished run says of its data; nothing where it is of before that was kept.
    """
    finished = [run for run in runs if digests.get(run.uuid)]
    here = {
        name: prepared_data.digest(common.input_folder(name)) for name in {run.settings.dataset for run in finished}
    }
    changed = Counter(
        run.settings.dataset for run in finished if here[run.settings.dataset] not in (None, digests[run.uuid])
    )
    for dataset, count in changed.items():
        raise UserError(
            f"--dataset {dataset}: its pictures changed since {count} of these runs finished in {output}; give another"
            " --output for all of them, or prepare the new pictures under another --dataset name"
        )


def by_data(runs: Iterable[PlannedRun]) -> list[PlannedRun]:
    """The same runs, those of the same data after each other: a process may still have what the last one loaded."""
    names = [field.name for field in dataclasses.fields(DataSettings)]
    return sorted(runs, key=lambda run: [str(run.values.get(name)) for name in names])
