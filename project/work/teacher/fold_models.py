"""Fold models: each is trained on all folds but its own, one after another or, if a GPU has memory, in parallel.

They run in parallel threads: while Python prepares one model's next step, the GPU works for the others.
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

from project.work.classifier import MODEL_FILE
from project.work.common import progress
from project.work.dataset.base_dataset import Dataset
from project.work.machine import memory_budget
from project.work.machine.distributed import RunContext
from project.work.run_folder import git_revision
from project.work.runner.table import runner_class

T = TypeVar("T")
R = TypeVar("R")
GoOn = Callable[[], None]


@dataclass(frozen=True)
class Prediction:
    """A fold model's predictions. rows: those it did not learn from, int (R,); held_out, valid: logits of these rows
    and of validation, float (R, K) and (V, K).

    For votes, held_out and valid are predicted classes, int (R,) and (V,). margins: sum and count of each row's margins
    during training, float (N, 2).
    """

    rows: np.ndarray
    held_out: np.ndarray
    valid: np.ndarray
    margins: np.ndarray


@dataclass
class FoldModels:
    """Trains the model of each fold. context: with their settings; part_of: the fold of each training image.

    voting: each learns from its own fold alone and predicts the classes of all other rows.
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
        """Predictions of every fold, in order. at_once: models in parallel; None: one or, on a GPU, as many as fit."""
        folds, found = range(self.context.settings.folds), list[Prediction]()
        if at_once is None and (self.device.type != "cuda" or self.context.distributed.size > 1):
            at_once = 1
        with progress(total=len(folds), desc="fold models", unit="model") as bar:
            while at_once is None and len(found) < len(folds):
                before = self._reserved()
                found += each(self.train, folds[len(found) :][:1], done=bar.update)
                if self.trained:  # a model that was finished before takes less memory
                    at_once = self._room(before)
            return found + each(self.train, folds[len(found) :], at_once or 1, bar.update)

    def train(self, fold: int, go_on: GoOn) -> Prediction:
        """Train a fold's model from where it stopped, and predict the rows that it did not learn from."""
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
            margins = runner.memories["margins"].values[: len(self.dataset.train_keys)].cpu().numpy()
            if not self.voting and self.context.distributed.is_first:  # that `./inv predict -c` has them vote
                kept = dataclasses.replace(runner.classifier(), git_revision=git_revision())
                kept.save(place / MODEL_FILE)
            return Prediction(held_out.rows.cpu().numpy(), logits, valid, margins)

    def _said(self, logits: torch.Tensor) -> np.ndarray:
        return (logits.argmax(dim=1) if self.voting else logits).cpu().numpy()

    def _keep(self, place: Path) -> None:
        self.trained = True
        with self._alone:  # one folder is sent to the bucket at a time
            self.context.try_send(place)

    def _stream(self) -> AbstractContextManager:
        """A CUDA stream for each thread, so that threads do not wait for each other."""
        if threading.current_thread() is threading.main_thread() or self.device.type != "cuda":
            return nullcontext()
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))  # until the images are there
        return torch.cuda.stream(stream)

    def _reserved(self) -> int:
        """Bytes of GPU memory that live tensors hold."""
        gc.collect()
        torch.cuda.empty_cache()
        return torch.cuda.memory_reserved(self.device)

    def _room(self, before: int) -> int:
        """The number of models that fit, from the peak memory of the last one. before: bytes reserved before it."""
        peak = torch.cuda.max_memory_reserved(self.device) - before
        self._reserved()
        free, _ = torch.cuda.mem_get_info(self.device)
        return memory_budget.how_many_fit(free, peak, memory_budget.cores())


class Ended(Exception):
    """Another task has failed or Ctrl-C was pressed, so this task ends."""


def each(
    work: Callable[[T, GoOn], R], things: Sequence[T], at_once: int = 1, done: Callable[[], object] = lambda: None
) -> list[R]:
    """Results of work for each thing, in order. The first error ends all tasks.

    work: called with a thing and a function that it must call often; that raises Ended once another task has failed.
    done: called after each.
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
