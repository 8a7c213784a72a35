"""Prints how many drawings a CPU-second become 32x32 pictures: drawing alone, in one process on one thread.

.venv/bin/python benchmark/rasters.py
.venv/bin/python benchmark/rasters.py --input ~/quickdraw
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import inputs
import measure
import numpy as np
import raster_peers
import table
from inputs import Drawing
from measure import Contender, Options

from project.data_preparation.sources.folders import KaggleFolder
from project.work.machine.process import run_command
from project.work.raster import raster
from project.work.raster.raster import pack
from project.work.settings.flags import parse, setting


@dataclass(frozen=True)
class RasterOptions(Options):
    """What to draw."""

    input: str | None = setting(None, "Kaggle's folder of simplified drawings; made from a seed when not given")
    drawings: int = setting(5000, "how many drawings", within="[1, inf)")


def drawings(options: RasterOptions) -> list[Drawing]:
    """Equally many drawings of each class of a folder, or synthetic ones; int32 arrays, which suit every contender."""
    count = 50 if options.quick else options.drawings
    if options.input is None:
        return inputs.drawings(count)
    folder = KaggleFolder(Path(options.input))
    each = -(-count // len(folder.words()))
    parts = (part for word in folder.words() for part in folder.read(word, each, np.random.default_rng(0)))
    found = [strokes for part in parts for strokes in part.drawings]
    return [[np.ascontiguousarray(stroke, np.int32) for stroke in strokes] for strokes in found][:count]


def contenders(some: list[Drawing]) -> list[Contender]:
    """Each of our methods, then the peers."""
    ours = [Contender(f"ours, {name}", _ours(some, name)) for name in raster.METHODS]
    return ours + [measure.optional(name, _peer(some, make)) for name, make in raster_peers.PEERS.items()]


def _ours(some: list[Drawing], method: str) -> Callable[[], float]:
    ready = pack(some)  # as after parsing; the peers' formats are made before the clock starts too
    return lambda: len(raster.render(ready, raster_peers.SIZE, method))


def _peer(some: list[Drawing], make: Callable[[], raster_peers.Peer]) -> Callable[[], Callable[[], float]]:
    def prepared() -> Callable[[], float]:
        convert, draw = make()
        ready = [convert(strokes) for strokes in some]
        return lambda: len(np.stack([draw(strokes) for strokes in ready]))

    return prepared


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = parse(RasterOptions, argv, "Measure drawing alone.")
    cv2.setNumThreads(1)
    some = drawings(options)
    rows = contenders(some)
    shape = f"{inputs.mean_points(some):.0f} points a drawing"
    table.compare(f"Drawing strokes at 32x32, {shape}", "drawings", rows, options)


if __name__ == "__main__":
    run_command(main)
