"""Prints whether images mapped from disk train as fast as resident ones, and the memory that each way takes.

    .venv/bin/python benchmark/large_data.py --gigabytes 3

Each turn is a separate process that trains on the same random images of the whole file; only training is timed. The
file was just written, so the kernel may cache all of it: this is not the speed of a disk. RssAnon is the memory that a
process needs. Its peak also counts pages of the mapped file, which the kernel frees when it needs the memory.
"""

import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import inputs
import measure
import numpy as np
import table
from measure import Contender, Cost, Options

from project.work.common import UserError
from project.work.machine.process import run_command
from project.work.settings.flags import parse, setting

CLASSES, FILE = 10, "train_images.npy"


@dataclass(frozen=True)
class LargeOptions(Options):
    """The size of the input."""

    rounds: int = setting(3, "number of times that each contender runs", within="[1, 1000]")
    gigabytes: float = setting(3, "size of the file of pictures", within="(0, inf)")
    batches: int = setting(100, "batches of 128 that are timed", within="[1, inf)")
    model: str = setting("narrow", "network", choices=("narrow", "resnet18", "resnet18-small"))
    way: str | None = setting(None, "train once this way and print what it took", choices=("mapped", "resident"))
    folder: str | None = setting(None, "where the file lies; a temporary folder when not given")


def write(path: Path, gigabytes: float) -> None:
    """Write a file of 32x32 images: a thousand different ones, repeated."""
    pictures = inputs.drawn(1000)
    count = max(2000, int(gigabytes * 1e9 / pictures[0].nbytes))
    file = np.lib.format.open_memmap(path, "w+", np.uint8, (count, *pictures.shape[1:]))
    for start in range(0, count, len(pictures)):
        part = file[start : start + len(pictures)]
        part[...] = pictures[: len(part)]
    file.flush()


def train_once(options: LargeOptions) -> dict[str, float]:
    """Train on some batches twice, timed the second time; returns the cost."""
    import torch
    from stepping import Bench

    from project.work.dataset.base_dataset import Dataset, Split
    from project.work.dataset.pictures import Records, hold
    from project.work.dataset.transforms import Normaliser

    torch.set_num_threads(1)
    device = torch.device("cpu")
    images = np.load(Path(options.folder) / FILE, mmap_mode="r" if options.way == "mapped" else None)
    records = Records(hold(images, None, device), torch.arange(len(images)) % CLASSES)
    some = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[: options.batches * 128]
    split = Split(records, some, Normaliser((0.1093,), (0.2921,)), CLASSES)
    dataset = Dataset(split, split, split, inputs.words(CLASSES), np.array([]), "")
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(dataset, device, Path(scratch), {"model": options.model, "uuid": "benchmark"})
        epoch = bench.epoch(bench.runner())
        epoch()
        took = measure.cost(epoch)
    return dataclasses.asdict(took) | memory()


def memory() -> dict[str, float]:
    """Anonymous memory now and peak memory, in MB, if the kernel reports them."""
    path = Path("/proc/self/status")
    if not path.exists():
        return {"anon": float("nan"), "peak": float("nan")}
    lines = dict(line.split(":", 1) for line in path.read_text(encoding="utf-8").splitlines())
    return {name: int(lines[key].split()[0]) * 1024 / 1e6 for name, key in (("anon", "RssAnon"), ("peak", "VmHWM"))}


def turn(way: str, folder: Path, options: LargeOptions) -> dict[str, float]:
    """One process."""
    words = [f"--way={way}", f"--folder={folder}", f"--batches={options.batches}", f"--model={options.model}"]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"training {way} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def study(folder: Path, options: LargeOptions) -> None:
    """Take turns and print the table."""
    size = (folder / FILE).stat().st_size / 1e9
    found: dict[str, list[dict[str, float]]] = {"mapped": [], "resident": []}
    for _ in range(options.turns):
        for way, turns in found.items():
            turns.append(turn(way, folder, options))
    costs = {way: [Cost(each["units"], each["cpu"], each["wall"]) for each in turns] for way, turns in found.items()}
    contenders = [Contender(way, None, _memory_note(turns)) for way, turns in found.items()]
    group = f"Training from a file of {size:.2g} GB, {options.model}, 1 thread of cpu"
    table.show(table.as_rows(group, "pictures", contenders, costs), options)


def _memory_note(turns: Sequence[dict[str, float]]) -> str:
    anon, peak = (max(each[name] for each in turns) for name in ("anon", "peak"))
    return f"RssAnon {anon:,.0f} MB, peak {peak:,.0f} MB"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table, or train once for it."""
    options = parse(LargeOptions, argv, "Measure training from a file that is mapped.")
    if options.quick:
        options = dataclasses.replace(options, gigabytes=0.002, batches=2)
    if options.way is not None:
        print(json.dumps(train_once(options)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        write(Path(place) / FILE, options.gigabytes)
        study(Path(place), options)


if __name__ == "__main__":
    run_command(main)
