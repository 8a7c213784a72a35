"""Pictures and labels in the arrays of an .npz file, read without pickles and within what its headers say."""

import lzma
import math
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import parts
from project.data_preparation.pictures.columns import NO_GROUPS, TOGETHER, plain
from project.data_preparation.pictures.entries import Entry, PictureList, a_few
from project.work.common import UserError
from project.work.dataset.label_sets import NAME
from project.work.files import arrays, disk
from project.work.labels.naming import canonical

_IMAGES = "images image x data pictures"
_LABELS = "labels label y targets target"
_TRUE = "cleanlabels cleanlabel clean truelabels truelabel"  # the true labels, where these are not all there is
_NAMES = "classnames labelnames classes names"
_INDEX = "index indices ids id keys key"
_CHUNK = 1 << 22
_LARGEST = 1 << 34  # bytes of all arrays that are read
_BAD = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, LookupError,
        NotImplementedError, RuntimeError)  # fmt: skip


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class ArraysFile:
    """An .npz: the headers of its arrays, and each array when asked for. Raises UserError for a file that is none."""

    def __init__(self, path: Path) -> None:
        self.path = disk.plain(path)
        self.headers: dict[str, _Header] = {}
        try:
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    if member.filename.endswith(".npy"):
                        with archive.open(member) as file:
                            shape, _, dtype, _ = arrays.npy_header(file, member.file_size)
                        self.headers[member.filename.removesuffix(".npy")] = _Header(shape, dtype)
        except _BAD as error:
            raise UserError(f"{path}: not an .npz of numbers and text ({disk.said(error)})") from error

    def read(self, name: str) -> np.ndarray:
        """An array. Raises UserError for one that is cut short, or larger than memory."""
        most = min(disk.reach([self.path], 1 << 29), _LARGEST)
        if self.headers[name].size > most:
            raise UserError(f"{self.path}: {name} claims {self.headers[name].size:,} bytes, but at most {most:,} of"
                            " such a file are read")  # fmt: skip
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{name}.npy") as file:
                shape, fortran, dtype, _ = arrays.npy_header(file, archive.getinfo(f"{name}.npy").file_size)
                numbers = np.empty(math.prod(shape) * dtype.itemsize, np.uint8)
                view, filled = memoryview(numbers), 0
                while filled < len(numbers) and (read := file.readinto(view[filled : filled + _CHUNK])):  # type: ignore[attr-defined]
                    filled += read
                if filled < len(numbers) or file.read(1):
                    raise ValueError(f"{name} is cut short, or longer than it claims")
        except (*_BAD, MemoryError) as error:
            raise UserError(f"{self.path}: {name} cannot be read ({disk.said(error)})") from error
        return numbers.view(dtype).reshape(shape, order="F" if fortran else "C")


@dataclass(frozen=True)
class ArraysPart:
    """A part of the pictures of an .npz: the names of its arrays of pictures and of labels, what each picture is
    called, and all arrays that have a row for each picture, these two included."""

    part: str
    images: str
    labels: str
    keys: list[str]
    aligned: list[str]


def read_arrays(path: Path, settings: ImageFolderSettings) -> PictureList:
    """List the pictures of an .npz. Raises UserError for one whose arrays do not say what they are.

    images and labels, or train_images and train_labels; test_images with test_labels and valid_images with
    valid_labels are parts; class_names, index, and groups as in tables. Every other array of whole numbers that counts
    classes, one for each training picture, is a label set.
    """
    file = ArraysFile(path)
    found, role = parts_of(file, settings)
    numbers = file.read(role.label).reshape(-1)
    names = _class_names(file, path, numbers)
    entries, pictures = [], dict[str, np.ndarray]()
    for here in found:
        labels = _named(file.read(here.labels).reshape(-1), names, path, here.labels)
        pictures |= dict(zip(here.keys, _pictures(file, here.images), strict=True))
        said = here.part if len(found) > 1 else ""
        entries += [Entry(label, "", key, said=said) for key, label in zip(here.keys, labels, strict=True)]
    sets, unread = _label_sets(file, role.beside, names, {entry.label for entry in entries})
    count = len(numbers)  # of the training part, which comes first
    entries[:count] = _with_more(file, entries[:count], role, names, sets)
    entries[count:] = [entry._replace(labels=("",) * len(sets)) for entry in entries[count:]]
    uses = parts.roles([entry.said for entry in entries], str(path))
    entries = [entry._replace(part=uses[entry.said]) for entry in entries]
    notes = _notes(found[0].images, role, sets, unread)
    sets = [_plain(name) for name in sets]
    return PictureList(path, entries, 0, (), notes, {}, role.group or "", sets, lambda entry: pictures[entry.path])


