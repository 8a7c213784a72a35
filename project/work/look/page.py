"""The page of a look: one file for any browser, of which the page of a check has this as its first half."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from project.work.files import disk
from project.work.look.overview import Group, Overview, class_counts, imbalance, per_class
from project.work.pages import rendering, sheets
from project.work.pages.rendering import Cell, cell
from project.work.pages.sheets import CAPACITY, COLUMNS, Sheets

if TYPE_CHECKING:
    from markupsafe import Markup

FILE, TABLE = "look.html", "look.csv"
TEMPLATE = Path(__file__).with_name("template")
GROUPS, MEMBERS = 60, 12  # of copies that are shown, and pictures of each
SHOWN = 24  # pictures of each problem
OUTLIERS = 48
PHOTO = 64  # pixels from which pictures are shown as photos are
TILE = 128  # pixels of a photo on the page


@dataclass(frozen=True)
class Tile:
    """One picture on a page. sheet, across, down: where it is among the sheets, these two in percent."""

    sheet: int
    across: float
    down: float
    key: str
    name: str
    part: str
    link: str


@dataclass(frozen=True)
class Shelf:
    """Tiles in a row under some words. more: how many further pictures belong there."""

    words: str
    tiles: list[Tile]
    more: int = 0


@dataclass(frozen=True)
class Line:
    """A class's line: its name, cells of numbers, its share of the largest class in percent, its mean picture."""

    name: str
    cells: list[Cell]
    share: float
    mean: Tile


