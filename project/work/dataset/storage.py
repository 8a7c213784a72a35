"""The files of project/input/<dataset>: written by preparation, read by training; nothing else knows their form."""

import hashlib
import io
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from project.work.common import UserError
from project.work.dataset import packed
from project.work.dataset.packed import PackedPictures
from project.work.files import arrays, disk, tables
from project.work.files.disk import replace_file
from project.work.labels.naming import canonical
from project.work.settings.groups import RunSettings

LABEL_NAME = "label_name.csv"
PROVENANCE = "provenance.json"
PARTS = ("train", "test")
RESIDENT = 1 << 29  # bytes; pictures beyond that are kept in a file that can be mapped instead of read
_JUDGED = 1 << 13  # mapped pictures that are compared to tell whether two sets are the same
_JUDGED_PACKED = 1 << 10  # the same for packed ones, of which all lengths and marks are compared too
_ROW = 128  # bytes that a row takes beside its picture: its label, its keys and their text
_NAMES = 1 << 23  # bytes of label_name.csv: a hundred thousand classes
LARGEST_FACTS = 1 << 24  # bytes of provenance.json
_KEYS = 1 << 26  # bytes of the text of a small file of keys
_KEY = 1 << 10  # bytes of that text for each row: long paths


@dataclass(frozen=True)
class Pictures:
    """One part (train or test) of a prepared data set.

    images: uint8 (N, H, W) or (N, H, W, C), a np.memmap when they are too large for memory, PackedPictures where they
    are kept encoded; labels: int64 (N,); keys: one row a picture, with a column key_id (text) and whatever the source
    knows (countrycode, recognized, path, true_label).
    """

    images: np.ndarray | PackedPictures
    labels: np.ndarray
    keys: pd.DataFrame


@dataclass(frozen=True)
class Prepared:
    """A prepared data set: both parts, the class names (position = label) and where it all came from."""

    train: Pictures
    test: Pictures
    names: list[str]
    provenance: dict[str, Any] = field(default_factory=dict)


