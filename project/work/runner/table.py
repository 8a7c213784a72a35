"""The table of runners: which class serves which setting, what a run costs, and the row that a finished one leaves."""

import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

import numpy as np
import torch

from project.work.common import UserError
from project.work.dataset.base_dataset import Dataset
from project.work.reporter.outcome import Answers, Outcome, is_written
from project.work.reporter.result import DATA_DIGEST, SHEET_COLUMNS, read_result
from project.work.run_folder import Run, git_revision
from project.work.runner import sam
from project.work.runner.base_runner import BaseRunner
from project.work.runner.co_teaching_runner import CoTeachingRunner
from project.work.runner.distillation_runner import DEFAULT_FOLDS, DistillationRunner
from project.work.runner.elr_runner import ElrRunner
from project.work.runner.focal_runner import FocalRunner
from project.work.runner.gce_runner import GceRunner
from project.work.runner.hard_runner import HardRunner
from project.work.runner.history import History, mean_speed, measure
from project.work.runner.label_posterior_runner import LabelPosteriorRunner
from project.work.runner.logit_adjustment_runner import LogitAdjustmentRunner
from project.work.runner.mixup_runner import ManifoldMixupRunner, MixupRunner
from project.work.runner.nts_runner import NtsRunner
from project.work.runner.sce_runner import SceRunner
from project.work.settings.groups import Settings
from project.work.settings.resolve import experiment_settings

REPORTED = ("best_test_accuracy", "last_test_accuracy", "selected_epoch", "temperature")  # in every row of a run

RUNNERS: Mapping[str, type[BaseRunner]] = {
    "label_posterior": LabelPosteriorRunner,
    "co_teaching": CoTeachingRunner,
    "mixup": MixupRunner,
    "manifold_mixup": ManifoldMixupRunner,
    "distillation": DistillationRunner,
    "nts": NtsRunner,
    "elr": ElrRunner,
    "hard": HardRunner,
    "logit_adjustment": LogitAdjustmentRunner,
    "focal": FocalRunner,
    "sce": SceRunner,
    "gce": GceRunner,
}


def runner_class(settings: Settings) -> type[BaseRunner]:
    """The runner of the methods asked for; of several, one class that inherits from each.

    Each overrides another part of a step, and `BaseRunner.losses` says in which order the parts run. What several
    override (penalties, what to observe and to save) calls that of the next class and adds to it.
    """
    methods = [RUNNERS[name] for name in _asked(settings)]
    if len(methods) < 2:
        return methods[0] if methods else BaseRunner
    return type("".join(method.__name__.removesuffix("Runner") for method in methods) + "Runner", tuple(methods), {})


def method_name(settings: Settings) -> str:
    """What a run is called in tables and folder names: base, mixup, mixup-distillation, elr-sam ..."""
    names = _asked(settings) + ["sam"] * settings.sam
    return "-".join(names).replace("_", "-") or "base"


def cost(settings: Settings) -> float:
    """CPU time of a run as a multiple of a plain run's of equal epochs, as its methods declare it.

    Methods multiply; fold models, which learn from (folds - 1) / folds of the rows each, come on top: plain ones for
    distillation, and for the audit that --clean makes those of the run's methods, but for NTS.
    """
    own = math.prod(RUNNERS[name].cost for name in _asked(settings)) * (sam.COST if settings.sam else 1.0)
    of_audit = own / (RUNNERS["nts"].cost if settings.nts else 1.0)
    folds = (settings.folds or DEFAULT_FOLDS) - 1
    makes_logits = settings.distillation and settings.oof_logits is None
    makes_audit = settings.clean != "none" and settings.audit_file is None and settings.oof_logits is None
    return own + (folds if makes_logits else 0) + (folds * of_audit if makes_audit else 0)


def _asked(settings: Settings) -> list[str]:
    return [name for name in RUNNERS if getattr(settings, name)]


def outcome(runner: BaseRunner) -> Outcome:
    """Read the test split with the network of the selected epoch, and validation again."""
    data = runner.dataset
    with runner.at_selected():
        valid, test = (Answers(runner.predict(split), split.labels) for split in (data.valid, data.test))
    return Outcome(valid, test)


