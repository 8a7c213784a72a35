"""A CSV of pictures, or a list without a header: where each picture is and what it shows."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import parts
from project.data_preparation.pictures.columns import LABELS, PATHS, Columns, columns_of, plain, roles_of
from project.data_preparation.pictures.entries import Entry, PictureList, a_few
from project.data_preparation.pictures.tree import UNREAD, suffix
from project.work.common import UserError
from project.work.dataset.unprepared import ARCHIVES, PICTURES
from project.work.files import disk, tables
from project.work.labels.naming import canonical

_TABLES = ".xlsx .xlsm .xls .ods .numbers .feather .arrow .json .jsonl .npy .pkl .h5 .hdf5 .mat .db"
_NO_CSV = (  # suffixes, and what to do with such a file
    ({*_TABLES.split()}, "is no CSV: save its table as one with the columns path,label"),
    (ARCHIVES, "is packed: unpack it, and give what is in it"),
    (PICTURES | UNREAD, "is one picture: give the folder that holds those of each class in one sub-folder"),
)
_SIGNS = {"\t": "a tab", ",": "a comma", " ": "a blank"}  # between path and class, where there is no header
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://|data:")


def read_csv(file: Path, settings: ImageFolderSettings) -> PictureList:
    """List the pictures of a CSV, or of a list of paths and labels without a header, and say how it was understood.

    Raises UserError for a file or row that is not clear.
    """
    _refuse_other_kinds(file)
    data = disk.read_bytes(file)
    text = disk.text_of(data, file)
    hint = re.match(r"sep=.(?=\r?\n)", text)  # for Excel; its line stays, empty
    text = text[hint.end() :] if hint else text
    given = [name.strip() for name in (settings.path_column, settings.label_column) if name is not None]
    header = tables.header(text, [*given, "path", "label"] if given else [*PATHS.split(), *LABELS.split()])
    table = None if given else _without_header(file, text, header)
    notes = {}
    if table is None:
        columns = columns_of(file, header, settings, text)
        wanted = (columns.path, columns.label)
        table = tables.parse_table(text, file, wanted, "a list of pictures", columns.beside, ragged=True)
    else:
        columns = columns_of(file, list(table.columns), settings)
        notes["header"] = "none: each line is the path of a picture and its class"
    if not len(table):
        raise UserError(f"{file} lists no pictures: add lines of path,label")
    if not disk.is_unicode(data):
        notes["encoding"] = "not UTF-8, so read as Windows-1252: where names look wrong, save the CSV as UTF-8"
    return listed(file, table, columns, settings.skip_broken, notes)


def listed(file: Path, table: pd.DataFrame, columns: Columns, skip: bool, notes: dict[str, str]) -> PictureList:
    """The pictures of a table, whose paths start from the folder of its file. Raises UserError for a row that is not
    clear. table: of text, its index the lines; skip: leave out pictures that are missing; notes: further ones."""
    roles = roles_of(file, table, columns)
    rows = _CsvRows(file)
    more = zip(roles.groups, roles.boxes, roles.truths, roles.labels, strict=True)
    for line, *cells in zip(table.index, table[columns.path], table[columns.label], roles.said, more, strict=True):
        rows.add(line, *cells)
    if rows.missing and (not skip or not rows.entries):
        raise UserError(rows.first_missing(len(table)))
    uses = parts.roles(roles.said, str(file))
    entries = [entry._replace(part=uses[entry.said]) for entry in rows.entries]
    counts = Counter(entry.said for entry in entries)
    notes = roles.notes | part_notes(uses, counts, roles.division, entries) | rows.notes() | notes
    called = {role: f"a row of {' or '.join(part for part in uses if uses[part] == role)}" for role in parts.PARTS}
    return PictureList(file.parent, entries, 0, rows.missing, notes, called, roles.together, roles.sets)


def _without_header(file: Path, text: str, header: Sequence[str]) -> pd.DataFrame | None:
    """A list whose first line is a picture already: path and class, apart by a tab, a comma or the last blank.

    None where it is not; its first line is then the header. Raises UserError for a line without a class.
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    if {plain(name) for name in header} & {*PATHS.split(), *LABELS.split()}:
        return None
    sign = next((sign for sign in _SIGNS if sign in first.strip() and _is_picture(file, first, sign)), None)
    if sign is None:
        return None
    rows: dict[int, list[str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            rows[number] = [cell.strip().strip('"') for cell in line.strip().rsplit(sign, 1)]
            if len(rows[number]) < 2:
                raise UserError(f"{file} line {number}: no label: each line is a path, {_SIGNS[sign]} and a class")
    return pd.DataFrame.from_dict(rows, orient="index", columns=["path", "label"], dtype=object)


def _is_picture(file: Path, line: str, sign: str) -> bool:
    """Whether a line begins with the path of a picture."""
    path = line.strip().rsplit(sign, 1)[0].strip().strip('"')
    return suffix(path) in PICTURES or any(os.path.isfile(file.parent / form) for form in _spellings(path))


def _refuse_other_kinds(file: Path) -> None:
    """Raise UserError for a file whose name says that it is no CSV, before its bytes are called damaged."""
    for kinds, what in _NO_CSV:
        if suffix(file.name) in kinds:
            raise UserError(f"{file} {what}")


def part_notes(
    roles: dict[str, str], counts: Counter[str], division: str | None, entries: Sequence[Entry]
) -> dict[str, str]:
    """How the rows are divided, and whether the folders that they lie in say more than the CSV."""
    if division is None:
        said = parts.spellings({entry.path.split("/")[0] for entry in entries})
        lie = f"pictures lie in {a_few(sorted(f'{name}/' for name in said))}"
        text = f"{lie}, but no column split says that these are parts: not obeyed"
        return {"parts": text} if len(set(said.values())) > 1 else {}
    if len(roles) == 1:
        return {"parts": f"every row is of {next(iter(roles))} by the column {division}, so the set is divided here"}
    uses = (
        f"{counts[part]} of {part}{f' are {role}' if role != part and not parts.validates(part, role) else ''}"
        for part, role in roles.items()
    )
    return {"parts": f"by the column {division}: {', '.join(uses)}"}


def _spellings(written: str) -> Iterator[str]:
    """A path as it is written, with Windows' signs, and with letters and marks in one or apart, as Macs write them."""
    yield written
    if "\\" in written:
        yield written.replace("\\", "/")
    if not written.isascii():
        yield from (unicodedata.normalize(form, written.replace("\\", "/")) for form in ("NFC", "NFD"))


@dataclass
class _CsvRows:
    """The rows of a CSV as they are read. missing: paths that lead to no plain file; fault: the first one's.

    Paths are kept as text: objects of them took most of the time for a million rows.
    """

    file: Path
    entries: list[Entry] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    fault: str = ""
    repeated: int = 0
    guessed: int = 0
    _folder: str = field(init=False)
    _forms: dict[str, str] = field(default_factory=dict)
    _seen: dict[tuple, tuple[str, str, int]] = field(default_factory=dict)
    _names: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._folder = str(self.file.parent)

    def add(self, line: int, written: str, label: str, said: str, more: tuple[Any, ...]) -> None:
        """Take one row. more: its group, box, true class and further labels. Raises UserError for one that is not
        whole, or contradicts another."""
        where, written, label = f"{self.file} line {line}", written.strip(), label.strip()
        if not (written and label):
            raise UserError(f"{where}: no {'label' if written else 'path'}: fill it in, or remove the line")
        if _ADDRESS.match(written):
            advice = "fetch the pictures and give the paths of the files"
            raise UserError(f"{where}: {written[:80]} is an address: {advice}")
        found = self._located(written)
        path = self._relative(found or written)
        if label not in self._forms:
            self._forms[label] = canonical(label)
        says, (group, box, *beside) = (self._forms[label], said), more
        key = path, *box[:4]
        if key in self._seen:
            *before, first = self._seen[key]
            if says != tuple(before):
                other = f"with the label {before[0]}" if before[0] != says[0] else f"as of {before[1]}"
                raise UserError(f"{where}: {path} stands in line {first} already, {other}; leave one of them")
            self.repeated += 1
            return
        self._seen[key] = (*says, line)
        if found is not None:
            self.entries.append(Entry(label, "", path, group, said, box, *beside))
            return
        if not self.missing:
            wrong = disk.fault(self.file.parent / written) or "could be several files"
            self.fault = f"{where}: {written[:200]} {wrong}; paths start from {self.file.parent}"
        self.missing.append(path)

    def first_missing(self, count: int) -> str:
        """What to say of pictures that are not there. count: of all rows."""
        others = f" ({len(self.missing)} of {count} are not there)" if len(self.missing) > 1 else ""
        return f"{self.fault}{others}; mend the paths, or leave these out with --skip-broken"

    def notes(self) -> dict[str, str]:
        """What to tell of rows, by the first word of a line."""
        notes = {}
        if self.repeated:
            notes["repeated"] = f"{self.repeated} rows say what one before them says, and count once"
        if self.guessed:
            notes["suffixes"] = f"{self.guessed} paths lack that of their file, which was found"
        return notes

    def _relative(self, path: str) -> str:
        """A path from the folder of the CSV, even if it was absolute: a set must not name folders of its machine."""
        if os.path.isabs(path) or ".." in path:
            return Path(os.path.relpath(os.path.join(self._folder, path), self._folder)).as_posix()
        return os.path.normpath(path)

    def _located(self, written: str) -> str | None:
        """The path of a plain file that a row means: as written, as other systems write it, or with its suffix."""
        for path in _spellings(written):
            if os.path.isfile(os.path.join(self._folder, path)):
                return path
            if suffix(path) not in PICTURES:
                folder, name = os.path.split(path)
                fitting = self._stems(os.path.join(self._folder, folder)).get(name, [])
                if len(fitting) == 1 and os.path.isfile(os.path.join(self._folder, folder, fitting[0])):
                    self.guessed += 1
                    return os.path.join(folder, fitting[0])
        return None

    def _stems(self, folder: str) -> dict[str, list[str]]:
        """The names of pictures in a folder, by what they are without their suffix."""
        if folder not in self._names:
            stems: dict[str, list[str]] = {}
            for name in os.listdir(folder) if os.path.isdir(folder) else ():
                if suffix(name) in PICTURES:
                    stems.setdefault(os.path.splitext(name)[0], []).append(name)
            self._names[folder] = stems
        return self._names[folder]
