"""One command for a person's pictures: ./inv check ~/photos prepares, makes features, audits, and shows one page."""

if __name__ == "__main__":  # before anything that takes a while to load
    from project.work.machine import process

    process.begin()

import hashlib
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from project.data_preparation import apply_corrections, image_folder
from project.data_preparation.options import CheckSettings, ImageFolderSettings, source_values
from project.data_preparation.pictures import packing
from project.data_preparation.pictures.entries import PictureList
from project.data_preparation.pictures.listing import read_list, set_name
from project.data_preparation.publishing import LEFT_OUT, Target, publish
from project.work import common
from project.work.common import UserError, progress
from project.work.files import disk, tables
from project.work.machine.process import run_command
from project.work.settings.flags import build, parse
from project.work.settings.groups import Settings

if TYPE_CHECKING:
    from project.work.look.check import Source

SIDES = (32, 64, 224)  # at which pictures are looked at: small ones as they are, all others as photos
NETWORK = {32: 160, 64: 160, 224: 224}  # pixels at which the network sees pictures of a side
DATA = "data"  # in a check's folder, the prepared set
LISTING = "listing.json"  # in a check's folder, by what its set was made


def main(argv: Sequence[str] | None = None) -> None:
    """Check pictures from the command line."""
    settings = parse(CheckSettings, argv, "See what is wrong with your pictures and their labels, on one page.")
    if settings.input is None:
        raise UserError("say which pictures: ./inv check PATH, a folder with a folder a class, or a CSV of path,label")
    source = {**source_values(settings), "input": settings.input, "skip_broken": True}
    found = read_list(build(ImageFolderSettings, source))
    sizes = _sizes(found)
    side = settings.size or _side(list(sizes.values()))
    folder = common.output_folder(settings.output) / f"check-{_name(settings)}"
    run = build(Settings, {
        "dataset": str(folder / DATA), "output": str(folder), "model": settings.model, "weights": settings.weights,
        "device": settings.device, "largest_set": 64.0,
    })  # fmt: skip
    from project.work.networks import backbones  # torch: from here on it takes a while

    backbone = backbones.open_backbone(run, NETWORK[max(each for each in SIDES if each <= max(side, SIDES[0]))])
    folder.mkdir(parents=True, exist_ok=True)
    prepared = build(ImageFolderSettings, {**source, "output": str(folder), "dataset": DATA, "size": side})
    _prepare(folder, prepared, found)
    apply_corrections.remember(folder, prepared)
    from project.work.look import check

    made = check.run(folder, folder / DATA, run, backbone, _source(settings, found, sizes, folder / DATA / LEFT_OUT))
    print(f"\nreview page: {made}\n{made.resolve().as_uri()}")
    print(f"then: ./inv apply-corrections corrections.csv --to {apply_corrections.example(found)}")
    if settings.browser:
        _open(made)


def _name(settings: CheckSettings) -> str:
    """What the check of a source is called: the same for the same place."""
    place = os.path.realpath(os.path.expanduser(str(settings.input)))
    name = set_name(build(ImageFolderSettings, {"input": settings.input}))
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)[:60]
    return f"{plain}-{hashlib.sha256(place.encode()).hexdigest()[:6]}"


def _sizes(found: PictureList) -> dict[str, tuple[int, int]]:
    """Width and height of the pictures, by key, as their headers say; none for those that cannot be read."""
    from PIL import Image

    sizes = {}
    for entry in progress(found.entries, desc="sizes", unit="picture"):
        try:
            content = found.content(entry)
            if isinstance(content, np.ndarray):
                sizes[entry.key] = content.shape[1], content.shape[0]
            elif isinstance(content, bytes) or disk.fault(content) is None:
                with Image.open(io.BytesIO(content) if isinstance(content, bytes) else content) as image:
                    sizes[entry.key] = image.size
        except Exception:  # a damaged header, of which preparation tells in words
            continue
    return sizes


def _side(sizes: list[tuple[int, int]]) -> int:
    """The side at which pictures are looked at, by the middle one of their longer sides."""
    usual = float(np.median([max(size) for size in sizes])) if sizes else SIDES[0]
    return next((side for side in SIDES if usual <= 1.25 * side), SIDES[-1])


def _prepare(folder: Path, settings: ImageFolderSettings, found: PictureList) -> None:
    """Make the prepared set in a check's folder, unless it is there and its files are as they were."""
    listing = {"files": _digest(found), "size": settings.size}
    if (folder / DATA).is_dir() and not disk.absent(folder / LISTING) and disk.read_json(folder / LISTING) == listing:
        print(f"the pictures are as they were at the last check; their copies in {folder / DATA} are used")
        return
    (folder / LISTING).unlink(missing_ok=True)
    target = Target(str(folder), DATA, DATA, {})
    publish(target, lambda scratch: image_folder.make(settings, found, scratch), packing.begun)
    disk.replace_file(folder / LISTING, json.dumps(listing).encode())


def _digest(found: PictureList) -> str:
    """A short name for the pictures as they are: what each is called, and what changes when its file does."""
    digest = hashlib.sha256()
    for entry in found.entries:
        state = ""
        if found.opened is None:
            try:
                facts = os.stat(found.root / entry.path)
                state = f"{facts.st_size} {facts.st_mtime_ns}"
            except OSError:
                state = "gone"
        digest.update(f"{entry.key}\0{entry.label}\0{entry.said or entry.part}\0{state}\n".encode())
    if found.opened is not None:
        state_of_file = os.stat(found.root) if found.root.exists() else None
        digest.update(str(state_of_file and (state_of_file.st_size, state_of_file.st_mtime_ns)).encode())
    return digest.hexdigest()[:16]


def _source(settings: CheckSettings, found: PictureList, sizes: dict[str, tuple[int, int]], left_out: Path) -> "Source":
    """What a person gave. left_out: the list of files that the prepared set lacks, where there is one."""
    from project.work.look import check

    links = {} if found.opened is not None else {
        entry.key: Path(os.path.abspath(found.root / entry.path)).as_uri() for entry in found.entries
    }  # fmt: skip
    title = set_name(build(ImageFolderSettings, {"input": settings.input}))
    unread: list[tuple[str, str]] = []
    if not disk.absent(left_out):
        table = tables.read_table(left_out, ("path", "kept", "reason", "detail"))
        rows = zip(table["path"], table["kept"], table["reason"], table["detail"], strict=True)
        unread = [(path, f"{reason}: {detail}" if detail else reason) for path, kept, reason, detail in rows
                  if kept == "no"]  # fmt: skip
    parts = {entry.key: entry.said or entry.part for entry in found.entries if entry.said or entry.part}
    return check.Source(title, links, sizes, parts, unread, apply_corrections.example(found))


def _open(page: Path) -> None:
    """Open the page where a person sits at a terminal and has a browser."""
    if not sys.stdout.isatty():
        return
    import webbrowser

    try:
        webbrowser.open(page.resolve().as_uri())
    except webbrowser.Error:
        return


if __name__ == "__main__":
    run_command(main, "--size")
