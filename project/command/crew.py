"""The runs of a sweep on this machine: so many at once, whatever one of them does."""

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from project.command.run_worker import STARVED
from project.command.worker import Outcome, Worker, stop
from project.work import room

if TYPE_CHECKING:
    from tqdm import tqdm


@dataclass(frozen=True)
class Task:
    """A run to do. words: its flags; command: its whole command line, where it starts processes of its own."""

    uuid: str
    name: str
    words: tuple[str, ...]
    log: Path
    command: tuple[str, ...] | None = None


@dataclass
class Room:
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
            self.at_once, self.known = room.how_many_fit(outcome.free, outcome.peak, room.cores()), True
        return False


class Crew:
    """Tasks, and the workers that are at them."""

    def __init__(self, tasks: Sequence[Task], at_once: int | None, after: Callable[[], None] | None = None) -> None:
        """after: called whenever a task has ended, once the next one is under way."""
        self.waiting, self.room, self.after = list(tasks), Room(at_once), after
        self.news = False
        self.active: dict[Task, Worker] = {}
        self.idle: list[Worker] = []
        self.leaving: list[Worker] = []
        self.failed: dict[str, str] = {}

    def work(self, bar: "tqdm") -> dict[str, str]:
        """Do all tasks; returns what went wrong with those that failed, by uuid. No worker is left when it ends."""
        try:
            while self.waiting or self.active:
                while self.waiting and len(self.active) < self.room.at_once:
                    self._begin(self.waiting.pop(0), bar)
                if self.news and self.after is not None:
                    self.after()
                self.news = False
                for task, worker in list(self.active.items()):
                    outcome = worker.outcome()
                    if outcome is not None:
                        self._end(task, outcome, bar)
                time.sleep(0.02)
        finally:
            stop([*self.active.values(), *self.idle, *self.leaving])
        return self.failed

    def _begin(self, task: Task, bar: "tqdm") -> None:
        bar.set_description(task.name)
        if task.command is not None:
            self.active[task] = Worker(task.log, self.room.at_once, task.command)
            return
        while self.idle and not self.idle[0].ready:
            self.leaving.append(self.idle.pop(0))
        worker = self.idle.pop(0) if self.idle else Worker(task.log, self.room.at_once)
        self.active[task] = worker
        worker.begin(task.words, task.log)

    def _end(self, task: Task, outcome: Outcome, bar: "tqdm") -> None:
        worker = self.active.pop(task)
        if self.room.learn(outcome, len(self.active)):
            self.waiting.insert(0, task)
        else:
            if outcome.code != 0:
                self.failed[task.uuid] = reason(outcome.code, task.log)
                bar.set_postfix(failed=len(self.failed))
            bar.update()
            self.news = True
        wanted = self.waiting and len(self.active) + len(self.idle) < self.room.at_once
        if wanted and worker.ready:
            self.idle.append(worker)
        else:  # what it holds of the device is for the others
            worker.dismiss()
            ended = [each for each in [*self.leaving, worker] if not each.ready]
            self.leaving = [each for each in [*self.leaving, worker] if each not in ended]
            stop(ended)


def reason(code: int, log: Path) -> str:
    """Why a run failed, in a line: what it said last, or what ended it before it could say why."""
    if code < 0:
        return f"ended by {signal.Signals(-code).name} (what it said is in {log})"
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"{lines[-1] if lines else 'it said nothing'} (all of it in {log})"
