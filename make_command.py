"""Settings -> command lines; pure, standard library only."""

import dataclasses
import sys
from collections.abc import Mapping
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


def settings_table(*classes: type) -> str:
    """Every field of settings dataclasses as a Markdown table."""
    rows = [
        f"| `{flag(field.name)}` | {'' if field.default is None else field.default} | {field.metadata['help']} |"
        for cls in classes
        for field in dataclasses.fields(cls)
    ]
    return "\n".join(["| setting | default | what it is |", "|---|---|---|", *rows])
