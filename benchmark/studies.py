"""Support for long studies that are stopped and resumed: one output folder belongs to one study."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from project.work.common import UserError
from project.work.files import disk


def refuse_other(study: Any, growing: Collection[str]) -> None:
    """Raises UserError when study.output holds runs of other settings; otherwise records these.

    study: a dataclass; growing: its settings that may change from one start to the next.
    """
    path = Path(study.output) / "study.json"
    text = json.dumps({name: value for name, value in vars(study).items() if name not in growing})
    if path.exists() and path.read_text() != text:
        raise UserError(f"{path}: the runs there have {path.read_text()}, not {text}; give another --output")
    path.parent.mkdir(parents=True, exist_ok=True)
    disk.replace_file(path, text.encode())
