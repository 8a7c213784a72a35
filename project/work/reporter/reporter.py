"""What a run reports, and to whom."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

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
DATA_DIGEST = "data_digest"  # the column that tells data sets of one name apart


@dataclass(frozen=True)
class Result:
    """One finished run. row: flat, SHEET_COLUMNS first, then ours; folder: its run folder, with history.csv."""

    row: dict[str, Any]
    folder: Path


class Postponed(Exception):
    """A destination elsewhere does not take the result now, which is safe here; the text says what to do about it.

    instead: what is printed where the destination would have said where the result is.
    """

    def __init__(self, text: str, instead: str) -> None:
        super().__init__(text)
        self.instead = instead


class Destination(Protocol):
    """Somewhere a result goes. One that is not configured is absent from the reporter's list."""

    def write(self, result: Result) -> str:
        """Write the result, replacing an earlier one of the same uuid; returns where a person finds it.

        Raises Postponed when that is no fault of the run and nothing is lost.
        """


class Reporter:
    """Sends a result to every destination; one that fails is named and does not stop the others."""

    def __init__(self, destinations: Sequence[Destination]) -> None:
        self.destinations = destinations

    def report(self, result: Result) -> list[str]:
        """Where the result was written, one line a destination."""
        places = []
        for destination in self.destinations:
            try:
                places.append(destination.write(result))
            except Postponed as error:
                print(f"warning: {error}", file=sys.stderr)
                places.append(error.instead)
            except Exception as error:
                print(f"warning: {type(destination).__name__} failed: {error}", file=sys.stderr)
        return places
