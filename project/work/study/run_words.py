"""Describes runs: the settings that differ from their recipe, and the progress of unfinished runs."""

import dataclasses
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from project.work import run_folder
from project.work.common import UserError
from project.work.files import disk, tables
from project.work.reporter.table import cells
from project.work.reporter.table.cells import column
from project.work.run_folder import HISTORY_FILE, RESULT_FILE, SETTINGS_FILE
from project.work.settings import resolve
from project.work.settings.flags import build
from project.work.settings.groups import Settings
from project.work.settings.method_words import BASE, method_settings

NOT_READ = "-"
NOISE = ("noise_type", "noise_rate")


def canonical(name: str, text: str) -> str:
    """A setting's value as a run writes it: 1e-1 and 0.10 become 0.1. Empty becomes the default."""
    kind = cells.kinds().get(name)
    if not text:
        return declared("default").get(name, "")
    if kind not in ("number", "whole") or text == NOT_READ:
        return text
    value = float(text)
    return str(int(value)) if kind == "whole" and value.is_integer() else str(value)


@cache
def declared(recipe: str) -> dict[str, str]:
    """The settings of an experiment under a recipe, as text for results.csv."""
    values = {field.name: field.default for field in dataclasses.fields(Settings)} | {"recipe": recipe}
    with suppress(UserError):  # a table may have a recipe that this version does not know
        values |= resolve.recipe_values(recipe)
    texts = {name: values[name] for name in resolve.experiment_settings()}
    return {column(name): "" if value is None else str(value) for name, value in texts.items()}


def differing(settings: Mapping[str, str], method: str) -> dict[str, str]:
    """The settings of a run that differ from its recipe and are not named in its method."""
    usual = declared(settings.get("recipe") or "default") | {"recipe": "default"}
    told = f"-{method}-"
    return {
        name: value
        for name, value in settings.items()
        if name in usual
        and value not in (usual[name], NOT_READ)
        and not (value == "True" and f"-{_word(name)}-" in told)
    }


def words(settings: Mapping[str, str]) -> str:
    """Settings as typed for a method: "ema=0.99 label-smoothing=0"."""
    return " ".join(f"{_word(name)}={_value(value)}" for name, value in settings.items())


def is_of(word: str, row: Mapping[str, str]) -> bool:
    """Whether a run is of a method such as base, elr-sam or ema=0.99+mixup; False if the word is not a method.

    base matches every run without a method, whatever its other settings. row: of results.csv.
    """
    if word == row.get("method"):
        return True
    try:
        wanted = _row_of(word)
    except UserError:
        return False
    switches = [name for name in resolve.method_switches() if name in row]
    if BASE in word.split("+") and any(row[name] == "True" for name in switches if wanted.get(name) != "True"):
        return False
    return all(canonical(name, row.get(name, "")) == value for name, value in wanted.items())


@cache
def _row_of(word: str) -> dict[str, str]:
    """The cells of a row that a method's word fixes."""
    given: dict[str, Any] = {}
    for name, value in method_settings(word).items():
        given[name.removeprefix("no_")] = False if name.startswith("no_") else value
    settings = build(Settings, given)
    return {column(name): canonical(column(name), str(getattr(settings, name))) for name in given}


def known(word: str, methods: Sequence[str]) -> None:
    """Raises UserError when a word is neither a method nor in a table. methods: those of the table."""
    if word not in methods:
        try:
            _row_of(word)
        except UserError as error:
            raise UserError(f"{error}; the table has {', '.join(dict.fromkeys(methods)) or 'none'}") from error


def _word(name: str) -> str:
    return name.replace("_", "-")


def _value(text: str) -> str:
    return text.removesuffix(".0") or "none"


@dataclass(frozen=True)
class Unfinished:
    """A run without a row. row: its settings as results.csv would have them, with uuid and method.

    epoch: number of finished epochs; valid: validation accuracy then, a share; finished: whether only its row is
    missing; fault: why more could not be read.
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
        """Its progress, for a person."""
        return "all, no row" if self.finished else f"{self.epoch} of {self.row.get('epoch', '?')}"


def find_unfinished(output: Path, finished: Collection[str], place: str | None) -> list[Unfinished]:
    """The run folders of an output folder whose uuids are not among the finished ones, by name.

    place: the output folder as given, for the resume command.
    """
    try:
        with os.scandir(output) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
    except OSError:
        return []
    known = {uuid: None for uuid in finished}
    runs = [output / name for name in names if not disk.absent(output / name / SETTINGS_FILE)]
    found = [_look(folder, place) for folder in runs]
    return [run for run in found if run.row["uuid"] not in known]


def _look(folder: Path, place: str | None) -> Unfinished:
    try:
        disk.plain(folder / SETTINGS_FILE, 1 << 18)
        settings = run_folder.load_settings(folder)
    except UserError as error:
        return Unfinished(folder, {"uuid": folder.name.rpartition("-")[2], "method": folder.name}, fault=str(error))
    uuid = settings.uuid or folder.name
    row = _row(settings) | {"uuid": uuid, "method": folder.name.removesuffix(f"-{uuid}")}
    done = disk.fault(folder / RESULT_FILE) is None
    resume = run_folder.resume_command(replace(settings, resume=uuid, output=place))
    try:
        return Unfinished(folder, row, *_reached(folder / HISTORY_FILE), done, resume)
    except UserError as error:
        return Unfinished(folder, row, finished=done, resume=resume, fault=str(error))


def _row(settings: Settings) -> dict[str, str]:
    values = {column(name): getattr(settings, name) for name in resolve.experiment_settings()}
    return {name: "" if value is None else str(value) for name, value in values.items()}


def _reached(history: Path) -> tuple[int, float | None]:
    """The last epoch of a history, and its validation accuracy."""
    if disk.absent(history):
        return 0, None
    table = tables.read_table(history, ("epoch", "valid_accuracy"), "a run's history", most=1 << 24)
    if table.empty:
        return 0, None
    epoch, valid = table.iloc[-1]
    try:
        return int(epoch), float(valid)
    except ValueError as error:
        raise UserError(f"{history} line {table.index[-1]}: {error}") from error
