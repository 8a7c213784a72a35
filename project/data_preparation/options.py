"""The settings of preparation, declared once for the script and for ./inv prepare; standard library only."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from project.work.settings.flags import setting

SOURCES = ("kaggle", "ndjson", "bucket", "sample")
RASTERS = ("distance", "upstream")  # the methods of project/work/raster/raster.py, which is costly to import
FITS = ("pad", "crop", "stretch")  # what project/work/picture_files/pixels.py can do
BORDERS = ("median", "replicate", "white", "black")  # and what it fills up with


@dataclass(frozen=True)
class PreparationSettings:
    """Where drawings come from, how many, and how they become pictures."""

    source: str | None = setting(None, "where drawings come from; by default whatever --input holds", choices=SOURCES)
    input: str | None = setting(
        None, "folder of Kaggle's or Google's files; by default quickdraw_original beside quickdraw.py", value="PATH"
    )
    dataset: str | None = setting(
        None, "name of the prepared set; by default quickdraw, or sample for the sample", value="NAME"
    )
    output: str | None = setting(None, "folder that holds prepared sets; by default project/input", value="FOLDER")
    per_class: int = setting(300, "drawings a class", within="[2, inf)")
    first: bool = setting(False, "take the first rows instead of a random sample")
    recognized: bool = setting(False, "take only drawings that the game recognised")
    classes: str | None = setting(
        None, "classes to take: cat,dog or a file with one name a line; by default all", value="NAMES"
    )
    raw: bool = setting(False, "read raw strokes where simplified ones exist too, and simplify them here")
    size: int = setting(32, "side of a picture in pixels", within="[8, 256]")
    train_ratio: float = setting(0.8, "share of each class that becomes training data", within="(0, 1)")
    raster: str = setting("distance", "how strokes are drawn; upstream: as the predecessor did", choices=RASTERS)
    seed: int = setting(0, "seed of the sample and of the split", within="[0, inf)")
    processes: int | None = setting(None, "processes; by default one a core for many drawings", within="[1, 256]")
    skip_broken: bool = setting(False, "leave out drawings that cannot be read, instead of stopping")


@dataclass(frozen=True)
class SourceSettings:
    """Source: what the classes and groups of pictures are called there, where that cannot be found out."""

    class_depth: int | None = setting(
        None, "levels below --input at which the classes are: 1 for INPUT/cat; by default found out", within="[1, 99]"
    )
    path_column: str | None = setting(
        None, "column of a CSV with the paths; by default path, filename or the like", value="NAME"
    )
    label_column: str | None = setting(
        None, "column of a table (or array of an .npz) with the classes; by default label, class or the like",
        value="NAME",
    )  # fmt: skip
    group_column: str | None = setting(
        None, "column whose groups (a person, a writer) stay in one part; by default group, person or the like; none"
        " divides them",
        value="NAME",
    )  # fmt: skip
    label_pattern: str | None = setting(
        None, "how the files of one folder are named: {id}_{label}, with {group} and {part} where they have some",
        value="PATTERN",
    )  # fmt: skip


@dataclass(frozen=True)
class PictureSettings:
    """Pictures: which ones, how many, and how each becomes a square."""

    input: str | None = setting(
        None, "folder with one sub-folder a class, a CSV with the columns path,label, or an .npz or .parquet file",
        value="PATH",
    )  # fmt: skip
    dataset: str | None = setting(None, "name of the prepared set; by default that of the folder or CSV", value="NAME")
    output: str | None = setting(None, "folder that holds prepared sets; by default project/input", value="FOLDER")
    size: int = setting(32, "side of a picture in pixels", within="[8, 1024]")
    channels: str | None = setting(None, "grey or colour; by default 1 when all pictures are grey", choices=("1", "3"))
    fit: str = setting("pad", "how a picture becomes square: padded, cut to its middle, or stretched", choices=FITS)
    margin: float = setting(
        0.0, "how much longer than the longer side of a picture its padded square is: 0.1 leaves a twentieth on either"
        " side",
        within="[0, 2]",
    )  # fmt: skip
    border: str = setting(
        "median", "what a picture is padded with: the median of its border, its border drawn on, white or black (before"
        " --invert)",
        choices=BORDERS,
    )  # fmt: skip
    invert: bool = setting(False, "turn dark ink on white into white ink on black")
    train_ratio: float = setting(0.8, "share of each class that becomes training data", within="(0, 1)")
    seed: int = setting(0, "seed of the choice and of the split", within="[0, inf)")
    per_class: int | None = setting(None, "at most so many pictures a class; by default all", within="[2, inf)")
    valid_per_class: int | None = setting(
        None, "so many training pictures of each class become the validation part; by default training draws it",
        within="[1, inf)",
    )  # fmt: skip
    balance: int | None = setting(
        None, "exactly so many training pictures of each class: more are thinned, fewer are repeated", within="[1, inf)"
    )
    skip_broken: bool = setting(False, "leave out pictures that cannot be read, instead of stopping")
    largest_picture: float = setting(100.0, "megapixels of a picture file that is decoded, at most", within="(0, 1000]")
    largest_file: float = setting(256.0, "megabytes of a picture file that is read, at most", within="(0, 16000]")
    label_columns: str | None = setting(
        None, "further columns of labels, a,b, for --label-set of training; by default label_NAME or NAME_label",
        value="NAMES",
    )  # fmt: skip


@dataclass(frozen=True)
class ImageFolderSettings(SourceSettings, PictureSettings):
    """Pictures of a person's own, and how they become a data set."""


