"""The runs of a sweep on this machine: so many at once, whatever one of them does.

concurrent.futures.ProcessPoolExecutor does not serve: where one of its workers is killed, for memory say, it breaks all
runs of the pool (BrokenProcessPool). Its number of workers is fixed before the first run has shown what it takes of a
GPU, and it can neither send Ctrl-C to a run, so that its epochs are kept, nor give each run a log of its own for what C
code writes. A run that another sweep is at, or that has processes of its own, is no call of a function either.
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

LOOK = 25  # pauses between two looks at what others are at


@dataclass(frozen=True)
class Task:
    """A run to do. words: its flags; command: its whole command line, where it starts processes of its own."""

    uuid: str
    name: str
    words: tuple[str, ...]
    log: Path
    command: tuple[str, ...] | None = None


@dataclass
class Capacity:
    """How many runs there is room for: as many as given or, on a GPU, as fit once the first has shown what it takes."""

    given: int | None
    at_once: int = 1
    known: bool = False

    def __post_init__(self) -> None:
        if self.given is not None:
            self.at_once, self.known = self.given, True

    def learn(self, outcome: Outcome, beside: int) -> bool:
        """Take in how a run ended, with so many beside it; says whether it is to be tried again, beside fewer.

        Runs of a sweep may differ in what they take, and others may use the GPU too.
        """
        if self.given is None and outcome.code == STARVED and beside > 0:
            self.at_once = min(self.at_once, beside)
            return True
        if not self.known and outcome.code == 0 and outcome.peak > 0:
            fitting = memory_budget.how_many_fit(outcome.free, outcome.peak, memory_budget.cores())
            self.at_once, self.known = fitting, True
        return False


class SweepPool:
    """Tasks, and the workers that are at them. Others may be at the same tasks: each is done once."""

    def __init__(
        self, tasks: Sequence[Task], at_once: int | None, finished: Finished, after: Callable[[], None] | None = None
    ) -> None:
        """after: called whenever a task has ended, once the next one is under way."""
        self.waiting, self.capacity, self.finished, self.after = list(tasks), Capacity(at_once), finished, after
        self.news = False
        self.active: dict[Task, PoolWorker] = {}
        self.elsewhere: list[Task] = []  # another process is at them
        self.idle: list[PoolWorker] = []
        self.leaving: list[PoolWorker] = []
        self.begun: dict[Task, int] = {}  # where in its log the last attempt begins
        self.made_up: set[Task] = set()
        self.failed: dict[str, str] = {}

    def work(self, bar: "tqdm") -> dict[str, str]:
        """Do all tasks; returns what went wrong with those that failed, by uuid. No worker is left when it ends."""
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
        if self.finished.is_whole(task.uuid):  # by now
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
        else:  # what it holds of the device is for the others
            worker.dismiss()
            ended = [each for each in [*self.leaving, worker] if not each.ready]
            self.leaving = [each for each in [*self.leaving, worker] if each not in ended]
            stop(ended)

    def _fall_short(self, task: Task, outcome: Outcome, bar: "tqdm") -> None:
        """What becomes of a task that did not end well: it may still be finished, or another process's."""
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
        print(f"{task.name} ({task.uuid}): another process is at it; waiting for its row", file=sys.stderr)

    def _look_elsewhere(self, bar: "tqdm") -> None:
        """Take note of what others have finished, and take over what they left."""
        for task in list(self.elsewhere):
            if self.finished.is_whole(task.uuid):
                self.elsewhere.remove(task)
                self._done(bar)
            elif not self.finished.is_under_way(task.uuid):
                self.elsewhere.remove(task)
                self.waiting.append(task)


def said(log: Path, begin: int) -> str:
    """What an attempt wrote into its log, which begins there."""
    try:
        with log.open("rb") as file:
            file.seek(begin)
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""


def reason(code: int, log: Path, begin: int = 0) -> str:
    """Why a run failed, in a line: what it said last, or what ended it before it could say why."""
    if code < 0:
        name = signal.Signals(-code).name
        why = f"; {MEMORY}: lower --batch-size, --image-size or --parallel" if name == "SIGKILL" else ""
        return f"ended by {name} (what it said is in {log}){why}"
    lines = said(log, begin).splitlines()
    return f"{lines[-1] if lines else 'it said nothing'} (all of it in {log})"
