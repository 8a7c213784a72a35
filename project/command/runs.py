"""Planned runs: named by their settings, and all checked before the first one starts."""

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
from project.work.common import DEFAULTS_FILE, UserError, flag
from project.work.dataset import prepared_data
from project.work.settings import resolve
from project.work.settings.flags import given
from project.work.settings.groups import DataSettings, Settings

PLACE = frozenset(resolve.place_settings())
FILES = ("noise_file", "corrections", "audit_file", "oof_logits", "weights")  # settings that name a file


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep. name: its varying settings; values: its flags; settings: the result of the flags."""

    uuid: str
    name: str
    values: dict[str, Any]
    settings: Settings


def expand(values: Mapping[str, Any]) -> list[PlannedRun]:
    """The runs of a grid, without repeats, all checked. Raises UserError."""
    runs: dict[str, PlannedRun] = {}
    for point, differing in make_command.grid(values, whole=PLACE):
        name = " ".join(f"{which}={value}" for which, value in differing.items()) or "the only run"
        run = make_run(name, point)
        runs.setdefault(run.uuid, run)
    return list(runs.values())


def make_run(name: str, values: Mapping[str, Any]) -> PlannedRun:
    """The run of these flags, with a uuid made from its settings. Raises UserError that names the run."""
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
    """The settings that main.py would read from these flags. Raises UserError."""
    return resolve.combine(resolve.read_yaml(DEFAULTS_FILE), given(Settings, make_command.flags(values), ""))


def uuid_of(settings: Settings) -> str:
    """A name for exactly these settings and the content of the files that they name.

    A setting that the code gains later does not change the name while it has its default.
    """
    chosen = resolve.chosen(settings)
    chosen |= {name: _digest(chosen[name]) for name in FILES if name in chosen}
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:12]


def _digest(path: str) -> str:
    """A digest of a file or an audit's folder; the path itself if it is not on this machine, such as gs://."""
    file = _file(path)
    if file is None:
        return path
    from project.work.files.arrays import file_digest  # it reads in pieces, because logits may be large

    return file_digest(file)


def _file(path: str) -> Path | None:
    return next((each for each in (Path(path), Path(path) / "audit.csv") if each.is_file()), None)


def refuse_absent(runs: Iterable[PlannedRun]) -> None:
    """Raises UserError when a run's data set, or a file that its settings name, is missing."""
    for run in runs:
        if run.settings.data_uri is None:
            prepared_data.find(run.settings.dataset)
        for name in FILES:
            path = getattr(run.settings, name)
            if path is not None and "://" not in path and _file(path) is None:
                raise UserError(f"{run.name}: {flag(name)} {path} is missing: give the path of a file that is there")


def refuse_changed(runs: Iterable[PlannedRun], digests: Mapping[str, str], output: Path) -> None:
    """Raises UserError when a data set was prepared anew after runs on it finished.

    digests: uuid -> data digest in the row of a finished run; empty in older rows.
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
    """The same runs, grouped by data set, because a worker keeps the last data set loaded."""
    names = [field.name for field in dataclasses.fields(DataSettings)]
    return sorted(runs, key=lambda run: [str(run.values.get(name)) for name in names])
