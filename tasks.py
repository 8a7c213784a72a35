"""The commands a person types; ./inv --list shows them."""

import inspect
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any

from invoke import Context, Exit, Task, task

import make_command
from project.data_preparation.options import ImageFolderSettings, PreparationSettings
from project.work.common import ROOT, Settings
from project.work.declaration import task_options

QUICKSTART = {"dataset": "sample", "epoch": "10"}


def takes(settings: type) -> Callable[[Callable], Task]:
    """Make a function(context, **values) a task with a flag for each field of a settings dataclass."""

    def decorate(function: Callable) -> Task:
        options = task_options(settings)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter(name, kind, default=default) for name, (default, _) in options.items()]
        function.__signature__ = inspect.Signature([inspect.Parameter("c", kind), *parameters])
        return task(auto_shortflags=False, help={name: text for name, (_, text) in options.items()})(function)

    return decorate


def run(c: Context, command: Sequence[str]) -> None:
    """Run in the foreground; a command that fails has said why, so only its exit code is passed on."""
    result = c.run(shlex.join(command), warn=True, pty=sys.stdout.isatty(), in_stream=False)
    if not result.ok:
        raise Exit(code=result.exited)


@takes(PreparationSettings)
def prepare(c: Context, **values: Any) -> None:
    """Turn strokes into pictures: a Kaggle or ndjson folder, the public bucket, or the built-in sample."""
    run(c, make_command.script("project/data_preparation/quickdraw.py", values))


@takes(ImageFolderSettings)
def prepare_images(c: Context, **values: Any) -> None:
    """Turn pictures of your own into a data set: one sub-folder a class, or a CSV of path,label."""
    run(c, make_command.script("project/data_preparation/image_folder.py", values))


@takes(Settings)
def train(c: Context, **values: Any) -> None:
    """Train one run here and report its top-1 accuracy."""
    run(c, make_command.script("project/work/main.py", values))


@takes(Settings)
def oof(c: Context, **values: Any) -> None:
    """Train fold models and write the out-of-fold logits that distillation learns from."""
    run(c, make_command.script("project/work/main.py", {**values, "folds": values["folds"] or "5"}))


@task(help={"output": "folder of results.csv (project/output when not given)"})
def results(c: Context, output: str | None = None) -> None:
    """Print the table of results, best first, grouped over seeds."""
    run(c, make_command.script("project/work/reporter/summary.py", {"output": output}))


@task
def figures(c: Context) -> None:
    """Draw the pictures in fig/ from what is prepared."""
    run(c, make_command.script("project/data_preparation/figures.py", {}))


@task
def settings(c: Context) -> None:
    """Print every setting as the README's table."""
    print(make_command.settings_table(Settings))


@task
def quickstart(c: Context) -> None:
    """Prepare the built-in sample, train on it and report: the whole of it in three minutes."""
    prepare(c, source="sample")
    train(c, **QUICKSTART)
    results(c)


@task
def test(c: Context) -> None:
    """Run the whole test suite, with its own set-up."""
    run(c, [sys.executable, "-m", "pip", "install", "--quiet", "--editable", f"{ROOT}[test]"])
    run(c, [sys.executable, "-m", "ruff", "check", str(ROOT)])
    run(c, [sys.executable, "-m", "pytest", "--rootdir", str(ROOT), str(ROOT / "tests")])
