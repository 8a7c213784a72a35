"""Train and report a run, make out-of-fold logits or features, audit the labels, look at a set, or predict."""

if __name__ == "__main__":  # before the slow imports
    import os

    from project.work.machine import process

    process.begin(quiet="TORCHELASTIC_RUN_ID" in os.environ)

import dataclasses
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from project.work import common
from project.work.common import UserError, flag
from project.work.dataset import prepared_data
from project.work.machine import launch, process
from project.work.machine.process import run_command, trouble, within_memory
from project.work.settings import resolve
from project.work.settings.groups import Settings

KEPT = "stopped; every finished epoch is kept"
LOWER = "--batch-size, --image-size, --processes or a sweep's --parallel"  # where memory runs out

if TYPE_CHECKING:
    from project.work.dataset.base_dataset import Dataset
    from project.work.dataset.transforms import Normaliser
    from project.work.machine.distributed import Distributed, RunContext
    from project.work.machine.run_sync import RunSync
    from project.work.run_folder import Run


def main(argv: Sequence[str] | None = None) -> None:
    """Read the settings and do what they ask for. torch is imported late: bad settings are refused before it loads."""
    if launch.WORKER in os.environ:
        launch.watch_parent()
    settings = resolve.parse(argv)
    if settings.stage == "look":
        look(settings)
        return
    if settings.stage == "predict":
        predict(settings, resolve.typed(argv))
        return
    if settings.tensorboard:
        from project.work.reporter import tensorboard

        tensorboard.refuse_missing()
    if launch.WORKER not in os.environ:
        for name in resolve.idle(settings):
            print(f"warning: {flag(name)} belongs to a method that is off; it has no effect", file=sys.stderr)
        if _may_be_shared(settings):
            _share(settings, sys.argv[1:] if argv is None else argv)
        elif settings.data_uri is None and settings.resume is None:
            prepared_data.find(settings.dataset)
    from project.work.machine.distributed import joined

    with joined() as distributed:
        work(distributed.first(lambda: settings), distributed, resolve.typed(argv))


def _may_be_shared(settings: Settings) -> bool:
    """Whether several processes may share the run: each of these settings can ask for it."""
    asked = (settings.nodes, settings.processes, settings.gpu, os.environ.get("CLUSTER_SPEC"))
    return any(each is not None for each in asked)


def _share(settings: Settings, words: Sequence[str]) -> None:
    """Where several processes share the run, start them and exit with their code."""
    machine, processes = launch.this_machine(settings, os.environ), launch.processes_here(settings)
    if machine.count == 1 and settings.data_uri is None and settings.resume is None:
        prepared_data.find(settings.dataset)  # where there are more, the others would wait for it
    if machine.count * processes > 1:
        start_processes(settings, words, machine, processes)


def start_processes(settings: Settings, words: Sequence[str], machine: launch.Machine, processes: int) -> NoReturn:
    """Start this script in several processes and exit with their code."""
    from project.work import run_folder
    from project.work.machine.device import choose_device

    choose_device(settings, processes - 1)
    run = run_folder.placed(settings)
    if run.resume is None and run.uuid is None and resolve.is_run(run):  # so that the message can name it
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


def work(settings: Settings, distributed: "Distributed", typed: Mapping[str, Any]) -> None:
    """Do what the settings ask for, as one process of the run. typed: the settings given on the command line."""
    from project.work import run_folder
    from project.work.machine.distributed import RunContext
    from project.work.runner.table import method_name

    device = distributed.all(lambda: distributed.choose_device(settings))
    settings = run_folder.placed(settings)
    context = RunContext(settings, device, distributed, _fetched(settings) if distributed.is_first else None)
    if ":" in settings.augment:  # before anything takes long
        from project.work.files import own_code

        own_code.load("--augment", settings.augment)
    if not resolve.is_run(settings):
        with interruptible("the same command goes on"), within_memory(LOWER):
            {"audit": audit, "oof": oof, "features": features, "train": overfit}[settings.stage](context)
        return
    if settings.hard and settings.resume is None:
        settings = distributed.first(lambda: _with_last_audit(settings))
    run = distributed.first(lambda: run_folder.open_run(settings, method_name(settings), typed))
    # Disk errors become UserErrors outside of `run`: a run that met a full disk keeps its folder.
    with interruptible(f"go on with: {run.command}"), run, within_memory(LOWER):
        train(run, context.using(run.settings))


