"""How a task gets its flags from settings dataclasses, and how it runs a command."""

import inspect
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from invoke import Context, Exit, Task, task

from project.work import process
from project.work.common import ROOT
from project.work.declaration import task_options


def takes(*settings: type) -> Callable[[Callable], Task]:
    """Make a function(context, ..., **values) a task with a flag for each field of settings dataclasses too."""

    def decorate(function: Callable) -> Task:
        options = {name: option for each in settings for name, option in task_options(each).items()}
        *own, _ = inspect.signature(function).parameters.values()
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter(name, kind, default=default) for name, (default, _) in options.items()]
        function.__signature__ = inspect.Signature([*own, *parameters])
        return task(auto_shortflags=False, help={name: text for name, (_, text) in options.items()})(function)

    return decorate


def run(c: Context, command: Sequence[str]) -> None:
    """Run in the foreground; a command that fails has said why, so only its exit code is passed on."""
    if c.config.run.echo or c.config.run.dry:
        print(shlex.join(command), flush=True)
    begins = Path(command[1]).is_relative_to(ROOT / "project")
    code = 0 if c.config.run.dry else process.foreground(command, begins)
    if code != 0:
        raise Exit(code=code)
