"""Teachers: models whose logits become soft targets, trained first when missing and shared by their students."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock

from project.work import run_folder
from project.work.common import Settings
from project.work.dataset import distillation_dataset, remote_data
from project.work.dataset.base_dataset import Dataset
from project.work.dataset.distillation_dataset import OofLogits
from project.work.machine.distributed import Parallel
from project.work.machine.run_sync import Mirror
from project.work.teacher import noisy_teacher, oof


@dataclass(frozen=True)
class Kind:
    """A kind of teacher. prefix: of its folder; file: its logits; settings: what it is trained with, of a student's;
    make: trains it in its folder, where it also resumes; what: it is in words, in which {folds} may stand; refuse:
    raises UserError for data that it cannot be trained on."""

    prefix: str
    file: str
    settings: Callable[[Settings], Settings]
    make: Callable[..., OofLogits]
    what: str
    refuse: Callable[[Settings, Dataset], None] = lambda teacher, dataset: None


OUT_OF_FOLD = Kind(
    "oof",
    run_folder.LOGITS_FILE,
    oof.teacher_settings,
    oof.make,
    "{folds} fold models for out-of-fold logits",
    oof.refuse_few_rows,
)
SELECTED = Kind(
    "teacher", run_folder.TEACHER_FILE, noisy_teacher.teacher_settings, noisy_teacher.make, "a teacher (NTS)"
)


def with_soft_targets(
    settings: Settings, dataset: Dataset, device: torch.device, copy: Mirror, parallel: Parallel
) -> Dataset:
    """The data set with the soft targets that a student's method learns from, as it is for other methods."""
    if not settings.distillation and not settings.nts:
        return dataset
    kind, temperature = OUT_OF_FOLD, settings.softmax_temperature
    if settings.nts:
        kind, temperature = SELECTED, settings.nts_temperature
    if settings.nts or settings.oof_logits is None:
        path = logits_file(kind, kind.settings(settings), dataset, device, copy, parallel)
    else:
        path = parallel.first(lambda: remote_data.local_copy(settings.oof_logits, run_folder.output_folder(settings)))
    logits = parallel.first(lambda: distillation_dataset.read(path, seen=settings.nts))
    return distillation_dataset.with_soft_targets(dataset, logits, temperature, str(path))


def logits_file(
    kind: Kind,
    teacher: Settings,
    dataset: Dataset,
    device: torch.device,
    copy: Mirror,
    parallel: Parallel,
    usable: Callable[[Path], bool] = Path.exists,
) -> Path:
    """The file of logits for these data and teacher; made first when it is not usable, by one run at a time."""
    kind.refuse(teacher, dataset)
    name = f"{kind.prefix}-{oof.fingerprint(teacher, dataset)}"
    folder = parallel.first(lambda: run_folder.output_folder(teacher) / name)
    path = folder / kind.file
    if parallel.rank == 0:
        folder.mkdir(exist_ok=True)
    with FileLock(folder / ".lock") if parallel.rank == 0 else nullcontext():
        if not parallel.first(lambda: usable(path)):
            print(f"training {kind.what.format(folds=teacher.folds)} in {folder}", file=sys.stderr)
            logits = kind.make(teacher, dataset, device, folder, copy.try_send, parallel)
            if parallel.rank == 0:
                distillation_dataset.write(path, logits)
    copy.send(folder)
    return path
