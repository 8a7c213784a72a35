"""What a run records: its epochs, metrics of predictions, and the margin of every row."""

import csv
import dataclasses
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from project.work.files import disk
from project.work.labels.naming import unpacked
from project.work.machine.distributed import Distributed


@dataclass(frozen=True)
class EpochRow:
    """One epoch. Train figures are those seen during the pass (augmented, mixed); accuracies are shares of 1."""

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    valid_loss: float
    valid_accuracy: float
    seconds: float
    pictures_per_second: float


def speed(count: int, seconds: float) -> float:
    """Items a second; 0 if the clock stood still or went back, which is not a measurement."""
    return count / seconds if seconds > 0 else 0.0


def mean_speed(speeds: Sequence[float]) -> float:
    """The speed over equal amounts of work (harmonic mean) of the measured speeds; 0 if there is none."""
    measured = [speed for speed in speeds if speed > 0]
    return len(measured) / sum(1 / speed for speed in measured) if measured else 0.0


class History:
    """All epochs so far, also written to history.csv; without a path in memory only."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.rows: list[EpochRow] = []

    @property
    def selected(self) -> EpochRow:
        """The epoch with the best validation accuracy; among equals, the lowest validation loss."""
        return max(self.rows, key=lambda row: (row.valid_accuracy, -row.valid_loss))

    def add(self, row: EpochRow) -> bool:
        """Add an epoch; returns whether it is now the selected one."""
        self.rows.append(row)
        return self.selected is row

    def as_dicts(self) -> list[dict[str, Any]]:
        """The epochs as plain values."""
        return [dataclasses.asdict(row) for row in self.rows]

    def restore(self, rows: Any, epochs: float = math.inf) -> None:
        """Take the epochs of a checkpoint, which may be one ahead of the file. epochs: the most that the run has.

        Raises ValueError when rows is not a history.
        """
        names = {field.name for field in dataclasses.fields(EpochRow)}
        if not isinstance(rows, list) or not 1 <= len(rows) <= epochs:
            raise ValueError(f"it has no history of 1 to {epochs} epochs")
        for epoch, row in enumerate(rows, start=1):
            if not isinstance(row, dict) or row.keys() != names or row["epoch"] != epoch:
                raise ValueError(f"its history has other columns, or no epoch {epoch}")
            if any(type(value) not in (int, float) for value in row.values()) or not row["pictures_per_second"] >= 0:
                raise ValueError(f"epoch {epoch} of its history holds a value that is not a number")
        self.rows = [EpochRow(**row) for row in rows]
        self.write()

    def write(self) -> None:
        """Write history.csv."""
        if self.path is None:
            return
        text = io.StringIO()
        table = csv.DictWriter(text, [field.name for field in dataclasses.fields(EpochRow)], lineterminator="\n")
        table.writeheader()
        table.writerows(self.as_dicts())
        disk.replace_file(self.path, text.getvalue().encode())


@dataclass(frozen=True)
class Metrics:
    """loss: mean cross entropy; accuracy, top5, macro_f1: shares of 1."""

    loss: float
    accuracy: float
    top5: float
    macro_f1: float


def measure(logits: Tensor, labels: Tensor) -> Metrics:
    """Metrics of logits float (N, K) against labels int64 (N,).

    Top-5 of fewer than five classes is 1; macro F1 is the mean over the classes that occur.
    """
    best = logits.topk(min(5, logits.shape[1]), dim=1).indices
    hit = best == labels[:, None]
    loss = functional.cross_entropy(logits, labels)
    accuracy, top5 = float(hit[:, 0].float().mean()), float(hit.any(dim=1).float().mean())
    return Metrics(float(loss), accuracy, top5, macro_f1(best[:, 0], labels))


def macro_f1(predictions: Tensor, labels: Tensor) -> float:
    """The mean of F1 over the classes that occur in labels; both: int64 (n,).

    Written out: scikit-learn, which gives the same, is slow to import.
    """
    guesses, truth = predictions.cpu().numpy(), labels.cpu().numpy()
    classes = int(max(guesses.max(), truth.max())) + 1
    right, guessed, there = (np.bincount(rows, minlength=classes) for rows in (truth[guesses == truth], guesses, truth))
    occurs = there > 0
    return float(np.mean(2 * right[occurs] / (guessed + there)[occurs]))


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of the given label minus the highest other logit, float (B,): negative where another class is predicted.

    logits: float (B, K), K >= 2; labels: int64 (B,). Its mean over training is the area under the margin (AUM), which
    is low for labels that contradict similar images (Pleiss et al., 2020).
    """
    best = logits.topk(2, dim=1)
    given = logits.gather(1, labels[:, None])[:, 0]
    other = torch.where(best.indices[:, 0] == labels, best.values[:, 1], best.values[:, 0])
    return given - other


def mean_margins(sums: Tensor) -> np.ndarray:
    """Mean margin of every row, float32 (N,), from sums and counts, float (N, 2); NaN where the count is 0."""
    return torch.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], torch.nan).cpu().numpy()


def margins_table(means: np.ndarray, keys: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """The rows that were trained on, the most suspicious first: row, key_id, label, margin."""
    rows = np.flatnonzero(np.isfinite(means))
    rows = rows[np.argsort(means[rows], kind="stable")]
    columns = {"row": rows, "key_id": unpacked(keys[rows]), "label": labels[rows], "margin": means[rows].round(5)}
    return pd.DataFrame(columns)


class RowMemory:
    """values: float (N, ...), one entry a row of the training file.

    Each process changes the rows of its own share. `end_epoch` combines the changes of all processes. Of a row that
    several changed, as a sampler shows it more than once, it takes their mean; or their sum where values are sums.
    """

    def __init__(self, rows: int, *shape: int, device: torch.device, sums: bool = False) -> None:
        self.values, self.sums = torch.zeros(rows, *shape, device=device), sums
        self._before: Tensor | None = None

    def end_epoch(self, distributed: Distributed) -> None:
        """Combine the changes of all processes."""
        if distributed.size == 1:
            return
        before = torch.zeros_like(self.values) if self._before is None else self._before
        changes = self.values - before
        changed = (changes != 0).flatten(1).any(dim=1).float()
        total = distributed.total(changes)
        if not self.sums:
            total /= distributed.total(changed).clamp(min=1).view(-1, *[1] * (total.ndim - 1))
        self.values.copy_(before + total)
        self._before = self.values.clone()

    def state_dict(self) -> dict[str, Tensor]:
        """The state for a checkpoint."""
        return {"values": self.values}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the state of a checkpoint."""
        self.values.copy_(state["values"])
        self._before = self.values.clone()
