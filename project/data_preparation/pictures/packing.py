"""Pictures that are kept encoded: their bytes go into one file, as they came where they can; each is looked at once.

A piece is a few hundred pictures. What was found out of them is on disk when it is done, so that a preparation that was
killed goes on with the next one. Nothing here depends on how the pictures are to be seen, but for what finds 16 bits.
"""

import dataclasses
import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import left_out
from project.data_preparation.pictures.reading import check_file, said_of
from project.work.common import UserError, progress
from project.work.dataset.packed import LONGEST, MARK, PackedPictures
from project.work.files import disk
from project.work.machine.memory_budget import cores
from project.work.picture_files import decoding, pixels, reader
from project.work.picture_files.decoding import Header
from project.work.picture_files.threads import Allowance, large_blocks, quiet
from project.work.picture_files.view import THUMBNAIL, View

SMALL = 64  # sets of that side and below are kept as arrays
QUALITY = 95  # of a JPEG made of a picture that is larger than LONGEST
AS_IT_CAME, AS_JPEG, AS_PNG = range(3)
_KEPT = ("as they came", f"as JPEG of quality {QUALITY}, {LONGEST} pixels long", "as PNG, without loss")
DATA = "pictures.bin"
_PIECE = 256  # pictures
_AT_ONCE = 8  # of them one thread takes at once
_VERSION = 1  # of what pieces hold
_BYTES_A_PIXEL, _SPARE = 8, 1 << 16  # a file that takes more bytes than that holds something else beside its picture
_MOST = 200  # characters of a fault
Content = Any  # a Path; the bytes of a file; pixels, uint8 (H, W) or RGB (H, W, 3); or what gives one when it is called
_ROW = np.dtype(
    [
        ("start", "<i8"), ("length", "<i8"), ("width", "<i4"), ("height", "<i4"), ("how", "u1"), ("more", "?"),
        ("grey", "?"), ("blank", "?"), ("peak", "<i4"), ("least", "<i4"), ("bytes", "u1", MARK), ("pixels", "u1", MARK),
        ("thumbnail", "u1", (THUMBNAIL, THUMBNAIL)),
    ]
)  # fmt: skip


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
        """The rows without a fault; to be asked for when all are there."""
        return np.delete(self.rows, list(self.faults)) if self.faults else self.rows

    def kept(self, settings: ImageFolderSettings) -> PackedPictures:
        """Those without a fault, to be seen as the settings say."""
        rows = self.whole
        channels = int(settings.channels or (1 if rows["grey"].all() else 3))
        view = View(settings.size, settings.fit, channels, settings.invert, self.bits)
        images = PackedPictures(self.data, rows["start"], rows["length"], rows["thumbnail"], rows["bytes"], view)
        with quiet():
            return dataclasses.replace(images, marks=_marks(images, rows))

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
        counts = {name: int((self.whole["how"] == code).sum()) for code, name in enumerate(_KEPT)}
        return {"kept": {name: count for name, count in counts.items() if count}}


