"""A finished run as one flat row: the spreadsheet's columns first, then ours."""

from datetime import datetime, timezone
from typing import Any

import numpy as np
import torch

from project.work.dataset.base_dataset import Dataset
from project.work.reporter.result import DATA_DIGEST, SHEET_COLUMNS
from project.work.run_folder import git_revision
from project.work.runner.base_runner import BaseRunner
from project.work.runner.history import History, Metrics, mean_speed, measure
from project.work.runner.table import cost
from project.work.settings.groups import Settings
from project.work.settings.resolve import experiment_settings


def result_row(settings: Settings, runner: BaseRunner, method: str, data_digest: str | None = None) -> dict[str, Any]:
    """Read the test split, for the only time, and put everything that is known of the run into one row.

    data_digest: `prepared_data.digest` of what it learnt from, by which a sweep knows it from other data of that name.
    """
    test, history = runner.dataset.test, runner.history
    selected = measure(runner.predict_selected(test), test.labels)
    last = measure(runner.predict(test), test.labels)
    values = settings_cells(settings) | _accuracies(history, selected, last) | _circumstances(runner)
    values |= {"method": method, "declared_cost": cost(settings), DATA_DIGEST: data_digest}
    return {name: values[name] for name in SHEET_COLUMNS} | values


def settings_cells(settings: Settings) -> dict[str, Any]:
    """The columns that say which run it is, and with what settings."""
    values = {name: getattr(settings, name) for name in experiment_settings()}
    return {"uuid": settings.uuid, "lr": values.pop("learning_rate")} | values


def _accuracies(history: History, selected: Metrics, last: Metrics) -> dict[str, Any]:
    best, end = history.selected, history.rows[-1]
    return {
        "best_train_accuracy": best.train_accuracy,
        "best_valid_accuracy": best.valid_accuracy,
        "best_test_accuracy": selected.accuracy,
        "best_test_macro_f1": selected.macro_f1,
        "best_test_top5": selected.top5,
        "selected_epoch": best.epoch,
        "last_train_accuracy": end.train_accuracy,
        "last_valid_accuracy": end.valid_accuracy,
        "last_test_accuracy": last.accuracy,
        "last_test_macro_f1": last.macro_f1,
        "last_test_top5": last.top5,
    }


def _circumstances(runner: BaseRunner) -> dict[str, Any]:
    rows = runner.history.rows
    device = runner.device
    noise, left = runner.dataset.noise, noise_left(runner.dataset)
    return {
        "noise_actual_rate": 0.0 if noise is None else round(noise.rate, 6),
        "noise_rate_left": None if left is None else round(left, 6),
        "train_pictures": len(runner.dataset.train),
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
