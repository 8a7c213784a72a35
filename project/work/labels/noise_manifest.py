"""The file that lists wrong labels (noise.csv): written by a run or by preparation, read by other runs and programs."""

from pathlib import Path

import numpy as np
import pandas as pd

from project.work.files import disk
from project.work.labels import by_key
from project.work.settings.flags import UserError

NAME = "noise.csv"
NO_CLASS = -1  # a picture of something that is none of the classes
_COLUMNS = ("row", "key_id", "true_label", "noisy_label")


def text(rows: np.ndarray, keys: np.ndarray, true: np.ndarray, noisy: np.ndarray, names: list[str]) -> bytes:
    """The manifest of some rows. keys: text; true, noisy: their labels, int; all (n,); true may be NO_CLASS."""
    by_name = np.array([*names, ""], dtype=object)  # NO_CLASS is the last
    columns = dict(zip(_COLUMNS, (rows, keys, true, noisy), strict=True))
    table = pd.DataFrame(columns | {"true_name": by_name[true], "noisy_name": by_name[noisy]})
    return table.to_csv(index=False).encode()


def read(path: Path, labels: np.ndarray, keys: np.ndarray, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """True and noisy labels, both int64 (N,), of data that a manifest is for.

    labels: int64 (N,), either as they were before the noise, or all of them as they are after it: then nothing is
    changed, and what was true is known. keys: (N,), see `by_key.packed`. Raises UserError when the manifest is not for
    these data.
    """
    table = disk.read_table(path, _COLUMNS[1:], "a noise manifest, such as the noise.csv of a run")
    key_ids, unknown = table["key_id"], table["true_label"] == str(NO_CLASS)
    rows = by_key.rows(key_ids, keys, path)
    noisy = by_key.labels(table["noisy_label"], key_ids, names, path)
    true = by_key.labels(table["true_label"].mask(unknown, "0"), key_ids, names, path)
    true = np.where(unknown, NO_CLASS, true)
    other = labels.copy()
    if (labels[rows] == noisy).all():
        other[rows] = true
        return other, labels
    _refuse_other_data(path, key_ids.to_numpy(), labels[rows], true, noisy)
    other[rows] = noisy
    return labels, other


def _refuse_other_data(path: Path, keys: np.ndarray, here: np.ndarray, true: np.ndarray, noisy: np.ndarray) -> None:
    after = np.flatnonzero((here == noisy) & (here != true))
    strange = np.flatnonzero((here != true) & (here != noisy))
    if len(strange) > 0:
        first = strange[0]
        raise UserError(f"{path}: says that {keys[first]} is {true[first]}, but its label here is {here[first]};"
                        " the manifest is of other data")  # fmt: skip
    if len(after) > 0:
        raise UserError(f"{path}: {len(after)} of its {len(here)} rows, {keys[after[0]]} the first, have their noisy"
                        " label here already and the others have not; the manifest is of other data")  # fmt: skip
