"""Turn any folder of pictures into a prepared data set: photos, scans, drawings -> project/input/<dataset>."""

if __name__ == "__main__":  # before anything that takes a while to load
    from project.work import process

    process.begin()


import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from project.data_preparation import pixels
from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.picture_list import FORMS, PARTS, Entry, PictureList, check_counts, read_list
from project.data_preparation.publishing import READY, counts, publish, split, summarise
from project.work.common import progress
from project.work.dataset import storage
from project.work.declaration import UserError, parse, run_command


def main(argv: Sequence[str] | None = None) -> None:
    """Prepare a data set from the command line."""
    settings = parse(ImageFolderSettings, argv, "Turn a folder or a list of pictures into a data set to train on.")
    if settings.input is None:
        raise UserError(FORMS)
    source = Path(settings.input).expanduser()
    found = read_list(source)
    name = found.root.resolve().name if settings.dataset is None else settings.dataset
    prepared, folder = publish(settings.output, name, lambda scratch: _make(settings, found, scratch))
    summarise(prepared, folder, source.resolve().name, _notes(prepared))


def _make(settings: ImageFolderSettings, found: PictureList, scratch: Path) -> storage.Prepared:
    prepared = prepare(settings, found)
    storage.write(scratch / READY, prepared)
    return prepared


def prepare(settings: ImageFolderSettings, found: PictureList) -> storage.Prepared:
    """Read, shrink and divide the pictures that were found; nothing is written.

    Raises UserError for a picture that cannot be decoded, unless those are to be skipped.
    """
    chosen = _thin(found.entries, settings.per_class, settings.seed)
    read = _read(found.root, chosen, settings)
    broken = {entry: fault for entry, fault in zip(chosen, read, strict=True) if isinstance(fault, str)}
    if broken and not settings.skip_broken:
        entry, fault = next(iter(broken.items()))
        others = f" ({len(broken)} of {len(chosen)} pictures are broken)" if len(broken) > 1 else ""
        advice = "mend it or remove it, or leave broken ones out with --skip-broken"
        raise UserError(f"{found.root / entry.path} cannot be read: {fault}{others}; {advice}")
    entries = [entry for entry in chosen if entry not in broken]
    check_counts(entries)
    images = np.stack([image for image in read if not isinstance(image, str)])
    images = pixels.as_channels(images, None if settings.channels is None else int(settings.channels))
    prepared = _divide(255 - images if settings.invert else images, entries, settings)
    labels = np.concatenate([prepared.train.labels, prepared.test.labels])
    every = np.concatenate([prepared.train.images, prepared.test.images])
    facts = {
        "divided": "by the source" if entries[0].part else "at random",
        "contradictions": pixels.count_contradictions(every, labels),
        "left_out": {"broken": len(broken), "other_files": found.others},
    }
    return dataclasses.replace(prepared, provenance=_provenance(settings, prepared, facts))


def _thin(entries: list[Entry], per_class: int | None, seed: int) -> list[Entry]:
    """At most so many pictures of each class and part, drawn at random; the order stays."""
    if per_class is None:
        return entries
    kept = []
    for (label, part), group in groupby(entries, key=lambda entry: (entry.label, entry.part)):
        pictures = list(group)
        generator = np.random.default_rng([seed, *f"{part}/{label}".encode()])
        kept += [pictures[row] for row in np.sort(generator.permutation(len(pictures))[:per_class])]
    return kept


def _read(root: Path, entries: list[Entry], settings: ImageFolderSettings) -> list[np.ndarray | str]:
    """A picture, uint8 (size, size, 3), or what is wrong with it, for each entry."""

    def read(entry: Entry) -> np.ndarray | str:
        try:
            return pixels.fit(pixels.decode((root / entry.path).read_bytes()), settings.size, settings.fit)
        except OSError as error:
            return error.strerror or str(error)
        except ValueError as error:
            return str(error)

    with pixels.quiet(), ThreadPoolExecutor() as pool:  # OpenCV lets other threads run while it decodes
        bar = progress(pool.map(read, entries), desc="reading pictures", total=len(entries), unit="picture")
        return list(bar)


def _divide(images: np.ndarray, entries: list[Entry], settings: ImageFolderSettings) -> storage.Prepared:
    """Both parts, each class after the other; entries are sorted by class."""
    names = sorted({entry.label for entry in entries})
    numbers = {name: label for label, name in enumerate(names)}
    labels = np.array([numbers[entry.label] for entry in entries])
    keys = pd.DataFrame({column: [entry.path for entry in entries] for column in ("key_id", "path")})
    if entries[0].part:
        rows = [np.flatnonzero([entry.part == part for entry in entries]) for part in PARTS]
    else:
        rows = _draw_parts(labels, names, settings)
    train, test = (
        storage.Pictures(images[chosen], labels[chosen], keys.iloc[chosen].reset_index(drop=True)) for chosen in rows
    )
    return storage.Prepared(train, test, names)


def _draw_parts(labels: np.ndarray, names: list[str], settings: ImageFolderSettings) -> list[np.ndarray]:
    """Row numbers of train and test; a class is divided alike whatever other classes there are."""
    parts: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for label, name in enumerate(names):
        of_class = np.flatnonzero(labels == label)
        generator = np.random.default_rng([settings.seed, *name.encode()])
        for part, chosen in zip(parts, split(len(of_class), settings.train_ratio, generator), strict=True):
            part.append(of_class[chosen])
    return [np.concatenate(part) for part in parts]


def _provenance(settings: ImageFolderSettings, prepared: storage.Prepared, facts: dict[str, Any]) -> dict[str, Any]:
    """Where the data came from; no date and no folder outside the set, so that the same seed gives the same bytes."""
    options = dataclasses.asdict(settings)
    source = Path(options.pop("input")).expanduser()
    del options["output"], options["dataset"]
    return {
        "source": "folder" if source.is_dir() else "csv",
        "input": source.resolve().name,
        "inverted": settings.invert,
        **facts,
        "options": options,
        "counts": counts(prepared.train, prepared.test, prepared.names),
    }


def _notes(prepared: storage.Prepared) -> dict[str, str]:
    """What a person should know of this set, by the first word of its line in the summary."""
    shape, facts = prepared.train.images.shape, prepared.provenance
    left = {"broken pictures": facts["left_out"]["broken"], "other files": facts["left_out"]["other_files"]}
    notes = {
        "size": f"{shape[2]}x{shape[1]}, {'grey' if len(shape) == 3 else 'colour'}",
        "divided": facts["divided"],
    }
    if any(left.values()):
        notes["left out"] = ", ".join(f"{what}: {count}" for what, count in left.items() if count)
    if facts["contradictions"]:
        notes["noise"] = f"{facts['contradictions']} pictures equal one with another label: a sign of wrong labels"
    return notes


if __name__ == "__main__":
    run_command(main, "--per-class or --size")
