"""Pictures that are kept encoded: their bytes go into one file, unchanged where possible; each is looked at once.

A piece is a few hundred pictures. When it is done, its results are on disk, so a killed preparation continues with the
next piece. Only the search for pictures of 16 bits depends on how the pictures will be seen.
"""

import dataclasses
import hashlib
import json
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import left_out
from project.data_preparation.pictures.entries import Box
from project.data_preparation.pictures.looking import (
    COLOURED,
    GREY,
    KEPT,
    UNKNOWN,
    Item,
    Looker,
    Source,
    colour_of,
)
from project.work.common import progress
from project.work.dataset.packed import MARK, PackedPictures
from project.work.files import disk
from project.work.machine.memory_budget import cores
from project.work.picture_files import pixels, reader
from project.work.picture_files.threads import large_blocks, quiet
from project.work.picture_files.view import THUMBNAIL, View

SMALL = 64  # sets of that side and below are kept as arrays
DATA = "pictures.bin"
_PIECE = 256  # pictures
_AT_ONCE = 8  # of them one thread takes at once
_VERSION = 2  # of what pieces hold
_ROW = np.dtype(
    [
        ("start", "<i8"), ("length", "<i8"), ("width", "<i4"), ("height", "<i4"), ("how", "u1"), ("more", "?"),
        ("colour", "u1"), ("blank", "?"), ("peak", "<i4"), ("least", "<i4"), ("mark", f"V{MARK}"),
        ("seen", f"V{MARK}"), ("thumbnail", "u1", (THUMBNAIL, THUMBNAIL)),
    ]
)  # fmt: skip
_NAMES = ("width", "height", "how", "more", "colour", "blank", "peak", "least", "mark", "seen", "thumbnail")


@dataclass
class Packing:
    """What was found out of pictures. rows: (N,) of _ROW, undefined where there is a fault; faults: by row; data: where
    the bytes are; bits: how many of 16 are in use."""

    data: Path
    rows: np.ndarray
    faults: dict[int, str] = field(default_factory=dict)
    bits: int = 16

    @cached_property
    def whole(self) -> np.ndarray:
        """The rows without a fault. Read it only when all pictures have been looked at."""
        return np.delete(self.rows, list(self.faults)) if self.faults else self.rows

    def kept(self, settings: ImageFolderSettings) -> PackedPictures:
        """Those without a fault, to be seen as the settings say."""
        rows = self.whole
        channels, frame = int(settings.channels or 3), (settings.margin, settings.border)
        view = View(settings.size, settings.fit, channels, settings.invert, self.bits, *frame)
        marks = np.ascontiguousarray(rows["mark"]).view(np.uint8).reshape(-1, MARK)
        images = PackedPictures(self.data, rows["start"], rows["length"], rows["thumbnail"], marks, view)
        with quiet():
            if settings.channels is None and self._all_grey(images):
                images = dataclasses.replace(images, view=dataclasses.replace(view, channels=1))
            return dataclasses.replace(images, marks=_marks(images, rows["seen"]))

    def _all_grey(self, images: PackedPictures) -> bool:
        """Whether no picture is coloured. Pictures whose colour was not looked at are looked at now."""
        if (self.whole["colour"] == COLOURED).any():
            return False
        unknown = np.flatnonzero(self.whole["colour"] == UNKNOWN).tolist()
        return all(colour_of(reader.decode_upright(images.encoded(row))) == GREY for row in unknown)

    def remarks(self) -> dict[int, str]:
        """What a person should look at, by row: pictures of one colour, and those that are one pixel wide or high."""
        narrow = np.minimum(self.rows["width"], self.rows["height"]) == 1
        said = {row: left_out.BLANK for row in np.flatnonzero(self.rows["blank"]).tolist()}
        return said | {row: left_out.NARROW for row in np.flatnonzero(narrow).tolist()}

    def notes(self) -> dict[str, str]:
        """What a person should know of how these pictures were read, by the first word of its line."""
        said, deep, more = {}, self.whole["peak"] >= 0, int(self.whole["more"].sum())
        black = int((self.whole["peak"] == 0).sum())
        if self.bits < 16:
            never = f"never use more than {self.bits}: read as {self.bits} bits"
            said["depth"] = f"{deep.sum()} pictures of 16 bits {never}"
        if black:
            said["black"] = f"{black} of {deep.sum()} pictures of 16 bits are black all over: is their range right?"
        if more:
            said["frames"] = f"{more} files hold several frames or pages: the first of each was read"
        return said

    def facts(self) -> dict[str, Any]:
        """How the pictures are kept, for provenance.json."""
        counts = {name: int((self.whole["how"] == code).sum()) for code, name in enumerate(KEPT)}
        return {"kept": {name: count for name, count in counts.items() if count}}


