"""Turn doodles drawn as strokes into a prepared data set: strokes -> project/input/<dataset>."""

if __name__ == "__main__":  # before anything that takes a while to load
    from project.work import process

    process.begin()


import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from tqdm import tqdm

from project.data_preparation import sources
from project.data_preparation.class_drawing import check_rows, choose_classes, draw_piece, warm_up
from project.data_preparation.options import PreparationSettings
from project.data_preparation.pieces import Pieces
from project.data_preparation.publishing import publish, summarise, train_count
from project.data_preparation.sample_sheet import PER_CLASS, shown_labels
from project.data_preparation.workers import each, keep_memory
from project.work import room
from project.work.common import progress
from project.work.dataset import storage
from project.work.declaration import parse, run_command

GOOGLE_LICENSE = "Quick, Draw! drawings by Google, Inc., CC BY 4.0, https://creativecommons.org/licenses/by/4.0/"
SAMPLE_LICENSE = "synthetic doodles of this repository, drawn by no person, MIT"
MANY = 50_000  # drawings; below, other processes are hardly worth their start


def main(argv: Sequence[str] | None = None) -> None:
    """Prepare a data set from the command line."""
    settings = parse(PreparationSettings, argv, "Turn doodles drawn as strokes into pictures to train on.")
    keep_memory()
    kind = sources.choose(settings)
    name = settings.dataset or ("sample" if kind == "sample" else "quickdraw")
    prepared, folder = publish(settings.output, name, lambda scratch: prepare(settings, kind, scratch), Pieces.begun)
    summarise(prepared, folder, f"{kind} (synthetic)" if prepared.provenance["synthetic"] else kind)


def prepare(settings: PreparationSettings, kind: str, scratch: Path) -> storage.Prepared:
    """Sample, draw and divide the drawings, class by class, and make a data set of them in scratch.

    Returns as much of it as a sheet of samples shows. Raises UserError for bad input, as early as it can be known.
    """
    source = sources.open_source(settings, scratch / "sample")
    names = choose_classes(settings.classes, source.words())
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
        pieces.assemble(provenance, itertools.chain(ready, _counted(made, bar)))
    shown = storage.Pictures(*pieces.preview(shown_labels(len(names))))
    return storage.Prepared(shown, shown, names, provenance)


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