def pack(
    contents: Sequence[Content],
    settings: ImageFolderSettings,
    scratch: Path,
    frames: Mapping[int, Callable[[np.ndarray], np.ndarray]] | None = None,
) -> Packing:
    """Look at each picture once and put its bytes into a file in scratch; what is there already is gone on with.

    contents: where each picture comes from; frames: what is to be made of some of them, by row: RGB uint8 (H, W, 3) ->
    the same of another size. Faults are for the caller to judge. One number of bits is found for all pictures of 16
    bits whose files do not tell, so that they stay comparable.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    packer = _Packer(contents, settings, frames or {})
    pieces = [_Piece(scratch, number, packer) for number in range(-(-len(contents) // _PIECE))]
    found = Packing(scratch / DATA, np.zeros(len(contents), _ROW))
    found.rows["peak"] = -1
    left = [piece for piece in pieces if not piece.load(found)]
    with quiet(), large_blocks(), open(found.data, "ab") as file, ThreadPoolExecutor(cores() + 1) as pool:
        file.truncate(int((found.rows["start"] + found.rows["length"]).max(initial=0)))
        file.seek(0, os.SEEK_END)
        with progress(total=len(contents), desc="packing pictures", unit="picture") as bar:
            bar.update(len(contents) - sum(len(piece.members) for piece in left))
            chunks = [(piece, chunk) for piece in left for chunk in piece.chunks()]
            results = _ahead(pool, packer.look, [chunk for _, chunk in chunks])
            for (piece, chunk), items in zip(chunks, results, strict=True):
                _put(found, chunk, items, file)
                bar.update(len(chunk))
                if chunk.stop == piece.members.stop:
                    piece.save(found, file)
        _read_deep_again(found, packer, file)
    return found


def _read_deep_again(found: Packing, packer: "_Packer", file: IO[bytes]) -> None:
    """Find how many of 16 bits are in use, and look at those pictures again where it is fewer."""
    deep = np.flatnonzero(found.rows["peak"] >= 0).tolist()
    if deep:
        found.bits = pixels.bits_in_use(int(found.rows["peak"][deep].max()), int(found.rows["least"].max()))
    if found.bits == 16:
        return
    packer.bits = found.bits
    for row in progress(deep, desc="reading 16 bits again", unit="picture"):
        _put(found, range(row, row + 1), packer.look(range(row, row + 1)), file)


def begun(scratch: Path) -> bool:
    """Whether there is something that another preparation goes on with."""
    return any(scratch.glob("piece-*.npz"))


def _put(found: Packing, members: range, items: Sequence["_Item"], file: IO[bytes]) -> None:
    """Take in what was found out of some pictures, and append their bytes."""
    for row, item in zip(members, items, strict=True):
        if item.fault:
            found.faults[row] = item.fault
            continue
        item.row["start"], item.row["length"] = file.tell(), len(item.data)
        found.rows[row] = item.row
        file.write(item.data)


def _ahead(pool: ThreadPoolExecutor, work: Any, parts: Sequence[Any]) -> Iterator[Any]:
    """work(part) of each in order, by threads that are a little ahead and no more: what waits takes memory."""
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
    packer: "_Packer"

    @property
    def members(self) -> range:
        """Which rows."""
        return range(self.number * _PIECE, min((self.number + 1) * _PIECE, len(self.packer.contents)))

    @property
    def file(self) -> Path:
        """Where it is kept."""
        return self.scratch / f"piece-{self.number:06d}.npz"

    def chunks(self) -> list[range]:
        """The parts that threads take."""
        rows = self.members
        return [range(start, min(start + _AT_ONCE, rows.stop)) for start in range(rows.start, rows.stop, _AT_ONCE)]

    def load(self, found: Packing) -> bool:
        """Take in what an earlier preparation found out, if the files are still those that it saw."""
        if not self.file.exists():
            return False
        try:
            with np.load(self.file, allow_pickle=False) as saved:
                rows, key, faults = saved["rows"], str(saved["key"]), json.loads(str(saved["faults"]))
        except Exception:  # numpy and zipfile raise anything for a damaged file; the piece is made again
            return False
        size = found.data.stat().st_size if found.data.exists() else 0
        if rows.dtype != _ROW or key != self._key() or (rows["start"] + rows["length"]).max(initial=0) > size:
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
            np.savez(out, rows=rows, key=np.array(self._key()), faults=np.array(json.dumps(faults)))

    def _key(self) -> str:
        """What changes when a picture does, or how it is looked at."""
        settings = self.packer.settings
        said = [_VERSION, *(getattr(settings, name, None) for name in ("largest_picture", "largest_file"))]
        said += [(_state(self.packer.contents[row]), repr(self.packer.frames.get(row))) for row in self.members]
        return hashlib.blake2b(repr(said).encode(errors="surrogateescape"), digest_size=16).hexdigest()


def _state(content: Content) -> tuple[Any, ...]:
    """What changes when a picture does."""
    content = content() if callable(content) else content
    if isinstance(content, Path):
        try:
            facts = os.stat(content)
        except OSError:
            return (str(content),)
        return str(content), facts.st_size, facts.st_mtime_ns
    return getattr(content, "shape", ()), hashlib.blake2b(np.ascontiguousarray(content), digest_size=16).hexdigest()


@dataclass
class _Item:
    """One picture. data: the bytes to keep; row: of _ROW, (); fault: what is wrong, "" for nothing."""

    data: bytes = b""
    row: np.ndarray = field(default_factory=lambda: np.zeros((), _ROW))
    fault: str = ""


@dataclass
class _Packer:
    """What the threads share."""

    contents: Sequence[Content]
    settings: ImageFolderSettings
    frames: Mapping[int, Callable[[np.ndarray], np.ndarray]]
    bits: int = 16

    def __post_init__(self) -> None:
        self.largest = int(self.settings.largest_file * 1e6)
        self.bytes, self.pixels = Allowance(self.largest), Allowance(int(self.settings.largest_picture * 1e6))

    def look(self, members: range) -> list[_Item]:
        """Look at some pictures after each other."""
        return [self._look(row) for row in members]

    def _look(self, row: int) -> _Item:
        try:
            content = self.contents[row]
            content = content() if callable(content) else content
            if isinstance(content, Path):
                size = check_file(content, self.settings)
                with self.bytes.of(size), open(content, "rb") as file:
                    return self._item(file.read(size), row)
            data = content if isinstance(content, bytes) else _as_png(content)
            return self._item(data, row)
        except (UserError, ValueError, OSError, MemoryError) as error:
            return _Item(fault=said_of(error)[:_MOST] or "it cannot be read")

    def _item(self, data: bytes, number: int) -> _Item:
        header, item = decoding.header(data, self.settings.largest_picture), _Item(data)
        row, longest, frame = item.row, max(header.width, header.height), self.frames.get(number)
        row["width"], row["height"], row["more"], row["peak"] = header.width, header.height, header.more, -1
        by = _reduction(header, frame is not None)
        with self.pixels.of(header.width * header.height):
            whole = self._shown(header, by, row)
            whole = whole if frame is None else frame(whole)
            spare = len(data) > _BYTES_A_PIXEL * header.width * header.height + _SPARE
            if longest > LONGEST or max(whole.shape) > LONGEST:
                whole = reader.shrunk(whole, LONGEST)
                item.data, row["how"] = _encoded(whole, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, QUALITY]), AS_JPEG
            elif frame is not None or header.more or spare:
                item.data, row["how"] = _encoded(whole, ".png", []), AS_PNG
            small = _small(whole)
            _describe(row, small, item.data)
            if row["blank"] and (by > 1 or small is not whole):  # a dot may be lost in what is small
                row["blank"] = _is_blank(pixels.shown(header.decode(), self.bits) if by > 1 else whole)
        return item

    def _shown(self, header: Header, by: int, row: np.ndarray) -> np.ndarray:
        if by > 1:
            return reader.shown(header, by)
        decoded = header.decode()
        if decoded.peak is not None:
            row["peak"], row["least"] = decoded.peak, decoded.least_bits
        return pixels.shown(decoded, self.bits)


def _reduction(header: Header, framed: bool) -> int:
    """By how much a picture is reduced as it is decoded: what is kept as it came is only looked at."""
    if header.reduced is None or framed:
        return 1
    longest, shortest = max(header.width, header.height), min(header.width, header.height)
    return reader.reduction(longest, LONGEST) if longest > LONGEST else reader.reduction(shortest, THUMBNAIL)


def _small(picture: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) at a half, a quarter or an eighth of its size, but no smaller than a thumbnail."""
    by = reader.reduction(min(picture.shape[:2]), THUMBNAIL)
    return picture if by == 1 else reader.shrunk(picture, -(-max(picture.shape[:2]) // by))


def _describe(row: np.ndarray, small: np.ndarray, data: bytes) -> None:
    """Note what a picture is told from others by, and how it looks. small: RGB (h, w, 3)."""
    row["bytes"] = np.frombuffer(hashlib.blake2b(data, digest_size=MARK).digest(), np.uint8)
    seen = hashlib.blake2b(f"{row['width']} {row['height']}".encode(), digest_size=MARK)
    seen.update(np.ascontiguousarray(small))
    row["pixels"] = np.frombuffer(seen.digest(), np.uint8)
    row["grey"] = bool((small[..., 0] == small[..., 1]).all() and (small[..., 0] == small[..., 2]).all())
    row["blank"] = _is_blank(small)
    row["thumbnail"] = reader.thumbnail(small)


def _is_blank(picture: np.ndarray) -> bool:
    return bool((picture == picture[0, 0]).all())


def _encoded(picture: np.ndarray, form: str, options: Sequence[int]) -> bytes:
    return cv2.imencode(form, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def _as_png(array: np.ndarray) -> bytes:
    """Pixels, uint8 (H, W) or RGB (H, W, 3), as a file."""
    return cv2.imencode(".png", array if array.ndim == 2 else cv2.cvtColor(array, cv2.COLOR_RGB2BGR))[1].tobytes()


def _marks(images: PackedPictures, rows: np.ndarray) -> np.ndarray:
    """uint8 (N, 16), equal where two pictures are copies: of the same bytes, or of the same pixels in other bytes."""
    marks, first = rows["bytes"].copy(), dict[bytes, int]()
    for row, key in enumerate(rows["pixels"]):
        before = first.setdefault(key.tobytes(), row)
        if not np.array_equal(marks[before], marks[row]):
            one, other = (reader.decode_upright(images.encoded(each)) for each in (before, row))
            marks[row] = marks[before] if np.array_equal(one, other) else marks[row]
    return marks
