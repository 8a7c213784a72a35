"""Prints the cost of sampling 300 rows uniformly, without replacement, from one large CSV file.

    .venv/bin/python benchmark/sampling.py
    .venv/bin/python benchmark/sampling.py --input ~/quickdraw/train_simplified/cat.csv

Every reader returns 300 whole rows, and every subset is equally likely. Seeking to random bytes would be faster, but it
is left out because it takes long rows more often.
"""

import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import inputs
import measure
import table
from measure import Contender, Options

from project.work.machine.process import run_command
from project.work.settings.flags import parse, setting

COUNT = 300


@dataclass(frozen=True)
class SamplingOptions(Options):
    """What to sample from."""

    input: str | None = setting(None, "one of Kaggle's CSV files; made from a seed when not given")
    rows: int = setting(150_000, "rows to make when there is no --input", within="[300, inf)")
    reader: str | None = setting(None, "read once with this reader and stop: ours, pandas, polars or reservoir")


def ours() -> Callable[[Path], int]:
    """The source that preparation uses, which also parses the strokes."""
    import numpy as np

    from project.data_preparation.sources.folders import KaggleFolder

    def read(path: Path) -> int:
        parts = KaggleFolder(path.parent.parent).read(path.stem, COUNT, np.random.default_rng(0))
        return sum(map(len, parts))

    return read


def pandas() -> Callable[[Path], int]:
    """Read everything, then sample."""
    import pandas as pd

    return lambda path: len(pd.read_csv(path).sample(COUNT, random_state=0))


def polars() -> Callable[[Path], int]:
    """Read everything, then sample."""
    import polars as pl

    return lambda path: len(pl.read_csv(path).sample(COUNT, seed=0))


def reservoir() -> Callable[[Path], int]:
    """One pass over the lines in plain Python (Vitter's algorithm R), without parsing."""

    def read(path: Path) -> int:
        draw = random.Random(0).random
        with open(path, "rb") as file:
            next(file)
            kept = list(islice(file, COUNT))
            for seen, line in enumerate(file, start=COUNT + 1):
                at = int(draw() * seen)
                if at < COUNT:
                    kept[at] = line
        return len(kept)

    return read


READERS = {"ours": ours, "pandas": pandas, "polars": polars, "reservoir": reservoir}


def inside(name: str, path: Path) -> Contender:
    """The reading function alone; a unit is one sample of 300 rows."""

    def make() -> Callable[[], float]:
        read = READERS[name]()
        return lambda: read(path) / COUNT

    return measure.optional(name, make)


def whole(name: str, path: Path) -> Contender:
    """A process that imports what it needs, reads once and ends."""
    command = [sys.executable, __file__, f"--reader={name}", f"--input={path}"]

    def run() -> float:
        measure.process(command)
        return 1

    return measure.optional(name, lambda: READERS[name]() and run)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    options = parse(SamplingOptions, argv, "Measure uniform sampling from one file.")
    if options.reader is not None:
        READERS[options.reader]()(Path(options.input))
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if options.input is None:
            inputs.kaggle_folder(folder, 1, 1000 if options.quick else options.rows)
        path = Path(options.input) if options.input else folder / "train_simplified" / "aa.csv"
        for kind, title in ((whole, "whole process"), (inside, "reading function alone")):
            contenders = [kind(name, path) for name in READERS]
            group = f"300 rows uniformly from {path.stat().st_size / 1e6:.0f} MB, {title}"
            table.compare(group, "samples", contenders, options, warm=not options.quick)


if __name__ == "__main__":
    run_command(main)
