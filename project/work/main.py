"""Train one run and report it, or the fold models behind out-of-fold logits, or audit the labels by them."""

if __name__ == "__main__":  # before anything that takes a while to load
    import os

    from project.work.machine import process

    process.begin(quiet="TORCHELASTIC_RUN_ID" in os.environ)

import dataclasses
import os
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from project.work import common
from project.work.common import UserError
from project.work.dataset import prepared_data
from project.work.machine import launch, process
from project.work.machine.process import run_command, trouble, within_memory
from project.work.settings import resolve
from project.work.settings.flags import flag
from project.work.settings.groups import Settings

MARGINS_FILE = "margins.csv.gz"
REPORTED = ("best_test_accuracy", "last_test_accuracy", "selected_epoch")
KEPT = "stopped; every finished epoch is kept"
LOWER = "--batch-size, --image-size, --processes or a sweep's --parallel"  # where memory runs out

if TYPE_CHECKING:
    import torch

    from project.work.dataset.base_dataset import Dataset
    from project.work.machine.distributed import Parallel
    from project.work.machine.run_sync import RunSync
    from project.work.run_folder import Run
    from project.work.runner.base_runner import BaseRunner


def main(argv: Sequence[str] | None = None) -> None:
    """Read settings and do what they ask for. What is imported late is torch: settings are refused before it loads."""
    if launch.WORKER in os.environ:
        launch.watch_parent()
    settings = resolve.parse(argv)
    if launch.WORKER not in os.environ:
        for name in resolve.idle(settings):
            print(f"warning: {flag(name)} is of a method that is not switched on; nothing reads it", file=sys.stderr)
        machine, processes = launch.this_machine(settings, os.environ), launch.processes_here(settings)
        if machine.count == 1 and settings.data_uri is None and settings.resume is None:
            prepared_data.find(settings.dataset)  # where there are more, the others would wait for it
        if machine.count * processes > 1:
            start_processes(settings, sys.argv[1:] if argv is None else argv, machine, processes)
    from project.work.machine.distributed import joined

    with joined() as parallel:
        work(parallel.first(lambda: settings), parallel, resolve.typed(argv))


def start_processes(settings: Settings, words: Sequence[str], machine: launch.Machine, processes: int) -> NoReturn:
    """Start this script in several processes and end as they do."""
    from project.work import run_folder
    from project.work.machine.device import choose_device

    choose_device(settings, processes - 1)
    run = run_folder.placed(settings)
    if run.resume is None and run.uuid is None and resolve.is_run(run):  # known here, to say what goes on with it
        run = dataclasses.replace(run, uuid=uuid.uuid4().hex[:12])
        words = [*words, f"--uuid={run.uuid}"]
    command = run_folder.resume_command(run) if resolve.is_run(run) else "the same command"
    try:
        code = launch.start(launch.torchrun(machine, processes, __file__, words), processes)
    except UserError as error:
        raise UserError(f"{error}; every finished epoch is kept; go on with: {command}") from error
    if code > 128:
        process.say(f"{KEPT}; go on with: {command}")
    sys.exit(code)


def work(settings: Settings, parallel: "Parallel", typed: Mapping[str, Any]) -> None:
    """Do what the settings ask for, as one of the processes that do it. typed: those of the command line itself."""
    from project.work import run_folder
    from project.work.machine import run_sync
    from project.work.runner.table import method_name

    device = parallel.all(lambda: parallel.choose_device(settings))
    settings = run_folder.placed(settings)
    copy = run_sync.RunSync(None, Path())
    if parallel.rank == 0:
        copy = run_sync.open_sync(settings.output_uri, run_folder.output_folder(settings))
        copy.fetch()
    if not resolve.is_run(settings):
        with interruptible("the same command goes on"), within_memory(LOWER):
            (audit if settings.stage == "audit" else make_logits)(settings, device, copy, parallel)
        return
    run = parallel.first(lambda: run_folder.open_run(settings, method_name(settings), typed))
    # A run that found no room is not one that was refused: the disk's errors are put in words outside of it.
    with interruptible(f"go on with: {run.command}"), run, within_memory(LOWER):
        train(run, device, copy, parallel)


@contextmanager
def interruptible(how: str) -> Iterator[None]:
    """Turn Ctrl-C and its like into a line that says how to go on, and the exit code of shells for it.

    What the disk refused becomes such a line too.
    """
    with process.stoppable():
        try:
            yield
        except OSError as error:
            raise UserError(f"{trouble(error)}; when that is mended, {how}; what was written before is kept") from error
        except KeyboardInterrupt as stop:
            if launch.WORKER not in os.environ:  # there the process that started it speaks
                process.say(f"{KEPT}; {how}")
            sys.exit(process.code(stop))


