"""Turn any folder of pictures into a prepared data set: photos, scans, drawings -> project/input/<dataset>."""

if __name__ == "__main__":  # before anything that takes a while to load
    from project.work.machine import process

    process.begin()


import dataclasses
import math
import os
import shutil
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from project.data_preparation.finalize import counts, split
from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import copies, left_out, packing
from project.data_preparation.pictures.entries import Entry, PictureList, a_few, check_counts
from project.data_preparation.pictures.listing import FORMS, read_list, set_name
from project.data_preparation.pictures.packing import SMALL, Packing
from project.data_preparation.pictures.parts import PARTS
from project.data_preparation.pictures.reading import Reading, read_pictures
from project.data_preparation.pictures.tree import UNREAD, suffix
from project.data_preparation.publishing import LEFT_OUT, READY, Target, publish, summarise
from project.work.common import UserError
from project.work.dataset import storage
from project.work.dataset.packed import PackedPictures
from project.work.machine.process import run_command
from project.work.picture_files import pixels
from project.work.settings.flags import parse
from project.work.settings.groups import DataSettings

FOLDS = 5  # of an audit, unless it is told otherwise
COMPARED = 8  # pictures that tell whether an older set is of the same source


def main(argv: Sequence[str] | None = None) -> None:
    """Prepare a data set from the command line."""
    settings = parse(ImageFolderSettings, argv, "Turn a folder or a list of pictures into a data set to train on.")
    if settings.input is None:
        raise UserError(*FORMS)
    source = Path(os.path.expanduser(settings.input))
    found = read_list(settings)
    facts = {"source": "folder" if source.is_dir() else "csv", "input": source.resolve().name}
    same = partial(_holds_these, settings, found)
    target = Target(settings.output, settings.dataset, set_name(settings), facts, same)
    if target.folder.resolve() == found.root.resolve():
        raise UserError(f"{target.folder} holds the pictures themselves: give another --dataset or --output")
    published = publish(target, lambda scratch: _make(settings, found, scratch), packing.begun)
    notes = _notes(published.prepared, found) | left_out.note(published.folder / LEFT_OUT)
    summarise(published, source.resolve().name, notes)


def _make(settings: ImageFolderSettings, found: PictureList, scratch: Path) -> storage.Prepared:
    shutil.rmtree(scratch / READY, ignore_errors=True)  # of a preparation that was killed
    prepared = prepare(settings, found, scratch)
    storage.write(scratch / READY, prepared)
    return prepared


def prepare(settings: ImageFolderSettings, found: PictureList, scratch: Path) -> storage.Prepared:
    """Read, shrink and divide the pictures that were found; left_out.csv is written, and what is packed.

    Raises UserError for a picture that cannot be decoded, unless those are to be skipped.
    """
    chosen = _thin(found.entries, settings.per_class, settings.seed)
    read = _read([found.root / entry.path for entry in chosen], settings, scratch)
    broken = {chosen[row]: fault for row, fault in sorted(read.faults.items())}
    if broken and not settings.skip_broken:
        entry, fault = next(iter(broken.items()))
        others = f" ({len(broken)} of {len(chosen)} pictures are broken)" if len(broken) > 1 else ""
        mend = "convert it to JPEG or PNG" if suffix(entry.path) in UNREAD else "mend it or remove it"
        advice = f"{mend}, or leave broken ones out with --skip-broken"
        raise UserError(f"{found.root / entry.path} cannot be read: {fault}{others}; {advice}")
    entries = [entry for entry in chosen if entry not in broken]
    if not entries:
        fault = next(iter(broken.values()))
        raise UserError(f"{found.root}: none of its {len(chosen):,} pictures can be read: {fault}")
    check_counts(entries, found.called)
    remarks = {chosen[row]: said for row, said in read.remarks().items()}
    prepared = _divide(read.kept(settings), entries, settings)
    labels = np.concatenate([prepared.train.labels, prepared.test.labels])
    marks = np.concatenate([copies.digests(part.images) for part in (prepared.train, prepared.test)])
    left_out.write(scratch / READY / LEFT_OUT, left_out.table(broken, found.unlike, remarks, prepared))
    facts = {
        "divided": "by the source" if entries[0].part else "at random",
        "contradictions": copies.count_contradictions(marks, labels),
        "left_out": {"broken": len(broken) + len(found.unlike), "other_files": found.others},
        **({"reading": read.notes()} if read.notes() else {}),
        **read.facts(),
    }
    return dataclasses.replace(prepared, provenance=_provenance(settings, prepared, facts))


def _read(paths: Sequence[Path], settings: ImageFolderSettings, scratch: Path) -> Reading | Packing:
    """Small pictures as an array, larger ones as the bytes of their files."""
    return read_pictures(paths, settings) if settings.size <= SMALL else packing.pack(paths, settings, scratch)


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


