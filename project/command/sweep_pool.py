"""Does the runs of a sweep on this machine, several at once; a run that fails or is killed does not stop the others.

concurrent.futures.ProcessPoolExecutor is not used. When one of its workers is killed, for example for memory, it breaks
all runs of the pool (BrokenProcessPool). Its number of workers is fixed before the first run has shown how much GPU
memory it needs. It cannot send Ctrl-C to a run, which keeps its epochs, or give each run its own log for output of C
code. And a run that another sweep is working on, or that starts its own processes, is not a function call.
"""

import itertools
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from project.command.finished import Finished
from project.command.pool_worker import PAUSE, Outcome, PoolWorker, stop
from project.work.machine import memory_budget
from project.work.machine.launch import STARVED
from project.work.machine.process import IN_USE, MEMORY

if TYPE_CHECKING:
    from tqdm import tqdm

LOOK = 25  # pauses between two checks of the runs of other processes


@dataclass(frozen=True)
class Task:
    """A run to do. words: its flags; command: its whole command line, if it starts its own processes."""

    uuid: str
    name: str
    words: tuple[str, ...]
    log: Path
    command: tuple[str, ...] | None = None


@dataclass
class Capacity:
    """How many runs go at once: the given number or, on a GPU, as many as fit by the memory of the first run."""

    given: int | None
    at_once: int = 1
    known: bool = False

    def __post_init__(self) -> None:
        if self.given is not None:
            self.at_once, self.known = self.given, True

    def learn(self, outcome: Outcome, beside: int) -> bool:
        """Learn from how a run ended; returns whether to retry it with fewer runs beside it. beside: runs at that time.

        Runs of a sweep may need different amounts of memory, and others may use the GPU too.
        """
        if self.given is None and outcome.code == STARVED and beside > 0:
            self.at_once = min(self.at_once, beside)
            return True
        if not self.known and outcome.code == 0 and outcome.peak > 0:
            fitting = memory_budget.how_many_fit(outcome.free, outcome.peak, memory_budget.cores())
            self.at_once, self.known = fitting, True
        return False


class SweepPool:
    """Tasks and their workers. Other sweeps may have the same tasks; each is done once."""

    def __init__(
        self, tasks: Sequence[Task], at_once: int | None, finished: Finished, after: Callable[[], None] | None = None
    ) -> None:
        """after: called whenever a task has ended, after the next one was started."""
        self.waiting, self.capacity, self.finished, self.after = list(tasks), Capacity(at_once), finished, after
        self.news = False
        self.active: dict[Task, PoolWorker] = {}
        self.elsewhere: list[Task] = []  # another process is working on them
        self.idle: list[PoolWorker] = []
        self.leaving: list[PoolWorker] = []
        self.begun: dict[Task, int] = {}  # offset in its log at which the last attempt begins
        self.made_up: set[Task] = set()
        self.failed: dict[str, str] = {}

    def work(self, bar: "tqdm") -> dict[str, str]:
        """Do all tasks; returns the errors of failed ones, by uuid. All workers have ended when it returns."""
        try:
            for turn in itertools.count():
                while self.waiting and len(self.active) < self.capacity.at_once:
                    self._begin(self.waiting.pop(0), bar)
                if self.news and self.after is not None:
                    self.after()
                self.news = False
                for task, worker in list(self.active.items()):
                    outcome = worker.outcome()
                    if outcome is not None:
                        self._end(task, outcome, bar)
                if turn % LOOK == 0:
                    self._look_elsewhere(bar)
                if not (self.waiting or self.active or self.elsewhere):
                    break
                time.sleep(PAUSE)
        finally:
            for worker in self.active.values():
                worker.interrupt()
            stop([*self.active.values(), *self.idle, *self.leaving])
        return {uuid: why for uuid, why in self.failed.items() if not self.finished.is_whole(uuid)}

    def _begin(self, task: Task, bar: "tqdm") -> None:
        if self.finished.is_whole(task.uuid):  # finished by another process meanwhile
            self._done(bar)
            return
        if self.finished.is_under_way(task.uuid):
            self._put_aside(task)
            return
        bar.set_description(task.name)
        self.begun[task] = task.log.stat().st_size if task.log.exists() else 0
        if task.command is not None:
            self.active[task] = PoolWorker(task.log, self.capacity.at_once, task.command)
            return
        while self.idle and not self.idle[0].ready:
            self.leaving.append(self.idle.pop(0))
        worker = self.idle.pop(0) if self.idle else PoolWorker(task.log, self.capacity.at_once)
        self.active[task] = worker
        worker.begin(task.words, task.log)

    def _end(self, task: Task, outcome: Outcome, bar: "tqdm") -> None:
        worker = self.active.pop(task)
        if self.capacity.learn(outcome, len(self.active)):
            self.waiting.insert(0, task)
        elif outcome.code == 0:
            self._done(bar)
        else:
            self._fall_short(task, outcome, bar)
        wanted = self.waiting and len(self.active) + len(self.idle) < self.capacity.at_once
        if wanted and worker.ready:
            self.idle.append(worker)
        else:  # its device memory is for the others
            worker.dismiss()
            ended = [each for each in [*self.leaving, worker] if not each.ready]
            self.leaving = [each for each in [*self.leaving, worker] if each not in ended]
            stop(ended)

    def _fall_short(self, task: Task, outcome: Outcome, bar: "tqdm") -> None:
        """Handle a task that failed: it may be finished all the same, or belong to another process."""
        if self.finished.is_whole(task.uuid):
            self._done(bar)
        elif outcome.code == IN_USE:
            self._put_aside(task)
        elif self.finished.has_row(task.uuid) and outcome.code < 0 and task not in self.made_up:
            self.made_up.add(task)  # killed while it reported
            self.waiting.insert(0, task)
        else:
            self.failed[task.uuid] = reason(outcome.code, task.log, self.begun[task])
            bar.set_postfix(failed=len(self.failed))
            self._done(bar)

    def _done(self, bar: "tqdm") -> None:
        bar.update()
        self.news = True

    def _put_aside(self, task: Task) -> None:
        self.elsewhere.append(task)
        print(f"{task.name} ({task.uuid}): another process works on it; waiting for its row", file=sys.stderr)

    def _look_elsewhere(self, bar: "tqdm") -> None:
        """Note the tasks that others have finished, and take over those that they left."""
        for task in list(self.elsewhere):
            if self.finished.is_whole(task.uuid):
                self.elsewhere.remove(task)
                self._done(bar)
            elif not self.finished.is_under_way(task.uuid):
                self.elsewhere.remove(task)
                self.waiting.append(task)


def said(log: Path, begin: int) -> str:
    """The output of an attempt: its log from this offset on."""
    try:
        with log.open("rb") as file:
            file.seek(begin)
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""


def reason(code: int, log: Path, begin: int = 0) -> str:
    """Why a run failed, in one line: its last line of output, or the signal that ended it."""
    if code < 0:
        name = signal.Signals(-code).name
        why = f"; {MEMORY}: lower --batch-size, --image-size or --parallel" if name == "SIGKILL" else ""
        return f"ended by {name} (its output is in {log}){why}"
    lines = said(log, begin).splitlines()
    return f"{lines[-1] if lines else 'it printed nothing'} (its output is in {log})"
