"""Shared by the benchmarks of training: a data set in memory, runners on it, steps on a fixed batch, their FLOP."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import inputs
import numpy as np
import torch
from tqdm import tqdm

from project.work import common
from project.work.dataset import base_dataset, storage
from project.work.dataset.base_dataset import Dataset
from project.work.dataset.distillation_dataset import VALIDATION, OofLogits, with_soft_targets
from project.work.dataset.transforms import AUGMENTATIONS
from project.work.machine.distributed import RunContext
from project.work.runner.base_runner import BaseRunner
from project.work.runner.table import runner_class
from project.work.settings.groups import RECIPES, Settings


@dataclass(frozen=True)
class Bench:
    """Makes runners: holds the data, the device, a folder for their files, and their shared settings.

    arrays: the training images and labels, for the contenders; logits: for distillation.
    """

    dataset: Dataset
    device: torch.device
    folder: Path
    shared: dict[str, Any]
    arrays: tuple[np.ndarray, np.ndarray] | None = None
    logits: OofLogits | None = None

    def runner(self, **values: Any) -> BaseRunner:
        """A runner with the shared settings and these."""
        settings = dataclasses.replace(Settings(), **(self.shared | values))
        dataset = self.dataset
        if settings.distillation or settings.nts:
            temperature = settings.nts_temperature if settings.nts else settings.softmax_temperature
            dataset = with_soft_targets(dataset, self.logits, temperature, "made-up logits")
        return runner_class(settings)(RunContext(settings, self.device), dataset, self.folder)

    def epoch(self, runner: BaseRunner) -> Callable[[], float]:
        """A pass over the training images, as in fit."""

        def run() -> float:
            runner._start_epoch(0)
            runner._train(0, tqdm(disable=True))
            synchronise(self.device)
            return len(self.dataset.train)

        return run

    def fixed(self, runner: BaseRunner) -> Callable[[], float]:
        """The same number of steps on one resident batch: the limit for any input pipeline.

        The batch is made by the loop's own code, so that it has the same memory layout.
        """
        size, augmentation = runner.settings.batch_size, AUGMENTATIONS[runner.settings.augment]
        batch = next(self.dataset.train.batches(size, torch.Generator().manual_seed(0), augmentation))
        steps = max(1, len(self.dataset.train) // size)

        def run() -> float:
            runner.model.train()
            for _ in range(steps):
                logits, seen, _ = runner.backward(batch, len(batch))
                runner.observe(logits, seen)
                runner._step()
            synchronise(self.device)
            return steps * len(batch)

        return run

    def flop(self, runner: BaseRunner) -> float:
        """Floating-point operations for an image, forward and backward."""
        from torch.utils.flop_counter import FlopCounterMode

        batch = next(self.dataset.train.batches(runner.settings.batch_size))
        with FlopCounterMode(display=False) as counter:
            runner.backward(batch, len(batch))
        for each in runner.optimizers:
            each.zero_grad()
        return counter.get_total_flops() / len(batch)


def predecessor_settings(**values: Any) -> dict[str, Any]:
    """Settings with which our runner computes the same as the predecessor's, in float32."""
    return {**RECIPES["predecessor"], **values}


def make_bench(
    dataset: str | None,
    pictures: int,
    device: torch.device,
    scratch: Path,
    shared: dict[str, Any],
    classes: int = 10,
) -> Bench:
    """A bench of `pictures` training images of a prepared data set, or of one made from a seed."""
    enough = max(2 * pictures + 400, 14 * classes)  # validation, a tenth of 4/5, has an image of each class
    folder = dataset or str(inputs.prepared_folder(scratch / "input", enough, classes))
    loaded = base_dataset.load(dataclasses.replace(Settings(), dataset=folder), device)
    some = dataclasses.replace(loaded, train=loaded.train.subset(slice(0, pictures)))
    file = storage.read(common.input_folder(folder)).train
    rows = some.train.rows.cpu().numpy()
    arrays = np.ascontiguousarray(file.images[rows]), file.labels[rows]
    return Bench(some, device, scratch, shared, arrays, made_up_logits(loaded, file))


def made_up_logits(dataset: Dataset, file: storage.Pictures) -> OofLogits:
    """Random logits for every row of the file."""
    folds = np.zeros(len(file.labels), dtype=np.int64)
    folds[dataset.valid.rows.cpu().numpy()] = VALIDATION
    logits = np.random.default_rng(0).normal(size=(len(folds), len(dataset.names))).astype(np.float32)
    return OofLogits(logits, file.keys["key_id"].to_numpy(dtype=str), folds, dataset.names)


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished; only before and after the timed part."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_flop(device: torch.device, dtype: torch.dtype, quick: bool) -> float:
    """FLOP a second of the fastest of several large matrix products: the hardware's practical peak."""
    side = 256 if quick else 2048 if device.type == "cpu" else 8192
    matrix, best = torch.randn(side, side, device=device, dtype=dtype), 0.0
    for _ in range(2 if quick else 8):
        synchronise(device)
        started = time.perf_counter()
        matrix @ matrix
        synchronise(device)
        best = max(best, 2 * side**3 / (time.perf_counter() - started))
    return best
