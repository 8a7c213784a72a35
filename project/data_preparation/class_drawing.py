"""Which classes are drawn, and how one becomes pictures in their places."""

import difflib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from project.data_preparation import repeats
from project.data_preparation.options import PreparationSettings
from project.data_preparation.parsing.rows import Rows
from project.data_preparation.publishing import check_classes, split
from project.data_preparation.shards import Piece, Pieces
from project.data_preparation.sources.source import Source
from project.work import class_names, files
from project.work.common import progress
from project.work.declaration import UserError
from project.work.raster import raster
from project.work.raster.raster import Drawings, simplify

Columns = dict[str, np.ndarray]
LONGEST_LIST = 1 << 20  # bytes of a file with the names of classes
_AROUND = ' ,;"'  # what stands around a name in a list that a spreadsheet saved


def choose_classes(text: str | None, known: list[str]) -> tuple[list[str], list[str]]:
    """The classes that --classes means, sorted, and as they were written. Raises UserError for an unknown one."""
    if text is None:
        check_classes(known)
        return known, known
    if not text.strip(_AROUND):  # of an empty variable, say
        raise UserError("--classes is empty: name at least 2 classes, or leave --classes out to take all")
    forms = {class_names.canonical(name): name for name in known}
    written = _written(text, forms)
    for name in written:
        if class_names.canonical(name) not in forms:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known[:5])} ..."
            raise UserError(f"--classes: there is no class {name[:80]} in this source; {hint}")
    names = sorted({forms[class_names.canonical(name)] for name in written})
    check_classes(names)
    return names, written


def _written(text: str, known: Mapping[str, str]) -> list[str]:
    """The names that --classes lists, or those of the file that it is the path of, one a line or between commas."""
    path = Path(os.path.expanduser(text))
    if os.path.isfile(path) or (os.path.lexists(path) and class_names.canonical(text) not in known):
        lines = [line.strip() for line in files.read_text(path, LONGEST_LIST).splitlines()]
        lines = [line for line in lines if not line.startswith("#") or class_names.canonical(line) in known]
    else:
        lines = [text]
    return [name for line in lines for name in _of_line(line, known) if class_names.canonical(name)]


def _of_line(line: str, known: Mapping[str, str]) -> list[str]:
    """One name, which may have commas of its own, or several between commas."""
    whole = next((name for name in (line, line.strip(_AROUND)) if class_names.canonical(name) in known), None)
    return [name.strip(_AROUND) for name in line.split(",")] if whole is None else [whole]


def check_rows(source: Source, names: list[str], per_class: int) -> None:
    """Raise UserError when a class has too few rows, as far as that is cheap to know."""
    counts = {word: source.rows(word, per_class) for word in progress(names, desc="checking files", unit="class")}
    short = {word: count for word, count in counts.items() if count is not None and count < per_class}
    if short:
        fewest = min(short, key=lambda word: short[word])
        others = f" ({len(short)} classes have too few)" if len(short) > 1 else ""
        advice = f"try --per-class {short[fewest]}" if short[fewest] >= 2 else "leave the class out with --classes"
        raise UserError(f"{fewest} has {short[fewest]} drawings, fewer than --per-class {per_class}{others}: {advice}")


def warm_up(settings: PreparationSettings, source: Source, word: str) -> None:
    """Draw the first row of a class and keep nothing: what that compiles or loads, forked processes have already."""
    for rows in source.read(word, 1, None):
        pictures = raster.render(_simplified(source, rows.drawings), settings.size, settings.raster)
        repeats.picture_marks(pictures), repeats.key_marks(rows.keys["key_id"])


def draw_piece(settings: PreparationSettings, source: Source, pieces: Pieces, labels: range) -> None:
    """Sample, draw and divide some classes. Raises UserError for bad input."""
    versions = {pieces.names[label]: source.version(pieces.names[label]) for label in labels}
    keys: dict[str, list[Columns]] = {part: [] for part in pieces.rows}
    piece = pieces.begin(labels)
    for label in labels:
        for part, columns in _draw_class(settings, source, pieces, piece, label):
            keys[part].append(columns)
    whole = {
        part: {name: np.concatenate([columns[name] for columns in each]) for name in each[0]}
        for part, each in keys.items()
    }
    pieces.finish(piece, whole, versions.__getitem__)


def _draw_class(
    settings: PreparationSettings, source: Source, pieces: Pieces, piece: Piece, label: int
) -> Iterator[tuple[str, Columns]]:
    """Put one class's pictures into their places; gives its keys by part, in the order of the pictures."""
    word = pieces.names[label]
    generator = np.random.default_rng([settings.seed, *word.encode()])
    rows = source.read(word, settings.per_class, None if settings.first else generator)
    rows = itertools.chain([next(rows)], rows)  # the sample is drawn before the parts are
    parts = dict(zip(pieces.rows, split(settings.per_class, settings.train_ratio, generator), strict=True))
    start, seen = 0, _SeenKeys(word)
    for some in rows:
        piece.left_out.extend(some.left_out)
        marks = seen.add(some)
        columns, end = _keys(some.keys, pieces.names), start + len(some)
        first = {part: int(np.searchsorted(chosen, start)) for part, chosen in parts.items()}
        within = {part: chosen[first[part] : np.searchsorted(chosen, end)] - start for part, chosen in parts.items()}
        order = np.concatenate(list(within.values()))
        pictures = raster.render(_simplified(source, some.drawings), settings.size, settings.raster, order)
        for part, own in within.items():
            place = (label - piece.labels.start) * pieces.rows[part] + first[part]
            pieces.put(piece, part, place, pictures[: len(own)], marks[own])
            yield part, {name: column[own] for name, column in columns.items()}
            pictures = pictures[len(own) :]
        start = end
    seen.check()


class _SeenKeys:
    """The keys of a class so far, each of which may name one drawing alone."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.marks: list[np.ndarray] = []
        self.rows: list[tuple[np.ndarray, Callable[[int], str]]] = []

    def add(self, rows: Rows) -> np.ndarray:
        """Take note of some keys; returns their marks, uint64 (N,)."""
        keys = rows.keys["key_id"]
        self.marks.append(repeats.key_marks(keys))
        self.rows.append((keys, rows.places))
        return self.marks[-1]

    def check(self) -> None:
        """Raise UserError when a key is there twice."""
        if not repeats.any_twice(np.concatenate(self.marks)):
            return
        first: dict[str, str] = {}
        for keys, places in self.rows:
            for number, key in enumerate(keys.tolist()):
                if key in first:
                    raise UserError(
                        f"{self.word}: key_id {key} is in {first[key]} and in {places(number)}, but names one drawing:"
                        " delete one of them, or leave such out with --skip-broken"
                    )
                first[key] = places(number)


def _simplified(source: Source, drawings: Drawings) -> Drawings:
    return simplify(drawings) if source.raw else drawings


def _keys(keys: Columns, names: list[str]) -> Columns:
    if "true_word" not in keys:
        return keys
    labels = {name: label for label, name in enumerate(names)}
    # -1: known to show a class that was not taken, hence surely wrong whatever its label.
    true = [labels.get(word, -1) for word in keys["true_word"].tolist()]
    return {name: column for name, column in keys.items() if name != "true_word"} | {"true_label": np.array(true)}
