"""The settings of preparation, declared once for the script and for ./inv prepare; standard library only."""

from dataclasses import dataclass

from project.work.declaration import setting

SOURCES = ("kaggle", "ndjson", "bucket", "sample")
RASTERS = ("upstream", "area")  # the methods of project/work/dataset/raster.py, which is costly to import


@dataclass(frozen=True)
class PreparationSettings:
    """Where drawings come from, how many, and how they become pictures."""

    source: str | None = setting(None, "where drawings come from; by default whatever --input holds", choices=SOURCES)
    input: str | None = setting(
        None, "folder of Kaggle's or Google's files; by default quickdraw_original beside quickdraw.py"
    )
    dataset: str | None = setting(None, "name of the prepared set; by default quickdraw, or sample for the sample")
    output: str | None = setting(None, "folder that holds prepared sets; by default project/input")
    per_class: int = setting(300, "drawings a class", within="[2, inf)")
    first: bool = setting(False, "take the first rows instead of a random sample")
    recognized: bool = setting(False, "take only drawings that the game recognised")
    classes: str | None = setting(None, "classes to take: cat,dog or a file with one name a line; by default all")
    raw: bool = setting(False, "read raw strokes where simplified ones exist too, and simplify them here")
    size: int = setting(32, "side of a picture in pixels", within="[8, 256]")
    train_ratio: float = setting(0.8, "share of each class that becomes training data", within="(0, 1)")
    raster: str = setting("upstream", "how strokes are drawn", choices=RASTERS)
    seed: int = setting(0, "seed of the sample and of the split", within="[0, inf)")
