"""Corrected labels of a training file, by a person or by --clean, and their file corrections.csv."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from project.work.common import UserError
from project.work.files import disk, tables
from project.work.labels import naming
from project.work.labels.naming import unpacked

FILE = "corrections.csv"
COLUMNS = ("row", "key_id", "given_label", "new_label")
NAMES = ("given_name", "new_name")  # for a person; files of earlier versions have none
DROP, DROPPED = "drop", -1
_FIELDS = ("rows", "given", "new")


@dataclass(frozen=True)
class Corrections:
    """Reviewed rows. rows: int64 (n,), in the training file; given, new: labels, int64 (n,). new is DROPPED for a row
    to leave out, and the given label for a row that is right."""

    rows: np.ndarray
    given: np.ndarray
    new: np.ndarray

    def applied(self, labels: np.ndarray) -> np.ndarray:
        """Labels int64 (N,) of the training file after these corrections, DROPPED for rows to leave out."""
        changed = labels.copy()
        changed[self.rows] = self.new
        return changed

    def joined(self, other: "Corrections") -> "Corrections":
        """Both together; they must be of different rows."""
        return Corrections(*(np.concatenate([getattr(each, name) for each in (self, other)]) for name in _FIELDS))

    def __str__(self) -> str:
        dropped, kept = int((self.new == DROPPED).sum()), int((self.new == self.given).sum())
        return f"{len(self.rows) - dropped - kept} relabelled, {dropped} dropped, {kept} kept as they were"


def read_table(path: Path) -> pd.DataFrame:
    """The rows of a file of corrections, as text. Raises UserError when it is not one."""
    return tables.read_table(path, COLUMNS[1:], "a file of corrections, as the page of ./inv audit exports it", NAMES)


def read(
    path: Path, labels: np.ndarray, keys: np.ndarray, names: list[str], among: str = naming.TRAINING
) -> Corrections:
    """Corrections of a training file. labels: int64 (N,), as they are now; keys: (N,), see `naming.packed`.

    among: what a message calls these rows. Raises UserError when they belong to other data or labels.
    """
    table = read_table(path)
    key_ids = table["key_id"]
    rows = naming.rows(key_ids, keys, path, among)
    given, new = decided(table, names, path)
    other = np.flatnonzero(labels[rows] != given)
    if len(other) > 0:
        first = other[0]
        where = f"{path} line {key_ids.index[first]}"
        raise UserError(f"{where}: says that the label of {key_ids.iloc[first]} is {given[first]}, but here it is"
                        f" {labels[rows[first]]}; the corrections are of other labels (or other noise)")  # fmt: skip
    return Corrections(rows, given, new)


def decided(table: pd.DataFrame, names: list[str], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Parse the columns: given and new labels, both int64 (n,), new DROPPED for "drop". Raises UserError."""
    key_ids, drop = table["key_id"], table["new_label"] == DROP
    given = naming.labels(table["given_label"], key_ids, names, path)
    new = naming.labels(table["new_label"].mask(drop, "0"), key_ids, names, path, besides=DROP)
    _refuse_other_names(table, {"given": given, "new": new}, names, path)
    return given, np.where(drop, DROPPED, new)


def _refuse_other_names(table: pd.DataFrame, labels: dict[str, np.ndarray], names: list[str], path: Path) -> None:
    """Raises UserError where a class name contradicts its label number."""
    for kind, numbers in labels.items():
        if f"{kind}_name" not in table:
            continue
        written, right = table[f"{kind}_name"].to_numpy(), np.array(names, dtype=object)[numbers]
        named = np.flatnonzero((written != "") & (written != right) & (table[f"{kind}_label"] != DROP).to_numpy())
        first = next((row for row in named if not _alike(written[row], right[row])), None)
        if first is not None:
            raise UserError(f"{path}: {kind}_label of {table['key_id'].iloc[first]} is {numbers[first]}, which is"
                            f" {right[first]} here, but {kind}_name is {written[first]}; correct the number, or leave"
                            " the name empty")  # fmt: skip


def _alike(one: str, other: str) -> bool:
    """Whether two names are the same; a spreadsheet turns 004 into 4."""
    try:
        return one.strip() == other.strip() or float(one) == float(other)
    except ValueError:
        return False


def write(path: Path, made: Corrections, keys: np.ndarray, names: list[str] | None = None) -> None:
    """Write them in the order of the training file. names: of the classes; when given, they get columns too."""
    order = np.argsort(made.rows)
    rows, new = made.rows[order], made.new[order].astype(object)
    new[new == DROPPED] = DROP
    columns = dict(zip(COLUMNS, (rows, unpacked(keys[rows]), made.given[order], new), strict=True))
    if names is not None:
        by_number = np.array([*names, ""], dtype=object)  # the last for those that are dropped
        columns |= dict(zip(NAMES, (by_number[made.given[order]], by_number[made.new[order]]), strict=True))
    disk.replace_file(path, pd.DataFrame(columns).to_csv(index=False).encode())
