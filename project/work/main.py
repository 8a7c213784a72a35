"""Train one run, or the fold models behind out-of-fold logits, and report it."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from project.work import common
from project.work.common import Settings
from project.work.declaration import run_command

if TYPE_CHECKING:
    import torch

    from project.work.dataset.base_dataset import Dataset
    from project.work.run_folder import Run

LOGITS_FILE = "oof_logits.npz"


def main(argv: Sequence[str] | None = None) -> None:
    """Read settings and do what they ask for. What is imported late is torch: settings are refused before it loads."""
    settings = common.parse(argv)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait give a busy machine's cores to others
    from project.work import run_folder
    from project.work.runner.table import method_name

    device = common.choose_device(settings)
    if settings.resume is None and settings.folds is not None and not settings.distillation:
        with interruptible("the same command goes on"):
            make_logits(settings, device)
        return
    with run_folder.open_run(settings, method_name(settings)) as run, interruptible(f"go on with: {run.command}"):
        train(run, device)


@contextmanager
def interruptible(how: str) -> Iterator[None]:
    """Turn Ctrl-C into a line that says how to go on, and the exit code of shells for it."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"\nstopped; every finished epoch is kept; {how}", file=sys.stderr)
        sys.exit(130)


def train(run: "Run", device: "torch.device") -> None:
    """Train a run from wherever it stands, read the test split once, report."""
    from project.work.dataset import base_dataset
    from project.work.reporter.curve_plot import CurvePlot
    from project.work.reporter.reporter import Reporter, Result
    from project.work.reporter.result_table import ResultTable
    from project.work.result import result_row
    from project.work.runner.table import method_name, runner_class

    settings = run.settings
    dataset = base_dataset.load(settings, device)
    if settings.distillation:
        dataset = _with_soft_targets(settings, dataset, device)
    runner = runner_class(settings)(settings, dataset, device, run.folder)
    runner.fit()
    row = result_row(settings, runner, method_name(settings))
    reporter = Reporter([ResultTable(run.folder.parent), CurvePlot()])
    places = reporter.report(Result(row, run.folder))
    print(
        f"top-1 accuracy on the test split: {row['best_test_accuracy']:.1%} at epoch {row['selected_epoch']},"
        f" selected on validation ({row['last_test_accuracy']:.1%} at the last epoch)"
    )
    print("\n".join([*places, f"run folder {run.folder}"]))
    if len(places) < len(reporter.destinations):
        sys.exit(f"not everything was reported; when that is mended: {run.command}")


def make_logits(settings: Settings, device: "torch.device") -> None:
    """Train the fold models and say where their logits are."""
    from project.work.dataset import base_dataset
    from project.work.runner import oof

    teacher = oof.teacher_settings(settings)
    print(f"OOF logits in {_logits(teacher, base_dataset.load(teacher, device), device)}")


def _with_soft_targets(settings: Settings, dataset: "Dataset", device: "torch.device") -> "Dataset":
    from project.work.dataset import distillation_dataset
    from project.work.runner import oof

    if settings.oof_logits is None:
        path = _logits(oof.teacher_settings(settings), dataset, device)
    else:
        path = Path(settings.oof_logits)
    logits = distillation_dataset.read(path)
    return distillation_dataset.with_soft_targets(dataset, logits, settings.softmax_temperature, str(path))


def _logits(teacher: Settings, dataset: "Dataset", device: "torch.device") -> Path:
    """The file of logits for these data and fold models; made first when missing, by one process at a time."""
    from filelock import FileLock

    from project.work import run_folder
    from project.work.dataset import distillation_dataset
    from project.work.runner import oof

    folder = run_folder.output_folder(teacher) / f"oof-{oof.fingerprint(teacher, dataset)}"
    folder.mkdir(exist_ok=True)
    path = folder / LOGITS_FILE
    with FileLock(folder / ".lock"):
        if not path.exists():
            print(f"training {teacher.folds} fold models for out-of-fold logits in {folder}", file=sys.stderr)
            distillation_dataset.write(path, oof.make(teacher, dataset, device, folder))
    return path


if __name__ == "__main__":
    run_command(main)
