"""Arrays and text in files: gzipped pickles of arrays only, and memory maps for arrays larger than memory."""

import hashlib
import io
import math
import pickle
import pickletools
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from isal import igzip, isal_zlib

from project.work.common import UserError
from project.work.files import disk
from project.work.files.disk import replacing
from project.work.files.pickles import Built, Call, TooLarge, Unlike, Unpickler

_LEVEL = 1  # the fastest level; drawings shrink to an eighth
_GZIP = 31  # zlib's wbits for the gzip format
_MEMBER = 1 << 20  # bytes
_FRAME = 9  # bytes of a pickle's FRAME: the opcode and a length
HEADER = 128  # bytes before the data of a .npy file; numpy pads its header to a multiple of 64
MOST = 600_000_000  # bytes that a pickle may hold when the reader gives no limit
AGAIN = "prepare the data again"
_HEADER = 1 << 14  # bytes of a .npy header, at most; numpy's own limit is lower
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_KINDS = "biufcSU"  # kinds of dtype whose bytes are numbers or text, never pointers


def compressed(data: bytes | np.ndarray) -> bytes:
    """Compress into a gzip member. Concatenated members are a gzip file, so parts can be compressed separately."""
    return isal_zlib.compress(data, _LEVEL, _GZIP)


def write_members(path: Path, members: Iterable[bytes]) -> str:
    """Write concatenated gzip members to a file; returns the SHA-256 of the file."""
    digest = hashlib.sha256()
    with replacing(path) as file:
        for member in members:
            digest.update(member)
            file.write(member)
    return digest.hexdigest()


def write_gzip(path: Path, text: bytes) -> str:
    """Write text to a gzip file; returns the SHA-256 of the file."""
    return write_members(path, [compressed(text)])


def write_pickle(path: Path, array: np.ndarray) -> str:
    """Write a pickled array to a gzip file; returns the SHA-256 of the file."""
    return write_members(path, pickle_members(array.shape, array.dtype, array_members(array)))


def array_members(array: np.ndarray) -> Iterator[bytes]:
    """The data of an array as gzip members."""
    numbers = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    for start in range(0, len(numbers), _MEMBER):
        yield compressed(numbers[start : start + _MEMBER])


def pickle_members(shape: tuple[int, ...], dtype: np.dtype, numbers: Iterable[bytes]) -> Iterator[bytes]:
    """The gzip members of a pickled array whose data is given as members."""
    before, after = _around(np.zeros(shape, dtype))  # untouched zeros take no memory
    yield compressed(before)
    yield from numbers
    yield compressed(after)


def _around(array: np.ndarray) -> tuple[bytes, bytes]:
    """The bytes before and after the data of a pickled array."""
    text = pickle.dumps(array, protocol=5, buffer_callback=lambda numbers: None)
    places = {code.name: place for code, _, place in pickletools.genops(text) if place is not None}
    frame, numbers = places["FRAME"], places["NEXT_BUFFER"]
    length = array.nbytes.to_bytes(8, "little")
    # Frames only speed up reading, and this one's length would not count the data.
    return text[:frame] + text[frame + _FRAME : numbers] + pickle.BYTEARRAY8 + length, text[numbers + 1 :]


def read_pickle(path: Path, most: int = MOST, beyond: Callable[[int], str] = lambda size: AGAIN) -> np.ndarray:
    """Read an array from a gzipped pickle, by `write_pickle` or another program. Raises UserError.

    most: bytes that it may hold, checked against the claimed size before anything is read; beyond: the advice for a
    larger size.
    """
    with disk.opened(path) as file:
        try:
            with igzip.IGzipFile(fileobj=file) as stream:
                array = read_plain(stream, most)
                stream.read(1)  # the checksum is checked at the end
        except TooLarge as error:
            raise UserError(f"{path}: {error}, but at most {most:,} are read: {beyond(error.bytes)}") from error
        except (EOFError, OSError, ValueError, zlib.error, isal_zlib.error) as error:  # type: ignore[misc]
            why = disk.said(error)
            raise UserError(f"{path}: not a whole gzipped pickle of an array ({why}); {AGAIN}") from error
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path}: holds {type(array).__name__}, but a numeric numpy array is needed")
    return array


def read_gzip(path: Path, most: int) -> bytes:
    """Decompress a file. Raises UserError as soon as it exceeds `most` bytes."""
    with disk.opened(path) as file:
        try:
            with igzip.IGzipFile(fileobj=file) as stream:
                data = stream.read(most + 1)
        except (EOFError, OSError, zlib.error, isal_zlib.error) as error:  # type: ignore[misc]
            raise UserError(f"{path}: cannot be read ({disk.said(error)}); prepare the data again") from error
    if len(data) > most:
        raise UserError(f"{path}: holds more than {most:,} bytes, too many for a list of rows; prepare it again")
    return data


def read_map(path: Path) -> np.memmap:
    """Map an array in a .npy file; nothing is read before it is used. Raises UserError."""
    with disk.opened(path) as file:
        try:
            shape, fortran, dtype, offset = npy_header(file, path.stat().st_size)
        except (EOFError, OSError, ValueError) as error:
            raise UserError(f"{path}: not a whole .npy file ({disk.said(error)}); prepare the data again") from error
        if math.prod(shape) == 0:
            raise UserError(f"{path}: no pictures; prepare the data again")
        return np.memmap(file, dtype, "r", offset, shape, "F" if fortran else "C")


