"""Prints how many images a CPU-second are loaded in batches of 128: shuffled, flipped and normalised.

    .venv/bin/python benchmark/loaders.py
    .venv/bin/python benchmark/loaders.py --dataset quickdraw

One thread a process, so that without workers a second means one core. The start of workers counts, because their CPU
time is known only when they end. FFCV, which must be built from source against OpenCV's headers, is left out.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import loader_peers
import measure
import table
import torch
from measure import Contender, Options
from stepping import make_bench

from project.work.dataset.base_dataset import Split
from project.work.dataset.transforms import AUGMENTATIONS
from project.work.machine.process import run_command
from project.work.settings.flags import parse, setting


@dataclass(frozen=True)
class LoaderOptions(Options):
    """What to load."""

    rounds: int = setting(3, "number of times that each contender runs", within="[1, 1000]")
    dataset: str | None = setting(None, "name of a prepared data set; made from a seed when not given")
    pictures: int = setting(25_600, "pictures of an epoch", within="[128, inf)")


def ours(split: Split, augment: str) -> Callable[[], float]:
    """An epoch of ours."""
    generator = torch.Generator().manual_seed(0)

    def run() -> float:
        return sum(len(batch) for batch in split.batches(loader_peers.BATCH, generator, AUGMENTATIONS[augment]))

    return run


def theirs(make: Callable[[], loader_peers.Epoch]) -> Callable[[], Callable[[], float]]:
    """An epoch of another's."""

    def prepared() -> Callable[[], float]:
        epoch = make()
        return lambda: sum(len(images) for images, _ in epoch())

    return prepared


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = parse(LoaderOptions, argv, "Measure the input pipeline.")
    torch.set_num_threads(1)
    count = 256 if options.quick else options.pictures
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        bench = make_bench(options.dataset, count, torch.device("cpu"), scratch, {})
        split, peers = bench.dataset.train, loader_peers.every(*bench.arrays, scratch)
        contenders = [
            Contender("ours", ours(split, "flip"), "resident pictures"),
            *(measure.optional(name, theirs(make)) for name, make in peers.items()),
            Contender("ours without augmentation", ours(split, "none"), "does less than the others"),
            Contender("ours, affine", ours(split, "affine"), "does more than the others"),
        ]
        group = "Input pipeline, batches of 128, flipped and normalised"
        table.compare(group, "pictures", contenders, options, warm=not options.quick)


if __name__ == "__main__":
    run_command(main)
