"""The noise transition matrix on a page: as a map, by its largest entries, and as what the map can tell.

The map is an SVG, sharp at any size, whose cells are UNIT wide. Of a few classes each cell shows its number; of many,
every so many names stand beside it until a reader zooms in.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image

from project.work.pages.rendering import Cell, cell
from project.work.pages.sheets import png_url

PAIRS = 60  # of the largest confusions
CELLS = 10  # confusions of each class that the map can tell by name
UNIT = 10  # of an SVG's own lengths, in a cell
NUMBERED = 12  # classes whose cells hold numbers
LETTERS = 18  # of a name beside the map
KEY = (0.0, 0.01, 0.1, 0.25, 0.5, 1.0)  # shares that the colour key names
_SHOWN = 0.002  # of a transition matrix: less is noise of the estimate
_WIDE, _TEXT = 700, 12  # pixels that a map has on a page, and of its letters
_CELL = {NUMBERED: 52, 30: 26, 60: 17}  # pixels of a cell where there are at most so many classes
_DARK = 0.35  # share from which a cell is so dark that its number is white


@dataclass(frozen=True)
class HeatMap:
    """A map as an SVG has it, in lengths of which a cell has UNIT.

    image: URL of its colours; key: that of the scale; names: shortened; letter: size of the names, all of which are
    readable once zoomed in; step: every so many names are shown before that, coarse: their size; margin: of the names;
    width: of the whole in pixels, before a page shrinks it; numbers: (across, down, percent, whether it is dark).
    """

    count: int
    image: str
    key: str
    names: list[str]
    letter: float
    step: int
    coarse: float
    margin: float
    width: int
    numbers: list[tuple[float, float, str, bool]]

    @property
    def size(self) -> int:
        """Of the cells."""
        return UNIT * self.count

    @property
    def middles(self) -> list[tuple[float, str]]:
        """Where each name stands, and the name."""
        return [(UNIT * (at + 0.5), name) for at, name in enumerate(self.names)]

    @property
    def marks(self) -> list[tuple[float, str]]:
        """Where each share stands on the colour key, in percent of its width, and its words."""
        return [(100 * float(np.sqrt(share)), f"{share:.0%}") for share in KEY]


def heat_map(matrix: np.ndarray, names: list[str]) -> HeatMap:
    """The map of a transition matrix (K, K): a row a true class, a column a given label."""
    count, short = len(matrix), [_short(name) for name in names]
    pixels = next((size for most, size in _CELL.items() if count <= most), 12)
    letter = min(0.85 * UNIT, _TEXT * UNIT / pixels)
    longest = 0.56 * max(map(len, short))
    shrunk = _WIDE / (count + longest * letter / UNIT)  # pixels of a cell where the whole fits a page
    step = 1 if shrunk >= _TEXT else int(-(-_TEXT // shrunk))
    coarse = letter if step == 1 else min(0.85 * UNIT * step, _TEXT * UNIT / shrunk)
    margin = longest * max(letter, coarse) + 1.5 * max(letter, coarse) + 2
    width = round((UNIT * count + margin + 2) * pixels / UNIT)
    scale = np.linspace(0, 1, 256)[None] ** 2
    numbers = _numbers(matrix) if count <= NUMBERED else []
    return HeatMap(count, _colours(matrix), _colours(scale), short, letter, step, coarse, margin, width, numbers)


def largest_pairs(matrix: np.ndarray, most: int = PAIRS) -> list[tuple[int, int, float]]:
    """The largest entries off the diagonal of a transition matrix (K, K): (true, given, share), the largest first."""
    away = np.where(np.eye(len(matrix), dtype=bool), 0.0, matrix)
    order = np.argsort(-away, axis=None, kind="stable")[:most]
    pairs = zip(*np.unravel_index(order, away.shape), strict=True)
    return [(int(true), int(given), float(away[true, given])) for true, given in pairs if away[true, given] > 0]


def pair_rows(pairs: list[tuple[int, int, float]], table: pd.DataFrame, names: list[str]) -> list[list[Cell]]:
    """For each pair: the true class, its label, the share, and how many flagged pictures say so."""
    flagged = table[table["flagged"] == 1]
    counts = flagged.groupby(["suggested_label", "given_label"]).size().to_dict()
    return [
        [Cell(names[true]), Cell(names[given]), cell("share", share), cell("flagged", counts.get((true, given), 0))]
        for true, given, share in pairs
    ]


def cells(matrix: np.ndarray) -> list[list[list[float]]]:
    """For each true class its largest entries [given, share], for the map to tell."""
    found = []
    for row in matrix:
        best = [int(given) for given in np.argsort(-row, kind="stable")[:CELLS] if row[given] >= _SHOWN]
        found.append([[given, round(float(row[given]), 4)] for given in best])
    return found


def _colours(shares: np.ndarray) -> str:
    """Shares (rows, columns) as an image, by their root, so that 1% can be seen."""
    import matplotlib

    image = Image.fromarray((np.sqrt(np.clip(shares, 0, 1)) * 255).round().astype(np.uint8), "P")
    image.putpalette((matplotlib.colormaps["magma_r"](np.arange(256))[:, :3] * 255).round().astype(np.uint8).tobytes())
    return png_url(image)


def _numbers(matrix: np.ndarray) -> list[tuple[float, float, str, bool]]:
    """Where each number stands, and in what words: percent without its sign."""
    return [
        (UNIT * (given + 0.5), UNIT * (true + 0.5), f"{100 * share:.{0 if share >= 0.0995 else 1}f}", share > _DARK)
        for (true, given), share in np.ndenumerate(matrix)
        if share >= _SHOWN
    ]


def _short(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}\u2026"
