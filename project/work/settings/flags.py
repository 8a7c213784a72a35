"""Declares settings, reads them from text and checks them. One declaration serves every command line."""

import argparse
import contextlib
import dataclasses
import difflib
import reprlib
import shlex
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NoReturn, TypeVar, get_args, get_type_hints

from project import PROGRAM, __version__
from project.work.common import UserError, flag, is_switch
from project.work.settings import help_page
from project.work.settings.help_page import describe

T = TypeVar("T")
_brief = reprlib.Repr()
_brief.maxlevel, _brief.maxstring, _brief.maxother = 2, 200, 200  # a few lines of YAML can nest deeply


def setting(
    default: Any,
    help: str,
    *,
    within: str = "",
    choices: Sequence[str] = (),
    alias: str = "",
    former: str = "",
    short: str = "",
    value: str = "TEXT",
    usual: bool = False,
    own: bool = False,
) -> Any:
    """A dataclass field that is also a flag.

    within: an interval in the usual notation, such as "[0, 1)"; choices: the words allowed; alias: a second flag name;
    former: the setting's name in earlier versions, which is still read; short: a letter, for a flag of one: m for -m;
    value: the kind of a text, for the help: FILE, FOLDER; usual: most runs need it, so --help shows it; --help-all
    shows all; own: beside the choices, a person's own code as package.module:function.
    """
    said = {"help": help, "within": within, "choices": tuple(choices), "alias": alias, "former": former}
    shown = {"short": short, "value": value, "usual": usual, "own": own}
    return dataclasses.field(default=default, metadata=said | shown)


@cache
def former_names(cls: type) -> Mapping[str, str]:
    """Former names of settings -> their names now."""
    return {field.metadata["former"]: field.name for field in dataclasses.fields(cls) if field.metadata["former"]}


@cache
def _letters(cls: type) -> Mapping[str, str]:
    """Flags of one letter -> the names of their settings."""
    return {field.metadata["short"]: field.name for field in dataclasses.fields(cls) if field.metadata["short"]}


