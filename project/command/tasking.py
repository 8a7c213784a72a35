"""How a task gets its flags from settings dataclasses, and how it runs a command."""

import functools
import inspect
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from invoke import Context, Exit, Task, task

from project.work.common import CODE
from project.work.machine import process
from project.work.machine.process import run_command
from project.work.settings.flags import refuse_both, task_options


def takes(*settings: type) -> Callable[[Callable], Task]:
    """Make a function(context, ..., **values) a task with a flag for each field of settings dataclasses too."""

    def decorate(function: Callable) -> Task:
        options = {name: option for each in settings for name, option in task_options(each).items()}
        *own, _ = inspect.signature(function).parameters.values()

        @functools.wraps(function)
        def checked(*arguments: Any, **values: Any) -> None:
            def check() -> None:
                for each in settings:
                    refuse_both(each, values)

            run_command(check)
            function(*arguments, **values)

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter(name, kind, default=default) for name, (default, _) in options.items()]
        checked.__signature__ = inspect.Signature([*own, *parameters])  # type: ignore[attr-defined]
        return task(auto_shortflags=False, help={name: text for name, (_, text) in options.items()})(checked)

    return decorate


def run(c: Context, command: Sequence[str]) -> None:
    """Run in the foreground; a command that fails has said why, so only its exit code is passed on."""
    if c.config.run.echo or c.config.run.dry:
        print(shlex.join(command), flush=True)
    begins = Path(command[1]).is_relative_to(CODE / "project")
    code = 0 if c.config.run.dry else process.foreground(command, begins)
    if code != 0:
        raise Exit(code=code)
