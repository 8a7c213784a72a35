"""Says what lies at a path that is no prepared data set, and which command makes one from it.

Standard library only at import; nothing but names and the first line of a CSV is read.
"""

import contextlib
import itertools
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from project.work.files import disk

# Any of these makes a folder a prepared set, whole or not; project/work/dataset/storage.py writes them.
FILES = (
    "label_name.csv",
    "provenance.json",
    *(f"{part}_labels.pkl.gz" for part in ("train", "test")),
    *(f"{part}_images.{kind}" for part in ("train", "test") for kind in ("pkl.gz", "npy", "packed")),
)
_PICTURES = "avif bmp gif jfif jp2 jpe jpeg jpg pbm pgm png pnm ppm tif tiff webp"
PICTURES = frozenset(f".{kind}" for kind in _PICTURES.split())  # the pictures that are read
_SYSTEM = """@eadir @recycle @recently-snapshot @sharebin @sharesnap @tmp @__thumb ~snapshot #recycle #snapshot
$recycle.bin recycler __macosx __pycache__ lost+found thumbs.db ehthumbs.db ehthumbs_vista.db desktop.ini picasa.ini
_vti_cnf found.000"""
SYSTEM = {*_SYSTEM.split(), "icon\r", "system volume information", "network trash folder", "temporary items"}
ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"}
DEPTH, MANY = 4, 5_000  # a folder is looked into so deep, at so many files at most


def advice(place: Path) -> str:
    """What lies at such a path and what to do about it: the end of a message that begins with its name."""
    if not place.is_dir():
        return _file(place)
    names = list(itertools.islice(_walk(place), MANY))
    kinds = {path.suffix.lower() for path in names}
    tables = [path for path in names if path.suffix.lower() == ".csv"]
    drawings = [path for path in tables if {"train_simplified", "train_raw"} & set(path.parts[-2:-1])]
    sets = sorted({path.parent for path in names if path.name == FILES[0]})
    if sets:
        return f"holds prepared sets and is none: give --dataset {shlex.quote(str(sets[0]))}"
    if ".ndjson" in kinds or drawings:
        found = drawings or [path for path in names if path.suffix.lower() == ".ndjson"]
        return f"holds drawings that are not prepared yet: {_prepare(_source(found[0]))}"
    if kinds & PICTURES:
        in_classes = all(path.parent != place for path in names if path.suffix.lower() in PICTURES)
        lists = [] if in_classes else [path for path in tables if _is_list(path)]
        source = lists[0] if lists else place
        return f"holds pictures that are not prepared yet: {_prepare_images(source, place)}"
    if not names:
        return "is empty: prepare a data set first (./inv prepare, or ./inv prepare-images for pictures of your own)"
    return (
        f"is no prepared set (it has no {FILES[0]}), and holds neither pictures nor drawings to make one of: give"
        " --dataset the name of a prepared set, or the folder that ./inv prepare or ./inv prepare-images wrote"
    )


def _file(path: Path) -> str:
    """The same for what is no folder."""
    wrong = disk.fault(path)
    if wrong is not None:
        return f"{wrong.partition(',')[0]}, and no folder of a prepared set"
    kind = path.suffix.lower()
    if path.name in FILES:
        return f"is a file of a prepared set: give --dataset {shlex.quote(str(path.parent))}"
    if kind == ".ndjson" or (kind == ".csv" and "drawing" in _header(path)):
        return f"is a file of drawings that are not prepared yet: {_prepare(_source(path))}"
    if kind == ".csv":
        return f"is a table and no prepared set; one of path,label: {_prepare_images(path, path.parent)}"
    if kind in PICTURES:
        return f"is a picture: {_prepare_images(path.parent, path.parent)}, with a sub-folder for each class there"
    if kind in (".npz", ".parquet"):
        return f"is no prepared set; if it holds pictures and labels: {_prepare_images(path, path.with_suffix(''))}"
    if kind in ARCHIVES:
        return "is an archive: unpack it, and run ./inv prepare-images --input with the folder of pictures in it"
    return "is a file, and a prepared set is a folder: give --dataset the name of a prepared set, or its folder"


def is_system(name: str) -> bool:
    """Whether a file or folder is hidden, or belongs to the system or to a file server."""
    return name.startswith(".") or name.casefold() in SYSTEM


def _walk(folder: Path) -> Iterator[Path]:
    """The files below a folder, its own first, but hidden ones."""
    level = [folder]
    for _ in range(DEPTH):
        below: list[Path] = []
        for place in level:
            with contextlib.suppress(OSError), os.scandir(place) as entries:
                for entry in entries:
                    if is_system(entry.name):
                        continue
                    if not entry.is_dir():
                        yield Path(entry.path)
                    elif len(below) < MANY:
                        below.append(Path(entry.path))
        level = below


def _header(path: Path) -> list[str]:
    """The columns that the first line of a CSV names; none where it cannot be read."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return [name.strip().strip('"').lower() for name in file.readline(10_000).replace(";", ",").split(",")]
    except OSError:
        return []


def _is_list(path: Path) -> bool:
    return disk.fault(path) is None and {"path", "label"} <= set(_header(path))


def _source(file: Path) -> Path:
    """The folder that ./inv prepare is given for a file of drawings."""
    below = ("train_simplified", "train_raw", "simplified", "raw")
    return file.parent.parent if file.parent.name in below else file.parent


def _prepare(folder: Path) -> str:
    return (
        f"run ./inv prepare --input {shlex.quote(str(folder))} first, and leave --dataset out (or name the set there)"
    )


def _prepare_images(source: Path, folder: Path) -> str:
    name = shlex.quote(folder.resolve().name)
    return f"run ./inv prepare-images --input {shlex.quote(str(source))} first, then give --dataset {name}"
