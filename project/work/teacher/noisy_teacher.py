"""The teacher of noisy teacher-student (NTS): a run as without --nts, at the epoch that validation selected."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from project.work.common import Settings
from project.work.dataset.base_dataset import Dataset
from project.work.dataset.distillation_dataset import SEEN, VALIDATION, OofLogits
from project.work.labels.by_key import unpacked
from project.work.machine.distributed import ALONE, Parallel
from project.work.runner.table import runner_class
from project.work.settings.methods import NtsSettings
from project.work.teacher.oof import refuse_twins


def teacher_settings(settings: Settings) -> Settings:
    """What the same command trains without --nts: its other methods and its --seed are the teacher's too."""
    student = {field.name: field.default for field in dataclasses.fields(NtsSettings)}
    return dataclasses.replace(settings, **student)


def make(
    teacher: Settings,
    dataset: Dataset,
    device: torch.device,
    folder: Path,
    keep: Callable[[Path], None] = lambda place: None,
    parallel: Parallel = ALONE,
) -> OofLogits:
    """Train the teacher from wherever it stands; its logits of every row of the training file, not augmented."""
    keys = unpacked(dataset.train_keys)
    refuse_twins(keys, teacher.dataset)
    runner = runner_class(teacher)(teacher, dataset, device, folder, parallel)
    runner.fit(lambda: keep(folder))
    everything = dataclasses.replace(dataset.train, rows=torch.arange(len(keys)))
    logits = runner.predict_selected(everything).cpu().numpy()
    folds = np.full(len(keys), SEEN, dtype=np.int64)
    folds[dataset.valid.rows.cpu().numpy()] = VALIDATION
    return OofLogits(logits, keys, folds, dataset.names)