def train(run: "Run", device: "torch.device", copy: "RunSync", parallel: "Parallel") -> None:
    """Train a run from wherever it stands, read the test split once, report."""
    from project.work.labels import label_correction, noise
    from project.work.result import result_row
    from project.work.runner.table import method_name, runner_class
    from project.work.teacher import teachers

    settings = run.settings
    copy.send(run.folder)  # a bucket that refuses is better known now than after an epoch
    dataset = _load(_with_audit(settings, device, copy, parallel), device, parallel)
    data_digest = prepared_data.digest(common.input_folder(settings.dataset))
    if dataset.noise is not None and parallel.rank == 0:
        noise.write(run.folder, dataset.noise, settings, dataset.train_keys, dataset.names)
    if dataset.correction is not None and parallel.rank == 0:
        print("\n".join(label_correction.write(run.folder, dataset.correction, dataset.train_keys, dataset.names)))
    dataset = teachers.with_soft_targets(settings, dataset, device, copy, parallel)
    runner = runner_class(settings)(settings, dataset, device, run.folder, parallel)
    trained: list[Path] = []  # folders, one an epoch
    runner.fit(lambda: copy.try_send(run.folder) or trained.append(run.folder))
    row = parallel.first(lambda: None if trained else earlier_row(run))
    if row is None:
        row = result_row(settings, runner, method_name(settings), data_digest)
    if parallel.rank == 0:
        write_margins(run.folder, runner)
        report(run, row, copy)


def earlier_row(run: "Run") -> dict[str, Any] | None:
    """The row that was made when the run finished, which may not have been reported everywhere; None without one."""
    from project.work.reporter.result_file import read_result
    from project.work.result import settings_cells

    with suppress(UserError):  # damaged: the test split is read again
        row, cells = read_result(run.folder), settings_cells(run.settings)
        if (
            row is not None
            and row.keys() >= set(REPORTED)
            and all(row.get(name, cells[name]) == cells[name] for name in cells)
        ):
            return row | cells  # older rows lack what has become a setting since
    return None


def write_margins(folder: Path, runner: "BaseRunner") -> None:
    """Write the mean margin of every row that was trained on, the most suspicious first."""
    from project.work.files.arrays import write_gzip
    from project.work.runner import row_memory

    dataset, sums = runner.dataset, runner.memories["margins"].values
    labels = dataset.train.records.labels.cpu().numpy()
    table = row_memory.table(row_memory.means(sums), dataset.train_keys, labels)
    write_gzip(folder / MARGINS_FILE, table.to_csv(index=False).encode())


def report(run: "Run", row: dict[str, Any], copy: "RunSync") -> None:
    """Send a finished run's row to every destination and say what came out."""
    from project.work.reporter.destinations import destinations
    from project.work.reporter.reporter import Reporter, Result

    reporter = Reporter(destinations(run.settings, run.folder))
    places = reporter.report(Result(row, run.folder))
    copy.send(run.folder)
    print(
        f"top-1 accuracy on the test split: {row['best_test_accuracy']:.1%} at epoch {row['selected_epoch']},"
        f" selected on validation ({row['last_test_accuracy']:.1%} at the last epoch)"
    )
    print("\n".join([*places, f"run folder {run.folder}"]))
    if len(places) < len(reporter.destinations):
        sys.exit(f"not everything was reported; when that is mended: {run.command}")


def make_logits(settings: Settings, device: "torch.device", copy: "RunSync", parallel: "Parallel") -> None:
    """Train the fold models and say where their logits are."""
    from project.work.teacher import teachers

    kind = teachers.OUT_OF_FOLD
    teacher = kind.settings(settings)
    dataset = _load(_with_audit(teacher, device, copy, parallel), device, parallel)
    print(f"OOF logits in {teachers.logits_file(kind, teacher, dataset, device, copy, parallel)}")


def audit(settings: Settings, device: "torch.device", copy: "RunSync", parallel: "Parallel") -> None:
    """Find the wrong labels of the training file."""
    from project.work.audit import stage

    stage.run(settings, _load(settings, device, parallel), device, copy, parallel)


def _load(settings: Settings, device: "torch.device", parallel: "Parallel") -> "Dataset":
    from project.work.dataset import base_dataset, remote_data

    def load() -> "Dataset":
        remote_data.fetch(common.input_folder(settings.dataset), settings.data_uri)
        return base_dataset.load(settings, device)

    dataset = parallel.all(load)
    if len(set(parallel.gather(dataset.fingerprint))) > 1:
        raise UserError(f"{settings.dataset}: the machines of this run hold different pictures; prepare them once")
    return dataset


def _with_audit(settings: Settings, device: "torch.device", copy: "RunSync", parallel: "Parallel") -> Settings:
    """The settings with the audit that --clean goes by; that of the same settings is made first when none is given."""
    if settings.clean == "none" or settings.audit_file is not None:
        return settings
    from project.work.audit import stage
    from project.work.files import disk

    before = stage.audited(settings)
    path = stage.audit_file(before, _load(before, device, parallel), device, copy, parallel)
    if not all(parallel.gather(path.exists())):  # several machines, of which the first has written it
        text = parallel.first(path.read_bytes)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            disk.replace_file(path, text)
    return dataclasses.replace(settings, audit_file=str(path))


if __name__ == "__main__":
    run_command(main, LOWER)
