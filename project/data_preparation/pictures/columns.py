"""What the columns of a table of pictures say: path and class, part, group, true class, further labels, box."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import parts
from project.data_preparation.pictures.entries import Box, a_few
from project.work.common import UserError
from project.work.dataset.label_sets import NAME
from project.work.labels.naming import canonical

# Names of columns without blanks and signs, the likeliest first.
PATHS = """path imagepath filepath filepaths filename filenames file imagefilepath imagefile imagefilename imagename
image images imgpath imgfile imgname img picturepath picturename picture photo fname relpath relativepath imageid
imgid id"""
LABELS = """label labels class classname classlabel category categoryname target labelname classes y tag species breed
diagnosis classid labelid categoryid"""
DIVISIONS = "split part subset partition usage set dataset phase fold"
FOLDS = "fold kfold"  # numbers of these are kept as a note
TOGETHER = "group person writer patient subject groupid personid writerid patientid subjectid"
TRUTHS = "truelabel trueclass"
BOX = ("x", "y", ("width", "w"), ("height", "h"))
NO_GROUPS = "none"
_FLAG = re.compile(r"is(train|training|valid|validation|test)(image|set)?")
_MAY_DIVIDE = re.compile(r"split|subset|partition|train|mode|stage")  # within a name, where every row says a part
_TRUTH = {text: True for text in ("1", "1.0", "true", "t", "yes", "y")}
_TRUTH |= {text: False for text in ("0", "0.0", "false", "f", "no", "n")}
_LABEL_SET = re.compile(r"(?i)labels?[_ .-](.+)|(.+)[_ .-]labels?")
_NONE = "--group-column none has pictures divided without regard to it"


@dataclass(frozen=True)
class Columns:
    """The names of the columns that are read. others: all further columns, read or not.

    group: of pictures that stay together; truth: of the true class; box: of x, y, width and height; label_sets: further
    columns of labels by what the set is called; asked: whether a person named these; grouped: whether anything is to
    stay together.
    """

    path: str
    label: str
    others: Sequence[str] = ()
    group: str | None = None
    truth: str | None = None
    box: Sequence[str] = ()
    label_sets: dict[str, str] = field(default_factory=dict)
    asked: bool = False
    grouped: bool = True

    @property
    def beside(self) -> list[str]:
        """The other columns of which something is read, or may be."""
        found = {self.group, self.truth, *self.box, *self.label_sets.values()}
        return [name for name in self.others if name in found or _may_divide(name, self) or plain(name) in FOLDS]


def columns_of(file: Path, header: Sequence[str], settings: ImageFolderSettings, text: str = "") -> Columns:
    """What the columns of a header are. text: of the table, for a refusal. Raises UserError where that is not clear."""
    asked = {"--path-column": settings.path_column, "--label-column": settings.label_column}
    further = [name.strip() for name in (settings.label_columns or "").split(",") if name.strip()]
    group = None if settings.group_column in (None, NO_GROUPS) else settings.group_column
    for flag, name in (*asked.items(), ("--group-column", group), *(("--label-columns", name) for name in further)):
        if name is not None and name.strip() not in header:
            raise UserError(f"{flag} {name}: {file} has no such column, but {','.join(header)[:80]}")
    path, label = (name and name.strip() for name in asked.values())
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
    others = [name for name in header if name and name not in (path, label)]
    if settings.group_column is None:
        group = _first(others, TOGETHER)
    truth = _first(others, TRUTHS)
    left = [name for name in others if name not in (group, truth)]
    sets = _label_sets(further or left, bool(further))
    grouped = settings.group_column != NO_GROUPS
    return Columns(path, label, others, group and group.strip(), truth, _box(others), sets, bool(further), grouped)


def _first(header: Sequence[str], names: str, but: str | None = None) -> str | None:
    """The column with the likeliest of some names."""
    known = {plain(name): name for name in reversed(header) if name != but}
    return next((known[name] for name in names.split() if name in known), None)


def _box(header: Sequence[str]) -> list[str]:
    """The columns of x, y, width and height; none where one is missing."""
    found = [_first(header, " ".join([names] if isinstance(names, str) else names)) for names in BOX]
    return [name for name in found if name is not None] if None not in found else []


def _label_sets(names: Sequence[str], asked: bool) -> dict[str, str]:
    found = {}
    for name in names:
        match = _LABEL_SET.fullmatch(name)
        called = canonical((match[1] or match[2]) if match else name)
        if (match or asked) and NAME.fullmatch(called):
            found[called] = name
        elif asked:
            raise UserError(f"--label-columns {name}: name it with letters, digits, _ and -, as its set is called so")
    return found


def plain(name: str) -> str:
    """A column's name without capitals, blanks and signs."""
    return re.sub(r"[\W_]+", "", canonical(name).casefold())


def _flag(name: str) -> str | None:
    """The part that a column such as is_valid asks for."""
    found = _FLAG.fullmatch(plain(name))
    return getattr(parts.spelled(found[1]), "part", None) if found else None


def _may_divide(name: str, columns: Columns) -> bool:
    """Whether a column may say which part of the set a row belongs to."""
    usual = plain(name) in DIVISIONS.split() or _flag(name) is not None
    return usual or bool(_MAY_DIVIDE.search(plain(name)) and columns.others.count(name) == 1)


