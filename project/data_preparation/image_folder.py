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
from pathlib import Path
from typing import Any

import numpy as np

from project.data_preparation.finalize import counts
from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import copies, framing, left_out, packing
from project.data_preparation.pictures.dividing import Division, divide, thin
from project.data_preparation.pictures.entries import Entry, PictureList, a_few, check_counts
from project.data_preparation.pictures.listing import FORMS, read_list, set_name, source_kind
from project.data_preparation.pictures.packing import SMALL, Packing
from project.data_preparation.pictures.reading import Reading, read_pictures
from project.data_preparation.pictures.tree import UNREAD, suffix
from project.data_preparation.publishing import LEFT_OUT, READY, Target, publish, summarise
from project.work.common import UserError
from project.work.dataset import grouping, label_sets, storage
from project.work.dataset.packed import PackedPictures
from project.work.machine.process import run_command
from project.work.picture_files import pixels
from project.work.settings.flags import parse
from project.work.settings.groups import DataSettings

FOLDS = 5  # of an audit, unless it is told otherwise
_LATER = dict.fromkeys(("class_depth", "path_column", "label_column", "label_columns", "group_column", "label_pattern",
                        "valid_per_class", "balance")) | {"margin": 0.0, "border": "median"}  # fmt: skip
COMPARED = 8  # pictures that tell whether an older set is of the same source


def main(argv: Sequence[str] | None = None) -> None:
    """Prepare a data set from the command line."""
    settings = parse(ImageFolderSettings, argv, "Turn a folder or a list of pictures into a data set to train on.")
    if settings.input is None:
        raise UserError(*FORMS)
    framing.check(settings)
    source = Path(os.path.expanduser(settings.input))
    found = read_list(settings)
    facts = {"source": source_kind(source), "input": source.resolve().name}
    same = partial(_holds_these, settings, found)
    target = Target(settings.output, settings.dataset, set_name(settings), facts, same)
    if target.folder.resolve() == found.root.resolve():
        raise UserError(f"{target.folder} holds the pictures themselves: give another --dataset or --output")
    published = publish(target, lambda scratch: _make(settings, found, scratch), packing.begun)
    notes = _notes(published.prepared, found) | left_out.note(published.folder / LEFT_OUT)
    summarise(published, source.resolve().name, notes)


def _make(settings: ImageFolderSettings, found: PictureList, scratch: Path) -> storage.Prepared:
    shutil.rmtree(scratch / READY, ignore_errors=True)  # of a preparation that was killed
    prepared, sets = prepare(settings, found, scratch)
    if sets:
        (scratch / READY).mkdir(parents=True, exist_ok=True)
        digests = {name: label_sets.write(scratch / READY, name, *rows) for name, rows in sets.items()}
        prepared = dataclasses.replace(prepared, provenance=prepared.provenance | {"label_sets": digests})
    storage.write(scratch / READY, prepared)
    return prepared


LabelSets = dict[str, tuple[list[str], list[str]]]  # keys of training pictures and their labels, by the set's name


def prepare(settings: ImageFolderSettings, found: PictureList, scratch: Path) -> tuple[storage.Prepared, LabelSets]:
    """Read and divide the pictures that were found; left_out.csv is written. Returns further labels beside the set.

    Raises UserError for a picture that cannot be decoded, unless those are to be skipped.
    """
    chosen = thin(found.entries, settings.per_class, settings.seed)
    read = _read(chosen, found, settings, scratch)
    broken = {chosen[row]: fault for row, fault in sorted(read.faults.items())}
    if broken and not settings.skip_broken:
        entry, fault = next(iter(broken.items()))
        others = f" ({len(broken)} of {len(chosen)} pictures are broken)" if len(broken) > 1 else ""
        mend = "convert it to JPEG or PNG" if suffix(entry.path) in UNREAD else "mend it or remove it"
        advice = f"{mend}, or leave broken ones out with --skip-broken"
        raise UserError(f"{found.root / entry.path} cannot be read: {fault}{others}; {advice}")
    entries = [entry for entry in chosen if entry not in broken]
    if not entries:
        entry, fault = next(iter(broken.items()))
        raise UserError(f"{found.root}: none of {len(chosen):,} pictures can be read; {entry.path}: {fault}")
    check_counts(entries, found.called)
    remarks = {chosen[row]: said for row, said in read.remarks().items()}
    images = read.kept(settings)
    division = divide(entries, settings, found.together)
    train, test = (
        storage.Pictures(images.take(part.rows, axis=0), division.labels(part), division.keys(part))
        for part in (division.train, division.test)
    )
    prepared = storage.Prepared(train, test, division.names)
    labels = np.concatenate([prepared.train.labels, prepared.test.labels])
    marks = np.concatenate([copies.digests(part.images) for part in (prepared.train, prepared.test)])
    left_out.write(scratch / READY / LEFT_OUT, left_out.table(broken, found.unlike, remarks, prepared, marks))
    facts = {
        "divided": "by the source" if entries[0].part else "at random",
        **_division_facts(division, settings),
        "contradictions": copies.count_contradictions(marks, labels),
        "left_out": {"broken": len(broken) + len(found.unlike), "other_files": found.others},
        **({"reading": read.notes()} if read.notes() else {}),
        **read.facts(),
    }
    learnt = division.train.entries
    sets = {name: ([entry.key for entry in learnt], [entry.labels[at] for entry in learnt])
            for at, name in enumerate(found.label_sets)}  # fmt: skip
    return dataclasses.replace(prepared, provenance=_provenance(settings, prepared, facts)), sets