def write(folder: Path, prepared: Prepared) -> None:
    """Write a data set; each file appears whole or not at all, and the same data gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    checksums: dict[str, str] = {}
    for part in PARTS:
        pictures: Pictures = getattr(prepared, part)
        members, shape = None, pictures.images.shape
        if isinstance(pictures.images, PackedPictures):
            checksums[packed_file(folder, part).name] = packed.write(packed_file(folder, part), pictures.images)
        elif mapped(shape):
            arrays.create_map(map_file(folder, part), shape)
            arrays.write_map(map_file(folder, part), 0, pictures.images)
        else:
            members = arrays.array_members(pictures.images)
        text = pictures.keys.reset_index(drop=True).rename_axis("row").to_csv()
        keys = [arrays.compressed(text.encode())]
        checksums |= write_part(folder, part, pictures.labels, keys, shape, members)
    write_facts(folder, prepared.names, prepared.provenance, checksums)


def mapped(shape: tuple[int, ...]) -> bool:
    """Whether uint8 pictures of this shape are kept in a file to be mapped, in place of a pickle."""
    return math.prod(shape) > RESIDENT


def write_part(
    folder: Path,
    part: str,
    labels: np.ndarray,
    keys: Iterable[bytes],
    shape: tuple[int, ...],
    images: Iterable[bytes] | None,
) -> dict[str, str]:
    """Write one part; returns the checksums of its files.

    keys: its key file, compressed, in pieces; images: the numbers of its pictures, uint8 of this shape, likewise, taken
    before keys are; None when they are in its map_file or its packed_file already.
    """
    checksums = {}
    if images is not None:
        name = _file(part, "images")
        members = arrays.pickle_members(shape, np.dtype(np.uint8), images)
        checksums[name] = arrays.write_members(folder / name, members)
    checksums[f"{part}_keys.csv.gz"] = arrays.write_members(folder / f"{part}_keys.csv.gz", keys)
    path = map_file(folder, part)
    if images is None and path.exists():
        checksums[path.name] = arrays.file_digest(path)
    name = _file(part, "labels")
    return checksums | {name: arrays.write_pickle(folder / name, labels.astype(np.int64))}


def write_facts(folder: Path, names: list[str], provenance: dict[str, Any], checksums: dict[str, str]) -> None:
    """Write what makes the parts a data set: class names, and where it came from."""
    replace_file(folder / LABEL_NAME, pd.DataFrame({"name": names}).rename_axis("label").to_csv().encode())
    facts = provenance | {"sha256": dict(sorted(checksums.items()))}
    replace_file(folder / PROVENANCE, (json.dumps(facts, indent=2) + "\n").encode())


def image_files() -> set[str]:
    """The names of files with pictures, of which a set has one a part."""
    return {file(Path(), part).name for part in PARTS for file in (map_file, packed_file, _pickle_file)}


def map_file(folder: Path, part: str) -> Path:
    """Where the pictures of a part are when they are mapped."""
    return folder / f"{part}_images.npy"


def packed_file(folder: Path, part: str) -> Path:
    """Where the pictures of a part are when they are kept encoded."""
    return folder / f"{part}_images.packed"


def _pickle_file(folder: Path, part: str) -> Path:
    return folder / _file(part, "images")


@dataclass
class _Room:
    """The memory that a set may still take. allowed, taken: bytes."""

    allowed: int
    taken: int = 0

    @property
    def left(self) -> int:
        return self.allowed - self.taken

    def take(self, what: str, size: int) -> None:
        """Take so many bytes. Raises UserError when that is more than there is."""
        if size > self.left:
            raise UserError(f"{what} comes to {size:,} bytes, but {self.left:,} are left for it: {self.advice(size)}")
        self.taken += size

    def advice(self, size: int) -> str:
        """What to do about so many bytes more."""
        needed = math.ceil((self.taken + size) / 1e8) / 10
        return f"if that is right, allow it with --largest-set {needed} (GB)"


def read(folder: Path, largest: float = RunSettings.largest_set) -> Prepared:
    """Read and check a data set.

    Key files and provenance may be absent (the predecessor's sets have neither): rows are then named by their number.
    largest: GB that it may take in memory; more is read of files that are large themselves. Raises UserError that names
    the file and the fault.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is missing: run ./inv prepare first (or --dataset with the name of a prepared set)")
    names = _read_names(folder / LABEL_NAME)
    pictures = [folder / name for name in _files()]
    room = _Room(disk.reach(pictures, int(largest * 1e9)))
    train, test = (_read_part(folder, part, len(names), room) for part in ("train", "test"))
    if train.images.shape[1:] != test.images.shape[1:]:
        raise UserError(f"{folder}: train pictures are {train.images.shape[1:]}, test pictures {test.images.shape[1:]}")
    return Prepared(train, test, names, _read_provenance(folder / PROVENANCE))


def fingerprint(pictures: Pictures) -> str:
    """A short name for exactly these pictures, labels and keys. What was learnt from others has another name."""
    digest, images = hashlib.sha256(), pictures.images
    if isinstance(images, PackedPictures):
        images = np.frombuffer(images.digest(_JUDGED_PACKED), np.uint8)
    elif isinstance(images, np.memmap) and len(images) > _JUDGED:
        images = images[np.linspace(0, len(images) - 1, _JUDGED).astype(int)]
    for array in (images, pictures.labels):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    digest.update("\n".join(pictures.keys["key_id"].astype(str)).encode())
    return digest.hexdigest()[:12]


def _read_names(path: Path) -> list[str]:
    disk.plain(_present(path), _NAMES)
    try:
        table = tables.read_table(path, ("label", "name"), "the list of classes", most=_NAMES)
    except UserError as error:
        why = str(error).removeprefix(str(path)).lstrip(": ")
        raise UserError(f"{path}: needs the columns label,name ({why}); prepare the data again") from error
    labels = [int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1 for text in table["label"]]
    if sorted(labels) != list(range(len(labels))):
        raise UserError(f"{path}: labels must count 0, 1, 2 ... with no gap; prepare the data again")
    if len(labels) < 2:
        raise UserError(f"{path}: {len(labels)} class, but a classifier needs at least 2")
    _refuse_alike(path, table["name"])
    return [name for _, name in sorted(zip(labels, table["name"], strict=True))]


def _refuse_alike(path: Path, names: pd.Series) -> None:
    """Raises UserError for an invisible name, or one that looks like another. names: by line."""
    lines: dict[str, int] = {}
    for line, name in names.items():
        form = canonical(name)
        if not form:
            raise UserError(f"{path} line {line}: a class without a name; give it one")
        if form in lines:
            raise UserError(f"{path} line {line}: the class {disk.shown(name)} is on line {lines[form]} too; give each"
                            " class a name of its own")  # fmt: skip
        lines[form] = line


def _read_provenance(path: Path) -> dict[str, Any]:
    if disk.absent(path):
        return {}
    try:
        facts = disk.read_json(path, LARGEST_FACTS)
    except UserError as error:
        raise UserError(f"{error}; prepare the data again, or delete it") from error
    if not isinstance(facts, dict):
        raise UserError(f"{path}: not JSON of names and values; prepare the data again, or delete it")
    return facts


def _read_part(folder: Path, part: str, classes: int, room: _Room) -> Pictures:
    images = _read_images(folder, part, room)
    where = f"{folder}/{part}"
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise UserError(f"{where}_images: {images.dtype} {images.shape}, but uint8 (N, H, W) or (N, H, W, C) is needed")
    if isinstance(images, np.ndarray) and images.size == 0:
        raise UserError(f"{where}: no pictures; prepare the data again")
    room.take(f"{where}: {len(images):,} rows", _ROW * len(images))
    labels = _read_labels(folder / _file(part, "labels"), len(images))
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise UserError(f"{where}_labels: {labels.dtype} {labels.shape}, but whole numbers (N,) are needed")
    if len(images) != len(labels):
        raise UserError(f"{where}: {len(images)} pictures but {len(labels)} labels; prepare the data again")
    if labels.min() < 0 or labels.max() >= classes:
        span = f"{labels.min()} to {labels.max()}"
        raise UserError(f"{where}_labels: labels {span}, but {LABEL_NAME} has 0 to {classes - 1}")
    return Pictures(images, labels.astype(np.int64), _read_keys(folder / f"{part}_keys.csv.gz", len(labels)))


def _read_images(folder: Path, part: str, room: _Room) -> np.ndarray | PackedPictures:
    pickled, *larger = (file(folder, part) for file in (_pickle_file, map_file, packed_file))
    there = [path for path in larger if not disk.absent(path)]
    if len(there) > 1 or (there and pickled.exists()):
        other = there[1] if len(there) > 1 else pickled
        raise UserError(f"{there[0]} and {other.name}: one of both is of another set; prepare the data again")
    if there:
        return arrays.read_map(there[0]) if there[0] == map_file(folder, part) else packed.read(there[0])
    images = arrays.read_pickle(_present(pickled), room.left, room.advice)
    room.take(f"{pickled}", images.nbytes)
    return images


def _read_labels(path: Path, rows: int) -> np.ndarray:
    most = 16 * rows + (1 << 20)  # 8 bytes each; of some more it can be said how many there are
    return arrays.read_pickle(
        _present(path), most, lambda size: f"there are {rows:,} pictures; prepare them again"
    )


def _read_keys(path: Path, rows: int) -> pd.DataFrame:
    if disk.absent(path):
        return pd.DataFrame({"key_id": [str(row) for row in range(rows)]})
    text = arrays.read_gzip(path, min(_KEY * rows + (1 << 16), disk.reach([path], _KEYS)))
    try:
        keys = pd.read_csv(
            io.BytesIO(text), index_col="row", dtype={"key_id": str}, keep_default_na=False, na_values=[""]
        )
    except (OverflowError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({disk.said(error)}); prepare the data again") from error
    if "key_id" not in keys or not np.array_equal(keys.index, np.arange(rows)):
        raise UserError(f"{path}: needs a column key_id and rows 0 to {rows - 1} in order; prepare the data again")
    if keys["key_id"].isna().any():
        row = int(keys["key_id"].isna().to_numpy().argmax())
        raise UserError(f"{path}: row {row} has no key_id, by which files find it again; prepare the data again")
    return keys


def read_keys(folder: Path, part: str, rows: int) -> pd.DataFrame:
    """The keys of a part that has so many rows, as `Pictures` holds them. Raises UserError."""
    return _read_keys(folder / f"{part}_keys.csv.gz", rows)


def _present(path: Path) -> Path:
    """The path of a plain file. Raises UserError."""
    if disk.absent(path):
        raise UserError(f"{path} is missing: run ./inv prepare first")
    return disk.plain(path)


def _files() -> list[str]:
    """The names of all files of a set that hold something for every row."""
    return [*image_files(), *(_file(part, "labels") for part in PARTS), *(f"{part}_keys.csv.gz" for part in PARTS)]


def _file(part: str, what: str) -> str:
    return f"{part}_{what}.pkl.gz"
