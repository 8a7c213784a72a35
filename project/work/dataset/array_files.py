"""Arrays and text in files: gzipped pickles that admit arrays only, and maps for what is too large for memory."""

import hashlib
import os
import pickle
import pickletools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from isal import igzip, isal_zlib

from project.work.declaration import UserError

_LEVEL = 1  # the fastest that compresses; drawings become an eighth
_GZIP = 31  # zlib's number for deflate in gzip's form
_MEMBER = 1 << 20  # bytes
_FRAME = 9  # bytes of a pickle's FRAME: the opcode and a length
HEADER = 128  # bytes before the pictures in a .npy file; numpy fills its header up to a multiple of 64
_ARRAY_PARTS = {  # every global that pickled numeric arrays refer to, under the module names of numpy 1 and 2
    "_reconstruct": "multiarray",
    "ndarray": "numpy",
    "dtype": "numpy",
    "_frombuffer": "numeric",
    "encode": "_codecs",
}


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of another at the end, so that a crash or a full disk leaves the old one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(partial, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def compressed(data: bytes | np.ndarray) -> bytes:
    """A gzip member. Members end to end are a gzip file, so that what is compressed apart need not be done again."""
    return isal_zlib.compress(data, _LEVEL, _GZIP)


def write_members(path: Path, members: Iterable[bytes]) -> str:
    """Write gzip members end to end into a file; returns the SHA-256 of the file."""
    digest = hashlib.sha256()
    with replacing(path) as file:
        for member in members:
            digest.update(member)
            file.write(member)
    return digest.hexdigest()


def write_gzip(path: Path, text: bytes) -> str:
    """Compress text into a file; returns the SHA-256 of the file."""
    return write_members(path, [compressed(text)])


def write_pickle(path: Path, array: np.ndarray) -> str:
    """Compress a pickled array into a file; returns the SHA-256 of the file."""
    return write_members(path, pickle_members(array.shape, array.dtype, array_members(array)))


def array_members(array: np.ndarray) -> Iterator[bytes]:
    """The numbers of an array as gzip members."""
    numbers = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    for start in range(0, len(numbers), _MEMBER):
        yield compressed(numbers[start : start + _MEMBER])


def pickle_members(shape: tuple[int, ...], dtype: np.dtype, numbers: Iterable[bytes]) -> Iterator[bytes]:
    """The gzip members of a pickled array, whose numbers are given as members."""
    before, after = _around(np.zeros(shape, dtype))  # zeros that nobody looks at take no memory
    yield compressed(before)
    yield from numbers
    yield compressed(after)


def _around(array: np.ndarray) -> tuple[bytes, bytes]:
    """What stands before the numbers of an array when it is pickled, and what behind them."""
    text = pickle.dumps(array, protocol=5, buffer_callback=lambda numbers: None)
    places = {code.name: place for code, _, place in pickletools.genops(text)}
    frame, numbers = places["FRAME"], places["NEXT_BUFFER"]
    length = array.nbytes.to_bytes(8, "little")
    # A frame, whose length leaves the numbers out, is only for reading faster.
    return text[:frame] + text[frame + _FRAME : numbers] + pickle.BYTEARRAY8 + length, text[numbers + 1 :]


def read_pickle(path: Path) -> np.ndarray:
    """An array as `write_pickle` or others wrote it. Raises UserError."""
    try:
        with igzip.open(path) as file:
            array = _ArrayUnpickler(file).load()
    except Exception as error:
        raise UserError(f"{path}: not a whole gzipped pickle of an array ({error}); prepare the data again") from error
    if not isinstance(array, np.ndarray) or array.dtype.hasobject:
        raise UserError(f"{path}: holds {type(array).__name__}, but a numeric numpy array is needed")
    return array


def read_map(path: Path) -> np.memmap:
    """An array in a .npy file, of which nothing is read before it is used. Raises UserError."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (EOFError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a whole .npy file ({error}); prepare the data again") from error


def create_map(path: Path, shape: tuple[int, ...]) -> None:
    """Make a .npy file of uint8 zeros, which takes no room yet."""
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        assert file.tell() == HEADER
        file.truncate(HEADER + int(np.prod(shape)))


def write_map(path: Path, first: int, rows: np.ndarray) -> None:
    """Put rows into their place in a .npy file; by writing and not by a map, whose pages would count as memory."""
    with open(path, "r+b") as file:
        file.seek(HEADER + first * rows[0].nbytes)
        file.write(np.ascontiguousarray(rows))


def file_digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class _ArrayUnpickler(pickle.Unpickler):
    """Admits numeric numpy arrays and nothing else, so that a foreign pickle is refused before it can run anything."""

    def find_class(self, module: str, name: str) -> Any:
        home = _ARRAY_PARTS.get(name)
        if home is None or module.split(".")[0] not in ("numpy", "_codecs") or module.split(".")[-1] != home:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only numpy arrays are read")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)
