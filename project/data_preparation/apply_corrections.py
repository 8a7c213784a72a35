"""Take a review back to a person's own files: corrections.csv -> a new folder of their pictures, or a new list of them.

Pictures in an .npz or in parquet files become another such file. Nothing of theirs is changed: files are copied, or
linked where that is asked for. What is made appears whole or not at all. Without --input the source is that of the
newest check that has all the pictures which the corrections name.
"""

if __name__ == "__main__":  # before anything that takes a while to load
    from project.work.machine import process

    process.begin()

import json
import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from project.data_preparation.options import ApplySettings, ImageFolderSettings, source_values
from project.data_preparation.pictures import rewriting
from project.data_preparation.pictures.entries import Entry, PictureList
from project.data_preparation.pictures.hub import parquet_files
from project.data_preparation.pictures.listing import read_list
from project.data_preparation.pictures.tree import scan
from project.work import common
from project.work.common import UserError, progress
from project.work.files import disk
from project.work.labels import corrections
from project.work.labels.corrections import DROPPED, Corrections
from project.work.labels.naming import canonical, packed
from project.work.machine import process
from project.work.machine.process import Interrupted, run_command
from project.work.settings.flags import build, parse

SOURCE = "source.json"  # in a check's folder: what it was made of
CHECKS = 50  # of the newest, in which the source of corrections is looked for
LONGEST = 255  # bytes of a file's name
FOLDER, LIST, ARRAYS, PARQUET = "folder", "list", "arrays", "parquet"
SUFFIXES = {".csv": LIST, ".npz": ARRAYS, ".parquet": PARQUET}  # of targets; all others are folders
_NAMED = {FOLDER: "NEW_FOLDER", LIST: "NEW.csv", ARRAYS: "NEW.npz", PARQUET: "NEW.parquet"}


def main(argv: Sequence[str] | None = None) -> None:
    """Apply corrections from the command line."""
    settings = parse(ApplySettings, argv, "Take a review back to your own files: copied or linked, never changed.")
    if settings.corrections is None or settings.to is None:
        raise UserError(
            "give the file and where to: ./inv apply-corrections corrections.csv --to NEW_FOLDER (or NEW.csv; NEW.npz"
            " or NEW.parquet for pictures in such a file)"
        )
    file, target = (Path(os.path.expanduser(text)) for text in (settings.corrections, settings.to))
    wrong = disk.fault(file)
    if wrong is not None:
        raise UserError(f"{disk.shown(file)} {wrong}: give the corrections.csv that the page of a check exports")
    kind = SUFFIXES.get(target.suffix.lower(), FOLDER)
    _refuse_target(target, kind, settings.link)
    found, made, source = _source(settings, file)
    wanted = targets(found)
    if kind not in wanted:
        names = " or ".join(_NAMED[each] for each in wanted)
        raise UserError(f"{disk.shown(found.root)} cannot be corrected as {disk.shown(target)}: give --to {names}")
    new = _relabelled(found, made)
    if found.opened is not None:
        _write_anew(target, kind, found, new, source)
        how = "written"
    elif kind == LIST:
        _write_list(target, found, new)
        how = "listed"
    else:
        _write_folder(target, found, new, settings.link)
        how = "linked" if settings.link else "copied"
    print(f"{made}\n{len(new):,} pictures {how} in {target}; {disk.shown(found.root)} is as it was")


def targets(found: PictureList) -> Sequence[str]:
    """What corrections of some pictures can become, the usual one first."""
    if found.opened is None:
        return FOLDER, LIST
    return (FOLDER,) if found.root.is_dir() else (SUFFIXES[found.root.suffix.lower()],)


def example(found: PictureList) -> str:
    """A name for what corrections of some pictures become, for advice."""
    return _NAMED[targets(found)[0]]


def remember(folder: Path, settings: ImageFolderSettings) -> None:
    """Note in a check's folder what it was made of, for corrections that name no source."""
    values = {**source_values(settings), "input": os.path.abspath(os.path.expanduser(str(settings.input)))}
    disk.replace_file(folder / SOURCE, (json.dumps(values, indent=2) + "\n").encode())


def _refuse_target(target: Path, kind: str, link: bool) -> None:
    if kind != FOLDER and link:
        raise UserError(f"--link is for a folder: {_NAMED[kind]} links no files")
    if kind != FOLDER and os.path.lexists(target):
        raise UserError(f"{disk.shown(target)} is there already: give --to a new name")
    if os.path.lexists(target) and not (target.is_dir() and not target.is_symlink() and not any(target.iterdir())):
        raise UserError(f"{disk.shown(target)} is there already and no empty folder: give --to a new name")


