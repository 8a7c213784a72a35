"""Where encoded pictures may lie: single files, HDF5, LMDB, this project's packed file; and files read in one go.

Each is written once below a scratch folder and opened for every epoch, in each process that reads it.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from measure import cores

from project.work.common import UserError
from project.work.dataset import packed
from project.work.picture_files import reader
from project.work.picture_files.view import View

MEMORY = Path("/dev/shm")  # tmpfs, on Linux
JPEG = b"\xff\xd8"
Read = Callable[[int], bytes]


@dataclass(frozen=True)
class Store:
    """Pictures of which any can be read: open gives a function from a row to its bytes. paths: its files."""

    paths: Sequence[Path]
    open: Callable[[], AbstractContextManager[Read]]


@dataclass(frozen=True)
class Tape:
    """Pictures that are read in the order of their file: open gives rows and bytes."""

    paths: Sequence[Path]
    open: Callable[[], Iterable[tuple[int, bytes]]]


def contents(files: Sequence[Path]) -> Iterator[bytes]:
    """The bytes of each."""
    return (path.read_bytes() for path in files)


@contextmanager
def _files(files: Sequence[Path]) -> Iterator[Read]:
    yield lambda row: files[row].read_bytes()


def raw(files: Sequence[Path]) -> Store:
    """A file a picture."""
    return Store(files, partial(_files, files))


def in_memory(files: Sequence[Path], folder: Path) -> Store:
    """The same on a file system that is memory. folder: an empty one there."""
    copies = [folder / path.name for path in files]
    for copy, data in zip(copies, contents(files), strict=True):
        copy.write_bytes(data)
    return raw(copies)


def packed_file(files: Sequence[Path], view: View, scratch: Path) -> packed.PackedPictures:
    """This project's file: all bytes end to end, with offsets, thumbnails and marks in front."""
    joined = scratch / "joined"
    lengths = []
    with open(joined, "wb") as file:
        for data in contents(files):
            lengths.append(file.write(data))
    ends, count = np.cumsum(lengths), len(files)
    # Neither is read here: copies and thumbnails belong to the preparation.
    beside = np.zeros((count, 32, 32), np.uint8), np.zeros((count, packed.MARK), np.uint8)
    packed.write(
        scratch / "pictures.packed", packed.PackedPictures(joined, ends - lengths, np.array(lengths), *beside, view)
    )
    joined.unlink()
    return packed.read(scratch / "pictures.packed")


@contextmanager
def _packed(path: Path) -> Iterator[Read]:
    yield packed.read(path).encoded


def packed_store(pictures: packed.PackedPictures) -> Store:
    """This project's file as a store like the others."""
    return Store([pictures.path], partial(_packed, pictures.path))


@contextmanager
def _hdf5(path: Path) -> Iterator[Read]:
    import h5py

    with h5py.File(path) as file:
        data = file["pictures"]
        yield lambda row: data[row].tobytes()


def hdf5(files: Sequence[Path], scratch: Path) -> Store:
    """A data set of arrays of bytes, of any length each."""
    import h5py

    path = scratch / "encoded.h5"
    with h5py.File(path, "w") as file:
        rows = file.create_dataset("pictures", len(files), h5py.vlen_dtype(np.uint8))
        for row, data in enumerate(contents(files)):
            rows[row] = np.frombuffer(data, np.uint8)
    return Store([path], partial(_hdf5, path))


@contextmanager
def _lmdb(path: str) -> Iterator[Read]:
    import lmdb

    with lmdb.open(path, readonly=True, lock=False) as store, store.begin() as transaction:
        yield lambda row: transaction.get(b"%08d" % row)


def lmdb_store(files: Sequence[Path], scratch: Path) -> Store:
    """A B-tree of keys and bytes, mapped into memory."""
    import lmdb

    path = scratch / "pictures.lmdb"
    size = sum(file.stat().st_size + (1 << 13) for file in files)  # a page is 4 KB, and keys need some
    with lmdb.open(str(path), map_size=size + (1 << 24)) as store, store.begin(write=True) as transaction:
        for row, data in enumerate(contents(files)):
            transaction.put(b"%08d" % row, data)
    return Store([path / "data.mdb"], partial(_lmdb, str(path)))


def _tars(paths: Sequence[Path]) -> Iterator[tuple[int, bytes]]:
    import webdataset as wds

    for sample in wds.WebDataset([str(path) for path in paths], shardshuffle=False, empty_check=False):
        yield int(sample["__key__"]), sample["jpg"]


