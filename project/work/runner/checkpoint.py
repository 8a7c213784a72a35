"""The state of a run on disk. The file is replaced whole after every epoch, so it survives a kill at any time."""

import dataclasses
import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from project.work.common import UserError
from project.work.dataset.base_dataset import Dataset
from project.work.files import disk, tensors
from project.work.runner.history import History
from project.work.settings import resolve
from project.work.settings.flags import renamed
from project.work.settings.groups import CleaningSettings, NoiseSettings, Settings

BEGIN_AGAIN = "delete its folder to begin again"


# The effect of these shows in the fingerprint of the data, and a recipe in the settings that it changes.
_ELSEWHERE = {field.name for group in (NoiseSettings, CleaningSettings) for field in dataclasses.fields(group)}
_ELSEWHERE |= {"dataset", "recipe"}
_FORMER = {"mixture": "predictions", "beliefs": "elr"}  # former names of parts -> names now


def identity(settings: Settings, dataset: Dataset) -> dict[str, Any]:
    """What decides a run's numbers besides its data: settings, and a digest of the rows it learns from."""
    names = [name for name in resolve.experiment_settings() if name not in _ELSEWHERE]
    digest = hashlib.sha256()
    for split in (dataset.train, dataset.valid):
        digest.update(split.rows.cpu().numpy())
    return {"settings": {name: getattr(settings, name) for name in names}, "rows": digest.hexdigest()[:12]}


@dataclass(frozen=True)
class Known:
    """What identifies a run. dataset: as in its settings; data: fingerprint of its data; epochs: of the whole run;
    identity: of its settings and rows, see `identity`."""

    dataset: str
    data: str
    epochs: int
    identity: dict[str, Any]

    @classmethod
    def of(cls, settings: Settings, dataset: Dataset) -> "Known":
        """For a run with these settings on this data."""
        return cls(settings.dataset, dataset.fingerprint, settings.epoch, identity(settings, dataset))


class CheckpointFile:
    """The checkpoint file. It holds only tensors and plain values, so that reading it runs no code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, state: dict[str, Any]) -> None:
        """Replace the file; on an error the old one stays."""
        data = io.BytesIO()
        torch.save(state, data)
        disk.replace_file(self.path, data.getvalue())

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """The state, or None when nothing was saved yet. Raises UserError when the file is damaged."""
        disk.sweep(self.path)
        if disk.absent(self.path):
            return None
        with disk.opened(self.path) as file:
            try:
                state = tensors.read(file, disk.reach([self.path], tensors.MOST), device)
            except tensors.BAD as error:
                raise self.damaged(disk.said(error)) from error
        if not isinstance(state, dict):
            raise self.damaged(f"it holds {type(state).__name__}, not the state of a run")
        return state

    def save_run(self, parts: Mapping[str, Any], selected: dict[str, Tensor], history: History, known: Known) -> None:
        """Save the whole state of a run: its parts by name, the selected weights, its history and its identity."""
        states = {name: part.state_dict() for name, part in parts.items()}
        state = {"states": states, "selected": selected, "history": history.as_dicts()}
        self.save(state | {"data": known.data} | known.identity)

    def restore_run(self, saved: Mapping[str, Any], parts: Mapping[str, Any], history: History, known: Known) -> None:
        """Restore the whole state of a run. Raises UserError when the state belongs to another run.

        parts: in order; a part named selected gets the selected weights.
        """
        if "data" not in saved:
            raise self.damaged("it does not say what it learnt from")
        if saved["data"] != known.data:
            raise UserError(f"{self.path}: learnt from other data than {known.dataset} holds now")
        self.restore(parts, {"selected": saved.get("selected"), **self.states(saved)})
        self.refuse_other(saved, known.identity)
        try:
            history.restore(saved.get("history"), known.epochs)
        except ValueError as error:
            raise self.damaged(str(error)) from error

    def damaged(self, why: str) -> UserError:
        """The error for a file that this run cannot have written."""
        return UserError(f"{self.path}: damaged ({why}); {BEGIN_AGAIN}")

    def refuse_other(self, state: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
        """Raises UserError for the state of a run of another `identity`; states of earlier versions have none."""
        theirs, declared = state.get("settings"), {field.name: field.default for field in dataclasses.fields(Settings)}
        if theirs is None:
            return
        if not isinstance(theirs, dict):
            raise self.damaged("its settings are not a mapping")
        theirs, changes = renamed(Settings, theirs), []
        for name, value in ours["settings"].items():
            before = theirs.get(name, declared[name])
            if type(before) is not type(value) or before != value:
                changes.append(f"{name} {disk.shown(repr(before)[:40])} -> {value}")
        if changes:
            raise UserError(f"{self.path}: of a run with other settings ({', '.join(changes)});"
                            f" put its own settings.yaml back, or {BEGIN_AGAIN}")  # fmt: skip
        if state.get("rows") != ours["rows"]:
            raise UserError(f"{self.path}: of a run that learns from other rows (another fold or split);"
                            f" put its own checkpoint back, or {BEGIN_AGAIN}")  # fmt: skip

    def states(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The states of the parts of a run. Raises UserError when there are none."""
        states = state.get("states")
        if not isinstance(states, dict) or not all(isinstance(each, dict) for each in states.values()):
            raise self.damaged("it has no states")
        return {_FORMER.get(name, name): part for name, part in states.items()}

    def restore(self, parts: Mapping[str, Any], states: Mapping[str, Any]) -> None:
        """Restore each part of a run, in order. Raises UserError when a state does not fit its part."""
        for name, part in parts.items():
            wrong = f"it has no {name}" if name not in states else unlike(states[name], part)
            if wrong is not None:
                self._refuse_other(f"{name}: {wrong}")
        try:
            for name, part in parts.items():
                part.load_state_dict(states[name])
        except Exception as error:  # torch raises various errors for values of another kind
            self._refuse_other(type(error).__name__, error)

    def _refuse_other(self, why: str, error: Exception | None = None) -> None:
        raise UserError(f"{self.path}: of another network than this code has ({why}); begin a new run") from error


