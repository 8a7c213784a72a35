"""Pictures kept as the bytes of their files, end to end in one file with offsets, and decoded when they are read.

The file: MAGIC; the length of a header, uint64; the header, JSON, filled up with blanks to a multiple of 8; offsets,
int64 (N + 1,); marks, uint8 (N, 16); thumbnails, uint8 (N, 32, 32); the bytes of the pictures. Little-endian.
"""

import dataclasses
import hashlib
import json
import math
import os
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np

from project.work.common import UserError
from project.work.files import disk
from project.work.machine.memory_budget import cores
from project.work.picture_files.view import THUMBNAIL, View

MAGIC = b"\x89packed pictures\r\n\x1a\n\0\0\0\0"
LONGEST = 1024  # pixels of the longer side of a picture that is kept
MARK = 16  # bytes: two pictures have the same mark if they show the same
AGAIN = "prepare the data again"
_HEADER = 1 << 12  # bytes at most
_MEGAPIXELS = 1.1  # of a picture that is kept, at most
_BLOCK = 1 << 22  # bytes that are copied at once
_UNPACKED = disk.PACKED << 26  # bytes of offsets, marks and thumbnails that are not asked for on the disk, by PACKED
_MANY = 16  # pictures from which on threads share them
_FITS = ("pad", "crop", "stretch")
_BORDERS = ("median", "replicate", "white", "black")


@dataclasses.dataclass(frozen=True)
class PackedPictures:
    """Some pictures of a file of encoded ones, seen as an array uint8 (N, side, side[, 3]) that is decoded when read.

    starts, lengths: int64 (N,), where the bytes of each are; thumbnails: uint8 (N, 32, 32), grey; marks: uint8 (N, 16),
    equal where two pictures are copies of each other; view: how they are seen. Nothing is decoded but by indexing.
    """

    path: Path
    starts: np.ndarray
    lengths: np.ndarray
    thumbnails: np.ndarray
    marks: np.ndarray
    view: View
    dtype = np.dtype(np.uint8)

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        side = self.view.side
        return (len(self), side, side) if self.view.channels == 1 else (len(self), side, side, self.view.channels)

    @property
    def ndim(self) -> int:
        """As of an array."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """As of an array."""
        return math.prod(self.shape)

    nbytes = size

    def at(self, side: int | None) -> "PackedPictures":
        """The same, seen at another side."""
        view = self.view if side is None else dataclasses.replace(self.view, side=side)
        return self if view == self.view else dataclasses.replace(self, view=view)

    def take(self, rows: np.ndarray | Sequence[int], axis: int = 0) -> "PackedPictures":
        """Some of them, by int positions; nothing is decoded."""
        assert axis == 0
        beside = {name: getattr(self, name)[rows] for name in ("starts", "lengths", "thumbnails", "marks")}
        return dataclasses.replace(self, **beside)

    def encoded(self, row: int) -> bytes:
        """The bytes of a picture: a JPEG, PNG or another file."""
        start, length = int(self.starts[row]), int(self.lengths[row])
        return os.pread(self._file, length, start)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """One picture by its number, uint8 (side, side[, 3]), or several by a slice or an array of numbers."""
        chosen = np.arange(len(self))[rows]
        if chosen.ndim == 0:
            return self._decoded(int(chosen))
        batch = np.empty((len(chosen), *self.shape[1:]), np.uint8)
        if len(chosen) < _MANY:
            self.read(chosen, batch)
            return batch
        parts = np.array_split(np.arange(len(chosen)), min(cores(), len(chosen)))
        with ThreadPoolExecutor(len(parts), "pictures") as pool:  # decoders let other threads run
            list(pool.map(lambda part: self.read(chosen[part], batch[part[0] : part[-1] + 1]), parts))
        return batch

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(self._decoded, range(len(self)))

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Decode some, int (n,), into an array uint8 (n, side, side[, 3]) in this thread. Raises UserError."""
        for place, row in enumerate(rows.tolist()):
            out[place] = self._decoded(row)

    def _decoded(self, row: int) -> np.ndarray:
        from project.work.picture_files import reader  # OpenCV: only who has such pictures waits for its import

        try:
            return reader.decode(self.encoded(row), self.view, _MEGAPIXELS)
        except ValueError as error:
            where = f"{self.path}: the picture in bytes {self.starts[row]} to {self.starts[row] + self.lengths[row]}"
            raise UserError(f"{where} cannot be decoded ({disk.said(error)}); {AGAIN}") from error

    @cached_property
    def _file(self) -> int:
        """The file, open as long as this is. A map would wait for the disk once for each 4 KB of a picture."""
        with disk.opened(self.path) as file:
            found = os.dup(file.fileno())
        weakref.finalize(self, os.close, found)
        return found

    def digest(self, most: int) -> bytes:
        """Of where they are and of the bytes of at most so many of them, evenly chosen."""
        found = hashlib.sha256(np.ascontiguousarray(self.lengths, "<i8"))
        found.update(np.ascontiguousarray(self.marks))
        for row in np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).astype(int)).tolist():
            found.update(self.encoded(row))
        return found.digest()