def parts_of(file: ArraysFile, settings: ImageFolderSettings) -> tuple[list[ArraysPart], "_Roles"]:
    """The parts of an .npz, that to train first, and the roles of its arrays. Raises UserError."""
    found = _part_arrays(file)
    role, made = _roles(file, found["train"], settings), []
    for part, here in sorted(found.items(), key=lambda item: item[0] != "train"):
        count = file.headers[here["images"]].shape[0]
        index = role.index if part == "train" else None
        keys = _keys(np.arange(count) if index is None else file.read(index).reshape(-1), here["images"])
        aligned = [
            name
            for name, header in file.headers.items()
            if header.shape[:1] == (count,)
            and (_part_of(name) or "train") == part
            and plain(name) not in _NAMES.split()
        ]
        made.append(ArraysPart(part, here["images"], role.label if part == "train" else here["labels"], keys, aligned))
    return made, role


def _with_more(
    file: ArraysFile, entries: Sequence[Entry], role: "_Roles", names: list[str], sets: Sequence[str]
) -> list[Entry]:
    """The training pictures with their groups, true classes and further labels."""
    nothing = [""] * len(entries)
    groups = nothing if role.group is None else list(map(str, file.read(role.group).reshape(-1).tolist()))
    truths = nothing if role.truth is None else _named(file.read(role.truth).reshape(-1), names, file.path, role.truth)
    further = [_named(file.read(name).reshape(-1), names, file.path, name) for name in sets]
    rows = zip(entries, groups, truths, *further, strict=True)
    return [entry._replace(group=group, true_label=true, labels=tuple(labels)) for entry, group, true, *labels in rows]


def _notes(images: str, role: "_Roles", sets: Sequence[str], unread: Sequence[str]) -> dict[str, str]:
    notes = {"arrays": f"{images} are the pictures, {role.label} their labels"}
    if role.truth is not None:
        notes["truth"] = f"{role.truth} are taken for the true labels"
    if sets:
        notes["labels"] = f"{role.label}, and --label-set chooses {a_few(sets, 8)} in its place"
    if unread:
        notes["unread"] = f"{a_few(unread, 8)}: no labels of the classes that are here"
    if role.group is not None:
        notes["groups"] = f"pictures of one {role.group} stay together, in one part and one fold"
    return notes


def _part_of(name: str) -> str:
    """The part that the name of an array begins or ends with; "" for none."""
    words = re.split(r"[_ .-]+", canonical(name).casefold())
    spelled = [parts.spelled(word) for word in (words[0], words[-1]) if len(words) > 1]
    return next((found.part for found in spelled if found is not None), "")


def _plain(name: str) -> str:
    """The name of an array without that of the training part: train_labels is labels."""
    words = [word for word in re.split(r"[_ .-]+", name) if (found := parts.spelled(word)) is None or found.rest]
    return "_".join(words) or name


def _part_arrays(file: ArraysFile) -> dict[str, dict[str, str]]:
    """The arrays of pictures and of labels of each part. Raises UserError where pictures have no form that is read."""
    found: dict[str, dict[str, str]] = {}
    for what, likely in (("images", _IMAGES), ("labels", _LABELS)):
        for name in sorted(file.headers, key=lambda name: _rank(plain(_plain(name)), likely)):
            if plain(_plain(name)) in likely.split():
                found.setdefault(_part_of(name) or "train", {}).setdefault(what, name)
    roles = {part: here for part, here in found.items() if "images" in here and ("labels" in here or part == "train")}
    if "train" not in roles:
        raise UserError(f"{file.path} has no array images, but {', '.join(file.headers)[:120] or 'nothing'}: call them"
                        " images and labels (and test_images, test_labels)")  # fmt: skip
    for here in roles.values():
        _check_pictures(file, here["images"])
        count = file.headers[here["images"]].shape[0]
        if "labels" in here and file.headers[here["labels"]].shape not in ((count,), (count, 1)):
            raise UserError(f"{file.path}: {here['labels']} are {file.headers[here['labels']].shape}, but one for each"
                            f" of the {count} pictures of {here['images']} is needed")  # fmt: skip
    return roles


def _rank(name: str, likely: str) -> int:
    return likely.split().index(name) if name in likely.split() else len(likely)


def _check_pictures(file: ArraysFile, name: str) -> None:
    header = file.headers[name]
    shape = header.shape
    whole = header.dtype == np.uint8 and (len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3)))
    if not whole or 0 in shape:
        raise UserError(
            f"{file.path}: {name} are {header.dtype} {shape}, but uint8 (N, H, W) or (N, H, W, 3) is needed"
        )


