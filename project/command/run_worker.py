"""A process that does the runs of a sweep one after another, so that torch is loaded once, and data too.

It reads a line of JSON for each run, {"words": its flags, "log": where everything it says goes}, and answers with one
on the file descriptor it is given: the exit code, and the memory that the run took. After whatever may have left this
process in a bad state it ends instead, and its own exit code is the answer.
"""

if __name__ == "__main__":  # before anything that takes a while to load
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
    """Do runs until no more are sent, or the process that sends them is gone."""
    os.set_inheritable(answers, False)  # what a run starts must not hold it open
    orders = os.fdopen(os.dup(0), encoding="utf-8")
    _point(0, os.devnull, os.O_RDONLY)  # nor read from it
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
    """Have a file descriptor be that of a file: C code writes there too. A full disk takes the words, not the run."""
    try:
        file = os.open(path, flags, 0o666)
    except OSError:
        file = os.open(os.devnull, flags)
    os.dup2(file, stream)
    os.close(file)


def _run(words: Sequence[str]) -> int:
    """Do a run as main.py does; its exit code."""
    from project.work import run_folder

    starved: list[OutOfMemory] = []

    def attempt() -> None:
        try:
            main.main(words)
        except OutOfMemory as error:
            starved.append(error)
            raise

    try:
        run_folder.git_revision()  # while it is that of the code that is loaded: files may change before the last run
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
        sys.exit(1)  # a GPU that met an error has no more answers for this process
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:]))
