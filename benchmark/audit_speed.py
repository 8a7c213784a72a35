"""Prints how long an audit takes from logits to audit.csv, the whole command, and its peak memory.

    .venv/bin/python benchmark/audit_speed.py

The input is synthetic: random 32x32 images, seeded logits of models that are right half the time, 12% of the labels
wrong. The time runs from the command line to the last file; it includes reading 1.4 GB of logits and comparing all
images for copies. The limits: 180 s and 4,000 MB at 1,000,000 x 340, on one core.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import measure

import make_command
from project.work.machine.process import run_command
from project.work.settings.flags import parse, setting

SIDE, WRONG, AT_ONCE = 32, 0.12, 20_000
SECONDS, MEGABYTES = 180, 4000


@dataclass(frozen=True)
class SpeedOptions:
    """The size of the input."""

    rows: int = setting(1_000_000, "rows of the training file", within="[100, inf)")
    classes: int = setting(340, "classes", within="[2, inf)")
    folder: str | None = setting(None, "where the files lie; a temporary folder when not given")
    make: bool = setting(False, "only make the files, in --folder")


def make(folder: Path, rows: int, classes: int) -> None:
    """A prepared data set (<folder>/data) and out-of-fold logits of it (<folder>/logits.npz)."""
    import numpy as np
    import pandas as pd

    from project.work.dataset import distillation_dataset, storage
    from project.work.files import arrays

    random = np.random.default_rng(0)
    names = [f"class {label:04d}" for label in range(classes)]
    true = {"train": random.permutation(np.arange(rows) % classes), "test": np.arange(2 * classes) % classes}
    data, sums = folder / "data", {}
    data.mkdir()
    for part, labels in true.items():
        wrong = random.random(len(labels)) < (WRONG if part == "train" else 0)
        given = np.where(wrong, random.integers(0, classes, len(labels)), labels)
        keys = pd.DataFrame({"key_id": _keys(part, len(labels))}).rename_axis("row")
        shape, texts = (len(labels), SIDE, SIDE), [arrays.compressed(keys.to_csv().encode())]
        pixels, path = random.integers(0, 256, shape, dtype=np.uint8), storage.map_file(data, part)
        images = None
        if storage.mapped(shape):
            arrays.create_map(path, shape)
            arrays.write_map(path, 0, pixels)
        else:
            images = arrays.array_members(pixels)
        sums |= storage.write_part(data, part, given, texts, shape, images)
    storage.write_facts(data, names, {"source": "benchmark"}, sums)
    logits = np.empty((rows, classes), np.float32)
    for start in range(0, rows, AT_ONCE):
        some = logits[start : start + AT_ONCE]
        random.standard_normal(out=some, dtype=np.float32)
        some[np.arange(len(some)), true["train"][start : start + AT_ONCE]] += 3
    margins = random.standard_normal(rows, dtype=np.float32)
    keys = np.array(_keys("train", rows))
    made = distillation_dataset.OofLogits(logits, keys, np.arange(rows) % 5, names, margins)
    distillation_dataset.write(folder / "logits.npz", made)


def _keys(part: str, count: int) -> list[str]:
    return [f"{part}{row:010d}" for row in range(count)]


def main(argv: Sequence[str] | None = None) -> None:
    """Make the files, audit them and print time and memory."""
    options = parse(SpeedOptions, argv, "Measure an audit from logits to audit.csv.")
    if options.make:
        make(Path(options.folder), options.rows, options.classes)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        sizes = {"rows": options.rows, "classes": options.classes, "folder": place}
        measure.process(make_command.script("benchmark/audit_speed.py", sizes | {"make": True}))
        files = {"dataset": f"{place}/data", "oof_logits": f"{place}/logits.npz", "output": f"{place}/output"}
        audit = {"stage": "audit", "device": "cpu"} | files
        started, cpu = time.perf_counter(), measure.cpu_seconds()
        megabytes = measure.process(make_command.script("project/work/main.py", audit))
        seconds, cpu = time.perf_counter() - started, measure.cpu_seconds() - cpu
    print(measure.machine())
    took = f"{seconds:.1f} s ({cpu:.1f} CPU seconds), peak memory {megabytes:,.0f} MB"
    print(f"{options.rows:,} rows x {options.classes} classes: {took}")
    print(f"bars: {SECONDS} s, {MEGABYTES:,} MB: {'kept' if seconds < SECONDS and megabytes < MEGABYTES else 'MISSED'}")


if __name__ == "__main__":
    run_command(main)