def webdataset(files: Sequence[Path], shards: int, scratch: Path) -> Tape:
    """Tar files; of several processes each reads some of them."""
    import webdataset as wds

    paths = [scratch / f"pictures-{number}.tar" for number in range(shards)]
    for number, path in enumerate(paths):
        with wds.TarWriter(str(path)) as writer:
            for row in range(number, len(files), shards):
                writer.write({"__key__": f"{row:08d}", "jpg": files[row].read_bytes()})
    return Tape(paths, partial(_tars, paths))


def checksum(data: bytes) -> int:
    """TFRecord's, of 32 bits: a CRC-32C that is turned and added to."""
    import google_crc32c

    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _records(path: Path) -> Iterator[tuple[int, bytes]]:
    with open(path, "rb", buffering=1 << 20) as file:
        row = 0
        while head := file.read(12):
            (length, check), data = struct.unpack("<QI", head), b""
            if check == checksum(head[:8]):
                data = file.read(length)
            if file.read(4) != struct.pack("<I", checksum(data)):
                raise ValueError(f"{path}: record {row} is damaged")
            yield row, data
            row += 1


def tfrecord(files: Sequence[Path], scratch: Path) -> Tape:
    """TensorFlow's file of records, a picture each: length, its checksum, bytes, their checksum."""
    import google_crc32c  # noqa: F401, or its absence would show when the file is half written

    path = scratch / "pictures.tfrecord"
    with open(path, "wb") as file:
        for data in contents(files):
            length = struct.pack("<Q", len(data))
            file.write(length + struct.pack("<I", checksum(length)) + data + struct.pack("<I", checksum(data)))
    return Tape([path], partial(_records, path))


@dataclass(frozen=True)
class Photos:
    """The same pictures in every form, each written when it is first asked for: ImportError where a package is absent.

    files: encoded; side: of the squares that are delivered; scratch: an empty folder; memory: one on tmpfs, or None.
    """

    title: str
    files: Sequence[Path]
    side: int
    scratch: Path
    memory: Path | None

    @property
    def view(self) -> View:
        """How they are read."""
        return View(self.side)

    @property
    def cost(self) -> int:
        """Bytes that all forms take on disk, at most."""
        return 8 * sum(path.stat().st_size + 4096 for path in self.files) + 2 * len(self.files) * 3 * self.side**2

    @cached_property
    def raw(self) -> Store:
        """A file a picture."""
        return raw(self.files)

    @cached_property
    def tmpfs(self) -> Store:
        """The same in memory; those who ask make sure that there is some."""
        return in_memory(self.files, self.memory)

    @cached_property
    def packed(self) -> packed.PackedPictures:
        """This project's file."""
        return packed_file(self.files, self.view, self.scratch)

    @cached_property
    def hdf5(self) -> Store:
        """HDF5."""
        return hdf5(self.files, self.scratch)

    @cached_property
    def lmdb(self) -> Store:
        """LMDB."""
        return lmdb_store(self.files, self.scratch)

    @cached_property
    def webdataset(self) -> Tape:
        """Tar files, one a process at least."""
        return webdataset(self.files, max(4, cores()), self.scratch)

    @cached_property
    def tfrecord(self) -> Tape:
        """TFRecord."""
        return tfrecord(self.files, self.scratch)

    @property
    def pixels(self) -> Path:
        """Decoded once, by `decode`: .npy, uint8 (N, side, side, 3)."""
        return self.scratch / "pixels.npy"

    def decode(self) -> None:
        """Write the pixels. Raises UserError where a file is no JPEG that can be read."""
        whole = np.lib.format.open_memmap(self.pixels, "w+", np.uint8, (len(self.files), self.side, self.side, 3))
        for row, data in enumerate(contents(self.files)):
            try:
                if not data.startswith(JPEG):
                    raise ValueError("it is no JPEG")
                whole[row] = reader.decode(data, self.view)
            except ValueError as error:
                raise UserError(f"{self.files[row]} cannot be read ({error}); leave it out of the folder") from error
        whole.flush()

    @cached_property
    def hdf5_pixels(self) -> Path:
        """The same in HDF5, in one piece."""
        import h5py

        path = self.scratch / "pixels.h5"
        with h5py.File(path, "w") as file:
            file["pixels"] = np.load(self.pixels, mmap_mode="r")
        return path
