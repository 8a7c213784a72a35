"""A list of pictures to predict: paths, one a line, or a table with a column of paths and perhaps one of ids."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from project.data_preparation.pictures.columns import PATHS, plain
from project.data_preparation.pictures.tree import suffix
from project.work.common import UserError
from project.work.dataset.unprepared import PICTURES
from project.work.files import disk, tables
from project.work.files.disk import shown

IDS = ("keyid", "imageid", "imgid", "id")  # columns of ids, without capitals and signs, the likeliest first


@dataclass(frozen=True)
class Listed:
    """paths: of files, as they start from the folder of the list; written: as the list has them; ids: or None."""

    paths: Sequence[Path]
    written: Sequence[str]
    ids: Sequence[str] | None = None


def read(path: Path) -> Listed:
    """Raises UserError for a list of nothing, or one without a column of paths."""
    text = disk.read_text(path)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{shown(path)} is empty: it should list pictures, a path a line or a table with a column path")
    if all(suffix(line.strip('"')) in PICTURES and "," not in line for line in lines[:3]):
        return _listed(path, [line.strip('"') for line in lines])
    return _of_table(path, text)


def _listed(path: Path, written: Sequence[str], ids: Sequence[str] | None = None) -> Listed:
    stems: dict[Path, dict[str, list[str]]] = {}
    return Listed([_located(path.parent / each.replace("\\", "/"), stems) for each in written], written, ids)


def _located(path: Path, stems: dict[Path, dict[str, list[str]]]) -> Path:
    """The file that a path means: one without a suffix may mean the only picture of that name. stems: of folders."""
    if suffix(path.name) in PICTURES or path.is_file():
        return path
    if path.parent not in stems:
        found = stems[path.parent] = {}
        for name in os.listdir(path.parent) if path.parent.is_dir() else ():
            if suffix(name) in PICTURES:
                found.setdefault(os.path.splitext(name)[0], []).append(name)
    fitting = stems[path.parent].get(path.name, [])
    return path.with_name(fitting[0]) if len(fitting) == 1 else path


def _of_table(path: Path, text: str) -> Listed:
    header = tables.header(text, [*PATHS.split()])
    by_form = {plain(name): name for name in reversed(header)}
    ids = next((by_form[form] for form in IDS if form in by_form), None)
    paths = next((by_form[form] for form in PATHS.split() if form in by_form and by_form[form] != ids), None)
    if paths is None:  # ids alone may be the names of files
        paths, ids = ids, None
    if paths is None:
        found = ",".join(header)[:80]
        raise UserError(f"{shown(path)}: no column path in {found!r}: name one so, with paths from the list's folder")
    table = tables.parse_table(text, path, (paths,), "a list of pictures", [ids] if ids else [], ragged=True)
    written = table[paths].str.strip().tolist()
    if not written:
        raise UserError(f"{shown(path)} lists no pictures: add lines below its header")
    if not all(written):
        raise UserError(f"{shown(path)} line {table.index[written.index('')]}: no path: fill it in, or remove the line")
    return _listed(path, written, None if ids is None else _ids(path, table[ids].str.strip().tolist()))


def _ids(path: Path, ids: list[str]) -> list[str]:
    seen: set[str] = set()
    for each in ids:
        if not each or each in seen:
            raise UserError(f"{shown(path)}: the id {each!r} {'stands there twice' if each else 'is empty'}; ids tell"
                            " pictures apart")  # fmt: skip
        seen.add(each)
    return ids
