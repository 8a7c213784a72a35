"""Which classes are drawn, and how one becomes pictures in their places."""

import difflib
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from project.data_preparation.options import PreparationSettings
from project.data_preparation.pieces import Piece, Pieces
from project.data_preparation.publishing import check_classes, split
from project.data_preparation.rows import Rows
from project.data_preparation.simplification import LARGEST, simplify
from project.data_preparation.sources import Source
from project.work.common import progress
from project.work.dataset import raster
from project.work.dataset.drawings import Drawings
from project.work.declaration import UserError

Columns = dict[str, np.ndarray]


def choose_classes(text: str | None, known: list[str]) -> list[str]:
    """The classes that --classes means, sorted. Raises UserError for an unknown one."""
    if text is None:
        names = known
    else:
        path = Path(text).expanduser()
        listed = path.read_text(encoding="utf-8").splitlines() if path.is_file() else text.split(",")
        names = sorted({name.strip() for name in listed} - {""})
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known[:5])} ..."
            raise UserError(f"--classes: there is no class {name} in this source; {hint}")
    check_classes(names)
    return names


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
        raster.render(_simplified(source, word, rows), settings.size, settings.raster)


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
    start = 0
    for some in rows:
        columns, end = _keys(some.keys, pieces.names), start + len(some.positions)
        first = {part: int(np.searchsorted(chosen, start)) for part, chosen in parts.items()}
        within = {part: chosen[first[part] : np.searchsorted(chosen, end)] - start for part, chosen in parts.items()}
        order = np.concatenate(list(within.values()))
        pictures = raster.render(_simplified(source, word, some), settings.size, settings.raster, order)
        for part, own in within.items():
            place = (label - piece.labels.start) * pieces.rows[part] + first[part]
            pieces.put(piece, part, place, pictures[: len(own)])
            yield part, {name: column[own] for name, column in columns.items()}
            pictures = pictures[len(own) :]
        start = end


def _simplified(source: Source, word: str, rows: Rows) -> Drawings:
    drawings = rows.drawings
    if source.raw:
        return simplify(drawings)
    number = drawings.outside(0, LARGEST)
    if number is not None:
        points = np.concatenate(drawings[number])
        place, span = source.place(word, int(rows.positions[number])), f"{points.min():g} to {points.max():g}"
        raise UserError(f"{place}: coordinates {span} leave 0 to 255; if these strokes are raw, give --raw")
    return drawings


def _keys(keys: Columns, names: list[str]) -> Columns:
    if "true_word" not in keys:
        return keys
    labels = {name: label for label, name in enumerate(names)}
    # -1: known to show a class that was not taken, hence surely wrong whatever its label.
    true = [labels.get(word, -1) for word in keys["true_word"].tolist()]
    return {name: column for name, column in keys.items() if name != "true_word"} | {"true_label": np.array(true)}
