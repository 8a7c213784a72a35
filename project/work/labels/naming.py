"""What rows and classes are called: key ids and the rows they name, and names of classes as people write them."""

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
    """Key ids as one array of bytes (of text where they are not ASCII): millions of str would fill the memory."""
    parts = []
    for start in range(0, len(keys), SOME_KEYS):
        some = keys.iloc[start : start + SOME_KEYS].astype(str).tolist()
        parts.append(np.array(some, dtype="S" if all(map(str.isascii, some)) else "U"))
    return np.concatenate(parts)


def unpacked(keys: np.ndarray) -> np.ndarray:
    """The same as text."""
    return np.char.decode(keys, "ascii") if keys.dtype.kind == "S" else keys


def spoilt(texts: pd.Series) -> int | None:
    """The place of the first text that a spreadsheet took for a number and rounded or gave a fraction, if there is one.

    4.5e+15 may stand for thousands of key ids; 12.0 was 12, or a text that began with zeros.
    """
    places = np.flatnonzero(texts.str.fullmatch(_SPOILT))
    return int(places[0]) if len(places) > 0 else None


def _refuse_spoilt(key_ids: pd.Series, path: Path) -> None:
    """Raises UserError for a key id that looks so. key_ids: those that cannot be right, by line."""
    place = spoilt(key_ids)
    if place is not None:
        where = f"{path} line {key_ids.index[place]}"
        raise UserError(f"{where}: a spreadsheet took the key id {key_ids.iloc[place]} for a number and changed it;"
                        " take the file as it was exported, or keep that column as text")  # fmt: skip


def rows(key_ids: pd.Series, keys: np.ndarray, path: Path, among: str = TRAINING) -> np.ndarray:
    """The row of each key id, int64 (n,). keys: of the training file, see `packed`; among: what a message calls it.

    Raises UserError for a key that the training file does not have, or has twice, and for one that is named twice.
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
    """Labels int64 (n,) of a column of text. Raises UserError for what is none of 0 .. K-1.

    besides: what else a person may write in that column, which the caller has taken out.
    """
    codes, distinct = pd.factorize(texts)  # a million texts are a few hundred labels
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
_WIDE = re.compile("[\u3000\uff00-\uffef]+")  # full and half width forms, which fonts alone tell apart


def canonical(name: str) -> str:
    """A name as it is written down: composed, of usual width, without blanks that nobody sees.

    Two names of one canonical form cannot be told apart on a screen. What is already in that form stays as it is.
    """
    usual = _WIDE.sub(lambda found: unicodedata.normalize("NFKC", found[0]), name)
    seen = "".join(letter for letter in usual if not _is_invisible(letter))
    return unicodedata.normalize("NFC", " ".join(seen.split()))


def _is_invisible(letter: str) -> bool:
    """Whether a character takes no room: joiners, marks of direction and of byte order, soft hyphens, controls."""
    return unicodedata.category(letter) in ("Cf", "Cc") and not letter.isspace()


def notes(written: Iterable[str]) -> list[str]:
    """What to tell a person of names as they were written: which became one, and which differ by capitals alone."""
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
