"""Adds known label noise and records it in noise.csv, so that methods can be measured against the truth."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from project.work.common import UserError
from project.work.files import disk, tables
from project.work.labels import naming
from project.work.labels.naming import unpacked
from project.work.settings.groups import Settings

FACTS = "noise.json"
_SUMS_TO_ONE = 1e-3  # tolerance for the row sums of a matrix written with few digits
_ROUNDING = 1e-9  # of a probability
_WRITES_ONE = "./inv audit writes one as transition.csv"
MANIFEST = "noise.csv"
NO_CLASS = -1  # the picture shows none of the classes
_MANIFEST_COLUMNS = ("row", "key_id", "true_label", "noisy_label")


@dataclass(frozen=True)
class Noise:
    """Labels of a training file before and after noise: true, noisy, int64 (N,).

    true may be -1, where a manifest says that a picture shows none of the classes.
    """

    true: np.ndarray
    noisy: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """The rows whose label was changed, int64, ascending."""
        return np.flatnonzero(self.true != self.noisy)

    @property
    def rate(self) -> float:
        """The share of rows whose label was changed."""
        return len(self.rows) / len(self.true)

    @property
    def fingerprint(self) -> str:
        """A short name for exactly these labels."""
        return hashlib.sha256(self.noisy.tobytes()).hexdigest()[:12]


def make(settings: Settings, labels: np.ndarray, keys: np.ndarray, names: list[str]) -> Noise:
    """The noise that the settings ask for on a training file; the same seed gives the same noise.

    labels: int64 (N,); keys: key ids (N,), see `naming.packed`; names: of the K classes. Raises UserError.
    """
    kind, generator = settings.noise_type, np.random.default_rng(settings.noise_seed)
    if kind == "file":
        return Noise(*read_manifest(Path(settings.noise_file), labels, keys, names))
    if kind == "confusion":
        matrix = read_matrix(Path(settings.noise_file), names)
        if settings.noise_rate > 0:
            matrix = scaled(matrix, labels, settings.noise_rate)
        return Noise(labels, confused(labels, matrix, generator))
    change = {"symmetric": symmetric, "pairflip": pairflip}[kind]
    return Noise(labels, change(labels, len(names), settings.noise_rate, generator))


def symmetric(labels: np.ndarray, classes: int, rate: float, generator: np.random.Generator) -> np.ndarray:
    """round(rate x N) of the labels change to another class, each with equal probability."""
    rows = _some(len(labels), rate, generator)
    noisy = labels.copy()
    noisy[rows] = (labels[rows] + generator.integers(1, classes, len(rows))) % classes
    return noisy


def pairflip(labels: np.ndarray, classes: int, rate: float, generator: np.random.Generator) -> np.ndarray:
    """round(rate x N) of the labels change to the next class (Han et al., 2018)."""
    rows = _some(len(labels), rate, generator)
    noisy = labels.copy()
    noisy[rows] = (labels[rows] + 1) % classes
    return noisy


def confused(labels: np.ndarray, matrix: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Each label drawn from its row of a noise transition matrix, float (K, K), rows sum to 1."""
    noisy = labels.copy()
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        noisy[rows] = generator.choice(len(matrix), size=len(rows), p=matrix[label])
    return noisy


def scaled(matrix: np.ndarray, labels: np.ndarray, rate: float) -> np.ndarray:
    """The transition matrix with its off-diagonal scaled so that an expected share `rate` of these labels changes.

    Raises UserError when the matrix changes no label, or when a class would have to change more than all its labels.
    """
    wrong = 1 - matrix.diagonal()
    expected = wrong[labels].mean()
    if expected <= 0:
        raise UserError(f"--noise-rate {rate}: this matrix leaves every label here as it is, so there is nothing to"
                        " scale; give one with shares beside its diagonal, or --noise-type symmetric")  # fmt: skip
    factor = rate / expected
    if factor * wrong.max() > 1 + _ROUNDING:
        reach = expected / wrong.max()
        raise UserError(f"--noise-rate {rate}: this matrix keeps its shape up to {reach:.3f} only; lower the rate")
    scaled = np.maximum(matrix * factor + np.diag(1 - factor * matrix.sum(axis=1)), 0)
    return scaled / scaled.sum(axis=1, keepdims=True)


