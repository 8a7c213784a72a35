"""Fold models: each trained on all folds but its own, one after another or, where a GPU has room, side by side.

Side by side in threads: what one of them leaves of a GPU's time, while Python prepares its next step, is the others'.
"""

import dataclasses
import gc
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from project.work.common import progress
from project.work.dataset.base_dataset import Dataset
from project.work.machine import memory_budget
from project.work.machine.distributed import RunContext
from project.work.runner.table import runner_class

T = TypeVar("T")
R = TypeVar("R")
GoOn = Callable[[], None]


@dataclass(frozen=True)
class Prediction:
    """What a fold model says. rows: those it did not learn from, int (R,); held_out: float (R, K); valid: float (V, K).

    Where only classes are asked for, held_out and valid are those, int (R,) and (V,). margins: sums and counts of every
    row's margin while it was learnt from, float (N, 2).
    """

    rows: np.ndarray
    held_out: np.ndarray
    valid: np.ndarray
    margins: np.ndarray


@dataclass
class FoldModels:
    """How each fold's model is trained. context: with their settings; part_of: the fold of each training image.

    voting: each learns from its own fold alone and names the classes of all else.
    """

    context: RunContext
    dataset: Dataset
    folder: Path
    part_of: np.ndarray
    voting: bool = False
    trained: bool = False
    _alone: threading.Lock = field(default_factory=threading.Lock)

    @property
    def device(self) -> torch.device:
        """Where they are trained."""
        return self.context.device

    def predictions(self, at_once: int | None) -> list[Prediction]:
        """Of every fold, in order. at_once None: one after another or, on a GPU, as many as fit beside each other."""
        folds, found = range(self.context.settings.folds), list[Prediction]()
        if at_once is None and (self.device.type != "cuda" or self.context.distributed.size > 1):
            at_once = 1
        with progress(total=len(folds), desc="fold models", unit="model") as bar:
            while at_once is None and len(found) < len(folds):
                before = self._reserved()
                found += each(self.train, folds[len(found) :][:1], done=bar.update)
                if self.trained:  # one that was finished before takes less
                    at_once = self._room(before)
            return found + each(self.train, folds[len(found) :], at_once or 1, bar.update)

    def train(self, fold: int, go_on: GoOn) -> Prediction:
        """Train a fold's model from wherever it stands, and have it predict what it did not learn from."""
        own = self.part_of == fold
        learnt_from, held = (np.flatnonzero(mask) for mask in ((own, ~own) if self.voting else (~own, own)))
        place = self.folder / f"fold-{fold}"
        self.context.distributed.first(lambda: place.mkdir(parents=True, exist_ok=True))
        with self._stream():
            held_out = self.dataset.train.subset(held)
            learnt = dataclasses.replace(self.dataset, train=self.dataset.train.subset(learnt_from))
            runner = runner_class(self.context.settings)(self.context, learnt, place)
            runner.model.register_forward_pre_hook(lambda *_: go_on())
            runner.fit(lambda: self._keep(place))
            logits, valid = (self._said(runner.predict(split)) for split in (held_out, self.dataset.valid))
            margins = runner.memories["margins"].values.cpu().numpy()
            return Prediction(held_out.rows.cpu().numpy(), logits, valid, margins)

    def _said(self, logits: torch.Tensor) -> np.ndarray:
        return (logits.argmax(dim=1) if self.voting else logits).cpu().numpy()

    def _keep(self, place: Path) -> None:
        self.trained = True
        with self._alone:  # a bucket is sent one folder at a time
            self.context.try_send(place)

    def _stream(self) -> AbstractContextManager:
        """A queue of a GPU's work for each thread, so that one does not wait for another's."""
        if threading.current_thread() is threading.main_thread() or self.device.type != "cuda":
            return nullcontext()
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))  # for the pictures to be there
        return torch.cuda.stream(stream)

    def _reserved(self) -> int:
        """Bytes of the GPU that are held for what lives on."""
        gc.collect()
        torch.cuda.empty_cache()
        return torch.cuda.memory_reserved(self.device)

    def _room(self, before: int) -> int:
        """How many models fit, by what the last one took beside the `before` bytes that were held already."""
        peak = torch.cuda.max_memory_reserved(self.device) - before
        self._reserved()
        free, _ = torch.cuda.mem_get_info(self.device)
        return memory_budget.how_many_fit(free, peak, memory_budget.cores())


class Ended(Exception):
    """Another piece of the work has failed, or Ctrl-C was pressed, so that this one is to end."""


def each(
    work: Callable[[T, GoOn], R], things: Sequence[T], at_once: int = 1, done: Callable[[], object] = lambda: None
) -> list[R]:
    """What the work gives for each thing, in their order; the first error ends all of it.

    work: called with a thing and what it must call often, which ends it when the others end. done: called after each.
    """
    if at_once == 1:
        return [_one(work, thing, done) for thing in things]
    ended = threading.Event()

    def go_on() -> None:
        if ended.is_set():
            raise Ended

    with ThreadPoolExecutor(at_once) as pool:
        pieces = [pool.submit(work, thing, go_on) for thing in things]
        try:
            for piece in as_completed(pieces):
                piece.result()
                done()
        except BaseException:  # Ctrl-C reaches this thread alone
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [piece.result() for piece in pieces]


def _one(work: Callable[[T, GoOn], R], thing: T, done: Callable[[], object]) -> R:
    result = work(thing, lambda: None)
    done()
    return result