def write(folder: Path, found: Overview) -> Path:
    """Write look.html and look.csv into a folder; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    disk.replace_file(folder / TABLE, table(found).to_csv(index=False).encode())
    page = rendering.render(TEMPLATE, "look.html", title=f"A look at {found.collection.title}", **values(found))
    disk.replace_file(folder / FILE, page.encode())
    return folder / FILE


def table(found: Overview) -> pd.DataFrame:
    """All that was found, a line a picture and issue, also what the page has no room for. group: of copies."""
    parts: list[tuple[str, np.ndarray, int | None]] = []
    for what, groups in (("exact copy", found.copies), ("near copy", found.near)):
        parts += [(f"{what}, {group.kind}", group.rows, number) for number, group in enumerate(groups)]
    parts += [(problem.name, problem.rows, None) for problem in found.problems if not problem.usual]
    parts += [("outlier", found.outliers, None)]
    rows = np.concatenate([rows for _, rows, _ in parts]).astype(np.int64)
    collection, names = found.collection, np.array(found.collection.names, dtype=object)
    columns = {
        "issue": [issue for issue, rows, _ in parts for _ in rows],
        "key_id": collection.keys[rows],
        "part": collection.parts[rows],
        "label": names[collection.labels[rows]],
        "group": pd.array([number for _, rows, number in parts for _ in rows], dtype="Int64"),
    }
    return pd.DataFrame(columns)


def values(found: Overview) -> dict[str, Any]:
    """What the templates of overview.html need."""
    shown = _Shown(found)
    copies, near = ([_shelf(shown, group) for group in groups[:GROUPS]] for groups in (found.copies, found.near))
    problems = [
        (problem, Shelf(problem.told, shown.tiles(problem.rows[:SHOWN]), max(0, len(problem.rows) - SHOWN)))
        for problem in found.problems
        if len(problem.rows) and not problem.usual
    ]
    far = Shelf("", shown.tiles(found.outliers[:OUTLIERS]), max(0, len(found.outliers) - OUTLIERS))
    images = found.collection.gather(np.array(shown.rows, dtype=np.int64))
    photo = min(images.shape[1:3]) >= PHOTO
    drawn = sheets.packed(images, len(images) * TILE * TILE if photo else None)
    means = sheets.packed(found.survey.means)
    return {
        "lines": found.lines,
        "columns": ["class", *_parts(found), "pictures", "share"],
        "classes": _class_lines(found, means),
        "facts": _facts(found),
        "copies": copies,
        "copies_count": len(found.copies),
        "near": near,
        "near_count": len(found.near),
        "problems": problems,
        "outliers": far,
        "outliers_count": len(found.outliers),
        "white_ink": sheets.white_ink(images) if len(images) else sheets.white_ink(found.survey.means),
        "overview_rules": _rules(drawn, means, photo),
    }


class _Shown:
    """The rows that a page shows, each once, in the order in which they were asked for."""

    def __init__(self, found: Overview) -> None:
        self.collection, self.places = found.collection, dict[int, int]()

    @property
    def rows(self) -> list[int]:
        return list(self.places)

    def tiles(self, rows: np.ndarray) -> list[Tile]:
        """Tiles of some rows."""
        return [self._tile(row) for row in rows.tolist()]

    def _tile(self, row: int) -> Tile:
        some, place = self.collection, self.places.setdefault(row, len(self.places))
        link = some.links[row] if some.links else ""
        return tile(place, str(some.keys[row]), some.names[some.labels[row]], str(some.parts[row]), link)


def tile(place: int, key: str = "", name: str = "", part: str = "", link: str = "") -> Tile:
    """A tile of the picture at a place of its sheets. The number of rows of a sheet decides `down`: see `_rules`."""
    sheet, rest = divmod(place, CAPACITY)
    row, column = divmod(rest, COLUMNS)
    return Tile(sheet, round(100 * column / (COLUMNS - 1), 3), row, key, name, part, link)


def _shelf(shown: _Shown, group: Group) -> Shelf:
    return Shelf(group.kind, shown.tiles(group.rows[:MEMBERS]), max(0, len(group.rows) - MEMBERS))


def _class_lines(found: Overview, means: Sheets) -> list[Line]:
    counts, every = list(_parts(found).values()), per_class(found.collection)
    largest = max(1, int(every.max()))
    lines = []
    for label, name in enumerate(found.collection.names):
        numbers = [cell("count", int(count[label])) for count in (*counts, every)]
        share = cell("share", float(every[label] / max(1, every.sum())))
        lines.append(Line(name, [*numbers, share], 100 * float(every[label]) / largest, tile(label)))
    return lines


def _parts(found: Overview) -> dict[str, np.ndarray]:
    """How many pictures each class has in each part; empty where there is one part alone."""
    counts = class_counts(found.collection)
    return counts if len(counts) > 1 else {}


def _facts(found: Overview) -> list[tuple[str, str]]:
    """What there is to know of the whole, in words and numbers."""
    some, counts = found.collection, _parts(found)
    divided = ", ".join(f"{count.sum():,} {part}" for part, count in counts.items())
    most, least = imbalance(some)
    every = per_class(some)
    shape = some.images[0].shape[1:]
    facts = [
        ("pictures", f"{len(some):,} ({divided})" if divided else f"{len(some):,}"),
        ("classes", f"{len(some.names):,}"),
        ("largest class", f"{some.names[most]}, {every[most]:,} pictures"),
        ("smallest class", f"{some.names[least]}, {every[least]:,} pictures"),
        ("looked at in", f"{shape[1]} x {shape[0]} pixels, {'grey' if len(shape) == 2 or shape[2] == 1 else 'colour'}"),
    ]
    if some.sizes is not None and (some.sizes > 0).any():
        known = some.sizes[(some.sizes > 0).all(axis=1)]
        order = np.argsort(known.prod(axis=1), kind="stable")
        small, usual, large = (known[order[at]] for at in (0, len(order) // 2, -1))
        facts.append(("sizes of the files", f"{_size(usual)} in the middle, {_size(small)} to {_size(large)}"))
    return facts


def _size(size: np.ndarray) -> str:
    return f"{size[0]} x {size[1]}"


def _rules(drawn: Sheets, means: Sheets, photo: bool) -> "Markup":
    """The sheets as CSS, o0, o1 ... of pictures, m0 ... of means; small pictures at whole multiples of their size."""
    from markupsafe import Markup  # what is in it are numbers and base64 of our own

    side = max(drawn.width, drawn.height)
    times = TILE / side if photo else max(1, round(96 / side))
    mean = 64 / max(means.width, means.height)
    mean = mean if mean < 1 else max(1, round(mean))
    rules = [
        f":root{{--ow:{drawn.width * times:.4g}px;--oh:{drawn.height * times:.4g}px;--mw:{means.width * mean:.4g}px;"
        f"--mh:{means.height * mean:.4g}px;--osmooth:{'auto' if photo else 'pixelated'}}}"
    ]
    for kind, some in (("o", drawn), ("m", means)):
        for number, (url, rows) in enumerate(zip(some.urls, some.rows, strict=True)):
            rules.append(
                f".{kind}{number}{{background-image:url({url});background-size:{100 * COLUMNS}% {100 * rows}%;"
                f"--step:{100 / max(1, rows - 1):.5g}%}}"
            )
    return Markup("\n".join(rules))
