"""A process that does the runs of a sweep one after another, so that torch is loaded once, and data too.

It reads a line of JSON for each run, {"words": its flags, "log": where everything it says goes}, and answers with one
on the file descriptor it is given: the exit code, and the memory that the run took. After whatever may have left this
process in a bad state it ends instead, and its own exit code is the answer.
"""

import gc
import json
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import asdict

from project.work import launch, main, room
from project.work.declaration import run_command

STARVED = 77  # exit code of a worker whose run found no memory left on the device
INTERRUPTED = 130


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
        room.begin()
        code = _run(order["words"])
        if code == INTERRUPTED:
            sys.exit(code)
        gc.collect()
        answer = {"code": code} | asdict(room.usage())
        room.begin()
        os.write(answers, json.dumps(answer).encode() + b"\n")


def _point(stream: int, path: str, flags: int) -> None:
    """Have a file descriptor be that of a file: C code writes there too."""
    file = os.open(path, flags, 0o666)
    os.dup2(file, stream)
    os.close(file)


def _run(words: Sequence[str]) -> int:
    """Do a run as main.py does; its exit code."""
    from project.work import run_folder

    try:
        run_folder.git_revision()  # while it is that of the code that is loaded: files may change before the last run
        run_command(lambda: main.main(words))
        return 0
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except Exception as error:
        traceback.print_exc()
        # A GPU that met an error has no more answers for this process.
        sys.exit(STARVED if type(error).__name__ == "OutOfMemoryError" else 1)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    try:
        serve(*map(int, sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
