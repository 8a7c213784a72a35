"""What happened in each epoch, and which epoch is selected."""

import csv
import dataclasses
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project.work.files import disk


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
    """So many a second; 0 where the clock stood still or went backwards, which is no measurement."""
    return count / seconds if seconds > 0 else 0.0


def mean_speed(speeds: Sequence[float]) -> float:
    """The speed over equal amounts of work, of those that were measured; 0 where none was."""
    measured = [speed for speed in speeds if speed > 0]
    return len(measured) / sum(1 / speed for speed in measured) if measured else 0.0


class History:
    """All epochs so far, mirrored in history.csv; without a path in memory only."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.rows: list[EpochRow] = []

    @property
    def selected(self) -> EpochRow:
        """The epoch with the best validation accuracy; of equals the one with the lowest validation loss."""
        return max(self.rows, key=lambda row: (row.valid_accuracy, -row.valid_loss))

    def add(self, row: EpochRow) -> bool:
        """Add an epoch; says whether it is the selected one now."""
        self.rows.append(row)
        return self.selected is row

    def as_dicts(self) -> list[dict[str, Any]]:
        """The epochs as plain values."""
        return [dataclasses.asdict(row) for row in self.rows]

    def restore(self, rows: Any, epochs: float = math.inf) -> None:
        """Take the epochs of a checkpoint, which may be one ahead of the file, of a run of so many.

        Raises ValueError when they are none.
        """
        names = {field.name for field in dataclasses.fields(EpochRow)}
        if not isinstance(rows, list) or not 1 <= len(rows) <= epochs:
            raise ValueError(f"it has no history of 1 to {epochs} epochs")
        for epoch, row in enumerate(rows, start=1):
            if not isinstance(row, dict) or row.keys() != names or row["epoch"] != epoch:
                raise ValueError(f"its history has other columns, or no epoch {epoch}")
            if any(type(value) not in (int, float) for value in row.values()) or not row["pictures_per_second"] >= 0:
                raise ValueError(f"epoch {epoch} of its history holds what is no number")
        self.rows = [EpochRow(**row) for row in rows]
        self.write()

    def write(self) -> None:
        """Bring history.csv up to date."""
        if self.path is None:
            return
        text = io.StringIO()
        table = csv.DictWriter(text, [field.name for field in dataclasses.fields(EpochRow)], lineterminator="\n")
        table.writeheader()
        table.writerows(self.as_dicts())
        disk.replace_file(self.path, text.getvalue().encode())
