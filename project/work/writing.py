"""Files that appear whole or not at all, and what is left of them when their writer is killed.

Standard library only.
"""

import contextlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

OLD = 24 * 3600.0  # seconds; where files cannot be locked, a partial one that nobody has touched since is nobody's


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of another at the end, so that a crash or a full disk leaves the old one.

    An OSError on the way names the file that was to be written.
    """
    with partial(path) as place, open(place, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
        os.replace(place, path)  # before it is closed: on a network file system that gives its lock away


@contextlib.contextmanager
def partial(path: Path) -> Iterator[Path]:
    """The name of an empty file beside another, for its next version; it is gone at the end unless it was moved.

    What killed processes left of the same file goes first. A lock tells theirs from those of processes that live: it
    ends with its process, holds across machines that share a file system, and knows of no number that is used again.
    """
    sweep(path)
    place = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(3)}")
    try:
        lock = _created(place)
        try:
            yield place
        finally:
            place.unlink(missing_ok=True)
            os.close(lock)
    except OSError as error:
        if error.errno is None or error.filename not in (None, place, str(place)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def sweep(path: Path) -> None:
    """Remove what processes that are gone left beside a file when they were killed while writing it."""
    form = re.compile(rf"\.{re.escape(path.name)}\.\d+(\.[0-9a-f]+)?")
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for name in [entry.name for entry in entries if form.fullmatch(entry.name)]:
            with contextlib.suppress(OSError):
                _remove_deserted(path.with_name(name))


def _created(place: Path) -> int:
    """A new file's descriptor, locked where the file system can."""
    while True:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if fcntl is None:
            return descriptor
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if place.exists():  # nobody took it for a deserted one before it was locked
            return descriptor
        os.close(descriptor)


def _remove_deserted(place: Path) -> None:
    descriptor = os.open(place, os.O_RDWR | os.O_NONBLOCK)
    try:
        if _is_deserted(descriptor):
            place.unlink()
    finally:
        os.close(descriptor)


def _is_deserted(descriptor: int) -> bool:
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks
    return time.time() - os.fstat(descriptor).st_mtime > OLD
