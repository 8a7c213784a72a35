"""Which pictures there are and what each is called: a folder with one sub-folder a class, or a CSV of path,label."""

import dataclasses
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import parts
from project.data_preparation.pictures.csv_list import read_csv
from project.data_preparation.pictures.entries import SHOWN, PictureList, check_counts
from project.data_preparation.pictures.folder_list import read_folder
from project.work.common import UserError
from project.work.labels import naming

LONGEST = 255  # letters of a class's name, as of a folder's
FORMS = (
    "no pictures yet: say with --input where they are, in one of two forms",
    "  ./inv prepare-images --input FOLDER    one sub-folder a class (FOLDER/cat/1.jpg, FOLDER/dog/2.jpg ...),",
    "                                         or parts with those (FOLDER/train/cat/1.jpg, FOLDER/test/cat/2.jpg ...)",
    "  ./inv prepare-images --input FILE.csv  with the columns path,label; paths start from the folder of the file",
)


def read_list(settings: ImageFolderSettings) -> PictureList:
    """List the pictures of a folder or of a CSV. Raises UserError for whatever cannot be trained on."""
    try:
        return _read(settings)
    except UserError as error:  # it may hold names as the disk has them, with line ends and the like
        text = "".join(ascii(letter)[1:-1] if _is_control(letter) else letter for letter in str(error))
        raise UserError(text, *error.lines) from error


def _read(settings: ImageFolderSettings) -> PictureList:
    if not settings.input.strip():  # of an empty variable, say: "" would be the folder that one is in
        raise UserError("--input is empty: give a folder with one sub-folder a class, or a CSV")
    source = Path(os.path.expanduser(settings.input))
    if os.path.isdir(source):
        found = read_folder(source, settings.class_depth, settings.skip_broken)
    elif os.path.lexists(source):
        found = read_csv(source, settings.path_column, settings.label_column, settings.skip_broken)
    else:
        raise UserError(f"{source} is missing: give a folder with one sub-folder a class, or a CSV, with --input")
    for entry in found.entries:
        _check_path(source, entry.path)
    names = {name: _class_name(source, name) for name in sorted({entry.label for entry in found.entries})}
    entries = sorted(entry._replace(label=names[entry.label]) for entry in found.entries)
    told = naming.notes(names)
    notes = found.notes | ({"names": "; ".join(told[:SHOWN])} if told else {})
    found = dataclasses.replace(found, entries=entries, notes=notes)
    check_counts(found.entries, found.called)
    return found


def set_name(settings: ImageFolderSettings) -> str:
    """What a set is called that is given no name: as its folder, or as its CSV where that is more than "labels"."""
    source = Path(os.path.realpath(os.path.expanduser(settings.input)))
    if source.is_dir():
        return source.name
    return source.parent.name if parts.says_nothing(source.stem) else source.stem


def _class_name(source: Path, written: str) -> str:
    """The one form of a class's name. Raises UserError for one that a person cannot read or a table cannot hold."""
    name = naming.canonical(written)
    _check_encoding(source, written)
    if not name:
        raise UserError(f"{source}: a class is called {written!a}, which nobody can see: give it a name")
    if _has_controls(written.strip()):
        raise UserError(f"{source}: the class {written!a} has a control character in its name: rename it")
    if len(name) > LONGEST:
        raise UserError(f"{source}: {name[:40]!a} ... is the name of no class: it has {len(name):,} letters")
    return name


def _check_path(source: Path, path: str) -> None:
    _check_encoding(source, path)
    if not path.isprintable() and _has_controls(path):  # keys could not be told apart, or not be read back
        raise UserError(f"{source}: the name {path!a} has a control character: rename the file")


def _check_encoding(source: Path, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{source}: the name {text!a} is not UTF-8: rename it") from None


def _has_controls(text: Iterable[str]) -> bool:
    return any(map(_is_control, text))


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cs")
