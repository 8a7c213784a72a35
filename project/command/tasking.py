"""How a task gets its flags from settings dataclasses, and how it runs a command."""

import functools
import inspect
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from invoke import Context, Exit, Task, task

from project.work.common import CODE, flag
from project.work.machine import process
from project.work.machine.process import run_command
from project.work.settings.flags import by_name, refuse_both, task_options
from project.work.settings.help_page import Section, help_of


def takes(*settings: type, without: Collection[str] = (), **own_help: str) -> Callable[[Callable], Task]:
    """Make a function(context, ..., **values) a task that also has a flag for each field of settings dataclasses.

    Of fields with the same name, that of the first class counts. without: fields that the task does not read;
    own_help: help texts of the function's own options.
    """

    def decorate(function: Callable) -> Task:
        options = {name: option for each in reversed(settings) for name, option in task_options(each, without).items()}
        first, *own, _ = inspect.signature(function).parameters.values()

        def read(values: dict[str, Any]) -> dict[str, Any]:
            for each in settings:
                refuse_both(each, values)
                values = by_name(each, values)
            return values

        @functools.wraps(function)
        def checked(*arguments: Any, **values: Any) -> None:
            given: dict[str, Any] = {}
            run_command(lambda: given.update(read(values)))
            function(*arguments, **given)

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter(name, kind, default=default) for name, (default, _) in options.items()]
        context = first.replace(name="context")  # not c, which may be a flag
        checked.__signature__ = inspect.Signature([context, *own, *parameters])  # type: ignore[attr-defined]
        texts = {name: text for name, (_, text) in options.items()} | own_help
        made = task(auto_shortflags=False, help=texts)(checked)
        made.settings, made.without = settings, without
        return made

    return decorate


def help_page(name: str, made: Task, everything: bool) -> str:
    """The page of --help, or of --help-all, of a task."""
    function = inspect.signature(made.body)
    settings, without = getattr(made, "settings", ()), getattr(made, "without", ())
    taken = {option for each in settings for option in task_options(each, without)}
    own = [each for each in list(function.parameters.values())[1:] if each.name not in taken]
    needed = [each.name.upper() for each in own if each.default is inspect.Parameter.empty]
    lines = [_own_line(each, made.help) for each in own if each.default is not inspect.Parameter.empty]
    sections: list[Section] = [("Options", lines)] if lines else []
    command = " ".join(["./inv", name, *needed])
    return help_of(settings, command, inspect.getdoc(made) or "", everything, without, sections)


def _own_line(option: inspect.Parameter, texts: Mapping[str, str]) -> tuple[str, str]:
    """The help line of an option that is not a setting: --count N."""
    value = "" if option.default is False else " N" if isinstance(option.default, int) else " TEXT"
    notes = f" (default {option.default})" if isinstance(option.default, int) and value else ""
    return flag(option.name) + value, texts.get(option.name, "") + notes


def run(c: Context, command: Sequence[str]) -> None:
    """Run in the foreground. A command that fails has printed why, so only its exit code is passed on."""
    if c.config.run.echo or c.config.run.dry:
        print(shlex.join(command), flush=True)
    begins = Path(command[1]).is_relative_to(CODE / "project")
    code = 0 if c.config.run.dry else process.foreground(command, begins)
    if code != 0:
        raise Exit(code=code)
