"""Teachers: models whose logits become soft targets. They are trained when missing, and students share them."""

import dataclasses
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from project.work import run_folder
from project.work.dataset import distillation_dataset, remote_data
from project.work.dataset.base_dataset import Dataset
from project.work.dataset.distillation_dataset import SEEN, VALIDATION, OofLogits
from project.work.labels.naming import unpacked
from project.work.machine.distributed import RunContext
from project.work.runner.table import runner_class
from project.work.settings.groups import Settings
from project.work.settings.methods import NtsSettings
from project.work.teacher import oof
from project.work.teacher.oof import refuse_twins


def noisy_teacher_settings(settings: Settings) -> Settings:
    """The settings of the same command without --nts: the teacher has its other methods and its --seed."""
    student: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(NtsSettings)}
    return dataclasses.replace(settings, **student)


def make_noisy_teacher(context: RunContext, dataset: Dataset, folder: Path) -> OofLogits:
    """Train the teacher from where it stopped; returns its logits for every row of the training file, not augmented."""
    keys = unpacked(dataset.train_keys)
    refuse_twins(keys, context.settings.dataset)
    runner = runner_class(context.settings)(context, dataset, folder)
    runner.fit(lambda: context.try_send(folder))
    everything = dataclasses.replace(dataset.train, rows=torch.arange(len(keys)))
    logits = runner.predict_selected(everything).cpu().numpy()
    folds = np.full(len(keys), SEEN, dtype=np.int64)
    folds[dataset.valid.rows.cpu().numpy()] = VALIDATION
    return OofLogits(logits, keys, folds, dataset.names)


@dataclass(frozen=True)
class Kind:
    """A kind of teacher. prefix: of its folder; file: of its logits; settings: makes its settings from a student's;
    make: trains it in its folder, or resumes it there; what: describes it, may contain {folds}; refuse: raises
    UserError for data that it cannot be trained on."""

    prefix: str
    file: str
    settings: Callable[[Settings], Settings]
    make: Callable[[RunContext, Dataset, Path], OofLogits]
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
SELECTED = Kind("teacher", run_folder.TEACHER_FILE, noisy_teacher_settings, make_noisy_teacher, "a teacher (NTS)")


def with_soft_targets(context: RunContext, dataset: Dataset) -> Dataset:
    """The data set with the soft targets that a student's method learns from."""
    settings, first = context.settings, context.distributed.first
    kind, temperature = OUT_OF_FOLD, settings.softmax_temperature
    if settings.nts:
        kind, temperature = SELECTED, settings.nts_temperature
    if settings.nts or settings.oof_logits is None:
        path = logits_file(kind, context.using(kind.settings(settings)), dataset)
    else:
        path = first(lambda: remote_data.local_copy(settings.oof_logits, run_folder.output_folder(settings)))
    logits = first(lambda: distillation_dataset.read(path, seen=settings.nts))
    return distillation_dataset.with_soft_targets(dataset, logits, temperature, str(path))


def logits_file(
    kind: Kind, context: RunContext, dataset: Dataset, usable: Callable[[Path], bool] = Path.exists
) -> Path:
    """A teacher's file of logits for this data set. If it is not usable it is made first, by one run at a time.

    context: with the settings of the teacher.
    """
    teacher, distributed = context.settings, context.distributed
    kind.refuse(teacher, dataset)
    name = f"{kind.prefix}-{oof.fingerprint(teacher, dataset)}"
    folder = distributed.first(lambda: run_folder.output_folder(teacher) / name)
    path = folder / kind.file
    distributed.first(lambda: folder.mkdir(exist_ok=True))
    with distributed.locked(folder / ".lock"):
        if not distributed.first(lambda: usable(path)):
            print(f"training {kind.what.format(folds=teacher.folds)} in {folder}", file=sys.stderr)
            logits = kind.make(context, dataset, folder)
            distributed.first(lambda: distillation_dataset.write(path, logits))
    context.send(folder)
    return path
