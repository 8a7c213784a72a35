"""Which classes are drawn, and how one becomes pictures in their places."""

import difflib
import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from project.data_preparation.options import PreparationSettings
from project.data_preparation.pieces import Pieces
from project.data_preparation.publishing import check_classes, split
from project.data_preparation.rows import Rows
from project.data_preparation.simplification import LARGEST, simplify
from project.data_preparation.sources import Source
from project.work.common import progress
from project.work.dataset import raster
from project.work.dataset.drawings import Drawings
from project.work.declaration import UserError


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


def draw_class(settings: PreparationSettings, source: Source, pieces: Pieces, label: int) -> None:
    """Sample, draw and divide one class. Raises UserError for bad input."""
    word = pieces.names[label]
    generator = np.random.default_rng([settings.seed, *word.encode()])
    version = source.version(word)
    rows = source.read(word, settings.per_class, None if settings.first else generator)
    rows = itertools.chain([next(rows)], rows)  # the sample is drawn before the parts are
    parts = dict(zip(pieces.rows, split(settings.per_class, settings.train_ratio, generator), strict=True))
    keys: dict[str, list[pd.DataFrame]] = {part: [] for part in parts}
    start = 0
    for some in rows:
        pictures = raster.render(_simplified(source, word, some), settings.size, settings.raster)
        table, end = _keys(some.keys, pieces.names), start + len(some.keys)
        for part, chosen in parts.items():
            first, after = np.searchsorted(chosen, (start, end))
            pieces.put(label, part, int(first), pictures[chosen[first:after] - start])
            keys[part].append(table.iloc[chosen[first:after] - start])
        start = end
    pieces.finish(label, {part: pd.concat(tables) for part, tables in keys.items()}, version)


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


def _keys(keys: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    if "true_word" not in keys:
        return keys
    labels = {name: label for label, name in enumerate(names)}
    # -1: known to show a class that was not taken, hence surely wrong whatever its label.
    true = keys["true_word"].map(lambda word: labels.get(word, -1)).astype(np.int64)
    return keys.drop(columns="true_word").assign(true_label=true)
