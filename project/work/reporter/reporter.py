"""What a run reports, and to whom.

result.json in the run folder is the truth of a finished run. It is written first; the table's row, the note of what
waits for the sheet and the sheet's row are made from it, and made again where a run was killed in between.
"""

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from project.work.common import UserError
from project.work.files import disk
from project.work.run_folder import RESULT_FILE

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
_LARGEST = 1 << 16  # bytes of a note
NOTE = "reported.json"  # in a run folder: the destinations that were told, and whether that is all of them
DATA_DIGEST = "data_digest"  # the column that tells data sets of one name apart


@dataclass(frozen=True)
class Result:
    """One finished run. row: flat, SHEET_COLUMNS first, then ours; folder: its run folder, with history.csv."""

    row: dict[str, Any]
    folder: Path


def write_result(result: Result) -> Path:
    """Write result.json, whole or not at all; from then on the run is finished. Returns its path; raises OSError."""
    path = result.folder / RESULT_FILE
    disk.replace_file(path, (json.dumps(result.row, indent=2) + "\n").encode())
    return path


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
    return row


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


class Reporter:
    """Sends a result to every destination; one that fails is named and does not stop the others.

    What was told is noted in the run folder, so that a run that was killed meanwhile is reported by its next start.
    """

    def __init__(self, destinations: Sequence[Destination]) -> None:
        self.destinations = destinations

    def report(self, result: Result) -> list[str]:
        """Where the result was written, one line a destination."""
        told = _told(result.folder)
        _note(result.folder, told, whole=False)
        places = []
        for destination in self.destinations:
            name = type(destination).__name__
            if getattr(destination, "once", False) and name in told:
                places.append(f"{name}: told before")
                continue
            try:
                places.append(destination.write(result))
                told.add(name)
            except Postponed as error:
                print(f"warning: {error}", file=sys.stderr)
                places.append(error.instead)
            except Exception as error:
                print(f"warning: {name} failed: {error}", file=sys.stderr)
            if getattr(destination, "once", False):
                _note(result.folder, told, whole=False)
        _note(result.folder, told, whole=len(places) == len(self.destinations))
        return places


def is_whole(folder: Path) -> bool:
    """Whether nothing is known to be missing of what the run in this folder had to report."""
    if disk.absent(folder / NOTE):
        return True  # of before this was noted, or from elsewhere
    with suppress(UserError, LookupError, TypeError):
        return bool(disk.read_json(folder / NOTE, _LARGEST)["whole"])
    return False


def _told(folder: Path) -> set[str]:
    """The destinations that have been told of the run in this folder."""
    with suppress(UserError, LookupError, TypeError):
        return set(disk.read_json(folder / NOTE, _LARGEST)["told"])
    return set()


def _note(folder: Path, told: set[str], whole: bool) -> None:
    text = json.dumps({"whole": whole, "told": sorted(told)}) + "\n"
    try:
        disk.replace_file(folder / NOTE, text.encode())
    except OSError as error:  # less is lost than if the result itself were not reported
        print(f"warning: {folder / NOTE}: {error.strerror or error}", file=sys.stderr)
