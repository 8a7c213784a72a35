"""Decisions made before an audit. Its page starts from them, so that its export holds all decisions."""

from pathlib import Path

import numpy as np

from project.work.common import UserError
from project.work.files import tables
from project.work.labels import corrections
from project.work.labels.corrections import DROP, DROPPED, Corrections

FILE = "earlier_corrections.csv"  # not corrections.csv: a page's export may be saved beside it
Decision = tuple[int, str, int, int | str]


def write(folder: Path, done: Corrections, keys: np.ndarray, names: list[str]) -> None:
    """Write the corrections that an audit was made with into its folder. keys: (N,), see `naming.packed`."""
    corrections.write(folder / FILE, done, keys, names)


def read(folder: Path, names: list[str]) -> list[Decision]:
    """Read them: (row, key id, label in the data, new label or drop) each; none if the audit was made without.

    They include rows that the audit leaves out. Raises UserError.
    """
    path = folder / FILE
    if not path.exists():
        return []
    kind = "the corrections that an audit was made with"
    table = tables.read_table(path, corrections.COLUMNS, kind, corrections.NAMES)
    given, new = corrections.decided(table, names, path)
    if not table["row"].str.fullmatch(r"[0-9]{1,18}").all():
        raise UserError(f"{path}: a row is not a number; run ./inv audit again")
    values = [DROP if label == DROPPED else label for label in new.tolist()]
    return list(zip(table["row"].astype(int).tolist(), table["key_id"].tolist(), given.tolist(), values, strict=True))


def note(decisions: list[Decision]) -> str:
    """The sentence about them on the page; empty if there are none."""
    if not decisions:
        return ""
    count = f"{len(decisions):,} decision{'s were' if len(decisions) > 1 else ' was'}"
    return (
        f" {count} made before this audit. The page already holds them, also for pictures that are not shown, and the"
        " export includes them. Where not all pictures fit, those that are not reviewed yet go first."
    )
