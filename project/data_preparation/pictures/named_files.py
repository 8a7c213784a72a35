"""Pictures in one folder whose names tell their class: <id>_<label>.jpg, or by a pattern that a person gives."""

import os
import re
from collections import Counter
from collections.abc import Sequence

from project.data_preparation.pictures import parts
from project.data_preparation.pictures.entries import Entry, PictureList, a_few
from project.data_preparation.pictures.tree import Tree
from project.work.common import UserError
from project.work.files.disk import shown

_FIELDS = ("id", "label", "group", "part")
_ADVICE = "say how the files are named with --label-pattern, such as '{id}_{label}' or '{label}_{id}'"
_LEAST = 2  # pictures of a class, on average, for a piece of the names to be one


def read_pattern(tree: Tree, pattern: str) -> PictureList:
    """The pictures of a folder by the pattern of their names. Raises UserError for a name that it does not fit.

    The pattern is of the name without its suffix, or of the path from the folder where it has a / in it. Each field
    takes as much as it can: {id}_{label} is divided at the last sign.
    """
    form = _compiled(pattern)
    found, strange, said = [], [], []
    for path in _paths(tree):
        stem = os.path.splitext(path)[0]
        match = form.fullmatch(stem if "/" in pattern else stem.rsplit("/", 1)[-1])
        if match is None:
            strange.append(path)
            continue
        fields = {name: value.strip() for name, value in match.groupdict().items()}
        found.append(Entry(fields["label"], "", path, fields.get("group", ""), fields.get("part", "")))
    if strange or not found:
        raise UserError(
            f"{tree.root}: {len(strange)} of {len(strange) + len(found)} pictures are not named as --label-pattern"
            f" {pattern!r} says, such as {a_few(strange[:1])}: correct the pattern, or take them out of the folder"
        )
    if "{part}" in pattern:
        said = [_part(tree, entry) for entry in found]
        uses = parts.roles(said, str(tree.root))
        found = [entry._replace(part=uses[part], said=part) for entry, part in zip(found, said, strict=True)]
    return _list(tree, found, f"by their names, {pattern}", "group" if "{group}" in pattern else "")


def read_names(tree: Tree) -> PictureList | None:
    """The pictures of a flat folder whose names end in their class; None where no piece of the names looks like one.

    Names are cut at each underscore. A piece is a class where it takes two values or more, each twice on average.
    Raises UserError where another piece than the last could be the class.
    """
    paths = _paths(tree)
    if len({path.rsplit("/", 1)[0] if "/" in path else "" for path in paths}) != 1:
        return None
    pieces = [os.path.splitext(path.rsplit("/", 1)[-1])[0].split("_") for path in paths]
    if not all(len(cut) > 1 and cut[-1].strip() for cut in pieces):
        return None
    candidates = [at for at in _positions(pieces) if _may_be_class([cut[at] for cut in pieces])]
    if not candidates:
        return None
    if candidates != [-1]:
        first, last = pieces[0][candidates[0]], pieces[0][candidates[-1]]
        which = f"{shown(first)} or {shown(last)}" if len(candidates) > 1 else f"{shown(first)}, not the last piece,"
        raise UserError(f"{tree.root}: of {a_few(paths[:1])}, {which} may be the class: {_ADVICE}")
    found = [Entry(cut[-1].strip(), "", path) for path, cut in zip(paths, pieces, strict=True)]
    return _list(tree, found, "the last piece of the files' names, behind _", "")


def _list(tree: Tree, found: list[Entry], how: str, together: str) -> PictureList:
    notes = {"classes": how}
    if together:
        notes["groups"] = f"pictures of one {together} stay together, in one part and one fold"
    return PictureList(tree.root, found, tree.files() - len(found), (), {"named": notes.pop("classes")} | notes,
                       together=together)  # fmt: skip


def _paths(tree: Tree) -> list[str]:
    return sorted("/".join((*place, name)) for place, here in tree.places.items() for name in here.pictures)


def _positions(pieces: Sequence[Sequence[str]]) -> list[int]:
    """Of the pieces that all names have, counted from behind; the first too, where names are of unequal length."""
    least, most = min(map(len, pieces)), max(map(len, pieces))
    return [*range(-least, 0)] if least == most else [0, *range(-least + 1, 0)]


def _may_be_class(values: Sequence[str]) -> bool:
    counts = Counter(values)
    return len(counts) > 1 and len(values) >= _LEAST * len(counts)


def _compiled(pattern: str) -> re.Pattern[str]:
    """Raises UserError for a pattern without a label, or with fields that are none."""
    cut = re.split(r"\{(\w*)\}", pattern)
    fields, signs = cut[1::2], cut[::2]
    strange = [name for name in fields if name not in _FIELDS]
    wrong = f"{{{strange[0]}}} is none of {', '.join(f'{{{name}}}' for name in _FIELDS)}" if strange else ""
    if "label" not in fields:
        wrong = wrong or "it has no {label}"
    if len({*fields}) < len(fields):
        wrong = wrong or "a field is in it twice"
    if any(not sign for sign in signs[1:-1]):
        wrong = wrong or "two fields need a sign between them"
    if wrong:
        raise UserError(f"--label-pattern {pattern!r}: {wrong}; give such as '{{id}}_{{label}}'")
    text = "".join(re.escape(piece) if at % 2 == 0 else f"(?P<{piece}>[^/]+)" for at, piece in enumerate(cut))
    return re.compile(text)


def _part(tree: Tree, entry: Entry) -> str:
    spelling = parts.spelled(entry.said)
    if spelling is None or spelling.part == parts.UNLABELLED:
        raise UserError(f"{tree.root}: {shown(entry.path)} says the part {shown(entry.said)!r}, and parts are train,"
                        " valid and test")  # fmt: skip
    return spelling.part
