"""A CSV of pictures: which columns say where each is, what it shows and which part of the set it belongs to."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from project.data_preparation.pictures import parts
from project.data_preparation.pictures.entries import Entry, PictureList, a_few
from project.data_preparation.pictures.tree import UNREAD, suffix
from project.work.common import UserError
from project.work.dataset.unprepared import ARCHIVES, PICTURES
from project.work.files import disk, tables
from project.work.labels.naming import canonical

# Names of columns without blanks and signs, the likeliest first.
PATHS = """path imagepath filepath filepaths filename filenames file imagefilepath imagefile imagefilename imagename
image images imgpath imgfile imgname img picturepath picturename picture photo fname relpath relativepath imageid
imgid id"""
LABELS = """label labels class classname classlabel category categoryname target labelname classes y tag species breed
diagnosis classid labelid categoryid"""
DIVISIONS = "split part subset partition usage set dataset phase fold"
GROUPS = "fold kfold group"
_FLAG = re.compile(r"is(train|training|valid|validation|test)(image|set)?")
_MAY_DIVIDE = re.compile(r"split|subset|partition|train|mode|stage")  # within a name, where every row says a part
_TRUTH = {text: True for text in ("1", "1.0", "true", "t", "yes", "y")}
_TRUTH |= {text: False for text in ("0", "0.0", "false", "f", "no", "n")}
_TABLES = ".xlsx .xlsm .xls .ods .numbers .parquet .feather .arrow .json .jsonl .npy .npz .pkl .h5 .hdf5 .mat .db"
_NO_CSV = (  # suffixes, and what to do with such a file
    ({*_TABLES.split()}, "is no CSV: save its table as one with the columns path,label"),
    (ARCHIVES, "is packed: unpack it, and give what is in it"),
    (PICTURES | UNREAD, "is one picture: give the folder that holds those of each class in one sub-folder"),
)
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://|data:")


@dataclass(frozen=True)
class CsvColumns:
    """The header's names for what is read; others are those that may be read too, or are not."""

    path: str
    label: str
    others: Sequence[str] = ()


def read_csv(file: Path, path_column: str | None, label_column: str | None, skip: bool) -> PictureList:
    """List the pictures of a CSV and say how it was understood. Raises UserError for a file or row that is not clear.

    path_column, label_column: what the header calls them; None: found out. skip: leave out pictures that are missing.
    """
    _refuse_other_kinds(file)
    data = disk.read_bytes(file)
    text = disk.text_of(data, file)
    hint = re.match(r"sep=.(?=\r?\n)", text)  # for Excel; its line stays, empty
    text = text[hint.end() :] if hint else text
    columns = _columns(file, text, path_column, label_column)
    beside = [name for name in columns.others if _may_divide(name, columns) or _plain(name) in GROUPS.split()]
    table = tables.parse_table(text, file, (columns.path, columns.label), "a list of pictures", beside, ragged=True)
    if not len(table):
        raise UserError(f"{file} lists no pictures: add lines of path,label")
    division, said = _division(file, table, beside)
    group = next((name for name in beside if name != division and _is_group(table[name], name)), None)
    groups = [""] * len(table) if group is None else table[group].str.strip()
    rows = _CsvRows(file)
    for line, *cells in zip(table.index, table[columns.path], table[columns.label], said, groups, strict=True):
        rows.add(line, *cells)
    if rows.missing and (not skip or not rows.entries):
        raise UserError(rows.first_missing(len(table)))
    roles = parts.roles(said, str(file))
    entries = [entry._replace(part=roles[entry.said]) for entry in rows.entries]
    read = {columns.path, columns.label, division, group}
    notes = _notes(columns, [name for name in columns.others if name not in read], division, group)
    notes |= _part_notes(roles, Counter(entry.said for entry in entries), division, entries) | rows.notes()
    if not disk.is_unicode(data):
        notes["encoding"] = "not UTF-8, so read as Windows-1252: where names look wrong, save the CSV as UTF-8"
    called = {role: f"a row of {' or '.join(part for part in roles if roles[part] == role)}" for role in parts.PARTS}
    return PictureList(file.parent, entries, 0, rows.missing, notes, called)


def _refuse_other_kinds(file: Path) -> None:
    """Raise UserError for what is plainly no CSV by its name: its bytes would be called damaged."""
    for kinds, what in _NO_CSV:
        if suffix(file.name) in kinds:
            raise UserError(f"{file} {what}")


