"""Files on disk: reads only plain files of bounded size, and writes files whole or not at all.

Imports only the standard library.
"""

import contextlib
import itertools
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from project.work.common import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LARGEST = 1 << 29  # bytes of a text file, at most: ten million rows of a table
PACKED = 32  # largest compression ratio of real data; drawings have 8, keys 10
DEEPEST = 20  # nested brackets of YAML, at most
_UNLIKE = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}
_MISSING = "is missing"
_SAID = 200  # characters of an exception's text, at most
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
OLD = 24 * 3600.0  # seconds; where files cannot be locked, an older partial file counts as deserted


def fault(path: Path, most: int | None = None) -> str | None:
    """Why a path is not a plain file of at most `most` bytes; None if it is one. Nothing is opened.

    A reader of a FIFO or a device would wait forever, and a sparse file can claim any size.
    """
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        return "is a link to nothing" if os.path.islink(path) else _MISSING
    except (OSError, ValueError) as error:  # an endless link, a name too long, one with a NUL
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    for asks, name in _UNLIKE.items():
        if asks(facts.st_mode):
            return f"is {name}, but a plain file is needed"
    if most is not None and facts.st_size > most:
        return f"is {facts.st_size:,} bytes, but at most {most:,} are read"
    return None


def absent(path: Path) -> bool:
    """Whether nothing has this name: False for a broken link, and for a name below an unreadable folder."""
    return fault(path) == _MISSING


def plain(path: Path, most: int | None = None) -> Path:
    """The path, checked to be a plain file of at most `most` bytes. Raises UserError."""
    wrong = fault(path, most)
    if wrong is not None:
        raise UserError(f"{shown(path)} {wrong}")
    return path


def read_bytes(path: Path, most: int = LARGEST) -> bytes:
    """The bytes of a plain file. Raises UserError."""
    with opened(path, most) as file:
        return file.read(most)


@contextlib.contextmanager
def opened(path: Path, most: int | None = None) -> Iterator[BinaryIO]:
    """Open a plain file of at most `most` bytes for reading. Raises UserError."""
    plain(path, most)
    try:
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error


def reach(paths: Iterable[Path], least: int) -> int:
    """How many bytes files may take in memory: `least`, or PACKED times their size on disk if that is more.

    So a few bytes that claim gigabytes are refused, and a large file is not. Holes of sparse files do not count.
    """
    taken = 0
    for path in paths:
        with contextlib.suppress(OSError):
            facts = os.stat(path)
            taken += min(facts.st_size, getattr(facts, "st_blocks", facts.st_size) * 512)
    return max(least, PACKED * taken)


def said(error: BaseException) -> str:
    """The text of an exception, shortened, in one line that a terminal can show."""
    text = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
    return shown(text if len(text) <= _SAID else f"{text[:_SAID]}...")


def read_text(path: Path, most: int = LARGEST) -> str:
    """The text of a plain file in UTF-8, UTF-16 or else Windows-1252. Raises UserError.

    A NUL character is refused with its line, because later readers treat it differently.
    """
    return text_of(read_bytes(path, most), path)


def text_of(data: bytes, path: Path) -> str:
    """As `read_text`, from bytes. path: for errors."""
    wide = data.startswith(_WIDE) or data[:2].count(0) == 1
    text = data[: data.index(0) + 1].decode("latin-1") if 0 in data and not wide else _decoded(data)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{shown(path)} line {line}: holds a NUL character, so it is damaged or no text")
    return text


def is_unicode(data: bytes) -> bool:
    """Whether the encoding of a text is certain; if not, its non-ASCII letters are a guess."""
    if data.startswith(_WIDE) or data[:2].count(0) == 1:
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decoded(data: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    if data[:2].count(0) == 1:  # UTF-16 without a byte-order mark: every other byte of ASCII letters is zero
        return data.decode("utf-16-be" if data[0] == 0 else "utf-16-le", errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def read_json(path: Path, most: int = LARGEST) -> Any:
    """The content of a JSON file. Raises UserError."""
    try:
        return json.loads(read_text(path, most))
    except RecursionError:
        raise UserError(f"{path}: not JSON that can be read (nested too deeply)") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({said(error)})") from error


def read_yaml(path: Path, most: int = 1 << 15) -> Any:
    """The content of a YAML file. Raises UserError. The size is bounded, because PyYAML is slow.

    Repeated names are refused, and so are aliases: a few lines of them can expand to a billion values.
    """
    import yaml

    from project.work.files.plain_yaml import PlainLoader

    data = read_bytes(path, most)
    if _depth(data) > DEEPEST:
        raise UserError(f"{path}: not YAML that can be read (nested too deeply)")
    try:
        return yaml.load(data, PlainLoader)  # bytes: it reads UTF-8 and UTF-16 by itself, and refuses the rest
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f"line {mark.line + 1}: "
        why = getattr(error, "problem", None) or said(error)
        raise UserError(f"{path}: not YAML ({place}{shown(why)})") from error
    except RecursionError:
        raise UserError(f"{path}: not YAML that can be read (nested too deeply)") from None
    except Exception as error:  # PyYAML raises various errors for a bad date, number or tag
        raise UserError(f"{path}: not YAML (a bad value: {said(error)})") from error


def _depth(data: bytes) -> int:
    """The deepest nesting of brackets: each level slows PyYAML down."""
    steps = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
    return max(itertools.accumulate((steps.get(byte, 0) for byte in data), initial=0))


def shown(path: Path | str) -> str:
    """A path or text for a message; one with unprintable characters is shown as its repr."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that replaces another when the context ends; a crash or a full disk leaves the old one.

    An OSError names the file that was to be replaced.
    """
    with partial(path) as place, open(place, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
        os.replace(place, path)  # before closing it: on a network file system, closing releases the lock


@contextlib.contextmanager
def partial(path: Path) -> Iterator[Path]:
    """The path of an empty file beside another, for its next version. At the end it is removed unless it was moved.

    Partial files of killed processes are removed first. A lock tells them from those of live processes: it ends with
    its process and holds across machines that share a file system, and unlike a process id it is never reused.
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
    """Remove the partial files that killed processes left beside a file."""
    form = re.compile(rf"\.{re.escape(path.name)}\.\d+(\.[0-9a-f]+)?")
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for name in [entry.name for entry in entries if form.fullmatch(entry.name)]:
            with contextlib.suppress(OSError):
                _remove_deserted(path.with_name(name))


def _created(place: Path) -> int:
    """Create a file; returns its descriptor, locked if the file system supports locks."""
    while True:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if fcntl is None:
            return descriptor
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if place.exists():  # no other process removed it as deserted before it was locked
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


def replace_file(path: Path, data: bytes) -> None:
    """Write beside the file and move over it, so that a crash or a full disk leaves the old file as it was."""
    with replacing(path) as file:
        file.write(data)
