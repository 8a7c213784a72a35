"""Shows settings: flag, value and description of each, and pages of --help in groups.

main.py --help and ./inv TASK --help are the same; docs/settings.md has the same groups.
"""

import dataclasses
import inspect
import re
import shutil
import textwrap
from collections.abc import Collection, Iterable, Sequence
from typing import Any, get_args, get_type_hints

from project.work.common import flag, is_switch

LEFT, LEAST, MOST = 26, 60, 120  # columns: where descriptions begin, the narrowest and the widest page
MOST_CHOICES = 60  # characters of choices beside a flag, at most
_TIE = "\u00a0"  # a non-breaking space

Section = tuple[str, Sequence[tuple[str, str]]]  # a heading, and lines of (flag, what it is for)


def describe(field: dataclasses.Field) -> str:
    """One line of help: what the setting is for, its range or choices, and its default."""
    return " ".join([field.metadata["help"], *_notes(field, "|".join(field.metadata["choices"]))])


def _notes(field: dataclasses.Field, choices: str) -> list[str]:
    within = field.metadata["within"] and f"in {field.metadata['within']}"
    default = "" if field.default is None or field.default is False else f"default {field.default}"
    notes = [note for note in (within or choices, default) if note]
    return [f"({'; '.join(notes)})"] if notes else []


def value_of(field: dataclasses.Field, hint: Any) -> str:
    """The kind of a setting's value: N, X for a number with decimals, {one,of,these}, FILE; empty for a switch."""
    if is_switch(hint):
        return ""
    if field.metadata["choices"]:
        return "{" + ",".join(field.metadata["choices"]) + "}"
    kinds = get_args(hint) or (hint,)
    return "N" if int in kinds else "X" if float in kinds else field.metadata["value"]


def help_line(field: dataclasses.Field, hint: Any) -> tuple[str, str]:
    """A setting's line on a page of help: its flag with the kind of value, and its description."""
    names = [flag(name) for name in (field.name, field.metadata["alias"], field.metadata["short"]) if name]
    value = value_of(field, hint)
    long = len(value) > MOST_CHOICES
    notes = map(_whole, _notes(field, "")) if not long else _notes(field, ", ".join(field.metadata["choices"]))
    return f"{', '.join(names)} {'WORD' if long else value}".rstrip(), " ".join([field.metadata["help"], *notes])


def groups(cls: type) -> list[tuple[type, list[dataclasses.Field]]]:
    """The settings of a class by the class that declares each, base classes first, in the order declared."""
    owners = [owner for owner in reversed(cls.__mro__) if dataclasses.is_dataclass(owner)]
    last = {name: owner for owner in owners for name in inspect.get_annotations(owner)}
    declared: dict[type, list[dataclasses.Field]] = {owner: [] for owner in owners}
    for field in dataclasses.fields(cls):
        declared[last[field.name]].append(field)
    return [(owner, fields) for owner, fields in declared.items() if fields]


def heading(cls: type) -> tuple[str, str]:
    """The name and the purpose of a group of settings, from its docstring "Noise: wrong labels ..."."""
    called, colon, purpose = str(inspect.getdoc(cls)).partition(": ")
    if colon:
        return called, purpose[:1].upper() + purpose[1:]
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", cls.__name__.removesuffix("Settings")).capitalize(), called


def sections(cls: type, everything: bool, without: Collection[str] = ()) -> list[Section]:
    """The settings of a class as sections of a page of help: the usual ones, or all, in finer sections.

    If none is marked as usual, all are shown. without: names to leave out.
    """
    types, usual = get_type_hints(cls), any(field.metadata["usual"] for field in dataclasses.fields(cls))
    found: list[Section] = []
    for part in _parts(cls):
        headed = groups(part)
        if usual and not everything:
            headed = [(part, [field for _, fields in headed for field in fields if field.metadata["usual"]])]
        for owner, fields in headed:
            lines = [help_line(field, types[field.name]) for field in fields if field.name not in without]
            found += [(heading(owner)[0], lines)] if lines else []
    return found


def _parts(cls: type) -> list[type]:
    """The base classes of a class that declares no setting itself."""
    bases = [base for base in reversed(cls.__bases__) if dataclasses.is_dataclass(base)]
    return [cls] if inspect.get_annotations(cls) or not bases else bases


def help_of(classes: Sequence[type], command: str, purpose: str, everything: bool, without: Collection[str] = (),
            own: Sequence[Section] = ()) -> str:  # fmt: skip
    """A page of help for a command that takes the settings of some classes; of equal names the first class counts.

    without: names to leave out; own: sections to put first.
    """
    shown, hidden = list(own), 0
    for cls in classes:
        names = {field.name for field in dataclasses.fields(cls)} - set(without)
        found = sections(cls, everything, without)
        shown, hidden = shown + found, hidden + len(names) - sum(len(lines) for _, lines in found)
        without = {*without, *names}
    flags = [each for _, lines in shown for each, _ in lines]
    notes = [f"A switch has an opposite: --no-{each.removeprefix('--')}." for each in flags if " " not in each][:1]
    notes += [f"{command} --help-all shows {hidden} more."] if hidden else []
    return _page(f"{command} [--SETTING VALUE ...]" if flags else command, purpose, shown, notes)


def _page(usage: str, purpose: str, sections: Iterable[Section], notes: Sequence[str]) -> str:
    """A page of help, as wide as the terminal. notes: lines below the settings."""
    columns = min(max(shutil.get_terminal_size().columns, LEAST), MOST)
    parts = [f"usage: {usage}", textwrap.fill(purpose, columns)]
    for heading, lines in sections:
        body = [line for flag, text in lines for line in _line(flag, text, columns)]
        parts.append("\n".join([*textwrap.wrap(f"{heading}:", columns), *body]))
    parts += [textwrap.fill(note, columns, break_on_hyphens=False) for note in notes]
    return "\n\n".join(parts).replace(_TIE, " ") + "\n"


def _line(flag: str, text: str, columns: int) -> list[str]:
    """A flag with its description beside it, or below it if the flag is long."""
    indent = " " * LEFT
    lines = textwrap.wrap(
        text, columns, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    ) or [""]
    beside = f"  {flag}"
    if len(beside) >= LEFT:
        return [beside, *lines]
    return [(beside.ljust(LEFT) + lines[0].lstrip()).rstrip(), *lines[1:]]


def _whole(text: str) -> str:
    """The same text without line breaks."""
    return text.replace(" ", _TIE)
