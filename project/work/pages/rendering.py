"""Renders pages, each one file that needs no server: Jinja2 with one shared style, and formatted numbers.

Each package keeps its own templates. They extend base.html and use the macros of tables.html, which are here.
Everything is escaped except the text of `source`, which is our own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

SHARED = Path(__file__).with_name("template")


@dataclass(frozen=True)
class Cell:
    """A cell of a sortable table. order: its sort key if that is a number, empty if unknown."""

    text: str
    order: str | None = None


def render(folder: Path | Sequence[Path], template: str, **values: Any) -> str:
    """Render a template of a folder, or of the first of several that has it, with these values."""
    folders = [folder] if isinstance(folder, Path) else list(folder)
    return _environment(folders).get_template(template).render(values)


def _environment(folders: list[Path]) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # here, as only a page needs it

    made = Environment(
        loader=FileSystemLoader([*folders, SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    made.filters |= {"number": number, "fact": fact}
    made.globals["source"] = lambda name: _source(folders, name)
    return made


def _source(folders: list[Path], name: str) -> "Markup":
    """The raw text of a style sheet or script, from the folders or the shared ones."""
    from markupsafe import Markup

    found = next((folder / name for folder in folders if (folder / name).exists()), SHARED / name)
    return Markup(found.read_text(encoding="utf-8"))


def fact(value: Any) -> str:
    """A value of audit.json as text; a float is a share or a metric in 0..1 such as AUROC, shown in percent."""
    return f"{value:.1%}" if isinstance(value, float) and not np.isnan(value) else number(value)


def number(value: Any) -> str:
    """1234567 -> 1,234,567; 0.07349 -> 0.0735; anything else as it is; unknown values become empty."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)


def cell(name: str, value: Any) -> Cell:
    """A value as a cell; rates and shares in percent. name: of the column."""
    if value is None or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return Cell("", "")
    if isinstance(value, (float, np.floating)) and ("rate" in name or "share" in name):
        return Cell(f"{value:.1%}", f"{value:.6g}")
    if isinstance(value, (int, float, np.integer, np.floating)):
        return Cell(number(value), str(value))
    return Cell(str(value))
