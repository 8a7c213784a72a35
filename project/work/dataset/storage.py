"""The files of project/input/<dataset>: written by preparation, read by training; nothing else knows their form."""

import gzip
import hashlib
import io
import json
import os
import pickle
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from project.work.declaration import UserError

LABEL_NAME = "label_name.csv"
PROVENANCE = "provenance.json"
_ARRAY_PARTS = {  # every global that pickled numeric arrays refer to, under the module names of numpy 1 and 2
    "_reconstruct": "multiarray",
    "ndarray": "numpy",
    "dtype": "numpy",
    "_frombuffer": "numeric",
    "encode": "_codecs",
}


@dataclass(frozen=True)
class Pictures:
    """One part (train or test) of a prepared data set.

    images: uint8 (N, H, W) or (N, H, W, C); labels: int64 (N,); keys: one row a picture, with a column key_id (text)
    and whatever the source knows (countrycode, recognized, path, true_label).
    """

    images: np.ndarray
    labels: np.ndarray
    keys: pd.DataFrame


@dataclass(frozen=True)
class Prepared:
    """A prepared data set: both parts, the class names (position = label) and where it all came from."""

    train: Pictures
    test: Pictures
    names: list[str]
    provenance: dict[str, Any] = field(default_factory=dict)


def write(folder: Path, prepared: Prepared) -> None:
    """Write a data set; each file appears whole or not at all, and the same data gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    checksums = {}
    for part in ("train", "test"):
        pictures: Pictures = getattr(prepared, part)
        keys = pictures.keys.reset_index(drop=True).rename_axis("row").to_csv()
        files = {
            _file(part, "images"): pickle.dumps(np.ascontiguousarray(pictures.images), protocol=4),
            _file(part, "labels"): pickle.dumps(pictures.labels.astype(np.int64), protocol=4),
            f"{part}_keys.csv.gz": keys.encode(),
        }
        for name, data in files.items():
            checksums[name] = hashlib.sha256(data).hexdigest()
            replace_file(folder / name, gzip.compress(data, compresslevel=1, mtime=0))
    names = pd.DataFrame({"name": prepared.names}).rename_axis("label").to_csv()
    replace_file(folder / LABEL_NAME, names.encode())
    provenance = prepared.provenance | {"sha256": checksums}
    replace_file(folder / PROVENANCE, (json.dumps(provenance, indent=2) + "\n").encode())


def replace_file(path: Path, data: bytes) -> None:
    """Write beside the file and move over it, so that a crash or a full disk leaves the old file as it was."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def remove_partial(path: Path) -> None:
    """Remove what processes that were killed left beside a file; only for a file that nobody else is writing."""
    for partial in path.parent.glob(f".{path.name}.*"):
        partial.unlink(missing_ok=True)


def read(folder: Path) -> Prepared:
    """Read and check a data set.

    Key files and provenance may be absent (the predecessor's sets have neither): rows are then named by their number.
    Raises UserError that names the file and the fault.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is missing: run ./inv prepare first (or --dataset with the name of a prepared set)")
    names = _read_names(folder / LABEL_NAME)
    train, test = (_read_part(folder, part, len(names)) for part in ("train", "test"))
    if train.images.shape[1:] != test.images.shape[1:]:
        raise UserError(f"{folder}: train pictures are {train.images.shape[1:]}, test pictures {test.images.shape[1:]}")
    return Prepared(train, test, names, _read_provenance(folder / PROVENANCE))


def fingerprint(pictures: Pictures) -> str:
    """A short name for exactly these pictures, labels and keys: what was learnt from others does not fit them."""
    digest = hashlib.sha256()
    for array in (pictures.images, pictures.labels):
        digest.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    digest.update("\n".join(pictures.keys["key_id"].astype(str)).encode())
    return digest.hexdigest()[:12]


def _read_names(path: Path) -> list[str]:
    try:
        table = pd.read_csv(_present(path), dtype={"name": str}, keep_default_na=False)
        names = table.sort_values("label")["name"].tolist()
        in_order = sorted(table["label"].tolist()) == list(range(len(names)))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: needs the columns label,name ({error}); prepare the data again") from error
    if not in_order:
        raise UserError(f"{path}: labels must count 0, 1, 2 ... with no gap; prepare the data again")
    if len(names) < 2:
        raise UserError(f"{path}: {len(names)} class, but a classifier needs at least 2")
    return names


def _read_provenance(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text()) if path.exists() else {}
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); prepare the data again, or delete it") from error


def _read_part(folder: Path, part: str, classes: int) -> Pictures:
    images = _read_array(folder / _file(part, "images"))
    labels = _read_array(folder / _file(part, "labels"))
    where = f"{folder}/{part}"
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise UserError(f"{where}_images: {images.dtype} {images.shape}, but uint8 (N, H, W) or (N, H, W, C) is needed")
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise UserError(f"{where}_labels: {labels.dtype} {labels.shape}, but whole numbers (N,) are needed")
    if len(images) != len(labels):
        raise UserError(f"{where}: {len(images)} pictures but {len(labels)} labels; prepare the data again")
    if len(labels) == 0:
        raise UserError(f"{where}: no pictures; prepare the data again")
    if labels.min() < 0 or labels.max() >= classes:
        span = f"{labels.min()} to {labels.max()}"
        raise UserError(f"{where}_labels: labels {span}, but {LABEL_NAME} has 0 to {classes - 1}")
    return Pictures(images, labels.astype(np.int64), _read_keys(folder / f"{part}_keys.csv.gz", len(labels)))


def _read_keys(path: Path, rows: int) -> pd.DataFrame:
    if not path.exists():
        return pd.DataFrame({"key_id": [str(row) for row in range(rows)]})
    try:
        keys = pd.read_csv(path, index_col="row", dtype={"key_id": str}, keep_default_na=False, na_values=[""])
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error}); prepare the data again") from error
    if "key_id" not in keys or keys.index.tolist() != list(range(rows)):
        raise UserError(f"{path}: needs a column key_id and rows 0 to {rows - 1} in order; prepare the data again")
    return keys


def _read_array(path: Path) -> np.ndarray:
    try:
        with gzip.open(_present(path)) as file:
            array = _ArrayUnpickler(io.BytesIO(file.read())).load()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path}: not a whole gzipped pickle of an array ({error}); prepare the data again") from error
    if not isinstance(array, np.ndarray) or array.dtype.hasobject:
        raise UserError(f"{path}: holds {type(array).__name__}, but a numeric numpy array is needed")
    return array


class _ArrayUnpickler(pickle.Unpickler):
    """Admits numeric numpy arrays and nothing else, so that a foreign pickle is refused before it can run anything."""

    def find_class(self, module: str, name: str) -> Any:
        home = _ARRAY_PARTS.get(name)
        if home is None or module.split(".")[0] not in ("numpy", "_codecs") or module.split(".")[-1] != home:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only numpy arrays are read")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _present(path: Path) -> Path:
    if not path.exists():
        raise UserError(f"{path} is missing: run ./inv prepare first")
    return path


def _file(part: str, what: str) -> str:
    return f"{part}_{what}.pkl.gz"
