"""Sets in the forms of the Hugging Face hub: pictures with a metadata.csv or .jsonl beside them, and parquet files."""

import dataclasses
import json
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pandas as pd

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import parts
from project.data_preparation.pictures.columns import LABELS, columns_of, plain, roles_of
from project.data_preparation.pictures.csv_list import listed, part_notes
from project.data_preparation.pictures.entries import Content, Entry, PictureList
from project.data_preparation.pictures.reading import free_memory
from project.data_preparation.pictures.tree import Tree
from project.work.common import UserError, progress
from project.work.files import disk, tables

_IMAGES = "image images img imgs picture photo"
_ROWS = 64  # pictures that are held at once while a parquet file is read
_LARGEST_GROUP = 1 << 32  # bytes that the pictures of one row group may come to
_INSTALL = "parquet files need pyarrow: install it with pip install -e '.[parquet]'"


def read_metadata(tree: Tree, settings: ImageFolderSettings) -> PictureList | None:
    """The pictures of a folder by its metadata.csv or metadata.jsonl files; None where these give no classes.

    file_name in them starts from their own folder, which may be that of a part. Raises UserError for a bad row.
    """
    found = [
        (place, table)
        for place, here in sorted(tree.places.items())
        for name in here.metadata
        if (table := _metadata(tree.path(place) / name)) is not None and _has_classes(table, settings)
    ]
    if not found:
        return None
    for place, table in found:
        file_name = next(name for name in table.columns if plain(name) == "filename")
        table[file_name] = ["/".join((*place, name.strip())) for name in table[file_name]]
        if len(found) > 1:
            table.index = pd.Index([f"{line} of {'/'.join(place)}" for line in table.index])
    table = pd.concat([each for _, each in found]).fillna("")
    path_column = next(name for name in table.columns if plain(name) == "filename")
    settings = dataclasses.replace(settings, path_column=path_column)
    columns = columns_of(tree.root, list(table.columns), settings)
    said = parts.spellings({path.split("/")[0] for path in table[path_column]})
    if not any(plain(name) == "split" for name in table.columns) and len(set(said.values())) > 1:
        firsts = [path.split("/")[0] for path in table[path_column]]
        if all(first in said for first in firsts):
            table["split"] = firsts
            columns = dataclasses.replace(columns, others=[*columns.others, "split"])
    beside = {"metadata": "the classes are those of the metadata files beside the pictures"}
    return listed(tree.root / "metadata", table, columns, settings.skip_broken, beside)


def _has_classes(table: pd.DataFrame, settings: ImageFolderSettings) -> bool:
    names = {plain(name) for name in table.columns}
    return "filename" in names and (settings.label_column in table.columns or bool(names & {*LABELS.split()}))


def _metadata(path: Path) -> pd.DataFrame | None:
    """The table of a metadata file as text, its index the lines. Raises UserError for a line that is none."""
    if path.suffix == ".csv":
        return tables.read_table(path)
    rows: dict[int, dict[str, str]] = {}
    for number, line in enumerate(disk.read_text(path).split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{path} line {number}: no JSON ({disk.said(error)}): correct or remove it") from error
            if not isinstance(row, dict):
                needed = '{"file_name": "1.jpg", "label": "cat"}'
                raise UserError(f"{path} line {number}: an object such as {needed} is needed")
            rows[number] = {str(name): _text(value) for name, value in row.items()}
    return pd.DataFrame.from_dict(rows, orient="index", dtype=object).fillna("") if rows else None


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, (dict, list)) else str(value)


