"""Further labels of the same pictures, found by key: labels_<name>.csv.gz of a prepared set, which --label-set chooses.

Preparation writes them from the columns of a table or the arrays of a file; a person may add one of their own,
labels_<name>.csv with the columns key_id,name.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from project.work.common import UserError
from project.work.files import arrays, disk, tables
from project.work.files.disk import shown
from project.work.labels import naming
from project.work.settings.flags import nearest

NAME = re.compile(r"[\w-]{1,60}")  # what a label set may be called, as a file is called so
PATTERN = "labels_*.csv*"
UNNAMED = -1  # of a row that a label set does not name
_COLUMNS = ("key_id", "name")
_ROW = 1 << 11  # bytes of the text of a row: a long path and the name of a class


def write(folder: Path, name: str, key_ids: Sequence[str], labels: Sequence[str]) -> str:
    """Write a label set; returns the SHA-256 of its file. labels: names of classes, "" for rows that it leaves out."""
    table = pd.DataFrame({"key_id": key_ids, "name": labels})
    text = table[table["name"] != ""].to_csv(index=False)
    return arrays.write_gzip(folder / f"labels_{name}.csv.gz", text.encode())


def names(folder: Path) -> list[str]:
    """What the label sets of a prepared set are called."""
    return sorted({path.name.removeprefix("labels_").split(".csv")[0] for path in folder.glob(PATTERN)})


def read(folder: Path, name: str, keys: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """The labels of the training file's rows in a label set, int64 (N,), UNNAMED for rows that it leaves out.

    keys: (N,), see `naming.packed`; classes: their names. Raises UserError for a set that is not there, and for one
    that names other pictures or classes.
    """
    path = _file(folder, name)
    most = max(_ROW * len(keys), 1 << 16)
    text = disk.text_of(arrays.read_gzip(path, most), path) if path.suffix == ".gz" else disk.read_text(path, most)
    table = tables.parse_table(text, path, _COLUMNS, "a label set")
    rows = naming.rows(table["key_id"], keys, path)
    numbers = {naming.canonical(each): label for label, each in enumerate(classes)}
    labels = table["name"].map(lambda text: numbers.get(naming.canonical(text), UNNAMED)).to_numpy(dtype=np.int64)
    strange = np.flatnonzero(labels == UNNAMED)
    if len(strange) > 0:
        line, text = table.index[strange[0]], table["name"].iloc[strange[0]]
        raise UserError(f"{path} line {line}: {text[:80]!a} is none of the {len(classes)} classes of this data set")
    whole = np.full(len(keys), UNNAMED, dtype=np.int64)
    whole[rows] = labels
    if len(np.unique(labels)) < 2:
        raise UserError(f"{path}: all its pictures have one label, or there are none; a classifier needs at least 2")
    return whole


def _file(folder: Path, name: str) -> Path:
    found = [folder / f"labels_{name}{suffix}" for suffix in (".csv.gz", ".csv")] if NAME.fullmatch(name) else []
    for path in found:
        if not disk.absent(path):
            return disk.plain(path)
    there = names(folder)
    listed = f"there are {', '.join(there[:5])}" if there else "it has none"
    raise UserError(f"--label-set {shown(name)[:80]}: {shown(folder)} has no such label set; {listed}"
                    f"{nearest(name, there)}")  # fmt: skip
