"""The tables and lists of an audit's page: facts, classes, blank and identical pictures, as plain values.

The template decides how they look.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from project.work.common import UserError
from project.work.pages.rendering import Cell, cell

LISTED = 200  # groups of duplicates, and blank pictures
_LABELS = {
    "rows": "training and validation pictures",
    "noise_rate": "estimated noise rate",
    "noise_rate_least": "at least, if the surest predictions are right and labels are wrong there as often as others",
    "noise_rate_most": "at most, if every label that differs from the prediction is wrong",
    "confident_rate": "share of wrong labels by confident learning, which also counts a weak model's confusions",
    "agreement": "share of labels that the fold models agree with",
    "chance_agreement": "share that always predicting the commonest class would agree with",
    "sure_rows": "the surest 5% of the predictions",
    "sure_disagreement": "share of their labels that differ",
    "models": "what the fold models learnt",
    "flag_by": "estimate that decides how many labels are flagged",
    "noise_type": "noise added on purpose",
    "noise_rate_asked": "requested share of changed labels",
    "known": "labels known to be right or wrong",
    "wrong": "of these, wrong",
    "true_noise_rate": "share of these that are wrong",
    "auroc": "AUROC against the known errors",
    "average_precision": "average precision against the known errors",
    "precision_flagged": "precision of the flagged set",
    "recall_flagged": "recall of the flagged set",
    "precision_true_count": "precision at the true count of errors",
}
_HEADINGS = {"flagged_share": "share flagged", "confident_rate": "share wrong by confident learning"}


@dataclass(frozen=True)
class ClassLine:
    """A line of the table of classes. name_at: index of the cell with the name."""

    label: int
    cells: list[Cell]
    name_at: int


@dataclass(frozen=True)
class Named:
    """A picture by key and label. shown: whether it is on the page, so that it can be clicked."""

    row: int
    key: str
    name: str
    shown: bool


@dataclass(frozen=True)
class Identical:
    """A group of identical pictures. different: whether their labels differ."""

    different: bool
    members: list[Named]


def note(table: pd.DataFrame, shown: int, least: int = 0) -> str:
    """Says which pictures the page shows. least: see `page.chosen`."""
    flagged = int(table["flagged"].sum())
    if flagged < least:
        return (
            f"Most suspicious first: {flagged:,} flagged, then other labels that differ from the prediction. Go on as"
            " long as you find wrong ones. Blank pictures and copies come last, where there are any."
        )
    if flagged == 0:
        return f"No label is flagged. These {shown:,} are the most suspicious ones."
    if shown < flagged:
        return f"The {shown:,} most suspicious of {flagged:,} flagged pictures are here; audit.csv lists all."
    return "Every flagged picture is here, then blank pictures and copies that are not flagged, where there are any."


def facts(known: dict[str, Any]) -> list[tuple[str, Any]]:
    """All facts of audit.json: description and value."""
    return [
        (_LABELS.get(name, name.replace("_", " ")), value)
        for name, value in known.items()
        if not isinstance(value, (dict, list))
    ]


def read_classes(path: Path) -> pd.DataFrame:
    """Read classes.csv. Raises UserError."""
    try:
        table = pd.read_csv(
            path, keep_default_na=False, na_values={"flagged_share": [""]}, dtype={"name": str, "most_suggested": str}
        )
        return table.astype({"label": int})
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: run ./inv audit first") from error
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: not the classes of an audit ({error}); run ./inv audit again") from error


def headings(classes: pd.DataFrame) -> list[str]:
    """The headings of the table of classes."""
    return [_HEADINGS.get(name, name).replace("_", " ") for name in _columns(classes)]


def class_lines(classes: pd.DataFrame, names: list[str]) -> list[ClassLine]:
    """A line a class."""
    columns = _columns(classes)
    name_at = columns.index("name")
    return [
        ClassLine(
            line["label"],
            [Cell(names[line["label"]]) if name == "name" else cell(name, line[name]) for name in columns],
            name_at,
        )
        for line in classes.to_dict("records")
    ]


def _columns(classes: pd.DataFrame) -> list[str]:
    return [name for name in classes.columns if name != "label"]


def blank_pictures(table: pd.DataFrame, names: list[str], shown: set[int]) -> list[Named]:
    """The first blank pictures. shown: rows that are on the page."""
    return [_named(line, names, shown) for line in table[table["blank"] == 1].head(LISTED).itertuples()]


def identical_pictures(table: pd.DataFrame, names: list[str], shown: set[int]) -> tuple[list[Identical], int]:
    """The first groups of identical pictures, those with different labels first, and the number of all groups."""
    copies = table[table["copy"]]
    copies = copies.assign(group=copies["duplicate_of"].fillna(copies["row"]))
    different = copies.groupby("group")["given_label"].nunique() > 1
    first = different.sort_values(ascending=False, kind="stable").index[:LISTED]
    members = copies[copies["group"].isin(first)].sort_values("row").groupby("group")
    found = [
        Identical(
            bool(different[group]), [_named(line, names, shown) for line in members.get_group(group).itertuples()]
        )
        for group in first
    ]
    return found, len(different)


def _named(line: Any, names: list[str], shown: set[int]) -> Named:
    return Named(line.row, line.key_id, names[line.given_label], line.row in shown)