def _fetched(settings: Settings) -> "RunSync | None":
    """Syncs the output folder with --output-uri, and fetches what an earlier machine left there; None without one."""
    from project.work import run_folder

    output = run_folder.output_folder(settings)
    if settings.output_uri is None:
        return None
    from project.work.machine.run_sync import RunSync

    sync = RunSync(settings.output_uri, output)
    sync.fetch()
    return sync


@contextmanager
def interruptible(how: str, stopped: str = KEPT) -> Iterator[None]:
    """Turn Ctrl-C and other stop signals into a line that says how to go on, and the usual exit code.

    Disk errors become such a line too. stopped: what to say of the stop.
    """
    with process.stoppable():
        try:
            yield
        except OSError as error:
            raise UserError(f"{trouble(error)}; once that is fixed, {how}; what was written before is kept") from error
        except KeyboardInterrupt as stop:
            if launch.WORKER not in os.environ:  # in a worker, the process that started it says so
                process.say(f"{stopped}; {how}")
            sys.exit(process.code(stop))


def train(run: "Run", context: "RunContext") -> None:
    """Train a run from where it stopped, read the test split once, and report."""
    from project.work.classifier import MODEL_FILE
    from project.work.reporter import tensorboard
    from project.work.runner import history
    from project.work.runner.table import earlier_row, method_name, outcome, result_row, runner_class
    from project.work.teacher import teachers

    settings, first = run.settings, context.distributed.first
    context.send(run.folder)  # if the bucket refuses, fail now and not after an epoch
    dataset = _load(_with_audit(context))
    data_digest = prepared_data.digest(common.input_folder(settings.dataset))
    first(lambda: write_label_changes(run, dataset))
    if settings.distillation or settings.nts:
        dataset = teachers.with_soft_targets(context, dataset)
    kind = runner_class(settings)
    if settings.profile is not None or settings.gradients:
        from project.work.runner import watching

        kind = watching.watched(kind, settings)
    runner = kind(context, dataset, run.folder)
    trained: list[Path] = []  # folders, one an epoch
    board = tensorboard.TensorBoard(run.folder) if settings.tensorboard else None

    def after_epoch() -> None:
        if board is not None:
            board.show(runner.history.as_dicts())
        context.try_send(run.folder)
        trained.append(run.folder)

    runner.fit(after_epoch)
    row = first(lambda: None if trained else earlier_row(run))
    if row is None:
        came_to = outcome(runner)
        row = result_row(settings, runner, method_name(settings), data_digest, came_to)
        first(lambda: came_to.write(run.folder, dataset, common.input_folder(settings.dataset)))
    if context.distributed.is_first:
        history.write_margins(run.folder, runner.memories["margins"].values, dataset)
        runner.save_classifier(run.folder / MODEL_FILE, row["temperature"])
        report(run, row, context)


def write_label_changes(run: "Run", dataset: "Dataset") -> None:
    """Write what noise and corrections did to the labels into the run folder."""
    from project.work.labels import label_correction, noise

    if dataset.noise is not None:
        noise.write(run.folder, dataset.noise, run.settings, dataset.train_keys, dataset.names)
    if dataset.correction is not None:
        print("\n".join(label_correction.write(run.folder, dataset.correction, dataset.train_keys, dataset.names)))


def report(run: "Run", row: dict[str, Any], context: "RunContext", words: str | None = None) -> None:
    """Write a finished run's row into its folder, then to every destination, and print the result.

    words: the result in words; when not given, those of a run of epochs.
    """
    from project.work.reporter.reporter import Reporter, destinations, write_result
    from project.work.reporter.result import Result

    reporter = Reporter(destinations(run.settings, run.folder))
    result = Result(row, run.folder)
    places = [f"row in {write_result(result)}", *reporter.report(result)]
    context.send(run.folder)
    print(
        words
        or f"top-1 accuracy on the test split: {row['best_test_accuracy']:.1%} at epoch {row['selected_epoch']},"
        f" selected on validation ({row['last_test_accuracy']:.1%} at the last epoch)"
    )
    print("\n".join([*places, f"run folder {run.folder}"]))
    if len(places) <= len(reporter.destinations):
        sys.exit(f"not everything was reported; once that is fixed: {run.command}")


def oof(context: "RunContext") -> None:
    """Train the fold models and say where their out-of-fold logits are."""
    from project.work.teacher import teachers

    kind = teachers.OUT_OF_FOLD
    context = _with_audit(context.using(kind.settings(context.settings)))
    print(f"OOF logits in {teachers.logits_file(kind, context, _load(context))}")


