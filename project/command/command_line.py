"""Checks a line of tasks and flags before invoke reads it: an error is one line with a suggestion."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from project.work.common import UserError
from project.work.settings.flags import encodable, nearest, nearest_flag, twice

HELP, ALL = ("--help", "-h", "--help-all"), "--help-all"


def check(words: Sequence[str], tasks: Mapping[str, Any], core: Any) -> tuple[str, bool] | None:
    """The task for which help is requested, if any, and whether for all its settings.

    words: after invoke's own flags; tasks: invoke's contexts by task name; core: invoke's own context.
    Raises UserError for a word that is neither a task nor a flag of the task before it, and for a flag that is repeated
    or lacks its value.
    """
    line = _Line(words, tasks, core)
    for place, word in enumerate(words):
        if line.task is not None and line.waiting is None and word in HELP:
            return line.task, word == ALL
        line.read(place, word)
    line.end()
    return None


class _Line:
    """The state of reading a line."""

    def __init__(self, words: Sequence[str], tasks: Mapping[str, Any], core: Any) -> None:
        self.words, self.tasks, self.core = words, tasks, core
        self.task: str | None = None  # the current task
        self.flags: Mapping[str, Any] = {}
        self.positions: list[str] = []  # its positional arguments that are still missing
        self.given: dict[str, str] = {}
        self.waiting: str | None = None  # a flag that still needs its value

    def read(self, place: int, word: str) -> None:
        """Read the next word."""
        name, equals, value = word.partition("=")
        if self.waiting is not None:
            if name in self.flags:
                self._refuse_no_value()
            self._take(word)
        elif name in self.flags:
            self._see_flag(name, equals, value)
        elif name in self.core.flags:
            argument = self.core.flags[name]
            self.waiting = name if argument.takes_value and not argument.optional and not equals else None
        elif word.startswith("-"):
            self._refuse_flag(place, word, name)
        elif self.positions:
            self.positions.pop(0)
        elif word in self.tasks:
            self._begin(word)
        else:
            self._refuse_word(place, word)

    def end(self) -> None:
        """Check that nothing is missing at the end of the line."""
        if self.waiting is not None:
            self._refuse_no_value()
        if self.positions:
            raise UserError(f"{self.task} needs a {self.positions[0]}: ./inv {self.task} {self.positions[0].upper()}")

    def _begin(self, task: str) -> None:
        self.end()
        context = self.tasks[task]
        self.task, self.flags, self.given = task, context.flags, {}
        self.positions = [each.name for each in context.positional_args]

    def _see_flag(self, name: str, equals: str, value: str) -> None:
        self.waiting = name
        if not self.flags[name].takes_value:
            if equals:
                raise UserError(f"{name} is a switch and takes no value; give {name} alone")
            self._take("")
        elif equals:
            if value in self.flags:
                raise UserError(f"{name}: {value} is a flag, not a value")
            self._take(value)

    def _take(self, value: str) -> None:
        name, self.waiting = str(self.waiting), None
        argument = self.flags.get(name) or self.core.flags[name]
        typed = f"{name} {_shown(value)}" if argument.takes_value else name
        if name in self.given:
            raise UserError(twice(self.given[name], typed))
        self.given[name] = typed
        if argument.kind is int and not value.strip().lstrip("+-").isdecimal():
            raise UserError(f"{name}: {value!r} is not a whole number")

    @property
    def _all_settings(self) -> str:
        return f"; ./inv {self.task} --help-all lists all settings"

    def _refuse_no_value(self) -> None:
        raise UserError(f"argument {self.waiting}: expected one argument{self._all_settings}")

    def _refuse_flag(self, place: int, word: str, name: str) -> None:
        if self.task is not None:
            self._refuse_unread(name)
            hint = nearest_flag(word, [*self.flags, *self.core.flags])
            raise UserError(f"unrecognized arguments: {_shown(word)}{hint}{self._all_settings}")
        task = next((each for each in self.words[place:] if each in self.tasks), None)
        of_task = {} if task is None else self.tasks[task].flags
        if name in of_task or nearest_flag(word, of_task):
            hint = "" if name in of_task else nearest_flag(word, of_task)
            raise UserError(
                f"{_shown(name)} stands before the task{hint}; flags come after it: ./inv {task} --FLAG ..."
            )
        hint = nearest(name.strip("-"), self.tasks) or nearest_flag(word, self.core.flags)
        raise UserError(
            f"unrecognized arguments: {_shown(word)}{hint}; ./inv --list shows the tasks, ./inv --help flags"
        )

    def _refuse_unread(self, name: str) -> None:
        """Raises UserError for a flag that only other tasks have."""
        readers = [f"./inv {task}" for task, context in self.tasks.items() if name in context.flags]
        if readers:
            who = f"{readers[0]} does" if len(readers) < 2 else f"{' and '.join(readers)} do"
            who = who if len(readers) < 3 else f"{readers[0]}, {readers[1]} and others do"
            raise UserError(f"{name}: ./inv {self.task} does not read it; {who}")

    def _refuse_word(self, place: int, word: str) -> None:
        hint = nearest(word.replace("_", "-").lower(), self.tasks)
        if self.task is None:
            raise UserError(f"{_shown(word)} is not a task{hint}; ./inv --list shows them")
        before = self.words[place - 1]
        if before in self.flags and not self.flags[before].takes_value:
            hint = f"; {before} is a switch and takes no value"
        raise UserError(f"unrecognized arguments: {_shown(word)}{hint}{self._all_settings}")


def _shown(word: str) -> str:
    """A word as it would be typed; one with unprintable characters as its repr."""
    return shlex.quote(word) if word.isprintable() else ascii(word)


def readable(words: Sequence[str]) -> None:
    """Raises UserError for a word that is not UTF-8."""
    for word in words:
        encodable("a word of the command line", word)
