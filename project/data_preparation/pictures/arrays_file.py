"""Pictures and labels in the arrays of an .npz file, read without pickles and within what its headers say."""

import lzma
import math
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import parts
from project.data_preparation.pictures.columns import NO_GROUPS, TOGETHER, plain
from project.data_preparation.pictures.entries import Content, Entry, PictureList, a_few
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


def read_arrays(path: Path, settings: ImageFolderSettings) -> PictureList:
    """List the pictures of an .npz. Raises UserError for one whose arrays do not say what they are.

    images and labels, or train_images and train_labels; test_images with test_labels and valid_images with
    valid_labels are parts; class_names, index, and groups as in tables. Every other array of whole numbers that counts
    classes, one for each training picture, is a label set.
    """
    file = ArraysFile(path)
    roles = _part_arrays(file)
    train = roles["train"]
    count = file.headers[train["images"]].shape[0]
    beside = [name for name in file.headers if file.headers[name].shape in ((count,), (count, 1))
              and name not in train.values() and _part_of(name) in ("", "train")]  # fmt: skip
    index, group, truth, label = _beside(file, beside, train, settings)
    if label is None:
        raise UserError(f"{path} has no array labels, but {', '.join(file.headers)[:120]}: give --label-column")
    numbers = file.read(label).reshape(-1)
    names = _class_names(file, path, numbers)
    used = {index, group, truth, label} - ({truth} if truth != label else set())
    sets = _label_sets(file, [name for name in beside if name not in used], len(names), label)
    named = {name: _named(file.read(name).reshape(-1), names, path, name) for name in {*sets, *filter(None, [truth])}}
    keys = _keys(file.read(index).reshape(-1) if index else np.arange(count), train["images"])
    columns = [_named(numbers, names, path, label), [""] * count if group is None else file.read(group).reshape(-1)]
    columns += [named[truth] if truth else [""] * count]
    entries = [
        Entry(text, "", key, str(together), "train" if len(roles) > 1 else "", (), true, tuple(further))
        for key, text, together, true, *further in zip(keys, *columns, *(named[name] for name in sets), strict=True)
    ]
    pictures = dict(zip(keys, _pictures(file, train["images"]), strict=True))
    for part, found in roles.items():
        if part != "train":
            here = _keys(np.arange(file.headers[found["images"]].shape[0]), found["images"])
            texts = _named(file.read(found["labels"]).reshape(-1), names, path, found["labels"])
            pictures |= dict(zip(here, _pictures(file, found["images"]), strict=True))
            entries += [Entry(text, "", key, "", part, (), "", ("",) * len(sets))
                        for key, text in zip(here, texts, strict=True)]  # fmt: skip
    return _list(path, entries, pictures, roles, label, truth, group, sets)


def _list(
    path: Path,
    entries: list[Entry],
    pictures: dict[str, np.ndarray],
    roles: dict[str, dict[str, str]],
    label: str,
    truth: str | None,
    group: str | None,
    sets: list[str],
) -> PictureList:
    uses = parts.roles([entry.said for entry in entries], str(path))
    entries = [entry._replace(part=uses[entry.said]) for entry in entries]
    notes = {"arrays": f"{roles['train']['images']} are the pictures, {label} their labels"}
    if truth is not None:
        notes["truth"] = f"{truth} are taken for the true labels"
    if sets:
        notes["labels"] = f"{label}, and --label-set chooses {a_few(sets, 8)} in its place"
    if group is not None:
        notes["groups"] = f"pictures of one {group} stay together, in one part and one fold"

    def opened(entry: Entry) -> Content:
        return pictures[entry.path]

    return PictureList(path, entries, 0, (), notes, {}, group or "", [_plain(name) for name in sets], opened)


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


def _beside(
    file: ArraysFile, names: list[str], train: dict[str, str], settings: ImageFolderSettings
) -> tuple[str | None, ...]:
    """Which arrays are the index, the groups, the true labels and the labels."""
    known = {plain(_plain(name)): name for name in reversed(names)}

    def first(likely: str) -> str | None:
        return next((known[name] for name in likely.split() if name in known), None)

    for flag, name in (("--label-column", settings.label_column), ("--group-column", settings.group_column)):
        there = [*names, *train.values()]
        if name not in (None, NO_GROUPS if flag == "--group-column" else None, *there):
            raise UserError(f"{flag} {name}: {file.path} has no such array of one value a picture, but"
                            f" {', '.join(there)[:120]}")  # fmt: skip
    group = first(TOGETHER) if settings.group_column is None else settings.group_column
    truth = first(_TRUE)
    label = settings.label_column or train.get("labels") or truth
    return first(_INDEX), None if group == NO_GROUPS else group, truth, label


def _class_names(file: ArraysFile, path: Path, labels: np.ndarray) -> list[str]:
    """The class that each number means. Raises UserError for numbers that are none, or that have no name."""
    if labels.dtype.kind == "U":
        return sorted({canonical(text) for text in labels.tolist()})
    name = next((name for name in file.headers if plain(name) in _NAMES.split()), None)
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() > 1e6:
        raise UserError(f"{path}: labels are {labels.dtype}, and whole numbers from 0 on, or text, are needed")
    if name is None:
        return [str(number) for number in range(int(labels.max()) + 1)]
    names = [canonical(str(text)) for text in file.read(name).reshape(-1).tolist()]
    if labels.max() >= len(names):
        raise UserError(f"{path}: labels go up to {labels.max()}, but {name} has {len(names)} names")
    return names


def _label_sets(file: ArraysFile, names: list[str], classes: int, label: str) -> list[str]:
    """The arrays that count classes, one for each training picture."""
    found = []
    for name in names:
        if file.headers[name].dtype.kind in "iuU" and name != label and NAME.fullmatch(_plain(name)):
            numbers = file.read(name)
            if numbers.dtype.kind == "U" or (numbers.min() >= 0 and numbers.max() < classes):
                found.append(name)
    return found


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