def unlike(state: dict[str, Any], part: Any) -> str | None:
    """How the structure of a saved state differs from a part's; None if it can be restored."""
    if isinstance(part, torch.optim.Optimizer):
        return _unlike_optimizer(state, part)
    if isinstance(part, torch.amp.GradScaler) and not part.is_enabled():  # it may have been enabled on another device
        return None
    return differing(state, part.state_dict())


def differing(saved: Any, ours: Any) -> str | None:
    """How two nested values differ in structure: names, shapes and types, not numbers."""
    if isinstance(ours, Tensor):
        if not isinstance(saved, Tensor):
            return f"a {type(saved).__name__} for a tensor"
        theirs, mine = (f"{each.dtype} {tuple(each.shape)}" for each in (saved, ours))
        return None if theirs == mine else f"{theirs} for {mine}"
    if isinstance(ours, dict):
        if not isinstance(saved, dict) or saved.keys() != ours.keys():
            return "other names"
        return next((f"{name}: {found}" for name in ours if (found := differing(saved[name], ours[name]))), None)
    numbers = (int, float)
    if type(ours) in numbers and type(saved) in numbers:
        return None
    return None if type(saved) is type(ours) else f"a {type(saved).__name__} for a {type(ours).__name__}"


def _unlike_optimizer(saved: dict[str, Any], part: torch.optim.Optimizer) -> str | None:
    """The same for torch's optimizers, whose state is empty before the first step: {"state": by number, "param_groups":
    list}."""
    groups, states = saved.get("param_groups"), saved.get("state")
    ours = part.state_dict()["param_groups"]
    if not isinstance(groups, list) or not isinstance(states, dict) or len(groups) != len(ours):
        return "other groups of parameters"
    for group, mine in zip(groups, ours, strict=True):
        if not isinstance(group, dict) or group.get("params") != mine["params"]:
            return "other parameters"
        for name in (name for name in ("lr", "highest_lr", "momentum", "betas", "weight_decay") if name in mine):
            if not _finite(group.get(name), mine[name]):
                return f"its {name} is not a number"
        plain = (int, float, type(None))
        strange = [each for each in group if each not in ("params", "betas") and not isinstance(group[each], plain)]
        if strange:
            return f"its {strange[0]} is a {type(group[strange[0]]).__name__}"
    parameters = [each.detach() for group in part.param_groups for each in group["params"]]
    for number, state in states.items():
        if type(number) is not int or not 0 <= number < len(parameters) or not isinstance(state, dict):
            return "states of other parameters"
        for name, value in state.items():
            like = torch.zeros(()) if name == "step" else parameters[number]  # AdamW counts its steps
            if value is not None and (found := differing(value, like)):
                return f"{name}: {found}"
    return None


def _finite(saved: Any, ours: Any) -> bool:
    """Whether a saved value is a finite number where ours is a number, and as many of them where ours is a tuple."""
    if isinstance(ours, tuple):
        return isinstance(saved, tuple) and len(saved) == len(ours) and all(map(_finite, saved, ours))
    return type(saved) in (int, float) and math.isfinite(saved)
