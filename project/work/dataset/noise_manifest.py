"""The file that lists wrong labels (noise.csv): written by a run or by preparation, read by other runs and programs."""

from pathlib import Path

import numpy as np
import pandas as pd

from project.work.declaration import UserError

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
    changed, and what was true is known. keys: text (N,). Raises UserError when the manifest is not for these data.
    """
    key_ids, true, noisy = _read(path)
    places = {key: row for row, key in enumerate(keys.tolist())}
    rows = np.array([places.get(key, -1) for key in key_ids.tolist()], dtype=np.int64)
    strange = np.flatnonzero(rows < 0)
    if len(strange) > 0:
        raise UserError(f"{path}: {len(strange)} of its {len(rows)} key ids, {key_ids[strange[0]]} the first, are not"
                        " among the training rows of this data set")  # fmt: skip
    if len(noisy) > 0 and not 0 <= noisy.min() <= noisy.max() < len(names):
        raise UserError(f"{path}: noisy labels {noisy.min()} to {noisy.max()}, but there are 0 to {len(names) - 1}")
    if len(true) > 0 and not NO_CLASS <= true.min() <= true.max() < len(names):
        raise UserError(f"{path}: true labels {true.min()} to {true.max()}, but there are 0 to {len(names) - 1}")
    other = labels.copy()
    if (labels[rows] == noisy).all():
        other[rows] = true
        return other, labels
    _refuse_other_data(path, key_ids, labels[rows], true, noisy)
    other[rows] = noisy
    return labels, other


def _read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        table = pd.read_csv(path, dtype={"key_id": str}, keep_default_na=False)
        key_ids, true, noisy = (table[name].to_numpy() for name in _COLUMNS[1:])
        return key_ids, true.astype(np.int64), noisy.astype(np.int64)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: --noise-file names a manifest, such as the noise.csv of a run") from error
    except (KeyError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a noise manifest ({error}); it needs the columns {','.join(_COLUMNS)}") from error


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