def read_parquet(files: Sequence[Path], root: Path, settings: ImageFolderSettings) -> PictureList:
    """List the pictures of parquet files with the columns image (bytes and path) and label.

    root: what they are called by; a file whose name says train, valid or test is that part. Labels are read first, the
    pictures row group by row group when the first of them is wanted. Raises UserError for files that are none.
    """
    table, image, names = table_of(files)
    columns = columns_of(root, list(table.columns), with_paths(settings, image))
    for column in {columns.label, columns.truth or "", *columns.label_sets.values()} & names.keys():
        table[column] = [_class(text, names[column], root, column) for text in table[column]]
    spool = _Spool(files, image, list(table[image]))
    unlabelled = table[table[columns.label].str.strip() == ""]
    if len(unlabelled) and (not settings.skip_broken or len(unlabelled) == len(table)):
        others = f"{len(unlabelled)} of {len(table)} rows have none"
        raise UserError(f"{root} row {unlabelled.index[0]}: no label ({others}): leave them out with --skip-broken")
    table = table.drop(unlabelled.index)
    roles = roles_of(root, table, columns)
    uses = parts.roles(roles.said, str(root))
    rows = zip(table[columns.label], table[image], roles.said, roles.groups, roles.boxes, roles.truths, roles.labels,
               strict=True)  # fmt: skip
    entries = [Entry(label, uses[said], path, group, said, *more) for label, path, said, group, *more in rows]
    notes = roles.notes | part_notes(uses, Counter(entry.said for entry in entries), roles.division, entries)
    left = unlabelled[image].tolist()
    return PictureList(root, entries, 0, left, notes, {}, roles.together, roles.sets, spool.picture)


def with_paths(settings: ImageFolderSettings, image: str) -> ImageFolderSettings:
    """The settings by which columns are told apart, where pictures take the place of their paths."""
    return dataclasses.replace(settings, path_column=image)


def table_of(files: Sequence[Path]) -> tuple[pd.DataFrame, str, dict[str, list[str]]]:
    """All rows of some files as text, numbered from 1; the column of pictures, with their keys in it; names of classes.

    A file whose name says a part gives its rows that part, unless they say one.
    """
    labelled, keys, names, image = [], list[str](), dict[str, list[str]](), ""
    for file in files:
        table, here, found = _labels(file)
        if here != (image := image or here):
            raise UserError(f"{file}: its pictures are in the column {here}, and those of {files[0].name} in {image}")
        part = parts.spelled(file.stem.split("-")[0]) if len(files) > 1 else None
        if part is not None and not any(plain(name) == "split" for name in table.columns):
            table["split"] = part.part
        keys += [f"{file.stem}/{row:07d}" for row in range(len(table))]
        labelled.append(table)
        names |= found
    table = pd.concat(labelled, ignore_index=True).fillna("")
    if (table[image] == "").any() or table[image].duplicated().any():
        table[image] = keys
    table.index = pd.RangeIndex(1, len(table) + 1)
    return table, image, names


def _class(text: str, names: Sequence[str], where: Path, column: str) -> str:
    if text.isdecimal() and int(text) < len(names):
        return names[int(text)]
    if text in ("", "-1"):  # what the hub writes for rows without a label
        return ""
    raise UserError(f"{where}: {column} has {text[:40]!r}, and its {len(names)} classes are 0 to {len(names) - 1}")


def needed_pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(_INSTALL) from error
    return pyarrow.parquet


def _image_column(names: Sequence[str], file: Path) -> str:
    found = next((name for name in names if plain(name) in _IMAGES.split()), None)
    if found is None:
        raise UserError(f"{file}: no column image, but {', '.join(names)[:80]}: a parquet of pictures has image and"
                        " label")  # fmt: skip
    return found