def _divide(
    images: np.ndarray | PackedPictures, entries: list[Entry], settings: ImageFolderSettings
) -> storage.Prepared:
    """Both parts, each class after the other; entries are sorted by class."""
    names = sorted({entry.label for entry in entries})
    numbers = {name: label for label, name in enumerate(names)}
    labels = np.array([numbers[entry.label] for entry in entries])
    keys = _keys(entries)
    if entries[0].part:
        rows = [np.flatnonzero([entry.part == part for entry in entries]) for part in PARTS]
    else:
        rows = _draw_parts(labels, names, settings)
    train, test = (
        storage.Pictures(images.take(chosen, axis=0), labels[chosen], keys.iloc[chosen].reset_index(drop=True))
        for chosen in rows
    )
    return storage.Prepared(train, test, names)


def _keys(entries: list[Entry]) -> pd.DataFrame:
    """A row a picture. group is there where one is known, part where the source has others than train and test."""
    keys = pd.DataFrame({column: [entry.path for entry in entries] for column in ("key_id", "path")})
    if any(entry.group for entry in entries):
        keys["group"] = [entry.group for entry in entries]
    if not {entry.said for entry in entries} <= {"", *PARTS}:
        keys["part"] = [entry.said for entry in entries]
    return keys


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
    source = Path(os.path.expanduser(options.pop("input")))
    for name in ("output", "dataset", "largest_picture", "largest_file"):
        del options[name]
    for name in ("class_depth", "path_column", "label_column"):  # said only where given, as sets made before say it
        if options[name] is None:
            del options[name]
    return {
        "source": "folder" if source.is_dir() else "csv",
        "input": source.resolve().name,
        "inverted": settings.invert,
        **facts,
        "options": options,
        "counts": counts(prepared.train, prepared.test, prepared.names),
    }


def _notes(prepared: storage.Prepared, found: PictureList) -> dict[str, str]:
    """What a person should know of this set, by the first word of its line in the summary."""
    shape, facts = prepared.train.images.shape, prepared.provenance
    left = {"broken pictures": facts["left_out"]["broken"], "other files": facts["left_out"]["other_files"]}
    notes = {
        "size": f"{shape[2]}x{shape[1]}, {'grey' if len(shape) == 3 else 'colour'}",
        "divided": facts["divided"],
        **found.notes,
    }
    if any(left.values()):
        notes["left out"] = ", ".join(f"{what}: {count}" for what, count in left.items() if count)
    notes |= facts.get("reading", {})
    if facts["contradictions"]:
        notes["noise"] = f"{facts['contradictions']} pictures equal one with another label: a sign of wrong labels"
    equal, few = copies.describe(prepared), _too_few(prepared)
    return notes | ({"copies": equal} if equal else {}) | ({"few": few} if few else {})


def _too_few(prepared: storage.Prepared) -> str:
    """What training and audits with their usual settings will refuse; empty where they refuse nothing."""
    have = np.bincount(prepared.train.labels, minlength=len(prepared.names))
    rare = [f"{prepared.names[label]} {have[label]}" for label in np.flatnonzero(have < FOLDS)]
    said = []
    if have.min() < 2:
        said.append("training needs 2 pictures of each class in the training part, one of them to validate")
    if math.ceil(DataSettings.valid_rate * have.sum()) < len(have):
        rate = math.ceil(100 * len(have) / have.sum()) / 100
        said.append(f"validation needs one picture of each class: train with --valid-rate {rate:.2f} or more")
    if rare:
        said.append(f"an audit needs {FOLDS} of each class there, or fewer --folds; there are {a_few(rare)}")
    return "; ".join(said)


def _holds_these(settings: ImageFolderSettings, found: PictureList, folder: Path) -> bool:
    """Whether a prepared set was made of these pictures: whether at least half of some that both have are the same."""
    try:
        older = storage.read(folder)
        options = older.provenance["options"]
        settings = dataclasses.replace(settings, size=int(options["size"]), fit=str(options["fit"]))
    except (UserError, LookupError, TypeError, ValueError):
        return False
    rows = {path: row for row, path in enumerate(older.train.keys.get("path", []))}
    both = [entry for entry in found.entries if entry.path in rows]
    chosen = both[:: max(1, len(both) // COMPARED)]
    if not chosen:
        return False
    images, same, paths = older.train.images, 0, [found.root / entry.path for entry in chosen]
    if isinstance(images, PackedPictures):
        seen = [images.take([rows[entry.path]]) for entry in chosen]
        return 2 * sum(map(packing.is_same, seen, paths)) >= len(chosen)
    read = read_pictures(paths, settings)
    for row, entry in enumerate(chosen):
        if row not in read.faults and read.images.shape[1:3] == images.shape[1:3]:
            fitted = pixels.as_channels(read.images[row : row + 1], 1 if images.ndim == 3 else 3)[0]
            fitted = 255 - fitted if older.provenance.get("inverted") else fitted
            same += np.array_equal(fitted, images[rows[entry.path]])
    return 2 * same >= len(chosen)


if __name__ == "__main__":
    run_command(main, "--per-class or --size")
