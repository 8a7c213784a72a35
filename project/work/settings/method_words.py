"""Reads methods given as words, for all commands: base, elr, mixup+distillation, recipe=predecessor, ema=0.99+mixup."""

import dataclasses
from typing import Any, get_type_hints

from project.work.common import UserError
from project.work.settings import groups, resolve
from project.work.settings.flags import former_names, is_switch, nearest
from project.work.settings.groups import Settings

BASE = "base"  # no method


def method_settings(word: str) -> dict[str, Any]:
    """The settings of a method: "mixup+ema=0.99" -> {"mixup": True, "ema": "0.99"}, "base" -> none.

    Raises UserError for a word that is neither base, nor a switch, nor a setting that changes a result. Values stay
    text until the settings are built.
    """
    settings: dict[str, Any] = {}
    for part in word.split("+"):
        name, equals, value = part.partition("=")
        if part != BASE:
            settings |= _assigned(word, name, value) if equals else _switched_on(word, part)
    return settings


def _switched_on(method: str, part: str) -> dict[str, Any]:
    switches, former = resolve.method_switches(), former_names(Settings)
    name = former.get(_field_name(part), _field_name(part))
    if name in switches:
        return {name: True}
    if name in _names():
        raise UserError(f"--method {method}: give {part} a value: {part}=...")
    recipes = [f"recipe={recipe}" for recipe, brought in groups.RECIPES.items() if brought]
    words = [BASE, *map(_word, switches), *recipes]
    hint = f"; did you mean recipe={name}?" if name in groups.RECIPES else nearest(part, words)
    raise UserError(f"--method {method}: {part!r} is not a method{hint} ({', '.join(words)}, or setting=value)")


def _assigned(method: str, part: str, value: str) -> dict[str, Any]:
    former, names = former_names(Settings), _names()
    name = former.get(_field_name(part), _field_name(part))
    if name not in names:
        raise UserError(
            f"--method {method}: {part!r} is not a setting that changes a result{nearest(part, map(_word, names))}"
        )
    if not is_switch(get_type_hints(Settings)[names[name]]):
        return {name: value}
    if value not in ("true", "false"):
        raise UserError(f"--method {method}: {part} is true or false, not {value!r}")
    return {name: True} if value == "true" else {f"no_{name}": True}


def _names() -> dict[str, str]:
    """Every name, alias and former name of a setting that changes a result -> its field name."""
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    names = {name: name for name in resolve.experiment_settings()}
    return names | {fields[name].metadata["alias"]: name for name in names if fields[name].metadata["alias"]}


def _field_name(word: str) -> str:
    return word.replace("-", "_")


def _word(name: str) -> str:
    return name.replace("_", "-")
