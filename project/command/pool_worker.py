"""The sweep's side of its worker processes: starts them, gives them runs, and stops them."""

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import make_command
from project.work.machine import memory_budget, process

GRACE = 2.0  # seconds to end by itself
STOPPING = 60.0  # seconds for a run to end once it is told to
PAUSE = 0.02  # seconds between two polls


@dataclass(frozen=True)
class Outcome:
    """How a run ended. code: its exit code, negative for a signal; peak, free: bytes of device memory, as in Usage."""

    code: int
    peak: int = 0
    free: int = 0


class PoolWorker:
    """A process that does one run at a time. After its answer it is ready for the next; without one it has ended."""

    def __init__(self, log: Path, at_once: int, command: Sequence[str] | None = None) -> None:
        """Start it, one of `at_once`. log: of its first run; command: of its only run, if that starts processes."""
        receive, answer = os.pipe()
        own = [*make_command.script("project/command/run_worker.py", {}), str(answer), str(os.getpid())]
        with log.open("a") as file:
            self.process = subprocess.Popen(
                own if command is None else command,
                env=_environment(at_once),
                stdin=subprocess.PIPE if command is None else subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                pass_fds=[answer] if command is None else [],
                preexec_fn=None
                if command is None
                else process.ends_with(os.getpid(), begins=True),  # the others watch themselves
            )
        os.close(answer)
        self.answers = os.fdopen(receive, "rb", buffering=0)

    @property
    def ready(self) -> bool:
        """Whether it can be given a run."""
        return self.process.poll() is None

    def begin(self, words: Sequence[str], log: Path) -> None:
        """Give it a run."""
        order = json.dumps({"words": list(words), "log": str(log.absolute())})
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has just died; `outcome` will tell
            self.process.stdin.write(order.encode() + b"\n")
            self.process.stdin.flush()

    def outcome(self) -> Outcome | None:
        """How the run ended; None while it is running."""
        code = self.process.poll()  # polled before the answer is read: an ended process sends no more
        if select.select([self.answers], [], [], 0)[0] and (line := self.answers.readline()):
            return Outcome(**json.loads(line))
        return None if code is None else Outcome(code)

    def interrupt(self) -> None:
        """Stop the current run as Ctrl-C does; safe to call twice."""
        self.process.send_signal(signal.SIGINT)

    def dismiss(self) -> None:
        """Send no more runs: it ends by itself after the current one."""
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()


def stop(workers: Iterable[PoolWorker]) -> None:
    """Stop all workers; a worker with a run stops as on Ctrl-C."""
    workers = list(workers)
    for worker in workers:
        worker.dismiss()
    for patience, word in ((GRACE, signal.SIGINT), (STOPPING, signal.SIGKILL)):
        for _ in range(int(patience / PAUSE)):  # pauses are counted, because a clock may be set back
            if not any(worker.ready for worker in workers):
                break
            time.sleep(PAUSE)
        for worker in workers:
            if worker.ready:
                worker.process.send_signal(word)
    for worker in workers:
        worker.process.wait()
        worker.answers.close()


def _environment(at_once: int) -> dict[str, str]:
    """The environment of one of `at_once` processes, each with its share of the CPU cores."""
    environment = dict(os.environ)
    if at_once > 1:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, memory_budget.cores() // at_once)))
    return environment
