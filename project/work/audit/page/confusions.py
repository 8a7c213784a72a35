"""The noise transition matrix on a page: as a picture, by its largest entries, and as what the picture can tell."""

import numpy as np
import pandas as pd
from PIL import Image

from project.work.pages.sheets import png_url
from project.work.pages.tables import cell, sortable, text

PAIRS = 60  # of the largest confusions
CELLS = 10  # confusions of each class that the picture can tell by name
_SHOWN = 0.002  # of a transition matrix: less is noise of the estimate


def largest_pairs(matrix: np.ndarray, most: int = PAIRS) -> list[tuple[int, int, float]]:
    """The largest entries off the diagonal of a transition matrix (K, K): (true, given, share), the largest first."""
    away = np.where(np.eye(len(matrix), dtype=bool), 0.0, matrix)
    order = np.argsort(-away, axis=None, kind="stable")[:most]
    pairs = zip(*np.unravel_index(order, away.shape), strict=True)
    return [(int(true), int(given), float(away[true, given])) for true, given in pairs if away[true, given] > 0]


def pair_table(pairs: list[tuple[int, int, float]], table: pd.DataFrame, names: list[str]) -> str:
    """A line a pair, with the number of flagged pictures that say so."""
    flagged = table[table["flagged"] == 1]
    counts = flagged.groupby(["suggested_label", "given_label"]).size().to_dict()
    body = [
        f"<tr><th scope=row>{text(names[true])}</th><td>{text(names[given])}</td>"
        f"{cell('share', share)}{cell('flagged', counts.get((true, given), 0))}</tr>"
        for true, given, share in pairs
    ]
    return sortable("pair-table", ["what it is", "what the label says", "share", "flagged"], body)


def heat_map(matrix: np.ndarray, names: list[str]) -> str:
    """A transition matrix (K, K) as an SVG: sharp at any size, each cell 10 units, the names beside and above."""
    import matplotlib

    count = len(matrix)
    shades = (np.sqrt(np.clip(matrix, 0, 1)) * 255).round().astype(np.uint8)  # the root, so that 1% can be seen
    image = Image.fromarray(shades, "P")
    image.putpalette((matplotlib.colormaps["magma_r"](np.arange(256))[:, :3] * 255).round().astype(np.uint8).tobytes())
    margin, size, places = 10 + min(160, 5 * max(map(len, names))), 10 * count, range(8, 10 * count, 10)
    beside = (f"<text x=-3 y={at} text-anchor=end>{text(name)}</text>" for at, name in zip(places, names, strict=True))
    above = (
        f'<text transform="translate({at} -3) rotate(-90)">{text(name)}</text>'
        for at, name in zip(places, names, strict=True)
    )
    whole = size + margin + 2
    return (
        f'<svg id=heat-map data-count={count} style="width:min(100%,{2 * whole}px)"'
        f' viewBox="{-margin} {-margin} {whole} {whole}" role=img'
        f' aria-label="Noise transition matrix of {count} classes; the table beside it lists its largest'
        f' entries"><image href="{png_url(image)}" width={size} height={size} />'
        f"<rect id=heat-cell width=10 height=10 visibility=hidden />{''.join([*beside, *above])}</svg>"
    )


def cells(matrix: np.ndarray) -> list[list[list[float]]]:
    """For each true class its largest entries [given, share], for the picture to tell."""
    found = []
    for row in matrix:
        best = [int(given) for given in np.argsort(-row, kind="stable")[:CELLS] if row[given] >= _SHOWN]
        found.append([[given, round(float(row[given]), 4)] for given in best])
    return found
