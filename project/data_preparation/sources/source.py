"""Sources of drawings: Kaggle's CSV folder, Google's ndjson folder or public bucket, the built-in sample."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from project.data_preparation.options import PreparationSettings
from project.data_preparation.parsing.rows import Rows
from project.data_preparation.sources import classes
from project.data_preparation.sources.bucket import Bucket
from project.data_preparation.sources.folders import KaggleFolder, NdjsonFolder
from project.work.common import UserError

DEFAULT_INPUT = Path(__file__).parents[1] / "quickdraw_original"
WAYS = """no drawings yet; there are three ways to get some:
  the built-in sample, synthetic and offline:   ./inv prepare --source sample
  Google's public bucket, no account needed:    ./inv prepare --source bucket --classes "cat,dog,apple"
  a folder of Kaggle's or Google's files:       ./inv prepare --input FOLDER
    (FOLDER/train_simplified/*.csv or train_raw/*.csv from kaggle.com/c/quickdraw-doodle-recognition, or *.ndjson)"""


class Source(Protocol):
    """Drawings by class. raw: strokes are not simplified yet; synthetic: no person drew them."""

    raw: bool
    synthetic: bool

    def words(self) -> list[str]:
        """The names of the classes, sorted."""

    def notes(self, names: Iterable[str]) -> list[str]:
        """Notes for a person on how these classes were found."""

    def rows(self, word: str, enough: int) -> int | None:
        """How many rows a class has, counted only up to `enough`; None if counting is expensive."""

    def version(self, word: str) -> str:
        """A text that changes when the drawings of a class change."""

    def read(self, word: str, count: int, generator: np.random.Generator | None) -> Iterator[Rows]:
        """Draw `count` rows uniformly without replacement (generator None: the first), in the order of the source.

        All rows are chosen before the first piece is yielded. Raises UserError for a broken row, unless those are
        skipped, and for fewer rows than requested.
        """


def choose(settings: PreparationSettings) -> str:
    """The kind of source that the settings name; without data, raises UserError with the ways to get some."""
    if settings.source is not None:
        return settings.source
    folder = input_folder(settings)
    if settings.input is None and not folder.exists():
        raise UserError(WAYS)
    places = (folder, folder / "simplified", folder / "raw")
    return "ndjson" if any(classes.listed(place, ".ndjson") for place in places) else "kaggle"


def open_source(settings: PreparationSettings, scratch: Path) -> Source:
    """Open the source that the settings name; the sample is drawn into `scratch` first.

    Raises UserError when a folder is missing, unreadable or without such files.
    """
    kind, options = choose(settings), {"raw": settings.raw, "recognized": settings.recognized}
    options["skip_broken"] = settings.skip_broken
    if kind == "bucket":
        return Bucket(**options)
    if kind == "sample":
        return _sample(settings, scratch)
    folder = input_folder(settings)
    if settings.input is None and not folder.exists():
        raise UserError(f"{folder} is missing: put the drawings there, or give --input FOLDER")
    return KaggleFolder(folder, **options) if kind == "kaggle" else NdjsonFolder(folder, **options)


def input_folder(settings: PreparationSettings) -> Path:
    """The folder that holds the drawings."""
    if settings.input is not None and not settings.input.strip():  # from an empty variable, for example
        raise UserError("--input is empty: give the folder of the drawings, or leave --input out")
    return DEFAULT_INPUT if settings.input is None else Path(os.path.expanduser(settings.input))


def _sample(settings: PreparationSettings, scratch: Path) -> KaggleFolder:
    if settings.raw:
        raise UserError("--raw: the sample has simplified strokes only; leave --raw out")
    # Some doodles are not recognised, so more are drawn if only recognised ones are taken.
    per_class = settings.per_class * 2 if settings.recognized else settings.per_class
    from project.data_preparation.sources import sample  # imported only for the sample

    sample.write(scratch, per_class, settings.seed)
    source = KaggleFolder(scratch, recognized=settings.recognized, skip_broken=settings.skip_broken)
    source.synthetic = True
    return source
