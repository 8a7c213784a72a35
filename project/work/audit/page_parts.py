"""The parts of an audit's page that need no script: facts, tables, lists and the transition matrix as a picture."""

import html
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from project.work.audit.sheets import png_url
from project.work.declaration import UserError

PAIRS = 60  # of the largest confusions
LISTED = 200  # groups of duplicates, and blank pictures
CELLS = 10  # confusions of each class that the picture can tell by name
_SHOWN = 0.002  # of a transition matrix: less is noise of the estimate
_LABELS = {
    "rows": "training and validation pictures",
    "noise_rate": "estimated share of wrong labels",
    "noise_rate_low": "at least (95% interval)",
    "noise_rate_high": "at most (95% interval)",
    "auroc": "AUROC against the known errors",
    "average_precision": "average precision against the known errors",
    "precision_flagged": "precision of the flagged set",
    "recall_flagged": "recall of the flagged set",
    "precision_true_count": "precision at the true count of errors",
}


def text(value: object) -> str:
    """A value as HTML text, quotes escaped too."""
    return html.escape(str(value), quote=True)


def number(value: Any) -> str:
    """1234567 -> 1,234,567; 0.07349 -> 0.0735; anything else as it is; what is not known as nothing."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)


def summary(facts: dict[str, Any], table: pd.DataFrame) -> str:
    """The finding in one sentence or two."""
    flagged, count = int(table["flagged"].sum()), len(table)
    said = f"<strong>{flagged:,} of {count:,}</strong> labels look wrong ({flagged / max(1, count):.1%})."
    rate, low, high = (facts.get(name) for name in ("noise_rate", "noise_rate_low", "noise_rate_high"))
    if isinstance(rate, (int, float)):
        said += f" The share of wrong labels is estimated at <strong>{rate:.1%}</strong>"
        said += f" ({low:.1%} to {high:.1%})." if None not in (low, high) else "."
    return said


def note(table: pd.DataFrame, shown: int) -> str:
    """What the page shows of what there is."""
    flagged = int(table["flagged"].sum())
    if flagged == 0:
        return f"No label is flagged. These {shown:,} are the least trusted all the same."
    if shown < flagged:
        return f"The {shown:,} most suspicious of {flagged:,} flagged pictures are here; audit.csv lists all."
    return "Every flagged picture is here, then blank pictures and copies that are not flagged, where there are any."


def facts_table(facts: dict[str, Any]) -> str:
    """All that audit.json knows."""
    rows = (
        f"<tr><th scope=row>{text(_LABELS.get(name, name.replace('_', ' ')))}</th><td>{text(number(value))}</td></tr>"
        for name, value in facts.items()
        if not isinstance(value, (dict, list))
    )
    return f"<table class=facts><tbody>{''.join(rows)}</tbody></table>"


def read_classes(path: Path) -> pd.DataFrame:
    """classes.csv as it is. Raises UserError."""
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values={"noise_rate": [""]}, dtype={"name": str})
        return table.astype({"label": int})
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: run ./inv audit first") from error
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: not the classes of an audit ({error}); run ./inv audit again") from error


def class_table(classes: pd.DataFrame, names: list[str]) -> str:
    """A line a class; a name is a button that shows that class alone."""
    columns = [name for name in classes.columns if name != "label"]
    body = []
    for line in classes.to_dict("records"):
        label = line["label"]
        cells = [
            f'<th scope=row><button class=link data-class="{label}">{text(names[label])}</button></th>'
            if name == "name"
            else _cell(name, line[name])
            for name in columns
        ]
        body.append(f"<tr>{''.join(cells)}</tr>")
    return _sortable("class-table", columns, body)


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
        f"{_cell('share', share)}{_cell('flagged', counts.get((true, given), 0))}</tr>"
        for true, given, share in pairs
    ]
    return _sortable("pair-table", ["what it is", "what the label says", "share", "flagged"], body)


def heat_map(matrix: np.ndarray, names: list[str]) -> str:
    """A transition matrix (K, K) as an SVG: sharp at any size, each cell 10 units, the names beside and above."""
    import matplotlib

    count = len(matrix)
    shades = (np.sqrt(np.clip(matrix, 0, 1)) * 255).round().astype(np.uint8)  # the root, so that 1% can be seen
    image = Image.fromarray(shades, "P")
    image.putpalette((matplotlib.colormaps["magma_r"](np.arange(256))[:, :3] * 255).round().astype(np.uint8).tobytes())
    margin = 10 + min(160, 5 * max(map(len, names)))
    rows = "".join(f"<text x=-3 y={10 * at + 8} text-anchor=end>{text(name)}</text>" for at, name in enumerate(names))
    heads = "".join(
        f'<text transform="translate({10 * at + 8} -3) rotate(-90)">{text(name)}</text>' for at, name in enumerate(names)
    )
    size = 10 * count
    return (
        f'<svg id=heat-map data-count={count} viewBox="{-margin} {-margin} {size + margin + 2} {size + margin + 2}"'
        f' role=img aria-label="Noise transition matrix of {count} classes; the table beside it lists its largest'
        f' entries"><image href="{png_url(image)}" width={size} height={size} />'
        f"<rect id=heat-cell width=10 height=10 visibility=hidden />{rows}{heads}</svg>"
    )


def cells(matrix: np.ndarray) -> list[list[list[float]]]:
    """For each true class its largest entries [given, share], for the picture to tell."""
    found = []
    for row in matrix:
        best = [int(given) for given in np.argsort(-row, kind="stable")[:CELLS] if row[given] >= _SHOWN]
        found.append([[given, round(float(row[given]), 4)] for given in best])
    return found


def blank_list(table: pd.DataFrame, names: list[str], shown: set[int]) -> str:
    """The blank pictures by key and label; those of the rows shown can be clicked."""
    blank = table[table["blank"] == 1]
    return _listed([_named(line, names, shown) for line in blank.head(LISTED).itertuples()], len(blank), "blank picture")


def duplicate_list(table: pd.DataFrame, names: list[str], shown: set[int]) -> str:
    """Groups of identical pictures, those with different labels first."""
    copies = table[table["copy"]]
    copies = copies.assign(group=copies["duplicate_of"].fillna(copies["row"]))
    different = copies.groupby("group")["given_label"].nunique() > 1
    first = different.sort_values(ascending=False, kind="stable").index[:LISTED]
    members = copies[copies["group"].isin(first)].sort_values("row").groupby("group")
    lines = []
    for group in first:
        mark = "<strong>different labels</strong>: " if different[group] else ""
        lines.append(mark + ", ".join(_named(line, names, shown) for line in members.get_group(group).itertuples()))
    return _listed(lines, len(different), "group of identical pictures", "groups of identical pictures")


def _named(line: Any, names: list[str], shown: set[int]) -> str:
    key = text(line.key_id)
    key = f'<button class=link data-row="{line.row}">{key}</button>' if line.row in shown else key
    return f"{key} {text(names[line.given_label])}"


def _listed(lines: list[str], count: int, one: str, many: str = "") -> str:
    if count == 0:
        return f"<p>No {one}.</p>"
    more = f"<p>and {count - len(lines):,} more, in audit.csv</p>" if count > len(lines) else ""
    head = f"<p>{count:,} {one if count == 1 else many or one + 's'}:</p>"
    return f"{head}<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>{more}"


def _cell(name: str, value: Any) -> str:
    if value is None or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return '<td class=number data-value=""></td>'
    if isinstance(value, (float, np.floating)) and ("rate" in name or name == "share"):
        return f'<td class=number data-value="{value:.6g}">{value:.1%}</td>'
    if isinstance(value, (int, float, np.integer, np.floating)):
        return f'<td class=number data-value="{value}">{number(value)}</td>'
    return f"<td>{text(value)}</td>"


def _sortable(name: str, columns: list[str], body: list[str]) -> str:
    heads = "".join(
        f"<th scope=col><button class=sort>{text(column.replace('_', ' '))}</button></th>" for column in columns
    )
    return f"<table class=sortable id={name}><thead><tr>{heads}</tr></thead><tbody>{''.join(body)}</tbody></table>"