def _source(settings: ApplySettings, file: Path) -> tuple[PictureList, Corrections, ImageFolderSettings]:
    """The pictures that corrections are of, these as rows and labels of them, and how the source is read.

    Raises UserError.
    """
    if settings.input is not None:
        given = {**source_values(settings), "input": settings.input, "skip_broken": True}
        source = build(ImageFolderSettings, given)
        found = read_list(source)
        return found, _read(file, found), source
    corrections.read_table(file)  # what is no file of corrections belongs to no source
    known = sorted(common.output_folder(settings.output).glob(f"check-*/{SOURCE}"), key=_age, reverse=True)
    last = "no check has been made here"
    for path in known[:CHECKS]:
        try:
            values = disk.read_json(path)
            source = build(ImageFolderSettings, {**values, "skip_broken": True})
            found = read_list(source)
            made = _read(file, found)
        except (UserError, TypeError) as error:  # of another source, which is perhaps gone
            last = str(error)
            continue
        print(f"source: {values['input']}, as checked before; --input names another")
        return found, made, source
    raise UserError(f"{disk.shown(file)}: of no known source ({last}); give --input with the folder or list that"
                    " was checked")  # fmt: skip


def _age(path: Path) -> float:
    return path.stat().st_mtime


def _read(file: Path, found: PictureList) -> Corrections:
    """Corrections of the pictures of a list, whose rows are its entries. Raises UserError."""
    names = sorted({entry.label for entry in found.entries})
    numbers = {name: number for number, name in enumerate(names)}
    labels = np.array([numbers[entry.label] for entry in found.entries], dtype=np.int64)
    keys = packed(pd.Series([entry.key for entry in found.entries], dtype=object))
    return corrections.read(file, labels, keys, names, f"the pictures of {disk.shown(found.root)}")


def _relabelled(found: PictureList, made: Corrections) -> list[tuple[Entry, Entry]]:
    """Each picture that stays, as it was and as it is to be. Raises UserError where none does."""
    names = sorted({entry.label for entry in found.entries})
    new = dict(zip(made.rows.tolist(), made.new.tolist(), strict=True))
    pairs = []
    for row, entry in enumerate(found.entries):
        label = new.get(row)
        if label != DROPPED:
            pairs.append((entry, entry if label is None else entry._replace(label=names[label])))
    if not pairs:
        raise UserError("the corrections drop every picture: there is nothing to write")
    return pairs


def _write_list(target: Path, found: PictureList, pairs: list[tuple[Entry, Entry]]) -> None:
    """A CSV of path,label and what else the source knows, whose paths start from its folder."""
    _refuse_gone(found, pairs, "")
    root, place = os.path.abspath(found.root), os.path.abspath(target.parent)
    far = os.path.relpath(root, place)
    start = root if far.startswith(os.path.join("..", "..", "..")) else far
    new = [entry for _, entry in pairs]
    columns: dict[str, list[object]] = {
        "path": [os.path.normpath(os.path.join(start, entry.path)) for entry in new],
        "label": [entry.label for entry in new],
    }
    columns |= {name: [getattr(each, name) for each in new] for name in ("group", "true_label")
                if any(getattr(each, name) for each in new)}  # fmt: skip
    if any(entry.said or entry.part for entry in new):
        columns["part"] = [entry.said or entry.part for entry in new]
    if any(entry.box for entry in new):
        for at, name in enumerate(("x", "y", "width", "height")):
            columns[name] = [entry.box[at] if entry.box else "" for entry in new]
    target.parent.mkdir(parents=True, exist_ok=True)
    disk.replace_file(target, pd.DataFrame(columns).to_csv(index=False).encode())


def _write_folder(target: Path, found: PictureList, pairs: list[tuple[Entry, Entry]], link: bool) -> None:
    """A folder a class, with the source's parts above where it has some."""
    _refuse_gone(found, pairs, " or give --to NEW.csv")
    if any(entry.box for entry, _ in pairs):
        raise UserError("the pictures are boxes of larger ones, which a folder cannot say: give --to NEW.csv")
    taken = {os.path.dirname(os.path.realpath(found.root / entry.path)) for entry, _ in pairs}
    if any(place.as_posix() in taken for place in (target.resolve(), *target.resolve().parents)):
        raise UserError(f"{disk.shown(target)} would lie among the pictures themselves: give --to another place")
    paths = _places(found, pairs)
    if not link:
        _refuse_full(target, [found.root / entry.path for entry, _ in pairs])

    def copy(scratch: Path) -> None:
        work = zip(pairs, paths, strict=True)
        for (entry, _), path in progress(work, desc="linking" if link else "copying", total=len(pairs)):
            _put(found.root / entry.path, scratch / path, link)

    _appear(target, copy)


