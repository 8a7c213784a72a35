"""Arrays and text in files: gzipped pickles that admit arrays only, and maps for what is too large for memory."""

import hashlib
import os
import pickle
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from isal import igzip, igzip_threaded

from project.work.declaration import UserError

_LEVEL = 1  # the fastest that compresses; drawings become an eighth
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


def write_gzip(path: Path, chunks: Iterable[bytes], threads: int = 1) -> str:
    """Compress text into a file; returns its SHA-256. The same text gives the same bytes, by however many threads."""
    with _compressing(path, threads) as file:
        for chunk in chunks:
            file.write(chunk)
    return file.digest.hexdigest()


def write_pickle(path: Path, array: np.ndarray, threads: int = 1) -> str:
    """Compress a pickled array into a file; returns the SHA-256 of the pickle."""
    with _compressing(path, threads) as file:
        pickle.Pickler(file, protocol=5).dump(np.asarray(array))
    return file.digest.hexdigest()


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


class _Digesting:
    """A compressed file that also digests what is written."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        self.digest.update(data)
        return self.file.write(data)


@contextmanager
def _compressing(path: Path, threads: int) -> Iterator[_Digesting]:
    with replacing(path) as file, igzip_threaded.open(file, "wb", _LEVEL, threads=threads) as compressed:
        yield _Digesting(compressed)


class _ArrayUnpickler(pickle.Unpickler):
    """Admits numeric numpy arrays and nothing else, so that a foreign pickle is refused before it can run anything."""

    def find_class(self, module: str, name: str) -> Any:
        home = _ARRAY_PARTS.get(name)
        if home is None or module.split(".")[0] not in ("numpy", "_codecs") or module.split(".")[-1] != home:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only numpy arrays are read")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)