@dataclass(frozen=True)
class Roles:
    """What a table says of each of its rows beside path and class.

    division: the column that divides the set; said: the part of each row, "" where there is none; group: the column of
    groups; together: what these are where they must not be divided; sets: the names of label sets, and labels each
    row's in them; boxes: () for a row without one. notes: for a person.
    """

    division: str | None
    said: list[str]
    group: str | None
    together: str
    groups: list[str]
    truths: list[str]
    sets: list[str]
    labels: list[tuple[str, ...]]
    boxes: list[Box | tuple[()]]
    notes: dict[str, str]


def roles_of(file: Path, table: pd.DataFrame, columns: Columns) -> Roles:
    """What the rows of a table say. table: of text, its index the lines. Raises UserError for a row that is unclear."""
    division, said = _division(file, table, [name for name in columns.beside if name != columns.group])
    group, together, groups, notes = _groups(table, columns, division)
    classes = {canonical(name) for name in table[columns.label].unique()}
    sets = {name: column for name, column in columns.label_sets.items() if _holds_labels(file, table, column, classes,
            columns.asked)}  # fmt: skip
    if sets:
        notes["labels"] = f"{columns.label}, and --label-set chooses {a_few(sets, 8)} in its place"
    if columns.box:
        notes["boxes"] = f"what is cut out of each picture, by the columns {', '.join(columns.box)}"
    nothing = [""] * len(table)
    listed = [table[column].map(canonical) for column in sets.values()]
    return Roles(
        division, said, group, together,
        groups,
        nothing if columns.truth is None else table[columns.truth].map(canonical).tolist(),
        list(sets), list(zip(*listed, strict=True)) if sets else [()] * len(table),
        _boxes(file, table, columns.box), _column_notes(columns, division, group, sets) | notes,
    )  # fmt: skip


def _groups(
    table: pd.DataFrame, columns: Columns, division: str | None
) -> tuple[str | None, str, list[str], dict[str, str]]:
    """The column of groups, what they are where they stay together, the group of each row, and what to say of them."""
    group, paths = columns.group, table[columns.path].str.strip()
    stay = "stay together, in one part and one fold"
    if group is not None and table[group].str.strip().any():
        return group, group, table[group].str.strip().tolist(), {"groups": f"pictures of one {group} {stay} ({_NONE})"}
    fold = next((name for name in columns.beside if name != division and _is_fold(table[name], name)), None)
    if fold is not None:
        note = {"groups": f"the column {fold} is kept as the group of a picture"}
        return fold, "", table[fold].str.strip().tolist(), note
    if columns.box and columns.grouped and paths.duplicated().any():
        return None, "picture", paths.tolist(), {"groups": f"boxes of one picture {stay} ({_NONE})"}
    return None, "", [""] * len(table), {}


def _holds_labels(file: Path, table: pd.DataFrame, column: str, classes: set[str], asked: bool) -> bool:
    """Whether a column holds labels of the same classes. Raises UserError where it does not, and a person named it."""
    texts = table[column].map(canonical)
    strange = texts[~texts.isin(classes | {""})]
    if len(strange) and asked:
        raise UserError(
            f"{file} line {strange.index[0]}: {strange.iloc[0]!r} in the column {column} is none of the"
            f" {len(classes)} classes: correct it, or leave the column out of --label-columns"
        )
    return not len(strange) and bool(texts.any())


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
        usual = asked is not None or plain(name) in DIVISIONS.split()
        if len(wrong) == len(known) or (not usual and (wrong or len(known) < 2)):
            continue
        if wrong:
            line = texts.index[texts == wrong[0]][0]
            advice = "write train, valid or test there, or call the column something else"
            raise UserError(f"{file} line {line}: {wrong[0]!r} in the column {name} names no part of the set: {advice}")
        return name, [known[text] for text in texts]
    return None, [""] * len(table)


def _is_fold(texts: pd.Series, name: str) -> bool:
    """Whether a column says which pictures belong together: it is called so, or numbers the parts of a division."""
    numbered = texts.str.strip().str.fullmatch(r"\d+").all()
    return plain(name) in FOLDS.split() or bool(numbered and plain(name) in DIVISIONS.split())


def _boxes(file: Path, table: pd.DataFrame, names: Sequence[str]) -> list[Box | tuple[()]]:
    if not names:
        return [()] * len(table)
    return [_box_of(f"{file} line {line}", line, cells) for line, *cells in table[list(names)].itertuples()]


def _box_of(where: str, line: int, cells: Sequence[str]) -> Box | tuple[()]:
    """A row's box; () where its four cells are empty. Raises UserError for one that is no box."""
    if not any(cell.strip() for cell in cells):
        return ()
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)) or max(map(abs, numbers)) > 1e9:
        raise UserError(
            f"{where}: the box {','.join(cells)[:80]} is not four numbers, x, y, width and height in pixels"
        )
    x, y, width, height = map(round, numbers)
    if x < 0 or y < 0 or width < 1 or height < 1:
        raise UserError(f"{where}: the box {','.join(cells)[:80]} is none: x and y are at least 0, width and height at"
                        " least 1, in pixels")  # fmt: skip
    return Box(x, y, width, height, line)


def _column_notes(columns: Columns, division: str | None, group: str | None, sets: dict[str, str]) -> dict[str, str]:
    read = {columns.path, columns.label, division, group, columns.truth, *columns.box, *sets.values()}
    unread = [name for name in columns.others if name not in read]
    if (plain(columns.path), plain(columns.label)) == ("path", "label") and not unread:
        return {}
    also = f"; not read: {a_few(unread, 8)}" if unread else ""
    return {"columns": f"{columns.path} is the path, {columns.label} the class{also}"}
