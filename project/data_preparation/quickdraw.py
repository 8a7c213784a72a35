"""Turn doodles drawn as strokes into a prepared data set: strokes -> project/input/<dataset>."""

if __name__ == "__main__":  # before the slow imports
    from project.work.machine import process

    process.begin()


import ctypes
import dataclasses
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from project.data_preparation.class_choice import check_rows, choose_classes
from project.data_preparation.finalize import Assembly, split, train_count
from project.data_preparation.options import PreparationSettings
from project.data_preparation.parsing.rows import Rows
from project.data_preparation.publishing import LEFT_OUT, Target, publish, summarise
from project.data_preparation.sample_sheet import PER_CLASS, shown_labels
from project.data_preparation.shards import Shard, Shards, any_twice, key_marks, picture_marks
from project.data_preparation.sources import source as sources
from project.data_preparation.sources.source import Source
from project.work.common import UserError, progress
from project.work.dataset import storage
from project.work.labels import naming
from project.work.machine import memory_budget
from project.work.machine.launch import end_with_parent
from project.work.machine.process import run_command
from project.work.raster import raster
from project.work.raster.raster import Drawings, simplify
from project.work.settings.flags import parse

KeyColumns = dict[str, np.ndarray]
T = TypeVar("T")
# Of glibc's mallopt: how much freed memory is kept, and the size from which a block is mapped by itself.
KEPT, APART = (-1, 1 << 28), (-3, 1 << 25)
GOOGLE_LICENSE = "Quick, Draw! drawings by Google, Inc., CC BY 4.0, https://creativecommons.org/licenses/by/4.0/"
SAMPLE_LICENSE = "synthetic doodles of this repository, drawn by no person, MIT"
SCREEN = 20  # lines
MANY = 50_000  # drawings; for fewer, starting other processes hardly pays


def main(argv: Sequence[str] | None = None) -> None:
    """Prepare a data set from the command line."""
    settings = parse(PreparationSettings, argv, "Turn doodles drawn as strokes into pictures to train on.")
    keep_memory()
    kind = sources.choose(settings)
    facts = {"source": kind}
    target = Target(settings.output, settings.dataset, "sample" if kind == "sample" else "quickdraw", facts)
    notes: dict[str, str] = {}

    def make(scratch: Path) -> storage.Prepared:
        return prepare(settings, kind, scratch, notes)

    published = publish(target, make, Shards.begun)
    summarise(published, f"{kind} (synthetic)" if published.prepared.provenance["synthetic"] else kind, notes)


def prepare(settings: PreparationSettings, kind: str, scratch: Path, notes: dict[str, str]) -> storage.Prepared:
    """Sample, draw and divide the drawings, class by class, and make a data set of them in scratch.

    notes: is filled with notes for a person, first word of the line -> text. Returns the part of the set that a sheet
    of samples shows. Raises UserError for bad input, as early as possible.
    """
    source = sources.open_source(settings, scratch / "sample")
    names, written = choose_classes(settings.classes, source.words())
    _warn([*naming.notes([*written, *names]), *source.notes(names)])
    check_rows(source, names, settings.per_class)
    train = train_count(settings.per_class, settings.train_ratio)
    rows = {"train": train, "test": settings.per_class - train}
    shards = Shards(scratch, names, rows, settings.size, PER_CLASS)
    provenance = _provenance(settings, kind, source, {name: rows for name in names})
    shards.open(provenance)
    assembly = Assembly(shards)
    missing = shards.missing(source.version)
    processes = min(_processes(settings, sum(map(len, missing))), max(1, len(missing)))
    if processes > 1:
        warm_up(settings, source, names[0])
    work = partial(draw_shard, settings, source, shards)
    ready = [labels for labels in shards.all() if labels not in missing]
    done = len(names) - sum(map(len, missing))
    with (
        progress(total=len(names), initial=done, desc="drawing pictures", unit="class") as bar,
        closing(in_processes(work, missing, processes)) as made,
    ):
        provenance = assembly.assemble(provenance, itertools.chain(ready, _counted(made, bar)))
    notes |= _notes(assembly)
    shown = storage.Pictures(*assembly.preview(shown_labels(len(names))))
    return storage.Prepared(shown, shown, names, provenance)