@dataclass(frozen=True)
class CheckSettings(SourceSettings):
    """What to check, and where what is found goes."""

    input: str | None = setting(
        None, "folder with a folder a class, CSV of path,label, or any other form of prepare-images", value="PATH"
    )
    output: str | None = setting(
        None, "folder in which the check has its own; project/output when not given", value="FOLDER", usual=True
    )
    size: int | None = setting(
        None, "side in pixels at which pictures are looked at; by their own sizes when not given, 224 for photos",
        within="[8, 1024]", usual=True,
    )  # fmt: skip
    browser: bool = setting(True, "open the page, where there is a terminal and a browser", usual=True)
    model: str = setting("tf_efficientnet_lite0", "pretrained network of timm that gives features", value="NAME")
    weights: str | None = setting(None, "file with its weights; those installed when not given", value="FILE")
    device: str = setting("auto", "where to compute", choices=("auto", "cpu", "cuda", "mps"))


@dataclass(frozen=True)
class ApplySettings(SourceSettings):
    """Which corrections, of which pictures, and where to."""

    corrections: str | None = setting(None, "corrections.csv, as the page of a check exports it", value="FILE")
    to: str | None = setting(
        None, "new folder with a folder a class, or new CSV of path,label; a new .npz or .parquet file for pictures in"
        " such a file",
        value="FOLDER|FILE", usual=True,
    )  # fmt: skip
    input: str | None = setting(
        None, "the folder or list that the corrections are of; by default that of the check that has these pictures",
        value="PATH", usual=True,
    )  # fmt: skip
    link: bool = setting(False, "link the files instead of copying them, where that takes no room", usual=True)
    output: str | None = setting(
        None, "folder in which checks are looked for; project/output when not given", value="FOLDER"
    )


@dataclass(frozen=True)
class FigureSettings:
    """What to draw and where to put it."""

    dataset: str | None = setting(
        None, "name of a prepared data set; by default quickdraw if prepared, else sample", value="NAME"
    )
    input: str | None = setting(None, "folder that holds prepared sets; by default project/input", value="PATH")
    output: str | None = setting(
        None,
        "folder for the pictures, in which those of the same names are replaced; by default project/output/figures",
        value="FOLDER",
    )


def source_values(settings: SourceSettings) -> dict[str, Any]:
    """The settings of a source that are given, for another command that reads the same source."""
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(SourceSettings)}
    return {name: value for name, value in values.items() if value is not None}
