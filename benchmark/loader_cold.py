"""Reading alone, from a disk and from the page cache: why a second reading is fast, whatever became of the first."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import measure
import numpy as np
import page_cache
import table
import torch
from loader_stores import MEMORY, Photos, Store, Tape, packed_store
from measure import Contender, Cost, Options
from table import Row

from project.work.common import UserError
from project.work.dataset import pictures

IN_NEW_PROCESS = """import json, sys, time
paths, wall, cpu = json.load(sys.stdin), time.perf_counter(), time.process_time()
for path in paths:
    with open(path, "rb") as file:
        file.read()
print(json.dumps([time.process_time() - cpu, time.perf_counter() - wall]))
"""
SOME = 4  # of the pixels 1 in so many is read: they are ten times as many bytes
Reading = tuple[Sequence[Path], Callable[[], float]]


def readings(photos: Photos) -> dict[str, Callable[[], Reading | None]]:
    """What makes a reading of a store, by its name: its files, and what reads each picture's bytes once.

    In an order of chance, where the store can; nothing is decoded.
    """
    rows = np.random.default_rng(0).permutation(len(photos.files)).tolist()

    def at_random(store: Store) -> Reading:
        def read_all() -> float:
            with store.open() as read:
                return sum(len(read(row)) > 0 for row in rows)

        return store.paths, read_all

    def in_order(tape: Tape) -> Reading:
        return tape.paths, lambda: sum(len(data) > 0 for _, data in tape.open())

    def of_pixels(path: Path) -> Reading:
        def read_all() -> float:
            images = pictures.hold(np.load(path, mmap_mode="r"), None, torch.device("cpu")).pixels  # as training does
            return sum(len(images[row].tobytes()) > 0 for row in rows[: len(rows) // SOME])

        return [path], read_all

    return {
        "packed": lambda: at_random(packed_store(photos.packed)),
        "raw files": lambda: at_random(photos.raw),
        "raw files on tmpfs": lambda: None if photos.memory is None else at_random(photos.tmpfs),
        "HDF5": lambda: at_random(photos.hdf5),
        "LMDB": lambda: at_random(photos.lmdb),
        "webdataset": lambda: in_order(photos.webdataset),
        "TFRecord": lambda: in_order(photos.tfrecord),
        "pixels mapped": lambda: of_pixels(photos.pixels),
    }


def rows(photos: Photos, options: Options) -> list[Row]:
    """Read each store just after the kernel let go of its files, and again; show the table."""
    costs: dict[str, list[Cost]] = {}
    notes: dict[str, str] = {}
    for _ in range(options.turns):
        for name, make in readings(photos).items():
            _read_twice(name, make, costs, notes)
    contenders = [Contender(name, None, note) for name, note in notes.items()]
    found = table.as_rows(f"Reading alone: {photos.title}", "pictures", contenders, costs, "wall")
    table.show(found, options)
    return found


def _read_twice(
    name: str, make: Callable[[], Reading | None], costs: dict[str, list[Cost]], notes: dict[str, str]
) -> None:
    """Add what a cold and a warm reading of a store cost, and what is to be said of them."""
    warm, cold, again = f"{name}, warm", f"{name}, cold", f"{name}, warm, a new process"
    try:
        reading = make()
    except ImportError as error:
        notes[warm] = f"skipped: {error.name} is not installed"
        return
    if reading is None:
        notes[warm] = f"skipped: no {MEMORY} here"
        return
    paths, read = reading
    kept = page_cache.drop(paths) if page_cache.can_drop() else None
    first, second = measure.cost(read), measure.cost(read)
    costs.setdefault(warm, []).append(second)
    notes[warm] = f"{page_cache.share(paths):.0%} of its files in memory"
    if kept is None:
        notes[cold] = "skipped: this system cannot be asked to let go of a file"
    elif kept > page_cache.KEPT:
        if cold not in costs:  # or another process read them in this round alone
            notes[cold] = f"skipped: {page_cache.file_system(paths[0])} kept {kept:.0%} in memory"
    else:
        costs.setdefault(cold, []).append(first)
        notes[cold] = f"{kept:.0%} of its files in memory before"
    if name == "raw files":
        costs.setdefault(again, []).append(_in_new_process(paths))
        notes[again] = "it has nothing of what was read but the page cache"


def _in_new_process(paths: Sequence[Path]) -> Cost:
    """What reading files costs a process that has just been started; its start does not count."""
    words = json.dumps([str(path) for path in paths])
    done = subprocess.run([sys.executable, "-c", IN_NEW_PROCESS], input=words, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"a new process could not read {paths[0]} and others: {done.stderr.strip()[-500:]}")
    cpu, wall = json.loads(done.stdout)
    return Cost(len(paths), cpu, wall)
