"""Real processes for the tests: main.py as a person starts it, and the same forked from one that has torch loaded."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from project.work import main
from project.work.common import ROOT
from project.work.machine.process import run_command

MAIN = ROOT / "project" / "work" / "main.py"
LOADED = [
    "gspread",
    "matplotlib.figure",
    "oauth2client.service_account",
    "project.work.main",
    "project.work.runner.history",
    "project.work.audit.stage",
    "project.work.dataset.base_dataset",
    "project.work.reporter.outcome",
    "project.work.study.summary",
    "project.work.teacher.oof",
]


def start(*words: object, **options: Any) -> subprocess.Popen:
    """main.py with these words, in a process and session of its own."""
    command = [sys.executable, str(MAIN), *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True, **options)


def run(*words: object, **options: Any) -> subprocess.CompletedProcess:
    """main.py with these words, to its end."""
    process = start(*words, **options)
    out, error = process.communicate(timeout=600)
    return subprocess.CompletedProcess(process.args, process.returncode, out, error)


def fork(function: Callable[..., None], *arguments: object) -> multiprocessing.Process:
    """Start a function in a process whose imports are done already, which saves seconds a process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    process = context.Process(target=_with_environment, args=(dict(os.environ), function, arguments))
    process.start()
    return process


def _with_environment(environment: dict[str, str], function: Callable[..., None], arguments: tuple) -> None:
    """The process it was forked from started earlier, with what the environment was then."""
    os.environ.clear()
    os.environ.update(environment)
    function(*arguments)


def fork_main(log: Path, *words: object) -> multiprocessing.Process:
    """main.py with these words, forked; what it prints is added to a log."""
    return fork(_main, log, list(map(str, words)))


def finish(process: multiprocessing.Process) -> int:
    """Wait for a forked process; its exit code, negative when a signal ended it."""
    process.join(600)
    assert process.exitcode is not None, "the process did not end within ten minutes"
    return process.exitcode


def _main(log: Path, words: list[str]) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as python starts; the fork server ignores Ctrl-C
    run_command(lambda: main.main(words))