@dataclass(frozen=True)
class _Roles:
    """The arrays of one value a training picture: its class, index, group and true class; beside: and the others."""

    label: str
    index: str | None
    group: str | None
    truth: str | None
    beside: list[str]


def _roles(file: ArraysFile, train: dict[str, str], settings: ImageFolderSettings) -> _Roles:
    """Which arrays are what. Raises UserError where none says the classes."""
    count = file.headers[train["images"]].shape[0]
    fitting = [name for name, header in file.headers.items() if header.shape in ((count,), (count, 1))]
    fitting = [name for name in fitting if _part_of(name) in ("", "train")]
    known = {plain(_plain(name)): name for name in reversed(fitting) if name not in train.values()}

    def first(likely: str) -> str | None:
        return next((known[name] for name in likely.split() if name in known), None)

    group = first(TOGETHER) if settings.group_column is None else settings.group_column
    group = None if group == NO_GROUPS else group
    for flag, asked in (("--label-column", settings.label_column), ("--group-column", group)):
        if asked is not None and asked not in fitting:
            raise UserError(f"{flag} {asked}: {file.path} has no such array of one value a picture, but"
                            f" {', '.join(fitting)[:120]}")  # fmt: skip
    index, truth = first(_INDEX), first(_TRUE)
    label = settings.label_column or train.get("labels") or truth
    if label is None:
        raise UserError(f"{file.path} has no array labels, but {', '.join(file.headers)[:120]}: give --label-column")
    return _Roles(label, index, group, truth, [name for name in fitting if name not in (label, index, group)])


def _class_names(file: ArraysFile, path: Path, labels: np.ndarray) -> list[str]:
    """The class that each number means. Raises UserError for numbers that are none, or that have no name."""
    if labels.dtype.kind == "U":
        return sorted({canonical(text) for text in labels.tolist()})
    known = [name for name in file.headers if plain(name) in _NAMES.split()]
    name = min(known, key=lambda name: _rank(plain(name), _NAMES), default=None)
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() > 1e6:
        raise UserError(f"{path}: labels are {labels.dtype}, and whole numbers from 0 on, or text, are needed")
    if name is None:
        return [str(number) for number in range(int(labels.max()) + 1)]
    names = [canonical(str(text)) for text in file.read(name).reshape(-1).tolist()]
    if labels.max() >= len(names):
        raise UserError(f"{path}: labels go up to {labels.max()}, but {name} has {len(names)} names")
    return names


def _label_sets(
    file: ArraysFile, names: Sequence[str], classes: list[str], there: set[str]
) -> tuple[list[str], list[str]]:
    """The arrays that count classes, one for each training picture, and those of numbers or text that do not.

    classes: by number; there: those that some picture is labelled as.
    """
    found, others = list[str](), list[str]()
    for name in names:
        if file.headers[name].dtype.kind in "iuU":
            values = np.unique(file.read(name))
            if values.dtype.kind == "U":
                known = {canonical(text) for text in values.tolist()} <= there
            else:
                known = values[0] >= 0 and values[-1] < len(classes) and {classes[at] for at in values} <= there
            (found if known and NAME.fullmatch(_plain(name)) else others).append(name)
    return found, others


def _named(numbers: np.ndarray, names: list[str], path: Path, array: str) -> list[str]:
    """Numbers, or names, as the names of classes. Raises UserError for one that is none."""
    if numbers.dtype.kind == "U":
        texts = [canonical(text) for text in numbers.tolist()]
        strange = next((text for text in texts if text not in {*names, ""}), None)
        if strange is not None:
            raise UserError(f"{path}: {array} has {strange[:80]!a}, which is none of the {len(names)} classes")
        return texts
    if numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() >= len(names):
        raise UserError(f"{path}: {array} are {numbers.dtype} {numbers.min()} to {numbers.max()}, but 0 to"
                        f" {len(names) - 1} are needed")  # fmt: skip
    return [names[number] for number in numbers.tolist()]


def _keys(index: np.ndarray, array: str) -> list[str]:
    """What each picture is called: images/00012. Numbers that occur twice, or are none, are not taken for that."""
    if index.dtype.kind not in "iu" or index.min() < 0 or len(np.unique(index)) < len(index):
        index = np.arange(len(index))
    width = len(str(int(index.max())))
    return [f"{array}/{number:0{width}}" for number in index.tolist()]


def _pictures(file: ArraysFile, name: str) -> np.ndarray:
    images = file.read(name)
    return images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images
