"""A folder of pictures on the disk: every folder below it once, with its pictures and its other files."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from project.work.common import UserError
from project.work.dataset.unprepared import PICTURES, is_system
from project.work.files import disk

FolderPath = tuple[str, ...]  # names of folders, from the one that was given

_UNREAD = """3fr ai arw cr2 cr3 czi dcm dds dicom dng eps exr fits hdr heic heics heif hif icns ico jxl jxr kdc mef mos
mrw nd2 ndpi nef nii npy nrw orf pcx pdf pef psb psd raf raw rw2 rwl sr2 srf srw svg svgz svs tga wdp x3f xcf"""
METADATA = ("metadata.csv", "metadata.jsonl")
UNREAD = {f".{kind}" for kind in _UNREAD.split()}


@dataclass
class Content:
    """What lies right in one folder. unread: pictures of a form that is not read, by suffix; unlike: names of pictures
    that are no plain files, with what they are; tables: names of CSV files; metadata, parquet: of files as the Hugging
    Face hub has them."""

    folders: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    unread: Counter[str] = field(default_factory=Counter)
    unlike: dict[str, str] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)
    metadata: list[str] = field(default_factory=list)
    parquet: list[str] = field(default_factory=list)
    others: int = 0


@dataclass
class Tree:
    """Every folder below root, once.

    again: second ways to a folder, by links, with the first way to it; back: links that lead back up; passed: names
    that systems use for themselves, with how many were passed over; counts: pictures in a folder, however deep; unread:
    files there of a form that is not read, by suffix.
    """

    root: Path
    places: dict[FolderPath, Content] = field(default_factory=dict)
    again: dict[FolderPath, FolderPath] = field(default_factory=dict)
    back: list[FolderPath] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)
    counts: Counter[FolderPath] = field(default_factory=Counter)
    unread: dict[FolderPath, Counter[str]] = field(default_factory=dict)

    def folders(self, place: FolderPath) -> list[FolderPath]:
        """The folders right in one, sorted."""
        return [(*place, name) for name in self.places[place].folders]

    def full(self, place: FolderPath) -> list[FolderPath]:
        """Those of them with pictures in them, however deep."""
        return [folder for folder in self.folders(place) if self.counts[folder]]

    def path(self, place: FolderPath) -> Path:
        """Where a folder is."""
        return self.root.joinpath(*place)

    def files(self) -> int:
        """How many files there are, but those that were passed over."""
        return sum(len(here.pictures) + len(here.unlike) + here.others for here in self.places.values())


def suffix(name: str) -> str:
    """The suffix of a file's name in small letters: .jpg."""
    return os.path.splitext(name)[1].lower()


def convert(counts: Counter[str]) -> str:
    """What to do about files of a form that is not read. counts: by suffix."""
    what = " and ".join(f"{count} {kind} {'files' if count > 1 else 'file'}" for kind, count in sorted(counts.items()))
    verb, them = ("are", "them") if sum(counts.values()) > 1 else ("is", "it")
    return f"{what} {verb} not read: convert {them} to JPEG or PNG"


def scan(root: Path) -> Tree:
    """Walk through a folder. Links are followed, but to each folder once; those that lead back up are passed over.

    Raises UserError for a folder that cannot be read.
    """
    tree = Tree(root)
    above = {_identity(place) for place in Path(os.path.realpath(root)).parents} - {_identity(root)}
    seen: dict[tuple[int, int], FolderPath] = {_identity(root): ()}
    waiting: list[FolderPath] = [()]
    while waiting:
        place = waiting.pop()
        here, folders = _content(tree, place)
        tree.places[place] = here
        for name in folders:
            inner = (*place, name)
            identity = _identity(tree.path(inner))
            first = seen.setdefault(identity, inner)
            if first is inner and identity not in above:
                here.folders.append(name)
                waiting.append(inner)
            elif identity in above or inner[: len(first)] == first:
                tree.back.append(inner)
            else:
                tree.again[inner] = first
    _count(tree)
    return tree


def _identity(path: Path) -> tuple[int, int]:
    try:
        facts = os.stat(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): mend its permissions, or remove it") from error
    return facts.st_dev, facts.st_ino


def _content(tree: Tree, place: FolderPath) -> tuple[Content, list[str]]:
    """What lies in a folder, and the names of the folders in it; real ones come before links to them."""
    here, folders = Content(), []
    for entry in _entries(tree.path(place)):
        if is_system(entry.name):
            tree.passed[entry.name] += 1
        elif os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir():  # an endless link is none
            folders.append((entry.is_symlink(), entry.name))
        elif suffix(entry.name) not in PICTURES:
            here.others += 1
            here.tables += [entry.name] if suffix(entry.name) == ".csv" else []
            here.metadata += [entry.name] if entry.name in METADATA else []
            here.parquet += [entry.name] if suffix(entry.name) == ".parquet" else []
            here.unread.update({suffix(entry.name)} & UNREAD)
        elif entry.is_file(follow_symlinks=False) or os.path.isfile(entry.path) or not os.path.exists(entry.path):
            # A link to nothing too: it is a picture that is broken.
            here.pictures.append(entry.name)
        else:
            here.unlike[entry.name] = disk.fault(Path(entry.path)) or "is no plain file"
    return here, [name for _, name in sorted(folders)]


def _entries(folder: Path) -> Iterator[os.DirEntry]:
    try:
        with os.scandir(folder) as found:
            yield from sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}): mend its permissions, or remove it") from error


def _count(tree: Tree) -> None:
    """Add up pictures, and files of a form that is not read, of each folder and all above it."""
    for place, here in sorted(tree.places.items(), key=lambda item: -len(item[0])):
        here.folders.sort()
        unread = tree.unread.setdefault(place, Counter())
        unread.update(here.unread)
        tree.counts[place] += len(here.pictures)
        if place:
            tree.counts[place[:-1]] += tree.counts[place]
            tree.unread.setdefault(place[:-1], Counter()).update(unread)