def _write_anew(
    target: Path, kind: str, found: PictureList, pairs: list[tuple[Entry, Entry]], source: ImageFolderSettings
) -> None:
    """Write the arrays or parquet files of a source anew, a folder of these as a folder."""
    new = {old.path: new.label for old, new in pairs}
    changes = {entry.path: new.get(entry.path) for entry in found.entries if new.get(entry.path) != entry.label}
    target.parent.mkdir(parents=True, exist_ok=True)
    if kind == ARRAYS:
        with disk.replacing(target) as file:
            rewriting.rewrite_arrays(found.root, source, found.entries, changes, file)
        return
    rewrite = partial(rewriting.rewrite_parquet, root=found.root, settings=source, entries=found.entries,
                      changes=changes)  # fmt: skip
    if kind == PARQUET:
        with disk.replacing(target) as file:
            rewrite([found.root], places=[file])
        return
    files = parquet_files(scan(found.root))

    def copy(scratch: Path) -> None:
        places = [scratch / os.path.relpath(file, found.root) for file in files]
        for place in places:
            place.parent.mkdir(parents=True, exist_ok=True)
        rewrite(files, places=places)

    _appear(target, copy)


def _appear(target: Path, make: Callable[[Path], None]) -> None:
    """Make a folder that appears whole or not at all. make: is given where to make it."""
    scratch = target.parent / f".{target.name}.partial"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        with process.stoppable():
            make(scratch)
            os.replace(scratch, target)
    except KeyboardInterrupt as stop:
        shutil.rmtree(scratch, ignore_errors=True)
        raise Interrupted("stopped; nothing was made, and the same command starts again", stop) from None
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _put(source: Path, place: Path, link: bool) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if not link:
        shutil.copy2(source, place)
        return
    real = os.path.realpath(source)
    try:
        os.link(real, place)
    except OSError:  # another file system, or one without hard links
        os.symlink(real, place)


def _places(found: PictureList, pairs: list[tuple[Entry, Entry]]) -> list[str]:
    """Where each picture goes: as it lies in the source where its folders are its classes and its label stays."""
    homes = _homes(found)
    taken: set[str] = set()
    places = [""] * len(pairs)
    for moved in (False, True):  # those that stay have the first choice of names
        for at, (old, new) in enumerate(pairs):
            if (old.label != new.label) != moved:
                continue
            stays = homes is not None and not moved
            wanted = old.path if stays else "/".join((_home(homes, new), os.path.basename(old.path)))
            places[at] = _free(wanted, old.label, taken)
            taken.add(places[at].casefold())  # as some file systems have it
    return places


def _homes(found: PictureList) -> dict[tuple[str, str, str], str] | None:
    """The folder of each part, group and class of the source; None where its folders are not called as its classes."""
    paths: dict[tuple[str, str, str], list[str]] = {}
    for entry in found.entries:
        paths.setdefault((entry.said or entry.part, entry.group, entry.label), []).append(os.path.dirname(entry.path))
    if any(os.path.isabs(path) or path.startswith("..") for each in paths.values() for path in each):
        return None
    homes = {key: os.path.commonpath(each) if all(each) else "" for key, each in paths.items()}
    named = all(label in map(canonical, home.split("/")) for (_, _, label), home in homes.items())
    return homes if named else None


def _home(homes: dict[tuple[str, str, str], str] | None, entry: Entry) -> str:
    """The folder that a picture goes to. Raises UserError for a class that no folder can be called."""
    part = entry.said or entry.part
    if homes is not None:
        known = homes.get((part, entry.group, entry.label)) or next(
            (home for (other, _, label), home in homes.items() if (other, label) == (part, entry.label)), None
        )
        if known is not None:
            return known
    name = entry.label
    if name in ("", ".", "..") or "/" in name or "\0" in name or len(name.encode()) > LONGEST:
        raise UserError(f"no folder can be called {disk.shown(name[:60])}, as a class is: give --to NEW.csv")
    return os.path.join(part, name) if part else name


def _free(wanted: str, label: str, taken: set[str]) -> str:
    """A path that nothing has: the one that is wanted, or one that says where the picture comes from."""
    if wanted.casefold() not in taken:
        return wanted
    stem, suffix = os.path.splitext(wanted)
    from_class = "".join(letter if letter.isalnum() else "_" for letter in label)[:40]
    candidates = (f"{stem}-from-{from_class}{f'-{number}' if number > 1 else ''}{suffix}" for number in range(1, 10**6))
    return next(each for each in candidates if each.casefold() not in taken)


def _refuse_gone(found: PictureList, pairs: list[tuple[Entry, Entry]], other: str) -> None:
    """Raise UserError for pictures that are gone."""
    gone = [entry.path for entry, _ in pairs if not (found.root / entry.path).is_file()]
    if gone:
        raise UserError(f"{disk.shown(found.root / gone[0])} is gone ({len(gone)} pictures are): put it back{other}")


def _refuse_full(target: Path, files: list[Path]) -> None:
    """Raise UserError where the copies would not fit the disk."""
    place = next(folder for folder in (target, *target.absolute().parents) if folder.exists())
    free, needed = shutil.disk_usage(place).free, sum(os.stat(file).st_size for file in files)
    if needed > free:
        raise UserError(f"the pictures take {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free at {place}: make"
                        " room, or link them with --link")  # fmt: skip


if __name__ == "__main__":
    run_command(main)
