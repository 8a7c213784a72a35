"""Which classes of a source are drawn: reads --classes and checks that each class has enough rows."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path

from project.data_preparation.finalize import check_classes
from project.data_preparation.sources.source import Source
from project.work.common import UserError, progress
from project.work.files import disk
from project.work.labels import naming

LONGEST_LIST = 1 << 20  # bytes of a file with the names of classes, at most
_AROUND = ' ,;"'  # what a spreadsheet puts around a name in a list


def choose_classes(text: str | None, known: list[str]) -> tuple[list[str], list[str]]:
    """The classes named by --classes, sorted, and the names as written. Raises UserError for an unknown one."""
    if text is None:
        check_classes(known)
        return known, known
    if not text.strip(_AROUND):  # from an empty variable, for example
        raise UserError("--classes is empty: name at least 2 classes, or leave --classes out to take all")
    forms = {naming.canonical(name): name for name in known}
    written = _written(text, forms)
    for name in written:
        if naming.canonical(name) not in forms:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known[:5])} ..."
            raise UserError(f"--classes: there is no class {name[:80]} in this source; {hint}")
    names = sorted({forms[naming.canonical(name)] for name in written})
    check_classes(names)
    return names, written


def _written(text: str, known: Mapping[str, str]) -> list[str]:
    """The names in --classes or, if it is a path, in that file, one a line or between commas."""
    path = Path(os.path.expanduser(text))
    if os.path.isfile(path) or (os.path.lexists(path) and naming.canonical(text) not in known):
        lines = [line.strip() for line in disk.read_text(path, LONGEST_LIST).splitlines()]
        lines = [line for line in lines if not line.startswith("#") or naming.canonical(line) in known]
    else:
        lines = [text]
    return [name for line in lines for name in _of_line(line, known) if naming.canonical(name)]


def _of_line(line: str, known: Mapping[str, str]) -> list[str]:
    """One name, which may contain commas, or several names between commas."""
    whole = next((name for name in (line, line.strip(_AROUND)) if naming.canonical(name) in known), None)
    return [name.strip(_AROUND) for name in line.split(",")] if whole is None else [whole]


def check_rows(source: Source, names: list[str], per_class: int) -> None:
    """Raise UserError when a class has too few rows, if counting is cheap."""
    counts = {word: source.rows(word, per_class) for word in progress(names, desc="checking files", unit="class")}
    short = {word: count for word, count in counts.items() if count is not None and count < per_class}
    if short:
        fewest = min(short, key=lambda word: short[word])
        others = f" ({len(short)} classes have too few)" if len(short) > 1 else ""
        advice = f"try --per-class {short[fewest]}" if short[fewest] >= 2 else "leave the class out with --classes"
        raise UserError(f"{fewest} has {short[fewest]} drawings, fewer than --per-class {per_class}{others}: {advice}")
