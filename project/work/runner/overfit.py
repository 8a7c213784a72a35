"""The common first check (--overfit): can the network learn a few pictures by heart? If not, training is broken."""

import dataclasses
import math
from pathlib import Path

import numpy as np

from project.work import common
from project.work.common import UserError
from project.work.dataset.base_dataset import Dataset, Split
from project.work.machine.distributed import RunContext
from project.work.runner.base_runner import BaseRunner
from project.work.runner.history import EpochRow
from project.work.settings import resolve
from project.work.settings.groups import Settings

STEPS = 400  # optimizer steps at least, unless it succeeds before
LOW = 0.05  # mean cross entropy that counts as near 0


class Fitted(Exception):
    """Every picture is predicted right, surely enough."""


class OverfitRunner(BaseRunner):
    """Plain training of which nothing is kept; it ends as soon as all is learnt."""

    def _save(self) -> None:
        row = self.history.rows[-1]
        if row.valid_accuracy == 1 and row.valid_loss < LOW:
            raise Fitted

    def _restore(self) -> None:
        pass


def plainly(settings: Settings, count: int) -> Settings:
    """The settings of the check: network, optimizer and data as asked for, nothing that keeps from learning by heart.

    count: pictures; there are epochs enough for STEPS steps, in batches of equal size.
    """
    batches = math.ceil(count / settings.batch_size)
    size = math.ceil(count / batches)
    epochs = max(settings.epoch, math.ceil(STEPS / batches))
    plain = {"augment": "none", "flip": True, "label_smoothing": 0.0, "ema": 0.0, "weight_decay": 0.0}
    plain |= {"muon_weight_decay": 0.0, "accumulation_steps": 1, "batch_size": size, "epoch": epochs}
    return dataclasses.replace(settings, **resolve.method_defaults() | plain | {"compile": False})


def chosen(split: Split, count: int, seed: int) -> Split:
    """So many of its pictures, drawn class by class in turn, so that no class has two before each has one."""
    random = np.random.default_rng(common.derive_seed(seed, "overfit"))
    labels = split.labels.cpu().numpy()
    order = random.permutation(len(labels))
    turns = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        turns[members] = np.arange(len(members))
    return split.subset(np.sort(order[np.argsort(turns[order], kind="stable")[:count]]))


def check(context: RunContext, dataset: Dataset, folder: Path) -> str:
    """Fit some pictures and say, in a line, that it succeeds. Raises UserError, with what to look at, where not."""
    settings = context.settings
    assert settings.overfit is not None
    if settings.overfit > len(dataset.train):
        raise UserError(f"--overfit {settings.overfit}: the training split has {len(dataset.train)} pictures")
    some = chosen(dataset.train, settings.overfit, settings.seed)
    plain = plainly(settings, len(some))
    data = dataclasses.replace(dataset, train=some, valid=some, extra=None)
    runner = OverfitRunner(context.using(plain), data, folder)
    fitted = False
    try:
        runner.fit()
    except Fitted:
        fitted = True
    rows = runner.history.rows
    where = f"--overfit {len(some)}: {len(some)} pictures of {len(some.labels.unique())} classes"
    done = f"after {len(rows)} epochs ({len(rows) * runner.steps} steps)"
    best = max(rows, key=lambda row: (row.valid_accuracy, -row.valid_loss))
    if fitted or best.valid_accuracy == 1:
        return f"{where} are fitted: accuracy 100%, loss {best.valid_loss:.3f} {done}"
    raise UserError(
        f"{where} are not fitted: accuracy {best.valid_accuracy:.1%}, loss {best.valid_loss:.2f} at best {done};"
        f" {advice(rows, twins(some), plain)}"
    )


def twins(split: Split) -> int:
    """How many of its pictures are the same, to the pixel, as one with another label: nothing can tell them apart."""
    images = next(split.records.pictures.stream([split.rows.to(split.records.pictures.home)]))
    by_picture: dict[bytes, set[int]] = {}
    pixels = [image.tobytes() for image in images.cpu().numpy()]
    for image, label in zip(pixels, split.labels.tolist(), strict=True):
        by_picture.setdefault(image, set()).add(label)
    return sum(len(by_picture[image]) > 1 for image in pixels)


def advice(rows: list[EpochRow], alike: int, settings: Settings) -> str:
    """What to look at when pictures are not fitted."""
    first, last = rows[0], rows[-1]
    best = max(row.train_accuracy for row in rows)
    rate = f"--learning-rate {settings.learning_rate:g}"
    if alike:
        return f"{alike} of them are the same picture with different labels, which no network can tell apart"
    if best == 1:
        return (
            "while it trains all are right, so batch normalisation sees other statistics when it predicts: look at"
            " --batch-size (too small?) or give more --epoch"
        )
    fell = f"from {first.train_loss:.2f} to {last.train_loss:.2f}"
    if last.train_loss > 0.9 * first.train_loss:
        return f"the loss hardly fell, {fell}: look at {rate}, at what is frozen, and at the pictures themselves"
    return f"the loss fell {fell}: give more --epoch, a larger --model, or another rate than {rate}"
