"""The page of an audit: one file, for which a browser needs no server, where a person looks at suspects and judges."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from project.work.audit import report
from project.work.audit.page import confusions, earlier, parts
from project.work.common import UserError
from project.work.dataset.pictures import Home
from project.work.files import disk
from project.work.labels.noise import read_matrix
from project.work.pages import rendering, sheets
from project.work.pages.sheets import Sheets

if TYPE_CHECKING:
    from markupsafe import Markup

FILE = "audit.html"
FACTS = 1 << 20  # bytes of audit.json
LIMIT = 2000  # pictures on a page
WITHOUT_FLAGS = 100  # of them where none is flagged
EXAMPLES = 4  # pictures that show what a class usually looks like
TEMPLATE = Path(__file__).with_name("template")
_NUMBERS = {
    "row": "int64", "given_label": "int64", "suggested_label": "int64", "self_confidence": "float64",
    "margin": "float64", "votes": "float64", "rank": "int64", "flagged": "int64", "duplicate_of": "float64",
    "blank": "int64",
}  # fmt: skip
_TEXTS = ("key_id", "split")


def write_page(folder: Path, pictures: Home, names: list[str], limit: int = LIMIT) -> Path:
    """Write audit.html from the other files of an audit's folder; returns its path. Raises UserError.

    pictures: of the training file, which audit.csv gives the rows of; names: of the K classes, as they are in the
    files; limit: pictures on the page.
    """
    table, facts = read_table(folder / "audit.csv"), _read_facts(folder / "audit.json")
    if len(table) > 0 and table["given_label"].max() >= len(names):
        raise UserError(f"{folder}/audit.csv: of other classes than these {len(names)}; run ./inv audit again")
    decisions = earlier.read(folder, names)
    judged = table["key_id"].isin([key for _, key, _, _ in decisions]).to_numpy()
    shown = table.iloc[chosen(table, judged, limit)]
    images = sheets.gathered(pictures, shown["row"].to_numpy())
    labels = np.unique(shown[["given_label", "suggested_label"]])
    usual = examples(table, labels)
    drawn = sheets.packed(images)
    usual_drawn = sheets.packed(sheets.gathered(pictures, usual["row"].to_numpy()))
    matrix = read_matrix(folder / "transition.csv", names)
    data = _data(shown, facts, names, drawn) | {"examples": _places(usual), "exampleRows": usual_drawn.rows}
    page = rendering.render(
        TEMPLATE,
        "page.html",
        **_head(facts, table),
        **_lists(folder, table, names, set(shown["row"])),
        note=parts.note(table, len(shown)) + earlier.note(decisions),
        facts=parts.facts(facts),
        data=data | {"cells": confusions.cells(matrix), "earlier": decisions},
        map=confusions.heat_map(matrix, names),
        pairs=confusions.pair_rows(confusions.largest_pairs(matrix), table, names),
        rules=_rules(drawn, usual_drawn, images),
        white_ink=sheets.white_ink(images),
    )
    disk.replace_file(folder / FILE, page.encode())
    return folder / FILE


def read_table(path: Path) -> pd.DataFrame:
    """What the page needs of audit.csv, by rank; copy: bool, one of several identical pictures. Raises UserError."""
    columns = [*_NUMBERS, *_TEXTS]
    try:
        table = pd.read_csv(
            path,
            usecols=columns,
            dtype=_NUMBERS | dict.fromkeys(_TEXTS, str),
            keep_default_na=False,
            na_values={name: [""] for name, kind in _NUMBERS.items() if kind == "float64"},
        )
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: run ./inv audit first") from error
    except ValueError as error:
        raise UserError(f"{path}: not an audit ({error}); run ./inv audit again") from error
    table["copy"] = table["duplicate_of"].notna() | table["row"].isin(table["duplicate_of"])
    return table.sort_values("rank", kind="stable", ignore_index=True)


def chosen(table: pd.DataFrame, judged: np.ndarray, limit: int) -> np.ndarray:
    """Which rows of an audit, sorted by rank, a page shows: positions int (n,), n <= limit, the most suspicious first.

    The flagged ones, then blank and identical pictures that are not flagged; where none is flagged, the first ones.
    judged: bool (N,), the rows that a person has decided on, which give way to the others where not all fit.
    """
    flagged = table["flagged"].to_numpy() == 1
    strange = (table["blank"] == 1) | table["copy"]
    first = np.flatnonzero(flagged) if flagged.any() else np.arange(min(WITHOUT_FLAGS, len(table)))
    wanted = np.concatenate([first, np.setdiff1d(np.flatnonzero(strange), first)])
    return wanted[np.sort(np.argsort(judged[wanted], kind="stable")[:limit])]


def examples(table: pd.DataFrame, labels: np.ndarray) -> pd.DataFrame:
    """The least suspicious pictures of each of these classes, up to EXAMPLES of each."""
    good = table[(table["flagged"] == 0) & (table["blank"] == 0) & table["given_label"].isin(labels)]
    return good.iloc[::-1].groupby("given_label", sort=True).head(EXAMPLES).sort_values("given_label", kind="stable")


def _read_facts(path: Path) -> dict[str, Any]:
    if disk.absent(path):
        raise UserError(f"{path} is missing: run ./inv audit first")
    try:
        facts = disk.read_json(path, FACTS)
    except UserError as error:
        raise UserError(f"{error}; run ./inv audit again") from error
    if not isinstance(facts, dict):
        raise UserError(f"{path}: not the facts of an audit; run ./inv audit again")
    return facts


def _data(shown: pd.DataFrame, facts: dict[str, Any], names: list[str], drawn: Sheets) -> dict[str, Any]:
    """What the scripts read: each picture as a list, in the order of the sheets."""
    kinds = 1 * (shown["flagged"] == 1) + 2 * (shown["blank"] == 1) + 4 * shown["copy"]
    columns = (
        shown["row"].tolist(),
        shown["key_id"].tolist(),
        shown["given_label"].tolist(),
        shown["suggested_label"].tolist(),
        shown["self_confidence"].round(4).tolist(),
        [None if np.isnan(votes) else int(votes) for votes in shown["votes"]],
        shown["rank"].tolist(),
        kinds.tolist(),
    )
    return {
        "fingerprint": str(facts.get("fingerprint", "")),
        "names": names,
        "pictures": list(zip(*columns, strict=True)),
        "columns": sheets.COLUMNS,
        "capacity": sheets.CAPACITY,
        "sheetRows": drawn.rows,
    }


def _places(usual: pd.DataFrame) -> dict[int, list[int]]:
    """Where the examples of each class are in their sheets."""
    found: dict[int, list[int]] = {}
    for place, label in enumerate(usual["given_label"].tolist()):
        found.setdefault(label, []).append(place)
    return found


def _head(facts: dict[str, Any], table: pd.DataFrame) -> dict[str, Any]:
    """What the page says first: the finding, and what must be known before anything is decided."""
    flagged, rows = int(table["flagged"].sum()), len(table)
    return {
        "title": f"Audit of {facts.get('dataset', 'a data set')}",
        "flagged": flagged,
        "rows": rows,
        "share": f"{flagged / max(1, rows):.1%}",
        "estimate": report.estimate(facts),
        "warning": report.warning(facts),
    }


def _lists(folder: Path, table: pd.DataFrame, names: list[str], shown: set[int]) -> dict[str, Any]:
    """The classes, and the blank and identical pictures."""
    classes = parts.read_classes(folder / "classes.csv")
    identical, groups = parts.identical_pictures(table, names, shown)
    return {
        "columns": parts.headings(classes),
        "classes": parts.class_lines(classes, names),
        "blank": parts.blank_pictures(table, names, shown),
        "blank_count": int((table["blank"] == 1).sum()),
        "identical": identical,
        "identical_count": groups,
    }


def _rules(drawn: Sheets, usual: Sheets, images: np.ndarray) -> "Markup":
    """The sheets of pictures as CSS; small pictures are shown at whole multiples of their size."""
    from markupsafe import Markup  # what is in it are numbers and base64 of our own

    side = max(drawn.width, drawn.height)
    small, (tile, large) = min(2, 48 / side), (max(1, round(size / side)) for size in (96, 192))
    smooth = "auto" if min(images.shape[1:3]) >= 64 else "pixelated"
    rules = [f":root{{--pw:{drawn.width}px;--ph:{drawn.height}px;--small:{small:.4g};--tile:{tile};--large:{large};"
             f"--aspect:{drawn.width}/{drawn.height};--smooth:{smooth}}}"]  # fmt: skip
    for kind, some in (("p", drawn), ("e", usual)):
        rules += [f".{kind}{number}{{background-image:url({url})}}" for number, url in enumerate(some.urls)]
    return Markup("\n".join(rules))
