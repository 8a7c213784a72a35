"""The page of an audit: one file, opened without a server, on which a person reviews the suspects."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

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

Gather: TypeAlias = Callable[[np.ndarray], np.ndarray]

FILE = "audit.html"
FACTS = 1 << 20  # bytes of audit.json
LIMIT = 2000  # pictures on a page, at most
WITHOUT_FLAGS = 100  # the same where no label is flagged
PHOTO = 64  # pixels from which pictures count as photos, whose pixels need not be seen one by one
PHOTO_SIZES = (64, 160, 320)  # pixels of a photo beside its class, in the gallery, and alone
PHOTO_PIXELS = 40_000_000  # in all sheets of a page of photos, about
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

    pictures: of the training file, indexed by the rows of audit.csv; names: of the K classes, as in the files; limit:
    pictures on the page.
    """
    page = rendering.render(TEMPLATE, "page.html", **values(folder, partial(sheets.gathered, pictures), names, limit))
    disk.replace_file(folder / FILE, page.encode())
    return folder / FILE


def values(
    folder: Path, gather: Gather, names: list[str], limit: int = LIMIT, links: Sequence[str] = (), least: int = 0
) -> dict[str, Any]:
    """What page.html, or a template that extends it, shows of an audit's folder. Raises UserError.

    gather: gives the pictures of some rows of audit.csv, uint8 (n, H, W[, 3]); links: where the file of each row is;
    least: see `chosen`.
    """
    table, facts = read_table(folder / "audit.csv"), _read_facts(folder / "audit.json")
    if len(table) > 0 and table["given_label"].max() >= len(names):
        raise UserError(f"{folder}/audit.csv: has other classes than these {len(names)}; run ./inv audit again")
    decisions = earlier.read(folder, names)
    judged = table["key_id"].isin([key for _, key, _, _ in decisions]).to_numpy()
    shown = table.iloc[chosen(table, judged, limit, least)]
    images = gather(shown["row"].to_numpy())
    labels = np.unique(shown[["given_label", "suggested_label"]])
    usual = examples(table, labels)
    photos = min(images.shape[1:3]) >= PHOTO
    drawn = sheets.packed(images, PHOTO_PIXELS if photos else None)
    usual_drawn = sheets.packed(gather(usual["row"].to_numpy()))
    matrix = read_matrix(folder / "transition.csv", names)
    data = _data(shown, facts, names, drawn) | {"examples": _places(usual), "exampleRows": usual_drawn.rows}
    if links:
        data["links"] = [links[row] for row in shown["row"].tolist()]
    return {
        **_head(facts, table),
        **_lists(folder, table, names, set(shown["row"])),
        "note": parts.note(table, len(shown), least) + earlier.note(decisions),
        "facts": parts.facts(facts),
        "data": data | {"cells": confusions.cells(matrix), "earlier": decisions},
        "map": confusions.heat_map(matrix, names),
        "pairs": confusions.pair_rows(confusions.largest_pairs(matrix), table, names),
        "rules": _rules(drawn, usual_drawn, photos),
        "white_ink": sheets.white_ink(images),
    }


def read_table(path: Path) -> pd.DataFrame:
    """The columns of audit.csv that the page needs, by rank, and copy: bool, has an identical picture.

    Raises UserError.
    """
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


def chosen(table: pd.DataFrame, judged: np.ndarray, limit: int, least: int = 0) -> np.ndarray:
    """Which rows of an audit, sorted by rank, a page shows: positions int (n,), n <= limit, the most suspicious first.

    The flagged rows, then blank and identical pictures that are not flagged; if none is flagged, the first rows.
    judged: bool (N,), rows that a person has decided on; they are left out first where not all fit; least: show at
    least this many suspicious rows, flagged or not, as far as labels differ from the prediction.
    """
    flagged = table["flagged"].to_numpy() == 1
    if flagged.sum() < least:
        flagged = flagged | (table["given_label"] != table["suggested_label"]).to_numpy()
        flagged &= np.cumsum(flagged) <= least
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
    """The data of the page's scripts: each picture as a list, in the order of the sheets."""
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
    """The positions of each class's examples in their sheets."""
    found: dict[int, list[int]] = {}
    for place, label in enumerate(usual["given_label"].tolist()):
        found.setdefault(label, []).append(place)
    return found


def _head(facts: dict[str, Any], table: pd.DataFrame) -> dict[str, Any]:
    """The head of the page: the finding and its warning."""
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


def _rules(drawn: Sheets, usual: Sheets, photos: bool) -> "Markup":
    """The sheets of pictures as CSS. Photos are large enough to judge, small pictures at integer multiples."""
    from markupsafe import Markup  # the text is our own: numbers and base64

    side = max(drawn.width, drawn.height)
    sizes: tuple[float, ...] = (min(2, 48 / side), max(1, round(96 / side)), max(1, round(192 / side)))
    if photos:
        sizes = tuple(round(size / side, 4) for size in PHOTO_SIZES)
    small, tile, large = sizes
    smooth = "auto" if photos else "pixelated"
    rules = [f":root{{--pw:{drawn.width}px;--ph:{drawn.height}px;--small:{small:.4g};--tile:{tile};--large:{large};"
             f"--aspect:{drawn.width}/{drawn.height};--smooth:{smooth}}}"]  # fmt: skip
    for kind, some in (("p", drawn), ("e", usual)):
        rules += [f".{kind}{number}{{background-image:url({url})}}" for number, url in enumerate(some.urls)]
    return Markup("\n".join(rules))
