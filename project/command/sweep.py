"""A sweep: trains every combination of settings given as lists, here or as jobs; a failed run does not stop it.

A run's uuid is made from its settings, so that the same command skips finished runs and continues with the rest.
"""

import dataclasses
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import make_command
from ai_platform import GoingOn
from project.command import cloud
from project.command.finished import Finished
from project.command.runs import PLACE, PlannedRun, by_data, expand, refuse_absent, refuse_changed
from project.command.sweep_pool import SweepPool, Task
from project.command.training_job import JobSettings
from project.work import common
from project.work.common import UserError
from project.work.files.disk import absent
from project.work.machine import launch, process
from project.work.settings.flags import build, given, setting

LOGS = "sweep-logs"


@dataclass(frozen=True)
class SweepSettings:
    """How to run the grid."""

    method: str | None = setting(
        None, "methods, separated by commas, such as base, mixup+distillation, recipe=predecessor or"
        " ema=0.99+label-smoothing=0.2", value="METHODS"
    )
    parallel: int | None = setting(
        None, "runs at once on this machine; when not given one, on a GPU as many as fit there", within="[1, 64]"
    )
    remote: bool = setting(False, "submit each run as a job on Google Cloud")
    dry_run: bool = setting(False, "print the commands and run nothing")


@dataclass(frozen=True)
class Order:
    """How to do the runs. config: invoke.yaml; job: values of JobSettings; output: the folder of their results."""

    config: Mapping[str, Any]
    settings: SweepSettings
    job: dict[str, Any]
    output: Path


def run_sweep(config: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Do the missing runs and print the table of the sweep; exit with an error when a run failed.

    values: flags of SweepSettings, JobSettings and Settings; those of Settings may be lists.
    """
    order, grid = read_order(SweepSettings, config, values)
    runs = expand(grid | {"method": order.settings.method})
    if order.settings.dry_run:
        print_commands(order, runs)
        return
    failed = carry_out(order, runs)
    _print_table(order.output, runs)
    end(runs, failed)


def read_order(
    cls: type[SweepSettings], config: Mapping[str, Any], values: Mapping[str, Any]
) -> tuple[Order, dict[str, Any]]:
    """How to do the runs, and the remaining values: those of Settings. Raises UserError."""
    own = _of(cls, values)
    settings = build(cls, given(cls, make_command.flags(own), ""))
    job = {name: value for name, value in _of(JobSettings, values).items() if settings.remote or name not in PLACE}
    elsewhere = set(own) | set(job)
    rest = {name: value for name, value in values.items() if name not in elsewhere}
    return Order(config, settings, job, common.output_folder(values.get("output"))), rest


def _of(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(cls)}
    return {name: value for name, value in values.items() if name.removeprefix("no_") in names}


def print_commands(order: Order, runs: Sequence[PlannedRun]) -> None:
    """Print the commands of the unfinished runs. Raises UserError when one could not start."""
    for run in _left(order, runs):
        print(shlex.join(command_of(run, order.job if order.settings.remote else None)))


def carry_out(order: Order, runs: Sequence[PlannedRun], after: Callable[[], None] | None = None) -> dict[str, str]:
    """Do the unfinished runs in order; returns the errors of failed runs, by uuid.

    after: called whenever a run here has ended. Raises UserError before the first start if any run could not start.
    """
    left = _left(order, runs)
    done = sum(map(Finished(order.output).has_row, (run.uuid for run in runs)))
    missing = len(left) - (len(runs) - done)
    note = f", {missing} of those still to be reported everywhere" if missing else ""
    print(f"{len(runs)} runs, {done} of them finished already{note}", file=sys.stderr)
    if order.settings.remote:
        return submit(order.config, left, order.job)
    return run_here(left, order.output, order.settings.parallel, after)


def _left(order: Order, runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    rows, finished = _finished(order.output), Finished(order.output)
    refuse_changed(runs, rows, order.output)
    left = [run for run in runs if run.uuid not in rows]
    if not order.settings.remote:
        refuse_absent(left)
        left = [run for run in runs if run.uuid not in rows or not finished.is_whole(run.uuid)]
    return left


def end(runs: Sequence[PlannedRun], failed: Mapping[str, str]) -> None:
    """Print which runs failed and why, and exit with an error if any did."""
    for run in (run for run in runs if run.uuid in failed):
        print(f"failed: {run.name} ({run.uuid}): {failed[run.uuid]}", file=sys.stderr)
    if failed:
        sys.exit(f"{len(failed)} of {len(runs)} runs failed; the same command tries them again")


def command_of(run: PlannedRun, job: Mapping[str, Any] | None = None) -> list[str]:
    """The command of a local run or of its job."""
    if job is None:
        return make_command.script("project/work/main.py", run.values)
    return ["./inv", "train-ai-platform", *make_command.flags(_of_job(run, job))]


def _of_job(run: PlannedRun, job: Mapping[str, Any]) -> dict[str, Any]:
    """The values for a job, without the local output folder."""
    return {**job, **run.values, "dry_run": None, "output": None, "detach": True}


def submit(config: Mapping[str, Any], runs: Iterable[PlannedRun], job: Mapping[str, Any]) -> dict[str, str]:
    """Submit each run as a job; returns errors by uuid. A running job is left alone."""
    failed: dict[str, str] = {}
    for run in common.progress(list(runs), unit="job"):
        try:
            cloud.train(config, _of_job(run, job))
        except GoingOn as error:
            print(error)
        except UserError as error:
            failed[run.uuid] = str(error)
    return failed


def run_here(
    runs: Iterable[PlannedRun], output: Path, parallel: int | None, after: Callable[[], None] | None = None
) -> dict[str, str]:
    """Train runs, several at once; returns the errors of failed runs, by uuid."""
    logs = output.absolute() / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    tasks = [_task(run, logs) for run in by_data(runs)]
    with process.stoppable(), common.progress(total=len(tasks), unit="run") as bar:
        try:
            return SweepPool(tasks, parallel, Finished(output), after).work(bar)
        except KeyboardInterrupt as stop:
            bar.close()
            process.say("stopped; every finished epoch is kept; the same command goes on")
            sys.exit(process.code(stop))


def _task(run: PlannedRun, logs: Path) -> Task:
    """A task for the pool. A run of several processes gets its own process, because torchrun changes its process."""
    several = (run.settings.nodes or 1) * launch.processes_here(run.settings) > 1 or "CLUSTER_SPEC" in os.environ
    command = tuple(command_of(run)) if several else None
    return Task(run.uuid, run.name, tuple(make_command.flags(run.values)), logs / f"{run.uuid}.log", command)


def _finished(output: Path) -> dict[str, str]:
    """The runs with a row in an output folder: uuid -> data digest, empty in older rows."""
    path = output / "results.csv"
    if absent(path):
        return {}
    from project.work.reporter.result import DATA_DIGEST
    from project.work.reporter.table.result_table import ResultTable

    table = ResultTable(output).read()
    return dict(zip(table["uuid"], table.get(DATA_DIGEST, [""] * len(table)), strict=True))


def _print_table(output: Path, runs: Iterable[PlannedRun]) -> None:
    """Print the table of this sweep's finished runs."""
    if not _finished(output).keys() & {run.uuid for run in runs}:
        return
    from project.work.reporter.table.result_table import ResultTable
    from project.work.study import summary
    from project.work.study.terminal import say

    table = ResultTable(output).read()
    say(summary.text(table[table["uuid"].isin([run.uuid for run in runs])]))