def earlier_row(run: Run) -> dict[str, Any] | None:
    """The row made when the run finished, which may not have been reported everywhere; None if there is none."""
    with suppress(UserError):  # damaged: the test split is read again
        row, cells = read_result(run.folder), settings_cells(run.settings)
        if (
            row is not None
            and row.keys() >= set(REPORTED)
            and is_written(run.folder)
            and all(row.get(name, cells[name]) == cells[name] for name in cells)
        ):
            return row | cells  # older rows lack newer settings
    return None


def result_row(
    settings: Settings,
    runner: BaseRunner,
    method: str,
    data_digest: str | None = None,
    came_to: Outcome | None = None,
) -> dict[str, Any]:
    """Put everything that is known of a run into one row.

    data_digest: `prepared_data.digest` of what it learnt from, by which a sweep knows it from other data of that name;
    came_to: its outcome, where that is known already: the test split is read once.
    """
    came_to = outcome(runner) if came_to is None else came_to
    test, history = runner.dataset.test, runner.history
    last = measure(runner.predict(test), test.labels)
    selected = came_to.test
    values = settings_cells(settings) | _accuracies(history, measure(selected.logits, selected.labels), last)
    values |= _circumstances(runner) | {"method": method, "declared_cost": cost(settings), DATA_DIGEST: data_digest}
    return ordered(values, came_to)


def ordered(values: Mapping[str, Any], came_to: Outcome) -> dict[str, Any]:
    """A row of these values: the columns of the sheet first, and last those of its outcome that it lacks."""
    further = {name: value for name, value in _outcome(came_to).items() if name not in values}
    return {name: values[name] for name in SHEET_COLUMNS} | dict(values) | further


def _outcome(came_to: Outcome) -> dict[str, Any]:
    """All metrics of the selected epoch, and how well its probabilities are calibrated."""
    values: dict[str, Any] = {}
    for part, answers in (("valid", came_to.valid), ("test", came_to.test)):
        values |= {f"best_{part}_{name}": value for name, value in measure(answers.logits, answers.labels).items()}
        del values[f"best_{part}_top1"]  # which is called accuracy
    calibration = {"best_test_ece": 1.0, "best_test_ece_calibrated": came_to.temperature}
    values |= {name: round(came_to.test.calibration_error(each), 6) for name, each in calibration.items()}
    return values | {"temperature": came_to.temperature}


def settings_cells(settings: Settings) -> dict[str, Any]:
    """The columns that say which run it is, and with what settings."""
    values = {name: getattr(settings, name) for name in experiment_settings()}
    return {"uuid": settings.uuid, "lr": values.pop("learning_rate")} | values


def _accuracies(history: History, selected: Mapping[str, float], last: Mapping[str, float]) -> dict[str, Any]:
    best, end = history.selected, history.rows[-1]
    return {
        "best_train_accuracy": best.train_accuracy,
        "best_valid_accuracy": best.valid_accuracy,
        "best_test_accuracy": selected["top1"],
        "best_test_macro_f1": selected["macro_f1"],
        "best_test_top5": selected["top5"],
        "selected_epoch": best.epoch,
        "last_train_accuracy": end.train_accuracy,
        "last_valid_accuracy": end.valid_accuracy,
        "last_test_accuracy": last["top1"],
        "last_test_macro_f1": last["macro_f1"],
        "last_test_top5": last["top5"],
    }


def _circumstances(runner: BaseRunner) -> dict[str, Any]:
    rows = runner.history.rows
    device = runner.device
    noise, left = runner.dataset.noise, noise_left(runner.dataset)
    return {
        "noise_actual_rate": 0.0 if noise is None else round(noise.rate, 6),
        "noise_rate_left": None if left is None else round(left, 6),
        "train_pictures": len(runner.learnt),
        "seconds": round(sum(row.seconds for row in rows), 1),
        "pictures_per_second": round(mean_speed([row.pictures_per_second for row in rows]), 1),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "torch": torch.__version__,
        "git_revision": git_revision(),
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def noise_left(dataset: Dataset) -> float | None:
    """The share of what is learnt that is wrong after all mending, rows counted by weight; None without known noise."""
    if dataset.noise is None:
        return None
    rows, records = dataset.train.rows.numpy(), dataset.train.records
    labels = records.labels.cpu().numpy()[rows]
    weights = None if records.weights is None else records.weights.cpu().numpy()[rows]
    return float(np.average(dataset.noise.true[rows] != labels, weights=weights))
