"""Which pictures there are and what each is called, whatever lists them: folders, tables, arrays."""

import dataclasses
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import parts
from project.data_preparation.pictures.arrays_file import read_arrays
from project.data_preparation.pictures.csv_list import read_csv
from project.data_preparation.pictures.entries import SHOWN, PictureList, check_counts, check_groups
from project.data_preparation.pictures.folder_list import read_folder
from project.data_preparation.pictures.hub import read_parquet
from project.work.common import UserError
from project.work.labels import naming

LONGEST = 255  # bytes of a class's name, as of a folder's
KINDS = {".npz": "npz", ".parquet": "parquet"}  # of sources that are files, by suffix; all others are lists
FORMS = (
    "no pictures yet: say with --input where they are, in one of these forms",
    "  ./inv prepare-images --input FOLDER    one sub-folder a class (FOLDER/cat/1.jpg, FOLDER/dog/2.jpg ...),",
    "                                         or parts with those (FOLDER/train/cat/1.jpg, FOLDER/test/cat/2.jpg ...)",
    "  ./inv prepare-images --input FILE.csv  with the columns path,label; paths start from the folder of the file",
    "docs/preparation.md has the others: files named 12_cat.jpg, .npz, and what the Hugging Face hub has",
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
        found = read_folder(source, settings)
    elif os.path.lexists(source):
        found = _of_file(source, settings)
    else:
        raise UserError(f"{source} is missing: give a folder with one sub-folder a class, or a CSV, with --input")
    for entry in found.entries:
        _check_path(source, entry.path)
    if found.together:
        for entry in found.entries:
            _check_encoding(source, entry.group)
        check_groups(source, found.entries, found.together)
    names = {name: _class_name(source, name) for name in sorted({entry.label for entry in found.entries})}
    entries = sorted(entry._replace(label=names[entry.label]) for entry in found.entries)
    told = naming.notes(names)
    notes = found.notes | ({"names": "; ".join(told[:SHOWN])} if told else {})
    found = dataclasses.replace(found, entries=entries, notes=notes)
    check_counts(found.entries, found.called)
    return found


def _of_file(source: Path, settings: ImageFolderSettings) -> PictureList:
    """The pictures of a file, by its suffix."""
    kind = KINDS.get(source.suffix.lower())
    if kind == "npz":
        return read_arrays(source, settings)
    return read_parquet([source], source, settings) if kind == "parquet" else read_csv(source, settings)


def source_kind(source: Path) -> str:
    """What kind of source a set is of, for its provenance."""
    return "folder" if source.is_dir() else KINDS.get(source.suffix.lower(), "csv")


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
    if name in (".", ".."):
        raise UserError(f"{source}: a class is called {name!a}, which no folder can be: give it another name")
    if len(name.encode()) > LONGEST:
        raise UserError(f"{source}: {name[:40]!a} ... is the name of no class: it has {len(name):,} letters, and at"
                        f" most {LONGEST} bytes in UTF-8 are read")  # fmt: skip
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
