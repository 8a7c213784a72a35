"""The noise transition matrix on a page: a heat map, the largest entries, and the text for a clicked cell.

The map is an SVG with cells of UNIT width, sharp at any size. With few classes each cell shows its number. With many,
only every n-th name is shown until the reader zooms in.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image

from project.work.pages.rendering import Cell, cell
from project.work.pages.sheets import png_url

PAIRS = 60  # of the largest confusions
CELLS = 10  # confusions of each class that the map can name
UNIT = 10  # SVG units in a cell
NUMBERED = 12  # classes whose cells hold numbers
LETTERS = 18  # of a name beside the map, at most
KEY = (0.0, 0.01, 0.1, 0.25, 0.5, 1.0)  # shares that the colour key names
_SHOWN = 0.002  # smaller entries are noise of the estimate
_WIDE, _TEXT = 700, 12  # pixels: width of the map on a page, size of its letters
_CELL = {NUMBERED: 52, 30: 26, 60: 17}  # number of classes, at most -> pixels of a cell
_DARK = 0.35  # from this share on a cell is dark and its number white


@dataclass(frozen=True)
class HeatMap:
    """A heat map for an SVG. Lengths are in SVG units.

    image: URL of the coloured cells; key: URL of the colour scale; names: shortened; letter: size of all names, for the
    zoomed map; step, coarse: before zooming, every step-th name is shown in size coarse; margin: for the names; width:
    of the whole in pixels, before the page shrinks it; numbers: (x, y, percent, whether the cell is dark).
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
        """The position of each name, and the name."""
        return [(UNIT * (at + 0.5), name) for at, name in enumerate(self.names)]

    @property
    def marks(self) -> list[tuple[float, str]]:
        """The position of each share on the colour key, in percent of its width, and its text."""
        return [(100 * float(np.sqrt(share)), f"{share:.0%}") for share in KEY]


def heat_map(matrix: np.ndarray, names: list[str]) -> HeatMap:
    """The map of a transition matrix (K, K): a row a true class, a column a given label."""
    count, short = len(matrix), [_short(name) for name in names]
    pixels = next((size for most, size in _CELL.items() if count <= most), 12)
    letter = min(0.85 * UNIT, _TEXT * UNIT / pixels)
    longest = 0.56 * max(map(len, short))
    shrunk = _WIDE / (count + longest * letter / UNIT)  # pixels of a cell when the whole map fits a page
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
    """For each pair: the true class, the given label, the share, and the number of flagged pictures of that pair."""
    flagged = table[table["flagged"] == 1]
    counts = flagged.groupby(["suggested_label", "given_label"]).size().to_dict()
    return [
        [Cell(names[true]), Cell(names[given]), cell("share", share), cell("flagged", counts.get((true, given), 0))]
        for true, given, share in pairs
    ]


def cells(matrix: np.ndarray) -> list[list[list[float]]]:
    """For each true class its largest entries [given, share], for a click on the map."""
    found = []
    for row in matrix:
        best = [int(given) for given in np.argsort(-row, kind="stable")[:CELLS] if row[given] >= _SHOWN]
        found.append([[given, round(float(row[given]), 4)] for given in best])
    return found


def _colours(shares: np.ndarray) -> str:
    """Shares (rows, columns) as an image. Colour follows the square root, so that 1% is visible."""
    import matplotlib

    image = Image.fromarray((np.sqrt(np.clip(shares, 0, 1)) * 255).round().astype(np.uint8), "P")
    image.putpalette((matplotlib.colormaps["magma_r"](np.arange(256))[:, :3] * 255).round().astype(np.uint8).tobytes())
    return png_url(image)


def _numbers(matrix: np.ndarray) -> list[tuple[float, float, str, bool]]:
    """The position and text of each number: percent without its sign."""
    return [
        (UNIT * (given + 0.5), UNIT * (true + 0.5), f"{100 * share:.{0 if share >= 0.0995 else 1}f}", share > _DARK)
        for (true, given), share in np.ndenumerate(matrix)
        if share >= _SHOWN
    ]


def _short(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}\u2026"
