"""Out-of-fold logits: each training row is predicted by models that did not learn from it."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from project.work import model
from project.work.common import UserError
from project.work.dataset import base_dataset
from project.work.dataset.base_dataset import Dataset
from project.work.dataset.distillation_dataset import DROPPED, VALIDATION, OofLogits
from project.work.labels.naming import unpacked
from project.work.machine.distributed import RunContext
from project.work.runner.distillation_runner import DEFAULT_FOLDS
from project.work.runner.history import mean_margins
from project.work.settings import resolve
from project.work.settings.groups import CleaningSettings, NoiseSettings, Settings
from project.work.settings.methods import DistillationSettings, FoldSettings
from project.work.teacher.fold_models import FoldModels


def teacher_settings(settings: Settings) -> Settings:
    """The settings of the fold models: plain training, and the same logits for every --seed of a student."""
    return _of_folds(settings, resolve.method_defaults())


def audit_settings(settings: Settings) -> Settings:
    """The same for an audit. Its fold models keep the chosen methods: a model robust to noise also finds it better."""
    left_out = (*dataclasses.fields(DistillationSettings), *dataclasses.fields(FoldSettings))
    return _of_folds(settings, {field.name: field.default for field in left_out})


def _of_folds(settings: Settings, left_out: dict[str, Any]) -> Settings:
    folds = {"folds": settings.folds or DEFAULT_FOLDS, "seed": settings.split_seed}
    made = dataclasses.replace(settings, **(left_out | folds))
    defaults = resolve.method_defaults()
    return dataclasses.replace(made, **{name: defaults[name] for name in resolve.idle(made)})


def fingerprint(teacher: Settings, dataset: Dataset) -> str:
    """A short name for everything that decides the logits: the data, the folds and how the fold models are trained.

    Noise and corrections count by the labels that result, a recipe by the settings that it changes. A setting that the
    code gains later does not change the name while it has its default.
    """
    groups = (NoiseSettings, CleaningSettings)  # which dataset.fingerprint stands for
    within = {field.name for group in groups for field in dataclasses.fields(group)} | {"dataset", "recipe"}
    decided = {name: value for name, value in resolve.chosen(teacher).items() if name not in within}
    origin = None if resolve.network(teacher) in model.MODELS else model.build.origin(teacher)
    decided |= {} if origin is None else {"network": origin}
    return hashlib.sha256(json.dumps([dataset.fingerprint, decided], sort_keys=True).encode()).hexdigest()[:12]


def make(context: RunContext, dataset: Dataset, folder: Path, at_once: int | None = None) -> OofLogits:
    """Train the fold models (each resumes in its own folder) and collect their logits. context: with their settings.

    Validation rows belong to no fold, so that a student never learns from them through its teachers; their logits are
    the mean over all fold models. at_once: fold models in parallel; None: one or, on a GPU, as many as fit.
    """
    teacher = context.settings
    keys = unpacked(dataset.train_keys)
    refuse_twins(keys, teacher.dataset)
    part_of = parts(teacher, dataset)
    models = FoldModels(context, dataset, folder, part_of)
    logits = np.zeros((len(keys), len(dataset.names)), dtype=np.float32)
    sums = np.zeros((len(keys), 2), dtype=np.float64)
    folds = np.full(len(keys), DROPPED, dtype=np.int64)
    folds[dataset.train.rows.cpu().numpy()] = part_of
    valid_rows = dataset.valid.rows.cpu().numpy()
    folds[valid_rows] = VALIDATION
    for prediction in models.predictions(at_once):
        logits[prediction.rows] = prediction.held_out
        logits[valid_rows] += prediction.valid / teacher.folds
        sums += prediction.margins
    return OofLogits(logits, keys, folds, dataset.names, mean_margins(torch.from_numpy(sums)).astype(np.float32))


def parts(teacher: Settings, dataset: Dataset) -> np.ndarray:
    """The fold of each training picture, int (n,). Raises UserError when a class has fewer rows than folds."""
    labels, groups = dataset.train.labels.cpu().numpy(), dataset.groups
    if groups is not None:
        groups = groups[dataset.train.rows.cpu().numpy()]
    return base_dataset.fold_numbers(labels, teacher.folds, teacher.split_seed, teacher.dataset, dataset.names, groups)


def refuse_few_rows(teacher: Settings, dataset: Dataset) -> None:
    """Raises the UserError of `parts` before anything is written."""
    labels = dataset.train.labels.cpu().numpy()
    base_dataset.refuse_few_rows(labels, teacher.folds, teacher.dataset, dataset.names)


def refuse_twins(keys: np.ndarray, where: str) -> None:
    """Raises UserError when a key id stands for more than one row of a data set."""
    names, counts = np.unique(keys, return_counts=True)
    twins = names[counts > 1]
    if len(twins):
        raise UserError(
            f"{where}: {len(twins)} key ids of train_keys.csv.gz occur more than once, the first is {twins[0]};"
            " logits find their rows by key, so each needs its own"
        )