def read_matrix(path: Path, names: list[str]) -> np.ndarray:
    """Read a noise transition matrix, float (K, K), from a CSV with the class names as header and first column.

    Rows and columns may have any order; the result has that of `names`. Raises UserError.
    """
    table = tables.read_table(path, kind=f"a noise transition matrix ({_WRITES_ONE})", optional=names)
    table = table.set_index(table.columns[0])
    _refuse_other_names(table, names, path)
    try:
        table = table.reindex(index=names, columns=names)
        matrix = table.map(lambda text: text.replace(",", ".")).to_numpy(dtype=float)  # some spreadsheets write 0,9
    except ValueError as error:
        raise UserError(f"{path}: not a matrix ({disk.said(error)}); {_WRITES_ONE}") from error
    if not np.isfinite(matrix).all() or matrix.min() < 0:
        raise UserError(f"{path}: holds values that are not probabilities")
    sums = matrix.sum(axis=1)
    worst = np.abs(sums - 1).argmax()
    if abs(sums[worst] - 1) > _SUMS_TO_ONE:
        raise UserError(f"{path}: the row of {names[worst]} sums to {sums[worst]:.4f}, not to 1")
    return matrix / sums[:, None]


def _refuse_other_names(table: pd.DataFrame, names: list[str], path: Path) -> None:
    needed = f"{path}: its header and first column must hold the {len(names)} class names of this data set"
    for where, found in (("header", table.columns), ("first column", table.index)):
        strange = found[~found.isin(names)]
        if len(strange) > 0:
            raise UserError(f"{needed}, but {strange[0]!r} in its {where} is none of them")
        missing = [name for name in names if name not in found]
        if missing:
            raise UserError(f"{needed}, but {missing[0]!r} is not in its {where}")
        if found.has_duplicates:
            raise UserError(f"{needed}, but {found[found.duplicated()][0]!r} is twice in its {where}")


def write(folder: Path, noise: Noise, settings: Settings, keys: np.ndarray, names: list[str]) -> None:
    """Write noise.csv, every changed row, and noise.json, the requested and the actual rate."""
    rows = noise.rows
    text = manifest_text(rows, unpacked(keys[rows]), noise.true[rows], noise.noisy[rows], names)
    disk.replace_file(folder / MANIFEST, text)
    facts = {
        "type": settings.noise_type,
        "requested_rate": settings.noise_rate,
        "actual_rate": noise.rate,
        "seed": settings.noise_seed,
        "rows": len(noise.true),
        "changed": len(rows),
    }
    disk.replace_file(folder / FACTS, (json.dumps(facts, indent=2) + "\n").encode())


def _some(count: int, rate: float, generator: np.random.Generator) -> np.ndarray:
    return generator.permutation(count)[: round(rate * count)]


def manifest_text(rows: np.ndarray, keys: np.ndarray, true: np.ndarray, noisy: np.ndarray, names: list[str]) -> bytes:
    """The manifest of some rows. keys: text; true, noisy: their labels, int; all (n,); true may be NO_CLASS."""
    by_name = np.array([*names, ""], dtype=object)  # NO_CLASS is the last
    columns = dict(zip(_MANIFEST_COLUMNS, (rows, keys, true, noisy), strict=True))
    table = pd.DataFrame(columns | {"true_name": by_name[true], "noisy_name": by_name[noisy]})
    return table.to_csv(index=False).encode()


def read_manifest(path: Path, labels: np.ndarray, keys: np.ndarray, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Read a manifest: true and noisy labels, both int64 (N,), of a training file.

    labels: int64 (N,), all from before the noise or all from after it. In the second case they stay as they are, and
    the manifest adds the true labels. keys: (N,), see `naming.packed`. Raises UserError when the manifest belongs to
    other data.
    """
    table = tables.read_table(path, _MANIFEST_COLUMNS[1:], "a noise manifest, such as the noise.csv of a run")
    key_ids, unknown = table["key_id"], table["true_label"] == str(NO_CLASS)
    rows = naming.rows(key_ids, keys, path)
    noisy = naming.labels(table["noisy_label"], key_ids, names, path)
    true = naming.labels(table["true_label"].mask(unknown, "0"), key_ids, names, path)
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
        raise UserError(f"{path}: {len(after)} of its {len(here)} rows, {keys[after[0]]} the first, already have"
                        " their noisy label here and the others do not; the manifest is of other data")  # fmt: skip
