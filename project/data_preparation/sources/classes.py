"""Finds the class of each file of a folder: the word in its rows or, without words, the file's name.

Only the start and the end of a file are read.
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

LONGEST_NAME = 200  # characters; a longer word is not a class name
LONGEST = 1 << 23  # bytes of a line, at most; a raw drawing of 20 seconds has some 100,000
GLANCED = 8  # rows at the start of a file whose words are read
_GLANCE = 1 << 15  # bytes read at either end of a file
# What browsers and Google's bucket add to a class's name: full_simplified_cat, full/raw/cat, cat (1), cat - Copy.
_AROUND = re.compile(r"^full[_/](?:simplified|raw)[_/]|(?: ?\(\d+\)| - Copy)+$")


@dataclass(frozen=True)
class ClassFiles:
    """files: of each class, sorted by name; said: the word as written in the rows of each file, if they have one."""

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
        raise UserError(f"{folder} cannot be read: fix its permissions, or give another --input FOLDER")
    return folder


def listed(folder: Path, suffix: str) -> list[Path]:
    """The files of a folder with a suffix in any case, without hidden files."""
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return []
    return [path for path in paths if path.suffix.lower() == suffix and not path.name.startswith((".", "~$"))]


def classify(paths: Sequence[Path], words_in: Callable[[Path], list[str]]) -> ClassFiles:
    """Group files by class. words_in: the words of a file's first rows and its last row; none without such a column.

    Raises UserError for a file with rows of several words.
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
    """The class in a file's name."""
    text = path.stem.encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # a name may not be UTF-8
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
    """The words of the first rows and the last row of Kaggle's CSV; none without such a column."""
    header, *lines = [csv_cells_of(line) for line in glance(path, 1 + GLANCED)] or [[]]
    if WORD not in header:
        return []
    return [cells[header.index(WORD)] for cells in lines if len(cells) == len(header)]


def csv_cells_of(line: bytes) -> list[str]:
    """The cells of one line; none if it is not CSV."""
    try:
        return csv_cells(line)
    except ValueError:
        return []


def words_of_ndjson(path: Path) -> list[str]:
    """The words of the first rows and the last row of Google's ndjson."""
    rows = []
    for line in glance(path, GLANCED):
        try:
            rows.append(orjson.loads(line.removeprefix(b"\xef\xbb\xbf")))
        except orjson.JSONDecodeError:  # reported when the line is read
            continue
    words = [row.get(WORD) for row in rows if isinstance(row, dict)]
    return [str(word) for word in words if word and isinstance(word, (str, int))]


def glance(path: Path, rows: int) -> list[bytes]:
    """The first lines of a file that are not blank, and its last line; none if it cannot be read."""
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
