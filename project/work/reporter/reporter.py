"""Reports a finished run to its destinations.

result.json in the run folder is the truth of a finished run and is written first. The table's row, the mark of a row
that waits for the sheet and the sheet's row are made from it, again if a run was killed in between.
"""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from project.work.common import UserError, key_files
from project.work.files import disk
from project.work.reporter import slack
from project.work.reporter.outcome import ConfusionPlot, CurvePlot
from project.work.reporter.result import Destination, Postponed, Result
from project.work.reporter.sheet.sheet import Sheet
from project.work.reporter.table.result_table import ResultTable
from project.work.run_folder import RESULT_FILE
from project.work.settings.groups import ReportSettings, SheetSettings

_LARGEST = 1 << 16  # bytes of a note
NOTE = "reported.json"  # in a run folder: the destinations that have the result, and whether these are all


def write_result(result: Result) -> Path:
    """Write result.json, whole or not at all; the run is then finished. Returns its path; raises OSError."""
    path = result.folder / RESULT_FILE
    disk.replace_file(path, (json.dumps(result.row, indent=2) + "\n").encode())
    return path


class Reporter:
    """Sends a result to every destination; one that fails is named and does not stop the others.

    The run folder notes which destinations have the result, so that a killed run reports to the rest at its next start.
    """

    def __init__(self, destinations: Sequence[Destination]) -> None:
        self.destinations = destinations

    def report(self, result: Result) -> list[str]:
        """Send the result; returns where it was written, one line a destination."""
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
    """Whether the run in this folder has reported everything, as far as is known."""
    if disk.absent(folder / NOTE):
        return True  # no note: an older run, or one from elsewhere
    with suppress(UserError, LookupError, TypeError):
        return bool(disk.read_json(folder / NOTE, _LARGEST)["whole"])
    return False


def _told(folder: Path) -> set[str]:
    """The destinations that have the result of the run in this folder."""
    with suppress(UserError, LookupError, TypeError):
        return set(disk.read_json(folder / NOTE, _LARGEST)["told"])
    return set()


def _note(folder: Path, told: set[str], whole: bool) -> None:
    text = json.dumps({"whole": whole, "told": sorted(told)}) + "\n"
    try:
        disk.replace_file(folder / NOTE, text.encode())
    except OSError as error:  # the note matters less than the report itself
        print(f"warning: {folder / NOTE}: {error.strerror or error}", file=sys.stderr)


def to_sheet(settings: SheetSettings) -> bool:
    """Whether results go to a spreadsheet: there is a key file, or a sheet is named for the machine's own account."""
    return settings.sheet_key is not None or bool(key_files(settings.credential_path))


def destinations(settings: ReportSettings, run_folder: Path) -> list[Destination]:
    """The destinations of a run's result, in order: local files first, then remote ones."""
    output = run_folder.parent
    found: list[Destination] = [ResultTable(output)]
    if getattr(settings, "stage", "train") == "train":  # a head on features has no epochs to draw
        found.append(CurvePlot())
    found.append(ConfusionPlot())
    if settings.tensorboard:
        from project.work.reporter.tensorboard import TensorBoard

        found.append(TensorBoard(run_folder))
    if to_sheet(settings):
        found.append(Sheet(settings, output))
    return found + (slack.from_environment(os.environ) if any(map(os.environ.get, slack.VARIABLES)) else [])
