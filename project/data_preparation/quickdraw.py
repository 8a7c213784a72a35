"""Turn doodles drawn as strokes into a prepared data set: strokes -> project/input/<dataset>."""

if __name__ == "__main__":  # before anything that takes a while to load
    from project.work import process

    process.begin()


import dataclasses
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from tqdm import tqdm

from project.data_preparation.class_drawing import check_rows, choose_classes, draw_piece, warm_up
from project.data_preparation.options import PreparationSettings
from project.data_preparation.publishing import LEFT_OUT, Target, publish, summarise, train_count
from project.data_preparation.sample_sheet import PER_CLASS, shown_labels
from project.data_preparation.shards import Pieces
from project.data_preparation.sources import source as sources
from project.data_preparation.workers import each, keep_memory
from project.work import class_names, room
from project.work.common import progress
from project.work.dataset import storage
from project.work.declaration import parse, run_command

GOOGLE_LICENSE = "Quick, Draw! drawings by Google, Inc., CC BY 4.0, https://creativecommons.org/licenses/by/4.0/"
SAMPLE_LICENSE = "synthetic doodles of this repository, drawn by no person, MIT"
SCREEN = 20  # lines
MANY = 50_000  # drawings; below, other processes are hardly worth their start


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

    published = publish(target, make, Pieces.begun)
    summarise(published, f"{kind} (synthetic)" if published.prepared.provenance["synthetic"] else kind, notes)


def prepare(settings: PreparationSettings, kind: str, scratch: Path, notes: dict[str, str]) -> storage.Prepared:
    """Sample, draw and divide the drawings, class by class, and make a data set of them in scratch.

    notes: takes what a person should know of them, by the first word of its line. Returns as much of the set as a sheet
    of samples shows. Raises UserError for bad input, as early as it can be known.
    """
    source = sources.open_source(settings, scratch / "sample")
    names, written = choose_classes(settings.classes, source.words())
    _warn([*class_names.notes([*written, *names]), *source.notes(names)])
    check_rows(source, names, settings.per_class)
    train = train_count(settings.per_class, settings.train_ratio)
    rows = {"train": train, "test": settings.per_class - train}
    pieces = Pieces(scratch, names, rows, settings.size, PER_CLASS)
    provenance = _provenance(settings, kind, source, {name: rows for name in names})
    pieces.open(provenance)
    missing = pieces.missing(source.version)
    processes = min(_processes(settings, sum(map(len, missing))), max(1, len(missing)))
    if processes > 1:
        warm_up(settings, source, names[0])
    work = partial(draw_piece, settings, source, pieces)
    ready = [labels for labels in pieces.all() if labels not in missing]
    done = len(names) - sum(map(len, missing))
    with (
        progress(total=len(names), initial=done, desc="drawing pictures", unit="class") as bar,
        closing(each(work, missing, processes)) as made,
    ):
        provenance = pieces.assemble(provenance, itertools.chain(ready, _counted(made, bar)))
    notes |= _notes(pieces)
    shown = storage.Pictures(*pieces.preview(shown_labels(len(names))))
    return storage.Prepared(shown, shown, names, provenance)


def _warn(lines: Iterable[str]) -> None:
    """Tell a person of how classes were named, once each and no more than a screen of it."""
    lines = list(dict.fromkeys(lines))
    for line in lines[:SCREEN]:
        print(f"warning: {line}", file=sys.stderr)
    if len(lines) > SCREEN:
        print(f"warning: and {len(lines) - SCREEN} more of the kind", file=sys.stderr)


def _notes(pieces: Pieces) -> dict[str, str]:
    """What a person should know of a set that is made, by the first word of its line in the summary."""
    notes, found = {}, pieces.twice
    left = list(itertools.islice(pieces.left_out(), 1))
    if left:
        count = sum(1 for _ in pieces.left_out())
        notes["left out"] = f"{count} broken drawings, listed in {LEFT_OUT}: {left[0].file} {left[0].line} the first"
    if len(found.keys):
        notes["key ids"] = f"{len(found.keys)} are those of drawings of several classes: there they are CLASS/key_id"
    pairs = {kind: pieces.key_ids(pair) for kind, pair in found.first.items()}
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
    return room.cores() if classes * settings.per_class >= MANY else 1


def _provenance(
    settings: PreparationSettings, kind: str, source: sources.Source, counts: dict[str, dict[str, int]]
) -> dict[str, object]:
    """Where the data came from; no date and no output folder, so that the same seed gives the same bytes."""
    options = dataclasses.asdict(settings)
    del options["output"], options["dataset"], options["processes"]
    if not settings.skip_broken:  # what was prepared before there was such a setting says the same
        del options["skip_broken"]
    return {
        "source": kind,
        "synthetic": source.synthetic,
        "license": SAMPLE_LICENSE if source.synthetic else GOOGLE_LICENSE,
        "simplified_here": source.raw,
        "options": options,
        "counts": counts,
    }


if __name__ == "__main__":
    run_command(main, "--per-class, the size of pictures or --processes")
