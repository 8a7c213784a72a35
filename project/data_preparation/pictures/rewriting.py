"""Sets that are one file or a few, written anew with other labels: .npz and parquet. The old files are only read.

What is written for a class is what the file has for it already, a number or a text, so that nothing else changes.
"""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import hub
from project.data_preparation.pictures.arrays_file import ArraysFile, ArraysPart, parts_of
from project.data_preparation.pictures.columns import columns_of
from project.data_preparation.pictures.entries import Entry
from project.work.common import progress

Changes = Mapping[str, str | None]  # by an entry's path: its new class, None where it is dropped


def rewrite_arrays(
    path: Path, settings: ImageFolderSettings, entries: Sequence[Entry], changes: Changes, out: IO[bytes]
) -> None:
    """Write the arrays of an .npz into another: labels changed, and the rows of dropped pictures left out.

    Every array with a row for each picture of a part loses these rows too. entries: all pictures of the file. One array
    is in memory at a time. Raises UserError for a file that cannot be read.
    """
    file = ArraysFile(path)
    parts, _ = parts_of(file, settings)
    written = _written(file, parts, entries)
    of_array = {name: part for part in parts for name in part.aligned}
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        kinds = {member.filename: member.compress_type for member in old.infolist()}
        for name in progress(file.headers, desc="writing arrays"):
            array, part = file.read(name), of_array.get(name)
            if part is not None:
                if name == part.labels:
                    array = _relabelled(array, part.keys, changes, written)
                array = array[[changes.get(key, "") is not None for key in part.keys]]
            member = zipfile.ZipInfo(f"{name}.npy")
            member.compress_type = kinds[member.filename]
            with new.open(member, "w", force_zip64=True) as place:
                np.lib.format.write_array(place, array, allow_pickle=False)


def _written(file: ArraysFile, parts: Sequence[ArraysPart], entries: Sequence[Entry]) -> dict[str, Any]:
    """How each class is written in the arrays of labels."""
    classes, found = {entry.path: entry.label for entry in entries}, dict[str, Any]()
    for part in parts:
        for key, value in zip(part.keys, file.read(part.labels).reshape(-1).tolist(), strict=True):
            found.setdefault(classes[key], value)
    return found


def _relabelled(labels: np.ndarray, keys: Sequence[str], changes: Changes, written: Mapping[str, Any]) -> np.ndarray:
    values = labels.reshape(-1).tolist()
    for row, key in enumerate(keys):
        new = changes.get(key)
        values[row] = values[row] if new is None else written[new]
    made = np.array(values) if labels.dtype.kind == "U" else np.array(values, dtype=labels.dtype)
    return made.reshape(labels.shape)


def rewrite_parquet(
    files: Sequence[Path],
    root: Path,
    settings: ImageFolderSettings,
    entries: Sequence[Entry],
    changes: Changes,
    places: Sequence[Path | IO[bytes]],
) -> None:
    """Write parquet files into others, one for each: labels changed, and the rows of dropped pictures left out.

    entries: all pictures of the files; rows that are none of them, as they have no label, stay as they are. One row
    group is in memory at a time. Raises UserError for a file that cannot be read.
    """
    parquet = hub.needed_pyarrow()
    table, image, _ = hub.table_of(files)
    settings = hub.with_paths(settings, image)
    label = columns_of(root, list(table.columns), settings).label
    keys, classes, written = list(table[image]), {entry.path: entry.label for entry in entries}, dict[str, Any]()
    for rows in _labels(files, label):
        for key, value in zip(keys[rows[0] : rows[0] + len(rows[1])], rows[1], strict=True):
            if key in classes:
                written.setdefault(classes[key], value)
    start = 0
    for file, place in zip(files, places, strict=True):
        source = hub.open_parquet(file)
        hub.refuse_large(source.metadata, file)
        form = source.metadata.row_group(0).column(0).compression if source.metadata.num_row_groups else "SNAPPY"
        with parquet.ParquetWriter(place, source.schema_arrow, compression=form) as writer:
            for group in progress(range(source.metadata.num_row_groups), desc=f"writing {file.name}"):
                old = source.read_row_group(group)
                here, start = keys[start : start + len(old)], start + len(old)
                writer.write_table(_changed(old, label, here, changes, written))


def _labels(files: Sequence[Path], label: str) -> list[tuple[int, list[Any]]]:
    """The column of labels as it is written: where the rows of each file start, and their values."""
    found, start = [], 0
    for file in files:
        values = hub.open_parquet(file).read(columns=[label])[label].to_pylist()
        found.append((start, values))
        start += len(values)
    return found


def _changed(old: Any, label: str, keys: Sequence[str], changes: Changes, written: Mapping[str, Any]) -> Any:
    """The rows of a table that stay, with their new labels."""
    import pyarrow

    values = old[label].to_pylist()
    for row, key in enumerate(keys):
        new = changes.get(key)
        values[row] = values[row] if new is None else written[new]
    at = old.schema.get_field_index(label)
    table = old.set_column(at, old.schema.field(at), pyarrow.array(values, old.schema.field(at).type))
    return table.filter(pyarrow.array([changes.get(key, "") is not None for key in keys], pyarrow.bool_()))
