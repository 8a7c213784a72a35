"""Turn doodles drawn as strokes into a prepared data set: strokes -> project/input/<dataset>."""

import dataclasses
import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from project.data_preparation import sources, strokes
from project.data_preparation.options import PreparationSettings
from project.data_preparation.publishing import check_classes, counts, publish, split, summarise
from project.work.common import progress
from project.work.dataset import raster, storage
from project.work.declaration import UserError, parse, run_command

GOOGLE_LICENSE = "Quick, Draw! drawings by Google, Inc., CC BY 4.0, https://creativecommons.org/licenses/by/4.0/"
SAMPLE_LICENSE = "synthetic doodles of this repository, drawn by no person, MIT"


def main(argv: Sequence[str] | None = None) -> None:
    """Prepare a data set from the command line."""
    settings = parse(PreparationSettings, argv, "Turn doodles drawn as strokes into pictures to train on.")
    kind = sources.choose(settings)
    name = settings.dataset or ("sample" if kind == "sample" else "quickdraw")
    prepared, folder = publish(settings.output, name, lambda scratch: prepare(settings, kind, scratch))
    summarise(prepared, folder, f"{kind} (synthetic)" if prepared.provenance["synthetic"] else kind)


def prepare(settings: PreparationSettings, kind: str, scratch: Path) -> storage.Prepared:
    """Read, draw and split the drawings; everything is in memory afterwards and nothing is written but the sample.

    Raises UserError for bad input, as early as it can be known.
    """
    source = sources.open_source(settings, scratch)
    names = _choose_classes(settings.classes, source.words())
    _check_rows(source, names, settings.per_class)
    pictures, tables, rows = [], [], {"train": [], "test": []}
    for label, word in enumerate(progress(names, desc="drawing pictures", unit="class")):
        generator = np.random.default_rng([settings.seed, *word.encode()])
        table = source.read(word, settings.per_class, None if settings.first else generator)
        drawings = [_strokes(source, word, position, text) for position, text in table["drawing"].items()]
        pictures.append(raster.render(drawings, settings.size, settings.raster))
        tables.append(_keys(table, names))
        parts = split(len(table), settings.train_ratio, generator)
        for part, chosen in zip(rows, parts, strict=True):
            rows[part].append(chosen + label * settings.per_class)
    images, keys = np.concatenate(pictures), pd.concat(tables, ignore_index=True)
    labels = np.repeat(np.arange(len(names)), settings.per_class)
    train, test = (
        storage.Pictures(images[chosen], labels[chosen], keys.iloc[chosen].reset_index(drop=True))
        for chosen in map(np.concatenate, rows.values())
    )
    return storage.Prepared(train, test, names, _provenance(settings, kind, source, train, test, names))


def _choose_classes(text: str | None, known: list[str]) -> list[str]:
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


def _check_rows(source: sources.Source, names: list[str], per_class: int) -> None:
    counts = {word: source.rows(word, per_class) for word in progress(names, desc="checking files", unit="class")}
    short = {word: count for word, count in counts.items() if count is not None and count < per_class}
    if short:
        fewest = min(short, key=lambda word: short[word])
        others = f" ({len(short)} classes have too few)" if len(short) > 1 else ""
        advice = f"try --per-class {short[fewest]}" if short[fewest] >= 2 else "leave the class out with --classes"
        raise UserError(f"{fewest} has {short[fewest]} drawings, fewer than --per-class {per_class}{others}: {advice}")


def _strokes(source: sources.Source, word: str, position: int, text: str) -> list[np.ndarray]:
    try:
        drawing = strokes.parse(text)
    except ValueError as error:
        raise UserError(f"{source.place(word, position)}: {error}; mend or delete this line") from error
    if source.raw:
        return strokes.simplify(drawing)
    points = np.concatenate(drawing)
    low, high = points.min(), points.max()
    if low < 0 or high > strokes.LARGEST:
        place = source.place(word, position)
        raise UserError(f"{place}: coordinates {low} to {high} leave 0 to 255; if these strokes are raw, give --raw")
    return drawing


def _keys(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    keys = table[["key_id", "countrycode", "recognized"]]
    if "true_word" not in table:
        return keys
    labels = {name: label for label, name in enumerate(names)}
    # -1: known to show a class that was not taken, hence surely wrong whatever its label.
    return keys.assign(true_label=table["true_word"].map(lambda word: labels.get(word, -1)).astype(np.int64))


def _provenance(
    settings: PreparationSettings,
    kind: str,
    source: sources.Source,
    train: storage.Pictures,
    test: storage.Pictures,
    names: list[str],
) -> dict[str, object]:
    """Where the data came from; no date and no output folder, so that the same seed gives the same bytes."""
    options = dataclasses.asdict(settings)
    del options["output"], options["dataset"]
    return {
        "source": kind,
        "synthetic": source.synthetic,
        "license": SAMPLE_LICENSE if source.synthetic else GOOGLE_LICENSE,
        "simplified_here": source.raw,
        "options": options,
        "counts": counts(train, test, names),
    }


if __name__ == "__main__":
    run_command(main)
