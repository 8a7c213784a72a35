"""What a run records: its epochs, the metrics that one of them is selected by, and the margin of every row."""

import csv
import dataclasses
import io
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from project.work.classifier import ranked
from project.work.dataset.base_dataset import Dataset
from project.work.files import disk
from project.work.files.arrays import write_gzip
from project.work.labels.naming import unpacked
from project.work.machine.distributed import Distributed

MARGINS_FILE = "margins.csv.gz"


def measure(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """All METRICS of logits float (N, K) against labels int64 (N,), by name."""
    return {name: metric.of(logits, labels) for name, metric in METRICS.items()}


def top1(logits: Tensor, labels: Tensor) -> float:
    """Accuracy: the share of rows whose highest logit is that of the label."""
    return float((ranked(logits)[:, 0] == labels).float().mean())


def top5(logits: Tensor, labels: Tensor) -> float:
    """The share of rows whose label is among the five highest logits: 1 where there are five classes or fewer."""
    return float((ranked(logits) == labels[:, None]).any(dim=1).float().mean())


def map3(logits: Tensor, labels: Tensor) -> float:
    """Mean average precision at 3, as Kaggle defines it: a label among the three highest logits counts 1 / its rank."""
    hit = ranked(logits)[:, :3] == labels[:, None]
    return float((hit / torch.arange(1.0, hit.shape[1] + 1, device=hit.device)).sum(dim=1).mean())


def macro_f1(logits: Tensor, labels: Tensor) -> float:
    """The mean of F1 over the classes that occur in labels, see `f1`."""
    return f1(ranked(logits)[:, 0], labels)


def f1(predictions: Tensor, labels: Tensor) -> float:
    """The mean of F1 over the classes that occur in labels; both: int64 (n,).

    Written out: scikit-learn, which gives the same, is slow to import.
    """
    guesses, truth = predictions.cpu().numpy(), labels.cpu().numpy()
    classes = int(max(guesses.max(), truth.max())) + 1
    right, guessed, there = (np.bincount(rows, minlength=classes) for rows in (truth[guesses == truth], guesses, truth))
    occurs = there > 0
    return float(np.mean(2 * right[occurs] / (guessed + there)[occurs]))


def cross_entropy(logits: Tensor, labels: Tensor) -> float:
    """The mean of -log(probability of the label)."""
    return float(functional.cross_entropy(logits, labels))


@dataclass(frozen=True)
class Metric:
    """of: gives the metric of logits, float (N, K), and labels, int64 (N,); larger: whether larger is better."""

    of: Callable[[Tensor, Tensor], float]
    larger: bool = True


METRICS: Mapping[str, Metric] = {  # what --target-metric may be, see `groups.TARGET_METRICS`
    "top1": Metric(top1),
    "macro_f1": Metric(macro_f1),
    "top5": Metric(top5),
    "map3": Metric(map3),
    "loss": Metric(cross_entropy, larger=False),
}


@dataclass(frozen=True)
class EpochRow:
    """One epoch. Train figures are those seen during the pass (augmented, mixed); accuracies are shares of 1.

    more: further METRICS on validation by column (valid_macro_f1 ...), which epochs of earlier versions lack.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    valid_loss: float
    valid_accuracy: float
    seconds: float
    pictures_per_second: float
    more: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def fits(cls, columns: Collection[str]) -> bool:
        """Whether an epoch has these columns."""
        further = [str(name) for name in columns if name not in _EPOCH]
        return set(columns) >= _EPOCH and all(name.startswith(_VALID) for name in further)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "EpochRow":
        """An epoch from its values by column."""
        more = {name: value for name, value in values.items() if name not in _EPOCH}
        return cls(**{name: values[name] for name in _EPOCH}, more=more)

    def as_dict(self) -> dict[str, Any]:
        """Its values by column."""
        values = dataclasses.asdict(self)
        return values | values.pop("more")

    def valid(self, metric: str) -> float:
        """One of METRICS on validation."""
        return self.as_dict()[valid_column(metric)]


_EPOCH = {each.name for each in dataclasses.fields(EpochRow)} - {"more"}
_VALID = "valid_"


def valid_column(metric: str) -> str:
    """The column of one of METRICS on validation."""
    return _VALID + ("accuracy" if metric == "top1" else metric)


def speed(count: int, seconds: float) -> float:
    """Items a second; 0 if the clock stood still or went back, which is not a measurement."""
    return count / seconds if seconds > 0 else 0.0


def mean_speed(speeds: Sequence[float]) -> float:
    """The speed over equal amounts of work (harmonic mean) of the measured speeds; 0 if there is none."""
    measured = [speed for speed in speeds if speed > 0]
    return len(measured) / sum(1 / speed for speed in measured) if measured else 0.0


class History:
    """All epochs so far, also written to history.csv; without a path in memory only. target: one of METRICS."""

    def __init__(self, path: Path | None, target: str = "top1") -> None:
        self.path, self.target = path, target
        self.rows: list[EpochRow] = []

    @property
    def selected(self) -> EpochRow:
        """The epoch with the best target metric on validation; among equals, the lowest validation loss."""
        sign = 1 if METRICS[self.target].larger else -1
        return max(self.rows, key=lambda row: (sign * row.valid(self.target), -row.valid_loss))

    def add(self, row: EpochRow) -> bool:
        """Add an epoch; returns whether it is now the selected one."""
        self.rows.append(row)
        return self.selected is row

    def as_dicts(self) -> list[dict[str, Any]]:
        """The epochs as plain values."""
        return [row.as_dict() for row in self.rows]

    def restore(self, rows: Any, epochs: float = math.inf) -> None:
        """Take the epochs of a checkpoint, which may be one ahead of the file. epochs: the most that the run has.

        Raises ValueError when rows is not a history.
        """
        if not isinstance(rows, list) or not 1 <= len(rows) <= epochs:
            raise ValueError(f"it has no history of 1 to {epochs} epochs")
        for epoch, row in enumerate(rows, start=1):
            if not isinstance(row, dict) or not EpochRow.fits(row.keys()) or row["epoch"] != epoch:
                raise ValueError(f"its history has other columns, or no epoch {epoch}")
            if any(type(value) not in (int, float) for value in row.values()) or not row["pictures_per_second"] >= 0:
                raise ValueError(f"epoch {epoch} of its history holds a value that is not a number")
        self.rows = [EpochRow.of(row) for row in rows]
        self.write()

    def write(self) -> None:
        """Write history.csv."""
        if self.path is None:
            return
        text = io.StringIO()
        columns = dict.fromkeys(name for row in self.as_dicts() for name in row)
        table = csv.DictWriter(text, list(columns), lineterminator="\n")
        table.writeheader()
        table.writerows(self.as_dicts())
        disk.replace_file(self.path, text.getvalue().encode())


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


def write_margins(folder: Path, sums: Tensor, dataset: Dataset) -> None:
    """Write the mean margin of every training row into a run folder, the most suspicious first. sums: (N, 2)."""
    labels = dataset.train.records.labels.cpu().numpy()
    table = margins_table(mean_margins(sums[: len(labels)]), dataset.train_keys, labels)
    write_gzip(folder / MARGINS_FILE, table.to_csv(index=False).encode())


class RowMemory:
    """values: float (N, ...), one entry a row of the training file.

    Each process changes the rows of its own share. `end_epoch` combines the changes of all processes, provided that
    only one process an epoch changes a row.
    """

    def __init__(self, rows: int, *shape: int, device: torch.device) -> None:
        self.values = torch.zeros(rows, *shape, device=device)
        self._before: Tensor | None = None

    def end_epoch(self, distributed: Distributed) -> None:
        """Combine the changes of all processes."""
        if distributed.size == 1:
            return
        before = torch.zeros_like(self.values) if self._before is None else self._before
        self.values.copy_(before + distributed.total(self.values - before))
        self._before = self.values.clone()

    def state_dict(self) -> dict[str, Tensor]:
        """The state for a checkpoint."""
        return {"values": self.values}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the state of a checkpoint."""
        self.values.copy_(state["values"])
        self._before = self.values.clone()
