"""A worker process of a sweep: does runs one after another, so that torch and the data are loaded once.

For each run it reads a line of JSON, {"words": its flags, "log": the file for its output}, and writes one to a given
file descriptor: the exit code and the memory that the run took. After an error that may have left the process in a bad
state it ends instead, and its own exit code is the answer.
"""

if __name__ == "__main__":  # before the slow imports
    import signal

    from project.work.machine import process

    process.begin(quiet=True, signals=[signal.SIGINT])

import gc
import json
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import asdict

from project.work import main
from project.work.machine import launch, memory_budget
from project.work.machine.launch import STARVED
from project.work.machine.process import OutOfMemory, run_command


def serve(answers: int, parent: int) -> None:
    """Do runs until no more are sent or the parent process is gone."""
    os.set_inheritable(answers, False)  # a run's child processes must not hold it open
    orders = os.fdopen(os.dup(0), encoding="utf-8")
    _point(0, os.devnull, os.O_RDONLY)  # nor read from standard input
    threading.Thread(target=launch.end_with_parent, args=(parent,), daemon=True).start()
    for line in orders:
        order = json.loads(line)
        for stream in (1, 2):
            _point(stream, order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        memory_budget.begin()
        code = _run(order["words"])
        if code > 128:  # a signal stopped it
            sys.exit(code)
        gc.collect()
        answer = {"code": code} | asdict(memory_budget.usage())
        memory_budget.begin()
        try:
            os.write(answers, json.dumps(answer).encode() + b"\n")
        except BrokenPipeError:
            sys.exit(launch.LOST)


def _point(stream: int, path: str, flags: int) -> None:
    """Redirect a file descriptor to a file, also for C code. A full disk loses output but does not end the run."""
    try:
        file = os.open(path, flags, 0o666)
    except OSError:
        file = os.open(os.devnull, flags)
    os.dup2(file, stream)
    os.close(file)


def _run(words: Sequence[str]) -> int:
    """Do a run as main.py does; returns its exit code."""
    from project.work import run_folder

    starved: list[OutOfMemory] = []

    def attempt() -> None:
        try:
            main.main(words)
        except OutOfMemory as error:
            starved.append(error)
            raise

    try:
        run_folder.git_revision()  # cached now, because files may change before the last run
        run_command(attempt, main.LOWER)
        return 0
    except SystemExit as end:
        if starved:
            sys.exit(STARVED)
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except Exception:
        traceback.print_exc()
        sys.exit(1)  # after a CUDA error this process cannot use the GPU any more
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:]))