def open_parquet(file: Path) -> Any:
    """A parquet file, of which the footer is read. Raises UserError."""
    reader = needed_pyarrow()
    disk.plain(file)
    try:
        return reader.ParquetFile(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: not a parquet file ({disk.said(error)})") from error


def _labels(file: Path) -> tuple[pd.DataFrame, str, dict[str, list[str]]]:
    """All but the pictures of a parquet file as text, the image column as paths; that column; names of classes."""
    parquet = open_parquet(file)
    schema = parquet.schema_arrow
    image = _image_column(schema.names, file)
    kind = schema.field(image).type
    nested = {kind.field(at).name for at in range(kind.num_fields)}
    if "bytes" not in nested and str(kind) not in ("binary", "large_binary"):
        raise UserError(f"{file}: the column {image} is {str(kind)[:60]}, but the bytes of pictures are needed")
    flat = [name for name in schema.names if name != image and _is_flat(schema.field(name).type)]
    try:
        read = parquet.read(columns=[*flat, f"{image}.path"] if "path" in nested else flat)
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read ({disk.said(error)})") from error
    table = pd.DataFrame({name: [_text(value) for value in read[name].to_pylist()] for name in flat}, dtype=object)
    paths = [(cell or {}).get("path") for cell in read[image].to_pylist()] if "path" in nested else []
    table[image] = list(map(_text, paths)) or [""] * parquet.metadata.num_rows
    return table, image, _class_names(schema.metadata or {})


def _is_flat(kind: Any) -> bool:
    """Whether a column holds numbers or text, and no bytes or lists, which may be large."""
    return kind.num_fields == 0 and "binary" not in str(kind)


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """The names of the classes of each column, as the hub's libraries write them into a file."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {name: [str(each) for each in feature["names"]] for name, feature in features.items()
                if isinstance(feature, dict) and isinstance(feature.get("names"), list)}  # fmt: skip
    except (LookupError, ValueError, TypeError, AttributeError):
        return {}


class _Spool:
    """The bytes of every picture one after the other in a file without a name, which goes when nobody holds it.

    A parquet file gives its pictures in its own order, row group by row group; a set takes them by class.
    """

    def __init__(self, files: Sequence[Path], image: str, keys: Sequence[str]) -> None:
        self.files, self.image = files, image
        self.rows = {key: row for row, key in enumerate(keys)}
        self.places: list[tuple[int, int]] = []
        self.file: IO[bytes] | None = None
        self.lock = threading.Lock()

    def picture(self, entry: Entry) -> Content:
        """The bytes of an entry's picture. Raises UserError, and ValueError for a row without a picture."""
        with self.lock:
            if self.file is None:
                self.file = self._written()
        start, size = self.places[self.rows[entry.path]]
        if size == 0:
            raise ValueError("the row holds no picture")
        return os.pread(self.file.fileno(), size, start)

    def _written(self) -> IO[bytes]:
        spool, end = tempfile.TemporaryFile(), 0  # noqa: SIM115 - it is kept as long as this object
        try:
            for data in progress(self._every(), desc="reading parquet", total=len(self.rows), unit="picture"):
                spool.write(data)
                self.places.append((end, len(data)))
                end += len(data)
            spool.flush()
        except OSError as error:
            raise UserError(f"{tempfile.gettempdir()}: {error.strerror or error}: the pictures of a parquet file are"
                            " laid there while it is read; make room, or set TMPDIR") from error  # fmt: skip
        return spool

    def _every(self) -> Iterator[bytes]:
        for file in self.files:
            parquet = open_parquet(file)
            refuse_large(parquet.metadata, file)
            kind = parquet.schema_arrow.field(self.image).type
            column = f"{self.image}.bytes" if kind.num_fields else self.image
            for group in range(parquet.metadata.num_row_groups):  # all groups at once would be kept to the end
                for batch in parquet.iter_batches(_ROWS, row_groups=[group], columns=[column], use_threads=False):
                    values = batch.column(0)
                    for cell in values.field("bytes") if kind.num_fields else values:
                        yield cell.as_py() or b""


def refuse_large(metadata: Any, file: Path) -> None:
    """Raise UserError where a row group does not fit in memory: one is held at a time, and its footer says its size."""
    free = free_memory()
    most = _LARGEST_GROUP if free is None else min(free, _LARGEST_GROUP)
    for group in range(metadata.num_row_groups):
        size = metadata.row_group(group).total_byte_size
        if size > most:
            raise UserError(f"{file}: its row group {group} comes to {size:,} bytes, and at most {most:,} are read at"
                            " once: write it with smaller row groups")  # fmt: skip


def parquet_files(tree: Tree) -> list[Path]:
    """The parquet files of a folder that holds no pictures beside them, sorted."""
    found = [tree.path(place) / name for place, here in tree.places.items() for name in here.parquet]
    return [] if tree.counts[()] else sorted(found)
