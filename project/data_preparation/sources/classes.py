"""Which class each file of a folder holds: the word that its rows say, or its own name where they say none.

A file is looked at where it begins and ends, and never read whole.
"""

import filecmp
import os
import re
import urllib.parse
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from project.data_preparation.parsing.rows import WORD, csv_cells
from project.work.common import UserError
from project.work.files import disk
from project.work.labels import naming

LONGEST_NAME = 200  # characters; a longer word is none
LONGEST = 1 << 23  # bytes of a line: a raw drawing of 20 seconds has some 100,000
GLANCED = 8  # rows at the start of a file whose words are looked at
_GLANCE = 1 << 15  # bytes at either end of a file that say what it holds
# What browsers and Google's bucket put around a class's name: full_simplified_cat, full/raw/cat, cat (1), cat - Copy.
_AROUND = re.compile(r"^full[_/](?:simplified|raw)[_/]|(?: ?\(\d+\)| - Copy)+$")


@dataclass(frozen=True)
class ClassFiles:
    """files: those of each class, sorted by name; said: the word as the rows of each file write it, where they do."""

    files: dict[str, list[Path]]
    said: dict[Path, str | None]
    left_out: dict[Path, Path]

    def notes(self, names: Iterable[str]) -> list[str]:
        """What a person should know of the files of some classes."""
        names = list(names)
        lines = naming.notes(self._written(path) for name in names for path in self.files[name])
        for name in names:
            paths = self.files[name]
            twins = {copy.name: path.name for copy, path in self.left_out.items() if path in paths}
            lines += [f"{copy} is the same file as {original} and is left out" for copy, original in twins.items()]
            if len(paths) > 1:
                lines.append(f"{' and '.join(path.name for path in paths)} are one class, {name}")
            lines += [
                f"{path.name} holds drawings of {name}, by its column word"
                for path in paths
                if self.said[path] is not None and stem_name(path).casefold() != name.casefold()
            ]
        return lines

    def _written(self, path: Path) -> str:
        word = self.said[path]
        return stem_name(path) if word is None else word


def present(folder: Path) -> Path:
    """A folder that can be read. Raises UserError."""
    if not folder.exists():
        raise UserError(f"{folder} is missing: give the folder that holds the drawings with --input FOLDER")
    if not folder.is_dir():
        raise UserError(f"{folder} is a file: give the folder that holds the drawings with --input FOLDER")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UserError(f"{folder} cannot be read: mend its permissions, or give another --input FOLDER")
    return folder


def listed(folder: Path, suffix: str) -> list[Path]:
    """The files of a folder with a suffix, whatever its capitals; those that systems hide are not meant."""
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return []
    return [path for path in paths if path.suffix.lower() == suffix and not path.name.startswith((".", "~$"))]


def classify(paths: Sequence[Path], words_in: Callable[[Path], list[str]]) -> ClassFiles:
    """Sort files by class. words_in: the words of a file's first rows and its last; none where it has no such column.

    Raises UserError for a file whose rows say several.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    said: dict[Path, str | None] = {}
    left_out: dict[Path, Path] = {}
    for path in paths:
        words = {naming.canonical(word): word for word in reversed(words_in(path))}
        words = {name: word for name, word in words.items() if 0 < len(name) <= LONGEST_NAME}
        if len(words) > 1:
            several = " and ".join(sorted(words)[:2])
            raise UserError(f"{path} has rows of several words ({several}): make one file of each, or move it away")
        said[path] = next(iter(words.values()), None)
        name = next(iter(words), stem_name(path))
        twin = next((other for other in found[name] if _same(path, other)), None)
        if twin is None:
            found[name].append(path)
        else:
            left_out[path] = twin
    return ClassFiles(dict(found), said, left_out)


def stem_name(path: Path) -> str:
    """The class that a file's name speaks of."""
    text = path.stem.encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # a name may be no UTF-8
    stem = naming.canonical(urllib.parse.unquote(text))
    return _AROUND.sub("", stem) or stem


def _same(path: Path, other: Path) -> bool:
    if disk.fault(path) is not None or disk.fault(other) is not None:
        return False
    try:
        return path.stat().st_size == other.stat().st_size > 0 and filecmp.cmp(path, other, shallow=False)
    except OSError:
        return False


def words_of_csv(path: Path) -> list[str]:
    """The words that the first rows and the last of Kaggle's CSV say; none where it has no such column."""
    header, *lines = [csv_cells_of(line) for line in glance(path, 1 + GLANCED)] or [[]]
    if WORD not in header:
        return []
    return [cells[header.index(WORD)] for cells in lines if len(cells) == len(header)]


def csv_cells_of(line: bytes) -> list[str]:
    """The cells of one line; none where it is no CSV."""
    try:
        return csv_cells(line)
    except ValueError:
        return []


def words_of_ndjson(path: Path) -> list[str]:
    """The words that the first rows and the last of Google's ndjson say."""
    rows = []
    for line in glance(path, GLANCED):
        try:
            rows.append(orjson.loads(line.removeprefix(b"\xef\xbb\xbf")))
        except orjson.JSONDecodeError:  # said when the line is read
            continue
    words = [row.get(WORD) for row in rows if isinstance(row, dict)]
    return [str(word) for word in words if word and isinstance(word, (str, int))]


def glance(path: Path, rows: int) -> list[bytes]:
    """The first lines of a file that are not blank, and its last; none where it cannot be read."""
    if disk.fault(path) is not None:
        return []
    try:
        with open(path, "rb", buffering=0) as file:
            start = file.read(_GLANCE)
            while b"\n" not in start and len(start) < LONGEST and (more := file.read(len(start))):
                start += more
            size = file.seek(0, 2)
            begin = file.seek(max(len(start), size - _GLANCE))
            rest = file.read(size - begin)
    except OSError:
        return []
    lines = start.split(b"\n") if size == len(start) else start.split(b"\n")[:-1]
    last = [line for line in rest.split(b"\n")[1:] if line.strip()][-1:]
    return [line for line in lines if line.strip()][:rows] + last
