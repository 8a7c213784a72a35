"""Turn doodles drawn as strokes into a prepared data set: strokes -> project/input/<dataset>."""

import dataclasses
import difflib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from project.data_preparation import sources, strokes
from project.data_preparation.options import PreparationSettings
from project.work.dataset import raster, storage
from project.work.declaration import UserError, parse, run_command

INPUT = Path(__file__).resolve().parents[1] / "input"
GOOGLE_LICENSE = "Quick, Draw! drawings by Google, Inc., CC BY 4.0, https://creativecommons.org/licenses/by/4.0/"
SAMPLE_LICENSE = "synthetic doodles of this repository, drawn by no person, MIT"


def main(argv: Sequence[str] | None = None) -> None:
    """Prepare a data set from the command line."""
    settings = parse(PreparationSettings, argv, "Turn doodles drawn as strokes into pictures to train on.")
    kind = sources.choose(settings)
    name = settings.dataset or ("sample" if kind == "sample" else "quickdraw")
    if Path(name).name != name:
        raise UserError(f"--dataset {name}: give a plain name; --output says in which folder it goes")
    parent = INPUT if settings.output is None else Path(settings.output).expanduser()
    parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=parent))
    try:
        prepared = prepare(settings, kind, scratch / "strokes")
        _publish(prepared, scratch / "ready", parent / name)
    except OSError as error:
        place, reason = error.filename or parent / name, error.strerror or error
        raise UserError(f"{place}: {reason}; {parent / name} is as it was: make room or mend permissions") from error
    except KeyboardInterrupt:
        raise UserError(f"stopped; {parent / name} is as it was, and the same command starts again") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _summarise(prepared, parent / name)


def prepare(settings: PreparationSettings, kind: str, scratch: Path) -> storage.Prepared:
    """Read, draw and split the drawings; everything is in memory afterwards and nothing is written but the sample.

    Raises UserError for bad input, as early as it can be known.
    """
    source = sources.open_source(settings, scratch)
    names = _choose_classes(settings.classes, source.words())
    _check_rows(source, names, settings.per_class)
    pictures, tables, rows = [], [], {"train": [], "test": []}
    for label, word in enumerate(tqdm(names, desc="drawing pictures", unit="class", delay=1)):
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


def split(rows: int, train_ratio: float, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Divide the rows of one class at random: round(train_ratio x rows) for training, at least 1 on either side.

    Returns two sorted int arrays that together hold 0..rows-1; rows must be 2 or more.
    """
    count = min(max(round(train_ratio * rows), 1), rows - 1)
    order = generator.permutation(rows)
    return np.sort(order[:count]), np.sort(order[count:])


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
    if len(names) < 2:
        given = ", ".join(names) or "none"
        raise UserError(f"a classifier needs at least 2 classes, but there is {len(names)} ({given}): add some")
    return names


def _check_rows(source: sources.Source, names: list[str], per_class: int) -> None:
    counts = {word: source.rows(word, per_class) for word in tqdm(names, desc="checking files", unit="class", delay=1)}
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
    counts = (np.bincount(part.labels, minlength=len(names)).tolist() for part in (train, test))
    return {
        "source": kind,
        "synthetic": source.synthetic,
        "license": SAMPLE_LICENSE if source.synthetic else GOOGLE_LICENSE,
        "simplified_here": source.raw,
        "options": options,
        "counts": {name: {"train": a, "test": b} for name, a, b in zip(names, *counts, strict=True)},
    }


def _publish(prepared: storage.Prepared, ready: Path, folder: Path) -> None:
    """Write everything beside the folder, then move it in at once: a full disk leaves an older set as it was."""
    from project.data_preparation import figures  # matplotlib takes a second that a refusal need not wait for

    storage.write(ready, prepared)
    figures.draw_samples(prepared, ready / "image_sample.png")
    folder.mkdir(exist_ok=True)
    for path in sorted(ready.iterdir()):
        os.replace(path, folder / path.name)


def _summarise(prepared: storage.Prepared, folder: Path) -> None:
    kind = prepared.provenance["source"]
    print(f"classes   {len(prepared.names)}")
    print(f"pictures  {len(prepared.train.labels)} train, {len(prepared.test.labels)} test")
    print(f"source    {kind}{' (synthetic)' if prepared.provenance['synthetic'] else ''}")
    print(f"folder    {folder}")
    print(f"next      ./inv train --dataset {folder.name}")


if __name__ == "__main__":
    run_command(main)