def npy_header(file: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, whether in Fortran order, dtype and data offset of a .npy file of `size` bytes.

    Raises ValueError where numpy would trust the file: negative counts, missing data, Python objects, a header that
    claims gigabytes.
    """
    version = np.lib.format.read_magic(file)
    if version not in _READERS:
        raise ValueError(f"its version {version[0]}.{version[1]} is not supported")
    width = 2 if version == (1, 0) else 4
    length = file.read(width)
    if int.from_bytes(length, "little") > _HEADER:
        raise ValueError(f"its header claims {int.from_bytes(length, 'little'):,} bytes")
    text = file.read(int.from_bytes(length, "little"))
    try:
        shape, fortran, dtype = _READERS[version](io.BytesIO(length + text))
    except Exception as error:  # the header is Python code, and its parser raises many errors
        raise ValueError("its header cannot be parsed") from error
    if dtype.kind not in _KINDS or dtype.names is not None or dtype.itemsize == 0:
        raise ValueError(f"it holds {dtype.name[:40]}, and numbers or text are needed")
    if any(type(count) is not int or count < 0 for count in shape):
        raise ValueError(f"its shape is {str(shape)[:80]}")
    offset = len(np.lib.format.magic(*version)) + width + len(text)
    needed = offset + math.prod(shape) * dtype.itemsize
    if needed > size:
        raise ValueError(f"{str(shape)[:80]} of {dtype} take {needed:,} bytes, but it has {size:,}")
    return shape, fortran, dtype, offset


def create_map(path: Path, shape: tuple[int, ...]) -> None:
    """Create a .npy file of uint8 zeros; it is sparse, so it takes no disk yet."""
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        assert file.tell() == HEADER
        file.truncate(HEADER + int(np.prod(shape)))


def write_map(path: Path, first: int, rows: np.ndarray) -> None:
    """Write rows into their place in a .npy file. Not through a map, whose pages would count as memory."""
    with open(path, "r+b") as file:
        file.seek(HEADER + first * rows[0].nbytes)
        file.write(np.ascontiguousarray(rows))


def file_digest(path: Path) -> str:
    """The SHA-256 of a file. Raises UserError when it is not a plain file."""
    with disk.opened(path) as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
_STEPS = 10_000  # opcodes, at most; an array takes sixty
_TYPE = re.compile(r"[biufcSU][1-9][0-9]{0,3}")
_NDARRAY = Call(lambda *given: _refused("it calls numpy.ndarray itself"))


def read_plain(stream: Any, most: int) -> Any:
    """The content of a pickle of at most `most` bytes. Raises Unlike, EOFError, ValueError, or its stream's errors."""
    value = Unpickler(stream, _known, most, _STEPS).load()
    return value.array if isinstance(value, _Array) else value


class _Type(Built):
    """A dtype of numbers or text."""

    def __init__(self, name: Any, align: Any = False, copy: Any = True) -> None:
        name = name if isinstance(name, str) else ""
        if name[:1] in ("O", "V"):
            raise Unlike("it holds ndarray, but a numeric numpy array is needed")
        if not _TYPE.fullmatch(name):
            raise Unlike(f"it has the dtype {name[:20]!r}, which is not read")
        self.dtype = np.dtype(name)

    def build(self, state: Any) -> None:
        """(version, byte order, subtype, names, fields, size, alignment, flags)."""
        if not isinstance(state, tuple) or state[2:5] != (None, None, None) or state[1] not in ("<", ">", "=", "|"):
            raise Unlike("its dtype has parts")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(Built):
    """An array that is empty until its state comes."""

    def __init__(self, kind: Any, shape: Any, typecode: Any) -> None:
        if kind is not _NDARRAY:
            raise Unlike("it makes no ndarray")
        self.array = np.empty(0, np.uint8)

    def build(self, state: Any) -> None:
        """(version, shape, dtype, whether in Fortran order, numbers)."""
        _, shape, kind, fortran, numbers = state
        self.array = _shaped(numbers, kind, shape, "F" if fortran else "C")


def _shaped(numbers: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(kind, _Type) or not isinstance(shape, tuple) or order not in ("C", "F"):
        raise Unlike("its array has no dtype and shape")
    if not isinstance(numbers, (bytes, np.ndarray)) or any(type(count) is not int or count < 0 for count in shape):
        raise Unlike("its array has no numbers or no shape")
    if math.prod(shape) * kind.dtype.itemsize != len(numbers):
        raise Unlike(f"its {len(numbers):,} bytes are not {kind.dtype} {str(shape)[:80]}")
    numbers = np.frombuffer(numbers, np.uint8).copy() if isinstance(numbers, bytes) else numbers
    return numbers.view(kind.dtype).reshape(shape, order=order)


def _encoded(text: Any, encoding: Any) -> Any:
    """Protocols below 3 have no bytes type and write bytes as Latin-1 text."""
    if encoding not in ("latin1", "latin-1"):
        raise Unlike("its text is not in Latin-1")
    return text.encode("latin-1") if isinstance(text, str) else text


def _refused(why: str) -> Any:
    raise Unlike(why)
_PARTS = {  # every global in pickles of numeric arrays, with its module in numpy 1 and 2
    "_reconstruct": ("multiarray", Call(_Array)),
    "ndarray": ("numpy", _NDARRAY),
    "dtype": ("numpy", Call(_Type)),
    "_frombuffer": ("numeric", Call(lambda *given: _Framed(*given))),
    "encode": ("_codecs", Call(_encoded)),
}


class _Framed(_Array):
    """An array of protocol 5, which holds its data at once."""

    def __init__(self, numbers: Any, kind: Any, shape: Any, order: Any, *more: Any) -> None:
        self.array = _shaped(numbers, kind, shape, order)


def _known(module: str, name: str) -> Any:
    home, part = _PARTS.get(name, ("", None))
    if part is None or module.split(".")[0] not in ("numpy", "_codecs") or module.split(".")[-1] != home:
        raise Unlike(f"it asks for {module[:40]}.{name[:40]}, and only numpy arrays are read")
    return part