def _warn(lines: Iterable[str]) -> None:
    """Print warnings about the names of classes, without repeats, at most a screen of them."""
    lines = list(dict.fromkeys(lines))
    for line in lines[:SCREEN]:
        print(f"warning: {line}", file=sys.stderr)
    if len(lines) > SCREEN:
        print(f"warning: and {len(lines) - SCREEN} more of the kind", file=sys.stderr)


def _notes(assembly: Assembly) -> dict[str, str]:
    """Notes on a finished set for a person: first word of the line in the summary -> text."""
    notes, found, left = {}, assembly.twice, assembly.shards.left_out()
    if left:
        first = f"{left[0].file} {left[0].line} the first"
        notes["left out"] = f"{len(left)} broken drawings, listed in {LEFT_OUT}: {first}"
    if len(found.keys):
        notes["key ids"] = f"{len(found.keys)} are those of drawings of several classes: there they are CLASS/key_id"
    pairs = {kind: assembly.key_ids(pair) for kind, pair in found.first.items()}
    copies = [f"{found.twins[kind]} {kind} ({' and '.join(keys)})" for kind, keys in pairs.items()]
    if copies:
        notes["copies"] = f"pictures equal to an earlier one: {', '.join(copies)}"
    return notes


def _counted(made: Iterable[range], bar: tqdm) -> Iterator[range]:
    for labels in made:
        bar.update(len(labels))
        yield labels


def _processes(settings: PreparationSettings, classes: int) -> int:
    if settings.processes is not None:
        return settings.processes
    return memory_budget.cores() if classes * settings.per_class >= MANY else 1


def _provenance(
    settings: PreparationSettings, kind: str, source: Source, counts: dict[str, dict[str, int]]
) -> dict[str, object]:
    """Where the data came from; no date and no output folder, so that the same seed gives the same bytes."""
    options = dataclasses.asdict(settings)
    del options["output"], options["dataset"], options["processes"]
    if not settings.skip_broken:  # sets of older versions lack this setting; keep their provenance equal
        del options["skip_broken"]
    return {
        "source": kind,
        "synthetic": source.synthetic,
        "license": SAMPLE_LICENSE if source.synthetic else GOOGLE_LICENSE,
        "simplified_here": source.raw,
        "options": options,
        "counts": counts,
    }


def warm_up(settings: PreparationSettings, source: Source, word: str) -> None:
    """Draw the first row of a class and discard it, so that forked processes start with the code compiled."""
    for rows in source.read(word, 1, None):
        pictures = raster.render(_simplified(source, rows.drawings), settings.size, settings.raster)
        picture_marks(pictures), key_marks(rows.keys["key_id"])


def draw_shard(settings: PreparationSettings, source: Source, shards: Shards, labels: range) -> None:
    """Sample, draw and divide some classes. Raises UserError for bad input."""
    versions = {shards.names[label]: source.version(shards.names[label]) for label in labels}
    keys: dict[str, list[KeyColumns]] = {part: [] for part in shards.rows}
    shard = shards.begin(labels)
    for label in labels:
        for part, columns in _draw_class(settings, source, shards, shard, label):
            keys[part].append(columns)
    whole = {
        part: {name: np.concatenate([columns[name] for columns in each]) for name in each[0]}
        for part, each in keys.items()
    }
    shards.finish(shard, whole, versions.__getitem__)


