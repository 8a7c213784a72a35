"""Names of rows and classes: finds rows by key id, reads labels, and normalises class names."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from project.work.common import UserError

SOME_KEYS = 100_000
TRAINING = "the training rows of this data set"
_SPOILT = r"[+-]?[0-9]+(?:[.,][0-9]+)?[eE][+-]?[0-9]+|[0-9]+[.,]0*"


def packed(keys: pd.Series) -> np.ndarray:
    """Key ids as one array of bytes, or of text if they are not ASCII; millions of str would fill the memory."""
    parts = []
    for start in range(0, len(keys), SOME_KEYS):
        some = keys.iloc[start : start + SOME_KEYS].astype(str).tolist()
        parts.append(np.array(some, dtype="S" if all(map(str.isascii, some)) else "U"))
    return np.concatenate(parts)


def unpacked(keys: np.ndarray) -> np.ndarray:
    """The same as text."""
    return np.char.decode(keys, "ascii") if keys.dtype.kind == "S" else keys


def spoilt(texts: pd.Series) -> int | None:
    """The position of the first text that a spreadsheet read as a number and changed, or None.

    4.5e+15 may stand for thousands of key ids; 12.0 may have been 12 or 0012.
    """
    places = np.flatnonzero(texts.str.fullmatch(_SPOILT))
    return int(places[0]) if len(places) > 0 else None


def _refuse_spoilt(key_ids: pd.Series, path: Path) -> None:
    """Raises UserError for a key id that a spreadsheet changed. key_ids: those that match no row, by line."""
    place = spoilt(key_ids)
    if place is not None:
        where = f"{path} line {key_ids.index[place]}"
        raise UserError(f"{where}: a spreadsheet took the key id {key_ids.iloc[place]} for a number and changed it;"
                        " take the file as it was exported, or keep that column as text")  # fmt: skip


def rows(key_ids: pd.Series, keys: np.ndarray, path: Path, among: str = TRAINING) -> np.ndarray:
    """The row of each key id, int64 (n,). keys: of the training file, see `packed`; among: what a message calls it.

    Raises UserError for a key that the training file lacks or has twice, and for a key that is given twice.
    """
    index = pd.Index(unpacked(keys).astype(object))
    twice = key_ids[key_ids.duplicated()]
    if len(twice) > 0:
        _refuse_spoilt(twice[~twice.isin(index)], path)
        raise UserError(f"{path}: {len(twice)} rows name a key id again, {twice.iloc[0]} the first; leave one of each")
    named = index.isin(key_ids) & index.duplicated(keep=False)
    if named.any():
        raise UserError(f"{path}: {index[named][0]} is the key id of several training rows; each needs its own")
    found = pd.Series(np.arange(len(index)), index=index)[~index.duplicated()].reindex(key_ids, fill_value=-1)
    strange = key_ids[found.to_numpy() < 0]
    if len(strange) > 0:
        _refuse_spoilt(strange, path)
        raise UserError(f"{path}: {len(strange)} of its {len(key_ids)} key ids, {strange.iloc[0]} the first, are not"
                        f" among {among}")  # fmt: skip
    return found.to_numpy(dtype=np.int64)


def labels(texts: pd.Series, key_ids: pd.Series, names: Sequence[str], path: Path, besides: str = "") -> np.ndarray:
    """Parse a text column as labels int64 (n,). Raises UserError for a value outside 0 .. K-1.

    besides: another word that the column may hold, named in the error; the caller has replaced it already.
    """
    codes, distinct = pd.factorize(texts)  # a million texts, but only a few hundred labels
    whole = [int(text) if re.fullmatch(r"[0-9]{1,9}", text) else -1 for text in distinct]
    values = np.array(whole, dtype=np.int64)[codes]
    wrong = np.flatnonzero((values < 0) | (values >= len(names)))
    if len(wrong) > 0:
        first, last = wrong[0], len(names) - 1
        needed = f"it must be a label, 0 to {last}, or {besides}" if besides else f"labels are 0 to {last}"
        if spoilt(texts.iloc[[first]]) is not None:
            needed += "; a spreadsheet took it for a number: keep that column as text"
        place = f"{path} line {texts.index[first]}"
        raise UserError(f"{place}: {texts.name} of {key_ids.iloc[first]} is {texts.iloc[first]!r}, but {needed}")
    return values
_WIDE = re.compile("[\u3000\uff00-\uffef]+")  # full- and half-width forms, which differ in width only


def canonical(name: str) -> str:
    """The canonical form of a name: composed, of normal width, without invisible characters or extra blanks.

    Two names of one canonical form look the same on a screen.
    """
    usual = _WIDE.sub(lambda found: unicodedata.normalize("NFKC", found[0]), name)
    seen = "".join(letter for letter in usual if not _is_invisible(letter))
    return unicodedata.normalize("NFC", " ".join(seen.split()))


def _is_invisible(letter: str) -> bool:
    """Whether a character has no width: joiners, direction and byte-order marks, soft hyphens, controls."""
    return unicodedata.category(letter) in ("Cf", "Cc") and not letter.isspace()


def notes(written: Iterable[str]) -> list[str]:
    """Notes for a person: which of the names as written were merged, and which differ by capitals alone."""
    by_form: dict[str, set[str]] = defaultdict(set)
    by_capitals: dict[str, set[str]] = defaultdict(set)
    for name in written:
        by_form[canonical(name)].add(name)
        by_capitals[canonical(name).casefold()].add(canonical(name))
    one = [(form, sorted(names)) for form, names in sorted(by_form.items()) if len(names) > 1]
    alike = [sorted(names) for _, names in sorted(by_capitals.items()) if len(names) > 1]
    return [
        *(f"{', '.join(map(ascii, names))} are one class, {form}: they look the same" for form, names in one),
        *(f"{' and '.join(names)} differ by capitals alone and are {len(names)} classes" for names in alike),
    ]
