"""A small audit, made by hand: 3 classes x 10 pictures, the labels of the first four and of row 10 doubted."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from project.work.dataset.pictures import Resident, hold

NAMES = ["<b>ant</b>", "bee & Sons", 'cat "</script><script>window.hacked=1</script>']
KEYS = ['k,"0', *(f"k{row}" for row in range(1, 30))]
FLAGGED = [0, 1, 2, 3, 10]
MATRIX = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.05, 0.0, 0.95]])


def some_pictures(shape: tuple[int, ...] = (16, 16)) -> Resident:
    """30 pictures, uint8 (30, *shape), each of its own brightness on black."""
    images = np.zeros((30, *shape), np.uint8)
    for row, image in enumerate(images):
        image[4:12, 4:12] = 100 + 5 * row
    return hold(images, None, torch.device("cpu"))


def audit_table() -> pd.DataFrame:
    """Rows in the order of suspicion: the flagged ones, then by row; 3 is blank, 25 the same picture as 24."""
    rows = np.array([*FLAGGED, *(row for row in range(30) if row not in FLAGGED)])
    given = rows // 10
    return pd.DataFrame(
        {
            "row": rows,
            "key_id": [KEYS[row] for row in rows],
            "given_label": given,
            "given_name": [NAMES[label] for label in given],
            "suggested_label": np.where(np.isin(rows, FLAGGED), (given + 1) % 3, given),
            "suggested_name": "unread",
            "self_confidence": np.linspace(0.001, 0.9, 30),
            "margin": "",
            "votes": ["4", *[""] * 29],
            "rank": np.arange(1, 31),
            "flagged": np.isin(rows, FLAGGED).astype(int),
            "split": "train",
            "duplicate_of": ["24" if row == 25 else "" for row in rows],
            "blank": (rows == 3).astype(int),
        }
    )


def audit_folder(folder: Path, table: pd.DataFrame | None = None, **facts: object) -> Path:
    """The files that an audit leaves, but for its page."""
    table = audit_table() if table is None else table
    table.to_csv(folder / "audit.csv", index=False)
    counts = {"label": [0, 1, 2], "name": NAMES, "count": 10, "flagged": [4, 1, 0], "flagged_share": [0.4, 0.1, ""]}
    pd.DataFrame(counts).assign(most_suggested=["", "", ""]).to_csv(folder / "classes.csv", index=False)
    pd.DataFrame(MATRIX, index=NAMES, columns=NAMES).to_csv(folder / "transition.csv")
    known = {"dataset": "<i>lines</i>", "fingerprint": "f00d", "rows": 30, "noise_rate": 0.17, "agreement": 0.75}
    known |= {"noise_rate_least": 0.1, "noise_rate_most": 0.25, "models": "enough", "auroc": 0.91234567} | facts
    (folder / "audit.json").write_text(json.dumps(known))
    return folder


def data_of(path: Path) -> dict:
    """What the scripts of a page read."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S).group(1))