def pack(
    contents: Sequence[Source], settings: ImageFolderSettings, scratch: Path, boxes: Sequence[Box | tuple[()]] = ()
) -> Packing:
    """Look at each picture once and put its bytes into a file in scratch; a preparation that was begun is continued.

    contents: what each comes from, or what gives that when it is called; boxes: what is cut out of each. Faults are for
    the caller to judge. One number of bits is found for all pictures of 16 bits whose files do not tell, so that they
    stay comparable.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    looker = Looker(contents, settings, boxes)
    pieces = [_Piece(scratch, number, looker) for number in range(-(-len(contents) // _PIECE))]
    found = Packing(scratch / DATA, np.zeros(len(contents), _ROW))
    found.rows["peak"] = -1
    left = [piece for piece in pieces if not piece.load(found)]
    looker.coloured = bool(((found.rows["colour"] == COLOURED) & (found.rows["length"] > 0)).any())
    with quiet(), large_blocks(), open(found.data, "ab") as file, ThreadPoolExecutor(cores() + 1) as pool:
        file.truncate(int((found.rows["start"] + found.rows["length"]).max(initial=0)))
        file.seek(0, os.SEEK_END)
        with progress(total=len(contents), desc="packing pictures", unit="picture") as bar:
            bar.update(len(contents) - sum(len(piece.members) for piece in left))
            chunks = [(piece, chunk) for piece in left for chunk in piece.chunks()]
            results = _ahead(pool, looker.look, [chunk for _, chunk in chunks])
            for (piece, chunk), items in zip(chunks, results, strict=True):
                _put(found, chunk, items, file)
                bar.update(len(chunk))
                if chunk.stop == piece.members.stop:
                    piece.save(found, file)
        _read_deep_again(found, looker, file)
    return found


def _read_deep_again(found: Packing, looker: Looker, file: IO[bytes]) -> None:
    """Find how many of 16 bits are in use, and look at those pictures again where it is fewer."""
    deep = np.flatnonzero(found.rows["peak"] >= 0).tolist()
    if deep:
        found.bits = pixels.bits_in_use(int(found.rows["peak"][deep].max()), int(found.rows["least"].max()))
    if found.bits == 16:
        return
    looker.bits = found.bits
    for row in progress(deep, desc="reading 16 bits again", unit="picture"):
        _put(found, range(row, row + 1), looker.look(range(row, row + 1)), file)


def begun(scratch: Path) -> bool:
    """Whether a preparation was begun there that can be continued."""
    return any(scratch.glob("piece-*.npz"))


def count_same(
    older: Sequence[PackedPictures],
    contents: Sequence[Source],
    settings: ImageFolderSettings,
    boxes: Sequence[Box | tuple[()]],
) -> int:
    """How many packed pictures, each the only one of its kind here, show what there is now: by bytes or by looks."""
    with quiet():
        items = Looker(contents, settings, boxes).look(range(len(contents)))
    return sum(
        not item.fault
        and (item.mark == one.marks[0].tobytes() or np.array_equal(item.thumbnail, one.thumbnails[0]))
        for one, item in zip(older, items, strict=True)
    )


def _put(found: Packing, members: range, items: Sequence[Item], file: IO[bytes]) -> None:
    """Take in what was found out of some pictures, and append their bytes."""
    start = file.tell()
    for row, item in zip(members, items, strict=True):
        if item.fault:
            found.faults[row] = item.fault
            continue
        found.rows[row] = (start, len(item.data), *map(item.__getattribute__, _NAMES))
        file.write(item.data)
        start += len(item.data)


def _ahead(pool: ThreadPoolExecutor, work: Any, parts: Sequence[Any]) -> Iterator[Any]:
    """work(part) of each in order. Threads work only a little ahead, because results that wait take memory."""
    coming: deque[Future] = deque()
    try:
        for part in parts:
            coming.append(pool.submit(work, part))
            if len(coming) > 2 * cores() + 1:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        for future in coming:
            future.cancel()


@dataclass
class _Piece:
    """Some pictures after each other, and the file in scratch that says what was found out of them."""

    scratch: Path
    number: int
    looker: Looker

    @property
    def members(self) -> range:
        """Which rows."""
        return range(self.number * _PIECE, min((self.number + 1) * _PIECE, len(self.looker.contents)))

    @property
    def file(self) -> Path:
        """Where it is kept."""
        return self.scratch / f"piece-{self.number:06d}.npz"

    def chunks(self) -> list[range]:
        """The parts that threads take."""
        rows = self.members
        return [range(start, min(start + _AT_ONCE, rows.stop)) for start in range(rows.start, rows.stop, _AT_ONCE)]

    def load(self, found: Packing) -> bool:
        """Take the results of an earlier preparation, if the files have not changed since."""
        key_now = self.key
        if not self.file.exists():
            return False
        try:
            with np.load(self.file, allow_pickle=False) as saved:
                rows, key, faults = saved["rows"], str(saved["key"]), json.loads(str(saved["faults"]))
        except Exception:  # numpy and zipfile raise anything for a damaged file; the piece is made again
            return False
        size = found.data.stat().st_size if found.data.exists() else 0
        if rows.dtype != _ROW or key != key_now or (rows["start"] + rows["length"]).max(initial=0) > size:
            return False
        found.rows[self.members.start : self.members.stop] = rows
        found.faults.update({int(row): fault for row, fault in faults.items()})
        return True

    def save(self, found: Packing, file: IO[bytes]) -> None:
        """Keep what was found out, when the bytes are on disk."""
        file.flush()
        os.fsync(file.fileno())
        faults = {row: found.faults[row] for row in self.members if row in found.faults}
        with disk.replacing(self.file) as out:
            rows = found.rows[self.members.start : self.members.stop]
            np.savez(out, rows=rows, key=np.array(self.key), faults=np.array(json.dumps(faults)))

    @cached_property
    def key(self) -> str:
        """A key that changes when a picture does, or the way it is looked at. Read it before looking."""
        settings = self.looker.settings
        said: list[Any] = [_VERSION, settings.largest_picture, settings.largest_file]
        said += [(_state(self.looker.contents[row]), *self.looker.box(row)) for row in self.members]
        return hashlib.blake2b(repr(said).encode(errors="surrogateescape"), digest_size=16).hexdigest()


def _state(content: Source) -> tuple[Any, ...]:
    """What changes when a picture does."""
    content = content() if callable(content) else content
    if isinstance(content, Path):
        try:
            facts = os.stat(content)
        except OSError:
            return (str(content),)
        return str(content), facts.st_size, facts.st_mtime_ns
    return getattr(content, "shape", ()), hashlib.blake2b(np.ascontiguousarray(content), digest_size=16).hexdigest()


def _marks(images: PackedPictures, seen: np.ndarray) -> np.ndarray:
    """uint8 (N, 16), equal where two pictures are copies: of the same bytes, or of the same pixels in other bytes.

    seen: digests (N,) of what they show at a small size: those that share one are compared at their full size.
    """
    marks, first = images.marks.copy(), dict[bytes, int]()
    for row, key in enumerate(seen.tolist()):
        before = first.setdefault(key, row)
        if before != row and not np.array_equal(marks[before], marks[row]):
            one, other = (reader.decode_upright(images.encoded(each)) for each in (before, row))
            marks[row] = marks[before] if np.array_equal(one, other) else marks[row]
    return marks
