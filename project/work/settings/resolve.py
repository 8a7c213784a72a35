"""Settings put together from their layers (defaults, recipe, settings.yaml, command line), and how two of them differ.

Standard library only at import, so that a command line answers at once.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from project.work import common
from project.work.common import UserError
from project.work.settings import checks
from project.work.settings.flags import build, given, renamed
from project.work.settings.groups import RECIPES, AuditSettings, RunSettings, Settings, TrainingSettings
from project.work.settings.methods import MethodSettings, serves


def parse(argv: Sequence[str] | None = None) -> Settings:
    """Read settings: the command line over settings.yaml over the recipe over the declared defaults."""
    return combine(read_yaml(common.DEFAULTS_FILE), typed(argv))


def typed(argv: Sequence[str] | None = None) -> dict[str, str | bool]:
    """The settings that a command line itself gives, still as text."""
    purpose = "Train one run and report its top-1 accuracy; --stage: audit the labels, or make out-of-fold logits."
    return given(Settings, argv, purpose)


def combine(*layers: Mapping[str, Any]) -> Settings:
    """Settings from layers, later over earlier; a layer's recipe counts as the beginning of that layer."""
    values: dict[str, Any] = {}
    for layer in layers:
        values |= _recipe(layer) | dict(layer)
    settings = build(Settings, values)
    if settings.stage == "audit" and not any({"recipe", *RECIPES["robust"]} & set(layer) for layer in layers):
        settings = robust(settings)
    checks.refuse(settings)
    return settings


def robust(settings: Settings) -> Settings:
    """The same by the robust recipe where no method is asked for: what an audit's fold models learn by."""
    if any(getattr(settings, name) for name in method_switches()):
        return settings
    return dataclasses.replace(settings, recipe="robust", **RECIPES["robust"])


def is_run(settings: Settings) -> bool:
    """Whether a run is asked for: neither an audit nor out-of-fold logits alone."""
    return settings.stage == "train"


def _recipe(layer: Mapping[str, Any]) -> dict[str, Any]:
    """Every value that the recipe named in a layer stands for: one that is named holds whole, whatever lay below."""
    if "recipe" not in layer:
        return {}
    name = build(TrainingSettings, {"recipe": layer["recipe"]}).recipe
    names = {field.name for field in dataclasses.fields(TrainingSettings)}.union(*RECIPES.values()) - {"seed"}
    declared = {field.name: field.default for field in dataclasses.fields(Settings) if field.name in names}
    return declared | dict(RECIPES[name])


def read_yaml(path: Path) -> dict[str, Any]:
    """A mapping of settings from a YAML file; empty when the file is absent or all comments."""
    from project.work.files import disk

    if not os.path.lexists(path):
        return {}
    values = disk.read_yaml(path) or {}
    if not isinstance(values, dict):
        raise UserError(f"{path}: needs lines such as batch_size: 256")
    try:
        values = renamed(Settings, {str(name).replace("-", "_"): value for name, value in values.items()})
        build(Settings, values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return values


def experiment_settings() -> list[str]:
    """Names of the settings that change a result: all but `place_settings`."""
    elsewhere = place_settings()
    return [field.name for field in dataclasses.fields(Settings) if field.name not in elsewhere]


def chosen(settings: Settings) -> dict[str, Any]:
    """The settings that change a result and are not as declared: one added to the code later is not among them."""
    declared = {field.name: field.default for field in dataclasses.fields(Settings)}
    values = {name: getattr(settings, name) for name in experiment_settings()}
    return {name: value for name, value in values.items() if value != declared[name]}


def place_settings() -> list[str]:
    """Names of the settings that say where a run is, or what an audit adds, and leave a run's result alone."""
    return [field.name for group in (AuditSettings, RunSettings) for field in dataclasses.fields(group)]


def method_defaults() -> dict[str, Any]:
    """The settings of all methods as they are when none is asked for: plain training."""
    return {field.name: field.default for field in dataclasses.fields(MethodSettings)}


def idle(settings: Settings) -> list[str]:
    """Names of settings that were given to methods which are not switched on, so that nothing reads them."""
    switches, defaults = method_switches(), method_defaults()
    read = ["oof_logits"] if settings.stage == "audit" or settings.clean != "none" else []
    given = [name for name in defaults if getattr(settings, name) != defaults[name] and name not in read]
    methods = {name: serves(name, switches) for name in given}
    return [name for name, mine in methods.items() if mine and not any(getattr(settings, each) for each in mine)]


def method_switches() -> list[str]:
    """Names of the settings that switch a method on: those that change a result and are off by default."""
    names = set(experiment_settings())
    return [field.name for field in dataclasses.fields(Settings) if field.name in names and field.default is False]


def differences(old: Settings, new: Settings) -> list[str]:
    """The settings that change a result and differ between two runs, as "name old -> new"."""
    pairs = ((name, getattr(old, name), getattr(new, name)) for name in experiment_settings())
    return [f"{name} {before} -> {after}" for name, before, after in pairs if before != after]


def changed_by(flags: Mapping[str, Any], old: Settings) -> list[str]:
    """What flags would change in a run, as `differences`; to name its own recipe again changes nothing."""
    if flags.get("recipe") == old.recipe:
        flags = {name: value for name, value in flags.items() if name != "recipe"}
    return differences(old, build(Settings, dataclasses.asdict(old) | _recipe(flags) | dict(flags)))
