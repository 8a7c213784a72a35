"""Which pictures there are and what each is called: a folder with one sub-folder a class, or a CSV of path,label."""

import csv
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

from project.data_preparation.publishing import check_classes
from project.work.declaration import UserError

KINDS = "avif bmp gif jp2 jpe jpeg jpg pbm pgm png pnm ppm tif tiff webp"
SUFFIXES = {f".{kind}" for kind in KINDS.split()}
PARTS = ("train", "test")
FORMS = """no pictures yet: say with --input where they are, in one of two forms
  ./inv prepare-images --input FOLDER      one sub-folder a class (FOLDER/cat/1.jpg, FOLDER/dog/2.jpg ...),
                                           or two parts with those (FOLDER/train/cat/1.jpg, FOLDER/test/cat/2.jpg ...)
  ./inv prepare-images --input FILE.csv    with the columns path,label; paths start from the folder of the file"""


class Entry(NamedTuple):
    """One picture: its class, its part (train or test, "" where it is still to be drawn) and its path from the root."""

    label: str
    part: str
    path: str


@dataclass(frozen=True)
class PictureList:
    """Sorted entries, the folder that their paths start from, and how many files beside them were left out."""

    root: Path
    entries: list[Entry]
    others: int = 0


def read_list(source: Path) -> PictureList:
    """List the pictures of a folder or of a CSV. Raises UserError for whatever cannot be trained on."""
    if not source.exists():
        raise UserError(f"{source} is missing: give a folder with one sub-folder a class, or a CSV, with --input")
    found = _from_folder(source) if source.is_dir() else _from_csv(source)
    for key in (text for entry in found.entries for text in entry):
        try:
            key.encode()
        except UnicodeEncodeError:
            raise UserError(f"{source}: the name {key!a} is not UTF-8: rename it") from None
    check_counts(found.entries)
    return found


def check_counts(entries: Sequence[Entry]) -> None:
    """Raise UserError unless there are two classes, each with a picture to train and one to test."""
    names = sorted({entry.label for entry in entries})
    check_classes(names)
    have = Counter((entry.label, entry.part) for entry in entries)
    if any(part for _, part in have):
        lacking = [f"{name} has no picture in {part}/" for name in names for part in PARTS if not have[name, part]]
    else:
        lacking = [f"{name} has 1 picture, and one to train and one to test are needed" for name in names]
        lacking = [text for name, text in zip(names, lacking, strict=True) if have[name, ""] < 2]
    if lacking:
        others = f" ({len(lacking)} classes lack some)" if len(lacking) > 1 else ""
        raise UserError(f"class {lacking[0]}{others}: add some, or leave the class out")


def _from_folder(folder: Path) -> PictureList:
    parts = PARTS if _is_divided(folder) else ("",)
    files, entries = _files(folder), []
    if not files:
        raise UserError(f"{folder} is empty: give the folder that holds the pictures with --input")
    for part in parts:
        for place in _subfolders(folder / part):
            pictures = [path for path in _files(place) if path.suffix.lower() in SUFFIXES]
            if not pictures:
                raise UserError(f"{place} holds no picture (.jpg, .png ...): add some, or remove the folder")
            entries += [Entry(place.name, part, path.relative_to(folder).as_posix()) for path in pictures]
    if not entries:
        raise UserError(f"{folder} has no sub-folders: put the pictures of each class in one, as {folder}/cat/1.jpg")
    return PictureList(folder, sorted(entries), len(files) - len(entries))


def _is_divided(folder: Path) -> bool:
    """Whether train/ and test/ are parts with class folders in them, and not classes of those names."""
    divided = [place.name for place in _subfolders(folder) if _subfolders(place)]
    if set(PARTS) <= set(divided):
        return True
    for name in sorted({*PARTS, "val", "valid", "validation"} & set(divided)):
        advice = f"name the parts train/ and test/, or give --input {folder / name} to have that one divided"
        raise UserError(f"{folder} has {name}/ with folders in it, but not both train/ and test/: {advice}")
    return False


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _is_hidden(path.name))


def _files(folder: Path) -> list[Path]:
    """All files below a folder but hidden ones, such as those that macOS adds; links are followed."""
    found = []
    for place, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        found += [Path(place, name) for name in names if not _is_hidden(name)]
    return found


def _raise(error: OSError) -> NoReturn:
    raise error


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _from_csv(file: Path) -> PictureList:
    lines: dict[str, int] = {}
    entries = []
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = {"path", "label"} - set(reader.fieldnames or ())
            if missing:
                columns = ",".join(reader.fieldnames or ())[:80] or "empty"
                raise UserError(f"{file} has no column {min(missing)}: line 1 must be path,label, but is {columns!r}")
            for row in reader:
                entry = _csv_entry(file, reader.line_num, row)
                if entry.path in lines:
                    before = lines[entry.path]
                    raise UserError(f"{file} line {reader.line_num}: {entry.path} stands in line {before} already")
                lines[entry.path] = reader.line_num
                entries.append(entry)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} is not a CSV in UTF-8 ({error}): --input takes a folder, or such a file") from error
    if not entries:
        raise UserError(f"{file} lists no pictures: add lines of path,label")
    return PictureList(file.parent, sorted(entries))


def _csv_entry(file: Path, line: int, row: dict[str, str | None]) -> Entry:
    path, label = ((row[column] or "").strip() for column in ("path", "label"))
    for column, text in (("path", path), ("label", label)):
        if not text:
            raise UserError(f"{file} line {line}: no {column}")
    if not (file.parent / path).is_file():
        raise UserError(f"{file} line {line}: {path} is missing; paths start from {file.parent}")
    # Relative even where an absolute path is given, so that a set says nothing of the machine it was made on.
    return Entry(label, "", Path(os.path.relpath(file.parent / path, file.parent)).as_posix())