def _columns(file: Path, text: str, path_column: str | None, label_column: str | None) -> CsvColumns:
    given = [name.strip() for name in (path_column, label_column) if name is not None]
    header = tables.header(text, [*given, "path", "label"] if given else [*PATHS.split(), *LABELS.split()])
    for flag, name in (("--path-column", path_column), ("--label-column", label_column)):
        if name is not None and name.strip() not in header:
            raise UserError(f"{flag} {name}: {file} has no such column, but {','.join(header)[:80]}")
    path, label = path_column and path_column.strip(), label_column and label_column.strip()
    path = path or _first(header, PATHS, label)
    label = label or _first(header, LABELS, path)
    if len(set(header)) == 2 and (path is None) != (label is None):  # what the other column must be
        other = next(name for name in header if name not in (path, label))
        path, label = path or other, label or other
    if path is None or label is None:
        missing, line = "label" if label is None else "path", ",".join(header)[:80] or text.strip()[:40] or "empty"
        raise UserError(
            f"{file} has no column {missing}: line 1 must be path,label, but is {line!r}; --path-column and"
            " --label-column name others"
        )
    return CsvColumns(path, label, [name for name in header if name and name not in (path, label)])


def _first(header: Sequence[str], names: str, but: str | None) -> str | None:
    """The column with the likeliest of some names."""
    plain = {_plain(name): name for name in reversed(header) if name != but}
    return next((plain[name] for name in names.split() if name in plain), None)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", canonical(name).casefold())


def _flag(name: str) -> str | None:
    """The part that a column such as is_valid asks for."""
    found = _FLAG.fullmatch(_plain(name))
    return getattr(parts.spelled(found[1]), "part", None) if found else None


def _may_divide(name: str, columns: CsvColumns) -> bool:
    """Whether a column may say which part of the set a row belongs to."""
    usual = _plain(name) in DIVISIONS.split() or _flag(name) is not None
    return usual or bool(_MAY_DIVIDE.search(_plain(name)) and columns.others.count(name) == 1)


def _division(file: Path, table: pd.DataFrame, names: Sequence[str]) -> tuple[str | None, list[str]]:
    """The column that divides the set and the part that each row says; "" where there is none.

    Raises UserError for a row that says no part where others do.
    """
    for name in names:
        texts, asked = table[name].str.strip(), _flag(name)
        known: dict[str, Any]
        if asked is not None:
            either: dict[bool | None, str] = {True: asked, False: "test" if asked == "train" else "train"}
            known = {text: either.get(_TRUTH.get(text.casefold())) for text in texts.unique()}
        else:
            known = {text: getattr(parts.spelled(text), "part", None) for text in texts.unique()}
        wrong = [text for text, part in known.items() if part in (None, parts.UNLABELLED)]
        usual = asked is not None or _plain(name) in DIVISIONS.split()
        if len(wrong) == len(known) or (not usual and (wrong or len(known) < 2)):
            continue
        if wrong:
            line = texts.index[texts == wrong[0]][0]
            advice = "write train, valid or test there, or call the column something else"
            raise UserError(f"{file} line {line}: {wrong[0]!r} in the column {name} names no part of the set: {advice}")
        return name, [known[text] for text in texts]
    return None, [""] * len(table)


def _is_group(texts: pd.Series, name: str) -> bool:
    """Whether a column says which pictures belong together: it is called so, or numbers the parts of a division."""
    numbered = texts.str.strip().str.fullmatch(r"\d+").all()
    return _plain(name) in GROUPS.split() or bool(numbered and _plain(name) in DIVISIONS.split())


def _notes(columns: CsvColumns, unread: Sequence[str], division: str | None, group: str | None) -> dict[str, str]:
    notes = {}
    if (_plain(columns.path), _plain(columns.label)) != ("path", "label") or unread:
        also = f"; not read: {a_few(unread, 8)}" if unread else ""
        notes["columns"] = f"{columns.path} is the path, {columns.label} the class{also}"
    if group is not None:
        notes["groups"] = f"the column {group} is kept as the group of a picture"
    return notes


def _part_notes(
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
    uses = (f"{counts[part]} of {part}{f' are {role}' if role != part else ''}" for part, role in roles.items())
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
    _seen: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    _names: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._folder = str(self.file.parent)

    def add(self, line: int, written: str, label: str, said: str, group: str) -> None:
        """Take one row. Raises UserError for one that is not whole, or contradicts another."""
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
        says = (self._forms[label], said)
        if path in self._seen:
            *before, first = self._seen[path]
            if says != tuple(before):
                other = f"with the label {before[0]}" if before[0] != says[0] else f"as of {before[1]}"
                raise UserError(f"{where}: {path} stands in line {first} already, {other}; leave one of them")
            self.repeated += 1
            return
        self._seen[path] = (*says, line)
        if found is not None:
            self.entries.append(Entry(label, "", path, group, said))
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
        """From the folder of the CSV even where it is absolute, so that a set says nothing of the machine it is of."""
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
