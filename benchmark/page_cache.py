"""What of a file the kernel holds in memory (the page cache), and how to have it let go; no rights are needed.

A second reading is fast because of this cache, whatever the reader is and whatever has become of what it read.
"""

import ctypes
import mmap
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

MOUNTS = Path("/proc/self/mounts")
KEPT = 0.05  # a larger share that is still in memory after `drop` is not a cold file


def can_drop() -> bool:
    """Whether this system can be asked to let go of a file."""
    return hasattr(os, "posix_fadvise")


def drop(paths: Sequence[Path]) -> float:
    """Have the kernel let go of files; returns the share that it kept, see `share`.

    What is not on disk yet is written first, as it could not be dropped. A file that is mapped somewhere is kept, as is
    all of a file system that lies in memory. Names and inodes stay cached: only root can drop those.
    """
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)
    return share(paths)


def share(paths: Sequence[Path]) -> float:
    """The share of some files' pages that is in memory, 0 to 1, by mincore."""
    pages = [_pages(path) for path in paths if path.stat().st_size]
    return sum(held for held, _ in pages) / max(1, sum(count for _, count in pages))


def _pages(path: Path) -> tuple[int, int]:
    """Pages of a file that are in memory, and all of them."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        found = np.zeros(-(-len(mapped) // mmap.PAGESIZE), np.uint8)
        whole = np.frombuffer(mapped, np.uint8)
        arguments = (ctypes.c_void_p(whole.ctypes.data), ctypes.c_size_t(whole.nbytes))
        failed = ctypes.CDLL(None, use_errno=True).mincore(*arguments, ctypes.c_void_p(found.ctypes.data))
        del whole  # or the map could not be closed
        if failed:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
        return int((found & 1).sum()), len(found)


def file_system(path: Path) -> str:
    """The kind of file system that a file lies on, such as ext4, overlay or tmpfs; "unknown" where no one says."""
    lines = MOUNTS.read_text(encoding="utf-8").splitlines() if MOUNTS.exists() else []
    mounts = [line.split()[1:3] for line in lines]
    own = path.resolve()
    within = [(len(place), kind) for place, kind in mounts if own.is_relative_to(place)]
    return max(within)[1] if within else "unknown"