def _draw_class(
    settings: PreparationSettings, source: Source, shards: Shards, shard: Shard, label: int
) -> Iterator[tuple[str, KeyColumns]]:
    """Put one class's pictures into their places; returns its keys by part, in the order of the pictures."""
    word = shards.names[label]
    generator = np.random.default_rng([settings.seed, *word.encode()])
    rows = source.read(word, settings.per_class, None if settings.first else generator)
    rows = itertools.chain([next(rows)], rows)  # the sample is drawn before the parts are
    parts = dict(zip(shards.rows, split(settings.per_class, settings.train_ratio, generator), strict=True))
    start, seen = 0, _SeenKeys(word)
    for some in rows:
        shard.left_out.extend(some.left_out)
        marks = seen.add(some)
        columns, end = _keys(some.keys, shards.names), start + len(some)
        first = {part: int(np.searchsorted(chosen, start)) for part, chosen in parts.items()}
        within = {part: chosen[first[part] : np.searchsorted(chosen, end)] - start for part, chosen in parts.items()}
        order = np.concatenate(list(within.values()))
        pictures = raster.render(_simplified(source, some.drawings), settings.size, settings.raster, order)
        for part, own in within.items():
            place = (label - shard.labels.start) * shards.rows[part] + first[part]
            shards.put(shard, part, place, pictures[: len(own)], marks[own])
            yield part, {name: column[own] for name, column in columns.items()}
            pictures = pictures[len(own) :]
        start = end
    seen.check()


class _SeenKeys:
    """The keys of a class so far; each may name only one drawing."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.marks: list[np.ndarray] = []
        self.rows: list[tuple[np.ndarray, Callable[[int], str]]] = []

    def add(self, rows: Rows) -> np.ndarray:
        """Add some keys; returns their marks, uint64 (N,)."""
        keys = rows.keys["key_id"]
        self.marks.append(key_marks(keys))
        self.rows.append((keys, rows.places))
        return self.marks[-1]

    def check(self) -> None:
        """Raise UserError when a key occurs twice."""
        if not any_twice(np.concatenate(self.marks)):
            return
        first: dict[str, str] = {}
        for keys, places in self.rows:
            for number, key in enumerate(keys.tolist()):
                if key in first:
                    raise UserError(
                        f"{self.word}: key_id {key} is in {first[key]} and in {places(number)}, but names one drawing:"
                        " delete one of them, or leave such out with --skip-broken"
                    )
                first[key] = places(number)


def _simplified(source: Source, drawings: Drawings) -> Drawings:
    return simplify(drawings) if source.raw else drawings


def _keys(keys: KeyColumns, names: list[str]) -> KeyColumns:
    if "true_word" not in keys:
        return keys
    labels = {name: label for label, name in enumerate(names)}
    # -1: the drawing shows a class that was not taken, so its label is certainly wrong.
    true = [labels.get(word, -1) for word in keys["true_word"].tolist()]
    return {name: column for name, column in keys.items() if name != "true_word"} | {"true_label": np.array(true)}


def keep_memory() -> None:
    """Let this process and its forks reuse freed memory instead of returning it to the system.

    Returning it took a sixth of the time of preparation. Without glibc nothing changes.
    """
    change = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    for parameter, size in (KEPT, APART) if change is not None else ():
        change(parameter, size)


def in_processes(work: Callable[[T], None], things: Iterable[T], processes: int) -> Generator[T, None, None]:
    """Do the work on things in processes; yields each thing when it is done. A failure ends all work.

    work, things: must be picklable for more than one process. Raises UserError when a process is killed.
    """
    if processes == 1:
        for thing in things:
            work(thing)
            yield thing
        return
    # A fork starts with everything loaded and compiled; on other systems forking is not safe.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_begin_process, initargs=(os.getpid(),))
    try:
        waiting = {pool.submit(work, thing): thing for thing in things}
        for future in as_completed(waiting):
            future.result()
            yield waiting[future]
    except BrokenProcessPool as error:
        raise UserError("one of the processes was killed (out of memory, perhaps); the same command goes on") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_process(parent: int) -> None:
    """Ignore Ctrl-C, which the first process handles, and end when the first process is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, args=(parent,), daemon=True).start()


if __name__ == "__main__":
    run_command(main, "--per-class, the size of pictures or --processes")
