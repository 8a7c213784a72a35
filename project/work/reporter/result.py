"""The result of a run, and the interface of its destinations."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from project.work.common import UserError
from project.work.files import disk
from project.work.run_folder import RESULT_FILE
from project.work.settings.flags import renamed
from project.work.settings.groups import Settings

SHEET_COLUMNS = (
    "uuid",
    "batch_size",
    "lr",
    "mixup",
    "manifold_mixup",
    "mixup_alpha",
    "epoch",
    "seed",
    "momentum",
    "weight_decay",
    "distillation",
    "soft_loss_weight",
    "softmax_temperature",
    "best_train_accuracy",
    "best_valid_accuracy",
    "best_test_accuracy",
)
_LARGEST_RESULT = 1 << 20  # bytes; a row has about two thousand
DATA_DIGEST = "data_digest"  # the column that tells data sets of one name apart


@dataclass(frozen=True)
class Result:
    """One finished run. row: flat, SHEET_COLUMNS first, then ours; folder: its run folder, with history.csv."""

    row: dict[str, Any]
    folder: Path


def read_result(folder: Path) -> dict[str, Any] | None:
    """The row of a finished run, from its folder. Raises UserError if the file holds no row."""
    path = folder / RESULT_FILE
    if disk.absent(path):
        return None
    row = disk.read_json(path, _LARGEST_RESULT)
    flat = isinstance(row, dict) and all(
        value is None or isinstance(value, (str, int, float)) for value in row.values()
    )
    if not flat or not isinstance(row.get("uuid"), str):
        raise UserError(f"{path}: no row of a run (names with plain values, uuid among them); move it away")
    return renamed(Settings, row)


class Postponed(Exception):
    """A remote destination cannot take the result now. The result is safe here; the text says what to do.

    instead: the line to print in place of the destination's own.
    """

    def __init__(self, text: str, instead: str) -> None:
        super().__init__(text)
        self.instead = instead


class Destination(Protocol):
    """A place for results. One that is not configured is absent from the reporter's list.

    A destination that must not get a result twice has a true attribute `once`.
    """

    def write(self, result: Result) -> str:
        """Write the result, replacing an earlier one of the same uuid; returns where a person finds it.

        Raises Postponed when it fails but nothing is lost.
        """