def renamed(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values under the current names of settings. Raises UserError if one is given under both names."""
    former = former_names(cls)
    if not former.keys() & values.keys():
        return dict(values)
    for old, name in former.items():
        if old in values and name in values:
            raise UserError(f"{name} and {old}, its former name, are both given; give {name} alone")
    return {former.get(name, name): value for name, value in values.items()}


def add_flags(parser: argparse.ArgumentParser, cls: type, once: bool = False) -> None:
    """Add every field of a settings dataclass as a flag; values stay text until `build` reads them.

    once: refuse a second flag for the same field; otherwise the last one counts.
    """
    switch, store = (_SwitchOnce, _Once) if once else (argparse.BooleanOptionalAction, "store")
    types = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        beside = (field.metadata["alias"], field.metadata["former"], field.metadata["short"])
        names = [flag(name) for name in (field.name, *beside) if name]
        action = switch if is_switch(types[field.name]) else store
        parser.add_argument(*names, action=action, dest=field.name, default=None)


class _Once(argparse.Action):
    """Stores a value once. If there are two, it is unknown which one is meant."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        _set_once(namespace, self, option_string, values)


class _SwitchOnce(argparse.BooleanOptionalAction):
    """Sets a switch once."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        _set_once(namespace, self, option_string, not option_string.startswith("--no-"))


def _set_once(namespace: argparse.Namespace, action: argparse.Action, name: str, value: str | bool) -> None:
    before = getattr(namespace, action.dest)
    if before is not None:
        raise UserError(twice(_typed(action.option_strings, before), _typed([name], value)))
    setattr(namespace, action.dest, value)


def twice(first: str, second: str) -> str:
    """The error for two flags of one setting."""
    given = f"{first} is given twice" if first == second else f"{first} and {second} are both given"
    return f"{given}; give one of them"


def _typed(names: Sequence[str], value: str | bool) -> str:
    if value is False:
        return next(name for name in names if name.startswith("--no-"))
    return names[0] if value is True else f"{names[0]} {shlex.quote(str(value))}"


def given(cls: type, argv: Sequence[str] | None, description: str) -> dict[str, str | bool]:
    """The settings given on a command line, still as text.

    argv: words built by a program, where the last of two flags counts; None: the words that a person typed, where
    repeated flags are refused. Raises UserError.
    """
    parser = _Parser(cls, description)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    add_flags(parser, cls, once=argv is None)
    words = _with_negative_numbers(sys.argv[1:] if argv is None else argv)
    parser.refuse_joined(words)
    return {name: value for name, value in vars(parser.parse_args(words)).items() if value is not None}


def _with_negative_numbers(words: Iterable[str]) -> list[str]:
    """The same words, with a flag and a following negative number joined: argparse reads -1e-3 and -inf as flags."""
    joined: list[str] = []
    for word in words:
        if word.startswith("-") and joined and joined[-1].startswith("-") and "=" not in joined[-1] and _number(word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _number(word: str) -> bool:
    try:
        return float(word) is not None
    except ValueError:
        return False


class _Parser(argparse.ArgumentParser):
    """Reports an error in one line, where argparse would print every flag."""

    def __init__(self, cls: type, description: str) -> None:
        super().__init__(description=description, allow_abbrev=False, add_help=False)
        self.cls = cls
        self.add_argument("-h", "--help", action=_Help, nargs=0)
        self.add_argument("--help-all", action=_Help, nargs=0)

    def help_text(self, everything: bool) -> str:
        """The page of help."""
        return help_page.help_of([self.cls], self.prog, str(self.description), everything)

    def refuse_joined(self, words: Iterable[str]) -> None:
        """Raises UserError for -model: argparse would read it as -m with the value odel."""
        for word in words:
            if word[:2] in self._option_string_actions and word[1:2] != "-" and word[2:3] not in ("", "="):
                self.error(f"unrecognized arguments: {word}")

    def error(self, message: str) -> NoReturn:
        subject, _, unknown = message.partition("unrecognized arguments: ")
        known = [name for action in self._actions for name in action.option_strings]
        hint = "" if subject else nearest_flag(next(iter(unknown.split()), ""), known)
        raise UserError(f"{message}{hint}; --help-all lists all settings")


class _Help(argparse.Action):
    """Prints the usual settings, or all."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        print(parser.help_text(everything=option_string == "--help-all"), end="")
        parser.exit()


def parse(cls: type[T], argv: Sequence[str] | None, description: str) -> T:
    """A settings dataclass from a command line."""
    return build(cls, given(cls, argv, description))


def task_options(cls: type, without: Collection[str] = ()) -> dict[str, tuple[Any, str]]:
    """The same fields as options of an invoke task: name -> (default, help); text stays text, as with `add_flags`.

    without: fields to leave out.
    """
    options: dict[str, tuple[Any, str]] = {}
    types = get_type_hints(cls)
    for field in [field for field in dataclasses.fields(cls) if field.name not in without]:
        switch = is_switch(types[field.name])
        options[field.name] = (False if switch else None, describe(field))
        if switch:
            options[f"no_{field.name}"] = (False, f"switch {flag(field.name)} off")
        for other in filter(None, (field.metadata["alias"], field.metadata["former"], field.metadata["short"])):
            options[other] = (False if switch else None, f"the same as {flag(field.name)}")
            options |= {f"no_{other}": (False, f"switch {flag(field.name)} off")} if switch else {}
    return options


def by_name(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an invoke task with settings' former names and letters replaced. Raises UserError where both are
    given."""
    found = dict(values)
    for old, name in {**former_names(cls), **_letters(cls)}.items():
        for before, now in ((old, name), (f"no_{old}", f"no_{name}")):
            value = found.pop(before, None)
            if value not in (None, False):
                if found.get(now) not in (None, False):
                    raise UserError(twice(flag(now), flag(before)))
                found[now] = value
    return found


def refuse_both(cls: type, values: Mapping[str, Any]) -> None:
    """Raises UserError if the options of an invoke task set one field twice: by its alias, or on and off."""
    for field in dataclasses.fields(cls):
        name, alias = field.name, field.metadata["alias"]
        if values.get(name) and values.get(f"no_{name}"):
            raise UserError(twice(flag(name), flag(f"no_{name}")))
        if alias and values.get(name) is not None and values.get(alias) is not None:
            raise UserError(twice(f"{flag(name)} {values[name]}", f"{flag(alias)} {values[alias]}"))


def build(cls: type[T], values: Mapping[str, Any]) -> T:
    """Make the dataclass from values given as text or as YAML gives them.

    Raises UserError for an unknown name, a value of the wrong type, or one outside its range.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    types, values = get_type_hints(cls), renamed(cls, values)
    for name in values:
        if name not in fields:
            raise UserError(f"{name} is not a setting{nearest(name, fields)}")
    return cls(**{name: _read(fields[name], types[name], value) for name, value in values.items()})


def nearest(name: str, known: Iterable[str]) -> str:
    """A suggestion for an unknown name: the most similar known one; empty if none is similar."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def nearest_flag(word: str, known: Iterable[str]) -> str:
    """As `nearest`, for a word of a command line: --learning_rate, -epoch or --Epoch=5."""
    if not word.startswith("-") or not word.strip("-"):
        return ""
    return nearest(flag(word.partition("=")[0].lstrip("-").lower()), known)


def _read(field: dataclasses.Field, hint: Any, value: Any) -> Any:
    name, kinds = flag(field.name), get_args(hint) or (hint,)
    if value is None and type(None) in kinds:
        return None
    value = _convert(name, kinds[0], value)
    choices, within = field.metadata["choices"], field.metadata["within"]
    if choices and value not in choices and not (field.metadata["own"] and ":" in value):
        more = ", and no package.module:function" if field.metadata["own"] else ""
        raise UserError(f"{name}: {value} is not one of {', '.join(choices)}{more}")
    if within and not inside(value, within):
        raise UserError(f"{name}: {value} is outside {within}")
    return value


def _convert(name: str, kind: type, value: Any) -> Any:
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if kind is bool:
        if isinstance(value, bool):
            return value
    elif kind is str:
        if isinstance(value, str):
            return encodable(name, value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
    elif not isinstance(value, bool):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            number = kind(value)
            if isinstance(value, str) or number == value:
                return number
    raise UserError(f"{name}: {_brief.repr(value)} is not {words[kind]}")


def encodable(name: str, text: str) -> str:
    """The same text. Raises UserError for a text that cannot be written to files: not UTF-8, or with a NUL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{name}: {text!a} is not UTF-8 text") from None
    if "\0" in text:
        raise UserError(f"{name}: {text!a} holds a NUL character")
    return text


def inside(value: float, interval: str) -> bool:
    """Whether a number lies in an interval such as "(0, 1]"; NaN lies in none."""
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = value >= low if interval[0] == "[" else value > low
    below = value <= high if interval[-1] == "]" else value < high
    return above and below