def audit(context: "RunContext") -> None:
    """Find the wrong labels of the training file."""
    from project.work.audit import stage

    backbone = None
    if context.settings.features:
        from project.work.features import extract

        backbone = extract.needed(context.settings)
    stage.run(context, _load(context), backbone)


def features(context: "RunContext") -> None:
    """Make one row of features a picture; with a head, train it on them, read the test split once, report."""
    from project.work import run_folder
    from project.work.features import extract, stage

    backbone = extract.needed(context.settings)
    dataset = _load(context)
    if context.settings.head == "none":
        stage.run(context, dataset, backbone)
        return
    with run_folder.open_run(context.settings, f"{context.settings.head}-features", {}) as run:
        found = stage.run(context, dataset, backbone)
        trained = stage.train_head(run.settings, dataset, found, backbone)
        write_label_changes(run, dataset)
        if trained.classifier is not None:
            from project.work.classifier import MODEL_FILE

            trained.classifier.save(run.folder / MODEL_FILE)
        source = common.input_folder(run.settings.dataset)
        trained.outcome.write(run.folder, dataset, source)
        data_digest = prepared_data.digest(source)
        report(run, stage.row(run.settings, dataset, trained, data_digest), context, trained.words)


def overfit(context: "RunContext") -> None:
    """Check that a few training pictures can be learnt by heart; nothing is kept or reported."""
    from tempfile import TemporaryDirectory

    from project.work.runner import overfit as check

    dataset = _load(context)
    with TemporaryDirectory() as folder:
        said = check.check(context, dataset, Path(folder))
    if context.distributed.is_first:
        print(said)


def look(settings: Settings) -> None:
    """Describe a prepared set on a page; nothing is trained."""
    from project.work.look import stage

    stage.run(settings)


def predict(settings: Settings, typed: Mapping[str, Any]) -> None:
    """Have classifiers answer to pictures, or choose their answer to pictures of no class."""
    from project.work.predict import stage

    with interruptible("the same command begins again", "stopped"), within_memory(LOWER):
        stage.run(settings, typed)


def _load(context: "RunContext") -> "Dataset":
    from project.work.dataset import base_dataset, remote_data

    settings, distributed = context.settings, context.distributed

    def load() -> "Dataset":
        if settings.data_uri is not None:
            for name in filter(None, (settings.dataset, settings.extra_train)):
                remote_data.fetch(common.input_folder(name), settings.data_uri)
        return base_dataset.load(settings, context.device, _known(settings))

    dataset = distributed.all(load)
    if len(set(distributed.gather(dataset.fingerprint))) > 1:
        raise UserError(f"{settings.dataset}: the machines of this run hold different pictures; prepare them once")
    return dataset


def _known(settings: Settings) -> "Callable[[int], Normaliser] | None":
    """The normaliser of a network's weights by channels, where there are some.

    What a network cannot do is refused here, before the pictures are read. Raises UserError.
    """
    from project.work import model

    of_here = resolve.network(settings) in model.MODELS
    return None if of_here or resolve.by_features(settings) else model.build.prepare(settings)


def _with_last_audit(settings: Settings) -> Settings:
    """The same with the audit file that --hard goes by: the last one of this data set, unless --clean makes one."""
    if settings.audit_file is not None or settings.clean != "none":
        return settings
    from project.work.audit import stage

    path = stage.last_file(settings)
    if path is None:
        raise UserError(f"--hard {settings.hard}: there is no audit of {settings.dataset}, to tell hard labels from"
                        " wrong ones: run ./inv audit first, or give --audit-file")  # fmt: skip
    print(f"--hard {settings.hard}: by {path}", file=sys.stderr)
    return dataclasses.replace(settings, audit_file=str(path))


def _with_audit(context: "RunContext") -> "RunContext":
    """The same with the audit file that --clean uses. When none is given, the audit is made first."""
    settings, distributed = context.settings, context.distributed
    if settings.clean == "none" or settings.audit_file is not None:
        return context
    from project.work.audit import stage
    from project.work.files import disk

    before = context.using(stage.audited(settings))
    path = stage.audit_file(before, _load(before))
    if not all(distributed.gather(path.exists())):  # several machines: only the first has the file
        text = distributed.first(path.read_bytes)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            disk.replace_file(path, text)
    return context.using(dataclasses.replace(settings, audit_file=str(path)))


if __name__ == "__main__":
    run_command(main, LOWER)
