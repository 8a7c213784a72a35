"""Key ids of a training file, and files that speak of its rows by them: read as text, and matched."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from project.work.declaration import UserError

SOME_KEYS = 100_000


def packed(keys: pd.Series) -> np.ndarray:
    """Key ids as one array of bytes (of text where they are not ASCII): millions of str would fill the memory."""
    parts = []
    for start in range(0, len(keys), SOME_KEYS):
        some = keys.iloc[start : start + SOME_KEYS].astype(str).tolist()
        parts.append(np.array(some, dtype="S" if all(map(str.isascii, some)) else "U"))
    return np.concatenate(parts)


def unpacked(keys: np.ndarray) -> np.ndarray:
    """The same as text."""
    return np.char.decode(keys, "ascii") if keys.dtype.kind == "S" else keys


def read(path: Path, columns: Sequence[str], kind: str) -> pd.DataFrame:
    """These columns of a CSV, as text. Raises UserError when it is missing, no CSV, or lacks one; kind: what it is."""
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, usecols=list(columns))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: give the path of {kind}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not {kind} ({error}); it needs the columns {','.join(columns)}") from error


def rows(key_ids: pd.Series, keys: np.ndarray, path: Path) -> np.ndarray:
    """The row of each key id, int64 (n,). keys: of the training file, see `packed`.

    Raises UserError for a key that the training file does not have, or has twice, and for one that is named twice.
    """
    twice = key_ids[key_ids.duplicated()]
    if len(twice) > 0:
        raise UserError(f"{path}: {len(twice)} rows name a key id again, {twice.iloc[0]} the first; leave one of each")
    index = pd.Index(unpacked(keys).astype(object))
    named = index.isin(key_ids) & index.duplicated(keep=False)
    if named.any():
        raise UserError(f"{path}: {index[named][0]} is the key id of several training rows; each needs its own")
    found = pd.Series(np.arange(len(index)), index=index)[~index.duplicated()].reindex(key_ids, fill_value=-1)
    strange = key_ids[found.to_numpy() < 0]
    if len(strange) > 0:
        raise UserError(f"{path}: {len(strange)} of its {len(key_ids)} key ids, {strange.iloc[0]} the first, are not"
                        " among the training rows of this data set")  # fmt: skip
    return found.to_numpy(dtype=np.int64)


def labels(texts: pd.Series, key_ids: pd.Series, names: Sequence[str], path: Path, besides: str = "") -> np.ndarray:
    """Labels int64 (n,) of a column of text. Raises UserError for what is none of 0 .. K-1.

    besides: what else a person may write in that column, which the caller has taken out.
    """
    values = pd.to_numeric(texts.where(texts.str.fullmatch(r"[0-9]{1,9}")), errors="coerce").fillna(-1)
    wrong = np.flatnonzero((values < 0) | (values >= len(names)))
    if len(wrong) > 0:
        first, last = wrong[0], len(names) - 1
        needed = f"it must be a label, 0 to {last}, or {besides}" if besides else f"labels are 0 to {last}"
        raise UserError(f"{path}: {texts.name} of {key_ids.iloc[first]} is {texts.iloc[first]!r}, but {needed}")
    return values.to_numpy(dtype=np.int64)
