"""left_out.csv: which pictures a set lacks and why, and which of its pictures a person should look at."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from project.data_preparation.pictures.entries import Entry
from project.work.dataset import storage
from project.work.dataset.packed import PackedPictures
from project.work.files import disk

COLUMNS = ("path", "kept", "reason", "label", "part", "copy_of", "detail")
NARROW, BLANK, COPY = "one pixel wide", "blank", "copy"
EMPTY, TRUNCATED, UNREADABLE = "empty", "truncated", "unreadable"


def table(
    broken: Mapping[Entry, str],
    unlike: Iterable[str],
    remarks: Mapping[Entry, str],
    prepared: storage.Prepared,
    marks: np.ndarray,
) -> pd.DataFrame:
    """A row for each picture that is not in a set, and for each that is but is blank, too narrow or a copy.

    broken: what is wrong with those that cannot be read; unlike: names of what is no plain file; remarks: NARROW or
    BLANK for pictures of the set; marks: `copies.digests` of its pictures, those to train first. kept says yes or no;
    copy_of is the path of the first picture that is the same.
    """
    rows = [(path, "no", UNREADABLE, "", "", "", "no plain file") for path in unlike]
    rows += [(entry.path, "no", reason(fault), entry.label, "", "", fault) for entry, fault in broken.items()]
    parts = {path: part for part in storage.PARTS for path in getattr(prepared, part).keys["path"]}
    there = {entry: said for entry, said in remarks.items() if entry.path in parts}
    rows += [(entry.path, "yes", said, entry.label, parts[entry.path], "", "") for entry, said in there.items()]
    return pd.DataFrame([*rows, *_copies(prepared, marks)], columns=list(COLUMNS))


def reason(fault: str) -> str:
    """EMPTY, TRUNCATED or UNREADABLE, by what reading a file said."""
    if fault == "the file is empty":
        return EMPTY
    return TRUNCATED if fault.endswith("it is cut off") else UNREADABLE


def write(path: Path, listed: pd.DataFrame) -> None:
    """Write the table, unless there is nothing in it."""
    if len(listed):
        path.parent.mkdir(parents=True, exist_ok=True)
        disk.replace_file(path, listed.to_csv(index=False, lineterminator="\n").encode())


def note(path: Path) -> dict[str, str]:
    """A line of the summary about the file, by its first word; nothing if there is no file."""
    if not path.exists():
        return {}
    counts = Counter(pd.read_csv(path, dtype=str, keep_default_na=False)["reason"])
    return {"listed": f"in {path.name}: {', '.join(f'{reason} {count}' for reason, count in counts.items())}"}


def _copies(prepared: storage.Prepared, marks: np.ndarray) -> list[Sequence[str]]:
    """A row for each picture that shows exactly what an earlier one does; those to train come first."""
    paths = [path for part in storage.PARTS for path in getattr(prepared, part).keys["path"]]
    labels = np.concatenate([getattr(prepared, part).labels for part in storage.PARTS]).tolist()
    train, first, found = len(prepared.train.labels), dict[bytes, int](), list[Sequence[str]]()
    for row, mark in enumerate(marks):
        before = first.setdefault(mark.tobytes(), row)
        if before == row or paths[before] == paths[row]:  # a picture that is taken more than once is no copy
            continue
        name, other = prepared.names[labels[row]], prepared.names[labels[before]]
        said = [_how(prepared, before, row)]
        said += [f"labelled {other} there"] if name != other else []
        said += ["that one trains, this one tests"] if before < train <= row else []
        part = storage.PARTS[int(row >= train)]
        found.append((paths[row], "yes", COPY, name, part, paths[before], "; ".join(said)))
    return found


def _how(prepared: storage.Prepared, *rows: int) -> str:
    """In what two pictures of a set are the same. rows: those of test after those of train."""
    train, files = prepared.train.images, []
    if not isinstance(train, PackedPictures):
        return f"same pixels at {train.shape[2]} x {train.shape[1]}"
    for row in rows:
        part, at = (prepared.train, row) if row < len(train) else (prepared.test, row - len(train))
        files.append(part.images.encoded(at))  # type: ignore[union-attr]
    return "same file" if files[0] == files[1] else "same pixels"
