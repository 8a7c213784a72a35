"""A sweep: every combination of settings given as lists, trained here or submitted as jobs, whatever one of them does.

A run's uuid is made from its settings, so that the same command skips what is finished and goes on with the rest.
"""

import dataclasses
import hashlib
import json
import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import make_command
from ai_platform import GoingOn
from project.command import cloud
from project.command.crew import Crew, Task
from project.command.training_job import JobSettings
from project.work import common, launch
from project.work.common import DEFAULTS_FILE, DataSettings, Settings
from project.work.declaration import UserError, build, given, setting

LOGS = "sweep-logs"
_PLACE = frozenset(common.place_settings())


@dataclass(frozen=True)
class SweepSettings:
    """How to go through the grid."""

    method: str | None = setting(None, "methods to compare: base,mixup,manifold-mixup,mixup+distillation")
    parallel: int | None = setting(
        None, "runs at once on this machine; when not given one, on a GPU as many as fit there", within="[1, 64]"
    )
    remote: bool = setting(False, "submit each run as a job on Google Cloud")
    dry_run: bool = setting(False, "print the commands and run nothing")


@dataclass(frozen=True)
class Run:
    """One run of a sweep. name: the settings in which it differs; values: its flags."""

    uuid: str
    name: str
    values: dict[str, Any]


def run_sweep(config: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Run what has not been run, print the table of the sweep; ends the program unsuccessfully when a run failed.

    config: invoke.yaml; values: flags of SweepSettings, JobSettings and Settings, of which settings may be lists.
    """
    own = _of(SweepSettings, values)
    settings = build(SweepSettings, given(SweepSettings, make_command.flags(own), ""))
    job = {name: value for name, value in _of(JobSettings, values).items() if settings.remote or name not in _PLACE}
    elsewhere = set(own) - {"method"} | set(job)
    runs = expand({name: value for name, value in values.items() if name not in elsewhere})
    output = common.OUTPUT if values.get("output") is None else Path(values["output"])
    finished = _finished(output)
    left = [run for run in runs if run.uuid not in finished]
    if settings.dry_run:
        for run in left:
            print(shlex.join(command_of(run, job if settings.remote else None)))
        return
    print(f"{len(runs)} runs, {len(runs) - len(left)} of them finished already", file=sys.stderr)
    failed = submit(config, left, job) if settings.remote else run_here(left, output, settings.parallel)
    _print_table(output, runs)
    for run in (run for run in left if run.uuid in failed):
        print(f"failed: {run.name} ({run.uuid}): {failed[run.uuid]}", file=sys.stderr)
    if failed:
        sys.exit(f"{len(failed)} of {len(runs)} runs failed; the same command tries them again")


def _of(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(cls)}
    return {name: value for name, value in values.items() if name.removeprefix("no_") in names}


def expand(values: Mapping[str, Any]) -> list[Run]:
    """The runs of a grid, each once, all of them checked. Raises UserError."""
    if values.get("uuid") is not None or values.get("resume") is not None:
        raise UserError("--uuid, --resume: a sweep names its runs itself, and goes on with those it began")
    if values.get("stage") not in (None, "train"):
        raise UserError("--stage audit: a sweep trains; ./inv audit audits")
    runs: dict[str, Run] = {}
    for point, differing in make_command.grid(values, whole=_PLACE):
        name = " ".join(f"{which}={value}" for which, value in differing.items()) or "the only run"
        try:
            settings = _settings_of(point)
        except UserError as error:
            raise UserError(f"{name}: {error}") from error
        uuid = uuid_of(settings)
        runs.setdefault(uuid, Run(uuid, name, point | {"uuid": uuid}))
    return list(runs.values())


def _settings_of(values: Mapping[str, Any]) -> Settings:
    return common.combine(common.read_yaml(DEFAULTS_FILE), given(Settings, make_command.flags(values), ""))


def uuid_of(settings: Settings) -> str:
    """A name for exactly these settings; one that is added to the code later, at its default, changes none."""
    return hashlib.sha256(json.dumps(common.chosen(settings), sort_keys=True).encode()).hexdigest()[:12]


def command_of(run: Run, job: Mapping[str, Any] | None = None) -> list[str]:
    """The command of a run here, or of its job."""
    if job is None:
        return make_command.script("project/work/main.py", run.values)
    return ["./inv", "train-ai-platform", *make_command.flags(_of_job(run, job))]


def _of_job(run: Run, job: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a job: where the results of the sweep are here does not concern it."""
    return {**job, **run.values, "dry_run": None, "output": None, "detach": True}


def submit(config: Mapping[str, Any], runs: Iterable[Run], job: Mapping[str, Any]) -> dict[str, str]:
    """Submit each run as a job; returns what went wrong, by uuid. A job that is going on is left alone."""
    failed: dict[str, str] = {}
    for run in common.progress(list(runs), unit="job"):
        try:
            cloud.train(config, _of_job(run, job))
        except GoingOn as error:
            print(error)
        except UserError as error:
            failed[run.uuid] = str(error)
    return failed


def run_here(runs: Iterable[Run], output: Path, parallel: int | None) -> dict[str, str]:
    """Train runs, so many at once; returns what went wrong with those that failed, by uuid."""
    logs = output.absolute() / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    tasks = [_task(run, logs) for run in by_data(runs)]
    with common.progress(total=len(tasks), unit="run") as bar:
        try:
            return Crew(tasks, parallel).work(bar)
        except KeyboardInterrupt:
            bar.close()
            print("\nstopped; every finished epoch is kept; the same command goes on", file=sys.stderr)
            sys.exit(130)


def by_data(runs: Iterable[Run]) -> list[Run]:
    """The same runs, those of the same data after each other: a process may still have what the last one loaded."""
    names = [field.name for field in dataclasses.fields(DataSettings)]
    return sorted(runs, key=lambda run: [str(run.values.get(name)) for name in names])


def _task(run: Run, logs: Path) -> Task:
    """A run with a process of its own where it starts several, for torchrun changes the process it is called in."""
    settings = _settings_of(run.values)
    several = (settings.nodes or 1) * launch.processes_here(settings) > 1 or "CLUSTER_SPEC" in os.environ
    command = tuple(command_of(run)) if several else None
    return Task(run.uuid, run.name, tuple(make_command.flags(run.values)), logs / f"{run.uuid}.log", command)


def _finished(output: Path) -> set[str]:
    path = output / "results.csv"
    if not path.exists():
        return set()
    from project.work.reporter.result_table import ResultTable

    return set(ResultTable(output).read()["uuid"])


def _print_table(output: Path, runs: Iterable[Run]) -> None:
    """The summary of the runs of this sweep that are finished."""
    if not _finished(output) & {run.uuid for run in runs}:
        return
    from project.work.reporter import summary
    from project.work.reporter.result_table import ResultTable

    table = ResultTable(output).read()
    print(summary.summarise(table[table["uuid"].isin([run.uuid for run in runs])]).to_string(index=False))
