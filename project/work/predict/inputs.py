"""What is to be predicted: a picture, a folder, a list, a stroke file or a prepared set, read a batch at a time.

A picture goes through the same functions as in preparation (data_preparation), so that it is what a picture of the
training set would be. Threads read ahead; what is in memory does not grow with the number of pictures.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import framing
from project.data_preparation.pictures.looking import Looker
from project.data_preparation.pictures.reading import check_file, said_of
from project.data_preparation.pictures.tree import scan, suffix
from project.work import common
from project.work.common import UserError
from project.work.dataset import storage
from project.work.dataset.packed import PackedPictures
from project.work.dataset.prepared_data import Preparation
from project.work.dataset.unprepared import FILES, PICTURES
from project.work.files.disk import shown
from project.work.machine.memory_budget import cores
from project.work.picture_files import decoding, pixels, reader
from project.work.picture_files.threads import Allowance, large_blocks, quiet
from project.work.predict import lists, strokes_file
from project.work.settings.groups import RunSettings

WAYS = "give a picture, a folder of pictures, a list of paths, a file of drawings, or the name of a prepared set"
LISTS = (".csv", ".tsv", ".txt", ".ndjson", ".jsonl")


@dataclass(frozen=True)
class Chunk:
    """Some pictures after each other. images: uint8 (n, side, side[, 3]), undefined where there is a fault; faults:
    what is wrong, by row."""

    images: np.ndarray
    faults: dict[int, str] = field(default_factory=dict)


class Input(Protocol):
    """What is to be predicted, in its order. names: of each; ids: by which a submission names each, or None."""

    names: Sequence[str]
    ids: Sequence[str] | None

    def chunk(self, start: int, end: int, made: Preparation) -> Chunk:
        """Some of them as pictures of a set prepared like that."""


def open_input(given: str, largest: float = RunSettings.largest_set) -> Input:
    """What a path or the name of a prepared set means. Raises UserError for whatever holds nothing to predict.

    largest: GB that a prepared set may take, see `storage.read`.
    """
    if not given.strip():
        raise UserError(f"--input-image is empty: {WAYS}")
    path = Path(os.path.expanduser(given))
    prepared = path if os.path.lexists(path) else common.input_folder(given)
    if any(os.path.exists(prepared / name) for name in FILES):
        return PreparedSet.read(prepared, largest)
    if os.path.isdir(path):
        return PictureFiles.in_folder(path)
    if not os.path.lexists(path):
        raise UserError(f"{shown(path)} is missing: {WAYS}")
    if suffix(path.name) in PICTURES:
        return PictureFiles([path], [path.name])
    if suffix(path.name) not in LISTS:
        raise UserError(f"{shown(path)}: not a kind of file that is read here; {WAYS}")
    if (drawings := strokes_file.opened(path)) is not None:
        return Drawn(drawings)
    listed = lists.read(path)
    return PictureFiles(listed.paths, listed.written, listed.ids)


@contextmanager
def reading() -> Iterator[None]:
    """What reads pictures here, whatever is broken in them, prints nothing, and gives its memory back."""
    with quiet(), large_blocks():
        yield


def stream(given: Input, made: Preparation, sizes: Sequence[int]) -> Iterator[Chunk]:
    """All of it in chunks of these sizes, in order; threads read some that come next. To be used within `reading`."""
    starts = np.cumsum([0, *sizes]).tolist()
    with ThreadPoolExecutor(1, "chunks") as pool:
        coming: deque[Future[Chunk]] = deque()
        for start, size in zip(starts, sizes, strict=False):
            coming.append(pool.submit(given.chunk, start, start + size, made))
            if len(coming) > 1:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


class PictureFiles:
    """Files of pictures. written: the name of each, as the person gave it."""

    def __init__(self, paths: Sequence[Path], written: Sequence[str], ids: Sequence[str] | None = None) -> None:
        self.paths, self.names = paths, written
        self.ids = ids if ids is not None else _numbers(paths)
        self._picture: _Picture | None = None

    @classmethod
    def in_folder(cls, folder: Path) -> "PictureFiles":
        """Those in a folder and in all below it, sorted by path. Raises UserError where there are none."""
        tree = scan(folder)
        found = sorted((*place, name) for place, here in tree.places.items() for name in here.pictures)
        if not found:
            unread = sum(sum(here.unread.values()) for here in tree.places.values())
            what = f" that can be read, but {unread} of forms that are not" if unread else ""
            raise UserError(f"{shown(folder)} holds no picture{what} (.jpg, .png ...): {WAYS}")
        return cls([folder.joinpath(*parts) for parts in found], ["/".join(parts) for parts in found])

    def chunk(self, start: int, end: int, made: Preparation) -> Chunk:
        """See `Input`."""
        if made.channels not in (1, 3):
            raise UserError(
                f"pictures are grey or of three colours, but the classifier was trained on {made.channels} channels"
            )
        if self._picture is None or self._picture.made != made:
            self._picture = _Picture(made)
        picture, paths = self._picture, self.paths[start:end]
        images, faults = np.zeros((len(paths), *_shape(made)), np.uint8), {}
        with ThreadPoolExecutor(cores(), "pictures") as pool:  # decoders let other threads run
            for row, found in enumerate(pool.map(picture.of, paths)):
                if isinstance(found, str):
                    faults[row] = found
                else:
                    images[row] = found
        return Chunk(images, faults)


def _numbers(paths: Sequence[Path]) -> list[str] | None:
    """The names of files without their suffix, where they are numbers and tell all files apart, as contests have it."""
    stems = [path.stem for path in paths]
    return (
        stems if all(stem.isascii() and stem.isdecimal() for stem in stems) and len(set(stems)) == len(stems) else None
    )


def _shape(made: Preparation) -> tuple[int, ...]:
    return (made.side, made.side) if made.channels == 1 else (made.side, made.side, made.channels)


class _Picture:
    """From a file to a picture of a set that was prepared in some way."""

    def __init__(self, made: Preparation) -> None:
        self.made = made
        self.settings = ImageFolderSettings(size=made.side, fit=made.fit, margin=made.margin, border=made.border)
        self.pixels = Allowance(int(self.settings.largest_picture * 1e6))

    def of(self, path: Path) -> np.ndarray | str:
        """The picture of a file, uint8 (side, side[, 3]), or what is wrong with it."""
        try:
            if self.made.encoded:
                return self._kept(path)
            check_file(path, self.settings)
            return self._fitted(path.read_bytes())
        except (UserError, ValueError, OSError, MemoryError) as error:
            return said_of(error) or "it cannot be read"

    def _kept(self, path: Path) -> np.ndarray:
        """As a set that keeps files: those that are too large are encoded again first."""
        (item,) = Looker([path], self.settings, bits=self.made.bits, coloured=True).look(range(1))
        if item.fault:
            raise ValueError(item.fault)
        return reader.decode(item.data, self.made.view)

    def _fitted(self, data: bytes) -> np.ndarray:
        """As a set that keeps pictures of its side."""
        found = decoding.header(data, self.settings.largest_picture)
        with self.pixels.of(found.width * found.height):
            whole = framing.framed(pixels.shown(found.decode(), self.made.bits), (), self.settings)
        square = pixels.as_channels(pixels.fit(whole, self.made.side, self.made.fit)[None], self.made.channels)[0]
        return 255 - square if self.made.invert else square


class Drawn:
    """Drawings of a file of strokes."""

    def __init__(self, drawings: strokes_file.StrokesFile) -> None:
        self.drawings = drawings
        self.names: Sequence[str] = drawings.keys
        self.ids: Sequence[str] | None = drawings.keys

    def chunk(self, start: int, end: int, made: Preparation) -> Chunk:
        """See `Input`."""
        if made.channels != 1:
            raise UserError(f"{shown(self.drawings.path)}: drawings are grey, but the classifier was trained on"
                            f" pictures of {made.channels} channels")  # fmt: skip
        return Chunk(*self.drawings.pictures(start, end, made.side, made.raster))


class PreparedSet:
    """The test part of a prepared set, as it is."""

    def __init__(self, folder: Path, images: np.ndarray | PackedPictures, keys: Sequence[str]) -> None:
        self.folder, self.images, self.names = folder, images, keys
        self.ids: Sequence[str] | None = keys

    @classmethod
    def read(cls, folder: Path, largest: float) -> "PreparedSet":
        """Raises UserError."""
        test = storage.read(folder, largest).test
        return cls(folder, test.images, test.keys["key_id"].tolist())

    def chunk(self, start: int, end: int, made: Preparation) -> Chunk:
        """See `Input`."""
        images = self.images
        if isinstance(images, PackedPictures):
            images = images.at(made.side)
        channels = images.shape[3] if images.ndim == 4 else 1
        if channels != made.channels:
            raise UserError(f"{shown(self.folder)}: its pictures have {channels} channels, but the classifier was"
                            f" trained on {made.channels}")  # fmt: skip
        return Chunk(np.ascontiguousarray(images[start:end]))
