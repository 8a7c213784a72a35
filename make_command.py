"""Settings -> command lines; pure, standard library only."""

import dataclasses
import itertools
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from project.work.common import ROOT
from project.work.declaration import flag


def script(path: str, values: Mapping[str, Any]) -> list[str]:
    """The command that runs a script of this repository; values not given are left to the script's own defaults."""
    return [sys.executable, str(ROOT / path), *flags(values)]


def flags(values: Mapping[str, Any]) -> list[str]:
    """{"batch_size": "128", "mixup": True, "seed": None} -> ["--batch-size=128", "--mixup"]."""
    words = []
    for name, value in values.items():
        if value is True:
            words.append(flag(name))
        elif value is not None and value is not False:
            words.append(f"{flag(name)}={value}")
    return words


def grid(values: Mapping[str, Any], whole: Collection[str] = ()) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """{"lr": "0.1,0.03", "mixup": True} -> each combination, with those of its values that differ over the grid.

    whole: names whose values may have commas of their own. "method": "base,mixup+distillation" stands for switches.
    """
    words = {
        name: value.split(",") if isinstance(value, str) and name not in whole else [value]
        for name, value in values.items()
    }
    for combination in itertools.product(*words.values()):
        point = dict(zip(words, combination, strict=True))
        differing = {name: value for name, value in point.items() if len(words[name]) > 1}
        methods = (point.pop("method", None) or "base").split("+")
        switches = {method.replace("-", "_"): True for method in methods if method != "base"}
        yield point | switches, differing


def settings_table(*classes: type) -> str:
    """Every field of settings dataclasses as a Markdown table."""
    rows = [
        f"| `{flag(field.name)}` | {'' if field.default is None else field.default} | {field.metadata['help']} |"
        for cls in classes
        for field in dataclasses.fields(cls)
    ]
    return "\n".join(["| setting | default | what it is |", "|---|---|---|", *rows])