def write(path: Path, pictures: PackedPictures) -> str:
    """Write some pictures of a file into one of their own, in their order; returns its SHA-256."""
    digest = hashlib.sha256()
    with disk.replacing(path) as file:
        for block in _blocks(pictures):
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _blocks(pictures: PackedPictures) -> Iterator[bytes | memoryview]:
    header = json.dumps({"count": len(pictures), **_facts(pictures.view)}).encode()
    header = header.ljust(-(-len(header) // 8) * 8)
    yield MAGIC + len(header).to_bytes(8, "little") + header
    first = _first(len(header), len(pictures))
    yield np.concatenate([[first], first + np.cumsum(pictures.lengths)]).astype("<i8").tobytes()
    yield memoryview(np.ascontiguousarray(pictures.marks)).cast("B")
    for start in range(0, len(pictures), 1 << 12):
        yield np.ascontiguousarray(pictures.thumbnails[start : start + (1 << 12)]).tobytes()
    with open(pictures.path, "rb") as source:  # a map's pages would count as memory
        for start, length in zip(pictures.starts.tolist(), pictures.lengths.tolist(), strict=True):
            source.seek(start)
            while length > 0:
                block = source.read(min(length, _BLOCK))
                if not block:
                    raise UserError(f"{pictures.path} is cut off; {AGAIN}")
                length -= len(block)
                yield block


def _facts(view: View) -> dict[str, Any]:
    """What a header says of a view; margin and border where they are not the usual ones, as they came later."""
    return {
        field.name: getattr(view, field.name)
        for field in dataclasses.fields(View)
        if view.framed or field.name not in ("margin", "border")
    }


def _first(header: int, count: int) -> int:
    """Where the bytes of the pictures begin."""
    return len(MAGIC) + 8 + header + 8 * (count + 1) + count * (MARK + THUMBNAIL**2)


def read(path: Path) -> PackedPictures:
    """The pictures of a file, none of which is read yet. Raises UserError where it is not whole."""
    with disk.opened(path) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            view, count, header = _read_header(file, size)
            if _first(header, count) > disk.reach([path], _UNPACKED) // disk.PACKED:
                raise ValueError(f"{count:,} pictures take more than it has on the disk")
            offsets = _array(file, count + 1, "<i8")
            _check_offsets(offsets, _first(header, count), size)
            marks = _array(file, count * MARK, "u1").reshape(count, MARK)
            thumbnails = np.memmap(file, np.uint8, "r", file.tell(), (count, THUMBNAIL, THUMBNAIL))
        except (EOFError, OSError, ValueError) as error:
            raise UserError(f"{path}: not a whole file of packed pictures ({disk.said(error)}); {AGAIN}") from error
    return PackedPictures(path, offsets[:-1], np.diff(offsets), thumbnails, marks, view)


def _read_header(file: IO[bytes], size: int) -> tuple[View, int, int]:
    """How pictures are seen, how many there are, and the length of the header. Raises ValueError, EOFError."""
    if file.read(len(MAGIC)) != MAGIC:
        raise ValueError("it does not begin as one")
    length = int.from_bytes(file.read(8), "little")
    if length > _HEADER:
        raise ValueError(f"its header claims {length:,} bytes")
    try:
        facts = json.loads(file.read(length))
        count = facts.pop("count")
        view = View(**facts)
    except Exception as error:  # a parser's errors are many
        raise ValueError("its header is none") from error
    numbers = (count, view.side, view.channels, view.bits)
    fine = all(type(number) is int for number in numbers) and type(view.invert) is bool and view.fit in _FITS
    fine = fine and type(view.margin) in (int, float) and 0 <= view.margin <= 2 and view.border in _BORDERS
    fine = fine and view.channels in (1, 3) and 1 <= view.side <= LONGEST and 8 <= view.bits <= 16
    if not fine or count < 1:
        raise ValueError("its header holds values that cannot be")
    if _first(length, count) > size:
        raise ValueError(f"{count:,} pictures take more than the {size:,} bytes that it has")
    return view, count, length


def _array(file: IO[bytes], count: int, kind: str) -> np.ndarray:
    data = file.read(count * np.dtype(kind).itemsize)
    if len(data) < count * np.dtype(kind).itemsize:
        raise EOFError("it is cut off")
    return np.frombuffer(data, kind).astype(np.dtype(kind).newbyteorder("="))


def _check_offsets(offsets: np.ndarray, first: int, size: int) -> None:
    if offsets[0] != first or (np.diff(offsets) <= 0).any():
        raise ValueError("its offsets are none")
    if offsets[-1] != size:
        raise ValueError(f"its pictures end at byte {offsets[-1]:,}, but it has {size:,}")


def thumbnails(images: "np.ndarray | PackedPictures") -> np.ndarray:
    """Grey thumbnails of the pictures of any prepared set, uint8 (N, 32, 32): those that are stored, or made here.

    images: see `storage.Pictures`.
    """
    if isinstance(images, PackedPictures):
        return np.asarray(images.thumbnails)
    from project.work.picture_files import reader

    found = np.empty((len(images), THUMBNAIL, THUMBNAIL), np.uint8)
    for row, image in enumerate(images):
        flat = image.ndim == 3 and image.shape[2] < 3
        found[row] = reader.thumbnail(image[..., 0] if flat else image[..., :3] if image.ndim == 3 else image)
    return found
