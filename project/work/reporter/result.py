"""The result of a run, and what a destination of results is."""

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
_LARGEST_RESULT = 1 << 20  # bytes; a row has two thousand
DATA_DIGEST = "data_digest"  # the column that tells data sets of one name apart


@dataclass(frozen=True)
class Result:
    """One finished run. row: flat, SHEET_COLUMNS first, then ours; folder: its run folder, with history.csv."""

    row: dict[str, Any]
    folder: Path


def read_result(folder: Path) -> dict[str, Any] | None:
    """The row that a finished run left in its folder. Raises UserError where the file holds no row."""
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
    """A destination elsewhere does not take the result now, which is safe here; the text says what to do about it.

    instead: what is printed where the destination would have said where the result is.
    """

    def __init__(self, text: str, instead: str) -> None:
        super().__init__(text)
        self.instead = instead


class Destination(Protocol):
    """Somewhere a result goes. One that is not configured is absent from the reporter's list.

    One that would say it twice has a true attribute `once`.
    """

    def write(self, result: Result) -> str:
        """Write the result, replacing an earlier one of the same uuid; returns where a person finds it.

        Raises Postponed when that is no fault of the run and nothing is lost.
        """