def _read(
    entries: Sequence[Entry], found: PictureList, settings: ImageFolderSettings, scratch: Path
) -> Reading | Packing:
    """Small pictures as an array, larger ones as the bytes of their files."""
    contents = [partial(found.content, entry) for entry in entries]
    if settings.size <= SMALL:
        return read_pictures(contents, settings, [entry.box for entry in entries])
    return packing.pack(contents, settings, scratch, [entry.box for entry in entries])


def _division_facts(division: Division, settings: ImageFolderSettings) -> dict[str, Any]:
    """What training is to know: groups that stay together, and a validation part; empty without any."""
    facts: dict[str, Any] = {}
    if division.together and any(entry.group for entry in division.train.entries):
        facts[grouping.TOGETHER] = division.together
    if any(entry.said == grouping.VALID for entry in division.train.entries):
        facts[grouping.VALIDATION] = "by the source" if settings.valid_per_class is None else "drawn here"
    return facts | ({"repeated": division.repeated} if division.repeated else {})


def _provenance(settings: ImageFolderSettings, prepared: storage.Prepared, facts: dict[str, Any]) -> dict[str, Any]:
    """Where the data came from; no date and no folder outside the set, so that the same seed gives the same bytes."""
    options = dataclasses.asdict(settings)
    source = Path(os.path.expanduser(options.pop("input")))
    for name in ("output", "dataset", "largest_picture", "largest_file"):
        del options[name]
    for name, usual in _LATER.items():  # said only where given, as sets made before say it
        if options[name] == usual:
            del options[name]
    return {
        "source": source_kind(source),
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
    if facts.get(grouping.VALIDATION) == "drawn here":
        notes["validation"] = f"{(prepared.train.keys['part'] == grouping.VALID).sum()} of the training pictures"
    if "repeated" in facts:
        notes["balance"] = f"{facts['repeated']} training pictures are repeated; those of one stay together"
    notes |= facts.get("reading", {})
    if facts["contradictions"]:
        notes["noise"] = f"{facts['contradictions']} pictures equal one with another label: a sign of wrong labels"
    equal, few = copies.describe(prepared), _too_few(prepared)
    return notes | ({"copies": equal} if equal else {}) | ({"few": few} if few else {})


def _too_few(prepared: storage.Prepared) -> str:
    """What training and audits with their usual settings will refuse; empty where they refuse nothing."""
    given = grouping.VALIDATION in prepared.provenance
    learnt = (prepared.train.keys["part"] != grouping.VALID).to_numpy() if given else slice(None)
    have = np.bincount(prepared.train.labels[learnt], minlength=len(prepared.names))
    rare = [f"{prepared.names[label]} {have[label]}" for label in np.flatnonzero(have < FOLDS)]
    said = []
    if have.min() < 2 and not given:
        said.append("training needs 2 pictures of each class in the training part, one of them to validate")
    if math.ceil(DataSettings.valid_rate * have.sum()) < len(have) and not given:
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
        margin, border = float(options.get("margin", 0)), str(options.get("border", "median"))
        size, how = int(options["size"]), str(options["fit"])
        settings = dataclasses.replace(settings, size=size, fit=how, margin=margin, border=border)
    except (UserError, LookupError, TypeError, ValueError):
        return False
    rows = {key: row for row, key in enumerate(older.train.keys["key_id"])}
    both = [entry for entry in found.entries if entry.key in rows]
    chosen = both[:: max(1, len(both) // COMPARED)]
    if not chosen:
        return False
    contents, images, same = [partial(found.content, entry) for entry in chosen], older.train.images, 0
    if isinstance(images, PackedPictures):
        seen = [images.take([rows[entry.key]]) for entry in chosen]
        boxes = [entry.box for entry in chosen]
        return 2 * packing.count_same(seen, contents, settings, boxes) >= len(chosen)
    read = read_pictures(contents, settings, [entry.box for entry in chosen])
    for row, entry in enumerate(chosen):
        if row not in read.faults and read.images.shape[1:3] == images.shape[1:3]:
            fitted = pixels.as_channels(read.images[row : row + 1], 1 if images.ndim == 3 else 3)[0]
            fitted = 255 - fitted if older.provenance.get("inverted") else fitted
            same += np.array_equal(fitted, images[rows[entry.key]])
    return 2 * same >= len(chosen)


if __name__ == "__main__":
    run_command(main, "--per-class or --size")
