"""Run folders of which results.csv has no row: how far they are, and what goes on with them."""

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from project.work import common, files, run_folder
from project.work.common import Settings
from project.work.declaration import UserError
from project.work.reporter.result_cells import column
from project.work.reporter.result_file import RESULT_FILE
from project.work.run_folder import HISTORY_FILE, SETTINGS_FILE


@dataclass(frozen=True)
class Unfinished:
    """A run without a row. row: its settings as results.csv would have them, with uuid and method.

    epoch: how many it has finished; valid: accuracy there, a share; finished: whether only its row is missing; fault:
    why nothing more is known of it.
    """

    folder: Path
    row: dict[str, str]
    epoch: int = 0
    valid: float | None = None
    finished: bool = False
    resume: str = ""
    fault: str = ""

    @property
    def state(self) -> str:
        """How far it is, for a person."""
        return "all, no row" if self.finished else f"{self.epoch} of {self.row.get('epoch', '?')}"


def find(output: Path, finished: Collection[str], place: str | None) -> list[Unfinished]:
    """The run folders of an output folder whose uuids are not among those that finished, by name.

    place: the output folder as it was given, for the command that goes on.
    """
    try:
        with os.scandir(output) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
    except OSError:
        return []
    known = {uuid: None for uuid in finished}
    runs = [output / name for name in names if not files.absent(output / name / SETTINGS_FILE)]
    found = [_look(folder, place) for folder in runs]
    return [run for run in found if run.row["uuid"] not in known]


def _look(folder: Path, place: str | None) -> Unfinished:
    try:
        files.plain(folder / SETTINGS_FILE, 1 << 18)
        settings = run_folder.load_settings(folder)
    except UserError as error:
        return Unfinished(folder, {"uuid": folder.name.rpartition("-")[2], "method": folder.name}, fault=str(error))
    uuid = settings.uuid or folder.name
    row = _row(settings) | {"uuid": uuid, "method": folder.name.removesuffix(f"-{uuid}")}
    done = files.fault(folder / RESULT_FILE) is None
    resume = run_folder.resume_command(replace(settings, resume=uuid, output=place))
    try:
        return Unfinished(folder, row, *_reached(folder / HISTORY_FILE), done, resume)
    except UserError as error:
        return Unfinished(folder, row, finished=done, resume=resume, fault=str(error))


def _row(settings: Settings) -> dict[str, str]:
    values = {column(name): getattr(settings, name) for name in common.experiment_settings()}
    return {name: "" if value is None else str(value) for name, value in values.items()}


def _reached(history: Path) -> tuple[int, float | None]:
    """The last epoch that a history has, and the accuracy on validation there."""
    if files.absent(history):
        return 0, None
    table = files.read_table(history, ("epoch", "valid_accuracy"), "a run's history", most=1 << 24)
    if table.empty:
        return 0, None
    epoch, valid = table.iloc[-1]
    try:
        return int(epoch), float(valid)
    except ValueError as error:
        raise UserError(f"{history} line {table.index[-1]}: {error}") from error
