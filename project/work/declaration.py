"""How a setting is declared, read from text and checked: one declaration serves every command line."""

import argparse
import contextlib
import dataclasses
import difflib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeVar, get_args, get_type_hints

from project.work import process, streams

T = TypeVar("T")


class UserError(Exception):
    """Something a person can put right; its text says what is wrong, where, and what to do."""


class Interrupted(UserError):
    """Work that a signal stopped; its text says how to go on. code: the exit code."""

    def __init__(self, text: str, stop: KeyboardInterrupt) -> None:
        super().__init__(text)
        self.code = process.code(stop)


class OutOfMemory(UserError):
    """There was not enough memory, of the machine or of its GPU; its text says what to lower."""


def setting(default: Any, help: str, *, within: str = "", choices: Sequence[str] = (), alias: str = "") -> Any:
    """A dataclass field that is also a flag.

    within: an interval in the usual notation, such as "[0, 1)"; choices: the words allowed; alias: a second flag name.
    """
    metadata = {"help": help, "within": within, "choices": tuple(choices), "alias": alias}
    return dataclasses.field(default=default, metadata=metadata)


def flag(name: str) -> str:
    """The command-line flag of a field: batch_size -> --batch-size."""
    return "--" + name.replace("_", "-")


def describe(field: dataclasses.Field) -> str:
    """One line of help: what the setting is for, its range and its default."""
    limits = field.metadata["within"] or ("|".join(field.metadata["choices"]))
    default = "" if field.default is None or field.default is False else f"default {field.default}"
    notes = "; ".join(note for note in (limits, default) if note)
    return field.metadata["help"] + (f" ({notes})" if notes else "")


def add_flags(parser: argparse.ArgumentParser, cls: type) -> None:
    """Add every field of a settings dataclass as a flag; values stay text until `build` reads them."""
    types = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        names = [flag(field.name)] + ([flag(field.metadata["alias"])] if field.metadata["alias"] else [])
        options: dict[str, Any] = {"dest": field.name, "default": None, "help": describe(field).replace("%", "%%")}
        if is_switch(types[field.name]):
            parser.add_argument(*names, action=argparse.BooleanOptionalAction, **options)
        else:
            parser.add_argument(*names, metavar=(names[-1].lstrip("-").split("-")[-1].upper()), **options)


def is_switch(hint: Any) -> bool:
    """Whether a field of this type is a switch: it has a flag to switch it on and one to switch it off."""
    return bool in (get_args(hint) or (hint,))


def given(cls: type, argv: Sequence[str] | None, description: str) -> dict[str, str | bool]:
    """What a command line gives: the fields named there, still as text."""
    parser = _Parser(description=description, allow_abbrev=False)
    add_flags(parser, cls)
    return {name: value for name, value in vars(parser.parse_args(argv)).items() if value is not None}


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with a command line, where argparse would print every flag there is."""

    def error(self, message: str) -> NoReturn:
        subject, _, unknown = message.partition("unrecognized arguments: ")
        known = [name for action in self._actions for name in action.option_strings]
        hint = "" if subject else nearest(unknown.split("=")[0].split()[0], known)
        raise UserError(f"{message}{hint}; --help lists all settings")


def parse(cls: type[T], argv: Sequence[str] | None, description: str) -> T:
    """A settings dataclass from a command line."""
    return build(cls, given(cls, argv, description))


def task_options(cls: type) -> dict[str, tuple[Any, str]]:
    """The same fields as options of an invoke task: name -> (default, help); text stays text, as with `add_flags`."""
    options: dict[str, tuple[Any, str]] = {}
    types = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        switch = is_switch(types[field.name])
        options[field.name] = (False if switch else None, describe(field))
        if switch:
            options[f"no_{field.name}"] = (False, f"switch {flag(field.name)} off")
        if field.metadata["alias"]:
            options[field.metadata["alias"]] = (None, f"the same as {flag(field.name)}")
    return options


def build(cls: type[T], values: Mapping[str, Any]) -> T:
    """Make the dataclass from values given as text or as YAML gives them.

    Raises UserError for an unknown name, a value of the wrong type, or one outside its range.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}
    types = get_type_hints(cls)
    for name in values:
        if name not in fields:
            raise UserError(f"{name} is not a setting{nearest(name, fields)}")
    return cls(**{name: _read(fields[name], types[name], value) for name, value in values.items()})


def nearest(name: str, known: Iterable[str]) -> str:
    """What to add to a message about an unknown name: the known one that is most like it, if any is."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _read(field: dataclasses.Field, hint: Any, value: Any) -> Any:
    name, kinds = flag(field.name), get_args(hint) or (hint,)
    if value is None and type(None) in kinds:
        return None
    value = _convert(name, kinds[0], value)
    choices, within = field.metadata["choices"], field.metadata["within"]
    if choices and value not in choices:
        raise UserError(f"{name}: {value} is not one of {', '.join(choices)}")
    if within and not inside(value, within):
        raise UserError(f"{name}: {value} is outside {within}")
    return value


def _convert(name: str, kind: type, value: Any) -> Any:
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if kind is bool:
        if isinstance(value, bool):
            return value
    elif kind is str:
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return str(value)
    elif not isinstance(value, bool):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            number = kind(value)
            if isinstance(value, str) or number == value:
                return number
    raise UserError(f"{name}: {value!r} is not {words[kind]}")


def inside(value: float, interval: str) -> bool:
    """Whether a number lies in an interval such as "(0, 1]"; NaN lies in none."""
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = value >= low if interval[0] == "[" else value > low
    below = value <= high if interval[-1] == "]" else value < high
    return above and below


def run_command(main: Callable[[], None], lower: str = "") -> None:
    """Run an entry point: what a person can put right becomes one line and exit code 2, never a traceback.

    lower: the flags that decide how much memory it takes, for when there is not enough.
    """
    try:
        with within_memory(lower):
            main()
        streams.refuse_loss()
    except Interrupted as error:
        process.say(str(error))
        process.leave(error.code)
    except UserError as error:
        _stop(str(error))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _stop(f"{place}{error.strerror or error}; what was written before is kept")
    except KeyboardInterrupt as stop:
        process.say("stopped")
        process.leave(process.code(stop))
    except SystemExit as end:
        if isinstance(end.code, int) and end.code > 128:  # a signal, of which it has been told
            process.leave(end.code)
        raise


@contextlib.contextmanager
def within_memory(lower: str = "") -> Iterator[None]:
    """Raises OutOfMemory where memory runs out; lower: the flags to lower then."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        shortage = _shortage(error)
        if shortage is None:
            raise
        advice = f"lower {lower}" if lower else "end what else runs here, or take a machine with more"
        raise OutOfMemory(f"{shortage}; {advice}") from None


def _shortage(error: BaseException) -> str | None:
    """What there was not enough memory for, as numpy, torch on any device and the system say it; None otherwise."""
    text = str(error)
    signs = ("out of memory", "can't allocate memory", "ALLOC_FAILED", "Cannot allocate memory", "Unable to allocate")
    if not isinstance(error, MemoryError) and not any(sign in text for sign in signs):
        return None
    amount = re.search(r"(?:allocate|allocated:?) ([\d.]+ ?\w+)", text)
    where = "the GPU is" if re.search("CUDA|CUBLAS|CUDNN|HIP|MPS", text) else "this machine is"
    return f"{where} out of memory" + (f", for {amount[1]} more" if amount else "")


def _stop(text: str) -> None:
    print(f"error: {text}", file=sys.stderr)
    sys.exit(2)
