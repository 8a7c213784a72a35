"""What a tree of folders means: which of them are classes, which are parts or folds, and what belongs to none."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import parts
from project.data_preparation.pictures.entries import Entry, PictureList, a_few
from project.data_preparation.pictures.hub import parquet_files, read_metadata, read_parquet
from project.data_preparation.pictures.named_files import read_names, read_pattern
from project.data_preparation.pictures.tree import FolderPath, Tree, convert, scan
from project.work.common import UserError

_NEUTRAL = "images image imgs img pics pictures photos jpg jpeg png data raw original originals"


@dataclass(frozen=True)
class Branch:
    """One folder of a class: all pictures in it, however deep. said: the part that a folder above it names."""

    place: FolderPath
    label: str
    said: str = ""
    group: str = ""


def read_folder(folder: Path, settings: ImageFolderSettings) -> PictureList:
    """List the pictures of a folder, each with its class, part and group, and say how it was understood.

    Raises UserError for a folder whose classes are not clear.
    """
    tree, depth, skip = scan(folder), settings.class_depth, settings.skip_broken
    if not tree.files():
        raise UserError(f"{folder} is empty: give the folder that holds the pictures with --input")
    if depth is None and (found := _otherwise(tree, settings)) is not None:
        return found
    branches = _understand(tree) if depth is None else _at_depth(tree, depth)
    if len({branch.label for branch in branches}) < 2 and depth is None and (named := read_names(tree)) is not None:
        return named
    if not branches:
        down = "" if depth in (None, 1) else f" {depth} folders down, as --class-depth says"
        advice = f"put the pictures of each class in one, as {folder}/cat/1.jpg{_or_table(tree)}"
        raise UserError(f"{folder} has no sub-folders{down}: {advice}")
    labels = {branch.label for branch in branches}
    if len(labels) < 2:
        advice = f"put the pictures of each class in a folder of their own{_or_table(tree)}"
        raise UserError(f"a classifier needs at least 2 classes, but there is 1 ({labels.pop()}): {advice}")
    owners = {branch.place: branch for branch in branches}
    _refuse_two_classes(tree, owners)
    unlike = _unlike(tree, skip)
    roles = parts.roles([branch.said for branch in branches], str(folder))
    entries, alone, nested = [], [], []
    for place, here in tree.places.items():
        branch, paths = _owner(owners, place), ["/".join((*place, name)) for name in here.pictures]
        if branch is None:
            alone += paths
            continue
        nested += paths if place != branch.place else []
        entries += [Entry(branch.label, roles[branch.said], path, branch.group, branch.said) for path in paths]
    others = tree.files() - len(entries) - len(unlike)
    notes = _notes(tree, owners, roles, sorted(alone), sorted(nested))
    return PictureList(folder, entries, others, unlike, notes, _called(branches, roles))


def _otherwise(tree: Tree, settings: ImageFolderSettings) -> PictureList | None:
    """The pictures of a folder whose classes are told by names that a person describes, or by files beside them."""
    if settings.label_pattern is not None:
        return read_pattern(tree, settings.label_pattern)
    if files := parquet_files(tree):
        return read_parquet(files, tree.root, settings)
    return read_metadata(tree, settings)


def _or_table(tree: Tree) -> str:
    """What else a person may give whose pictures have no class by their place: a CSV beside them may tell it."""
    tables = sorted("/".join((*place, name)) for place, here in tree.places.items() for name in here.tables)
    return f", or give --input {tree.root / tables[0]}, if that tells their classes" if tables else ""


def _unlike(tree: Tree, skip: bool) -> list[str]:
    """The paths of pictures that are no plain files. Raises UserError unless they are to be left out."""
    every = {"/".join((*at, name)): what for at, here in tree.places.items() for name, what in here.unlike.items()}
    if every and not skip:
        name, what = min(every.items())
        raise UserError(f"{tree.root / name} {what}: remove it, or leave broken ones out with --skip-broken")
    return sorted(every)


def _understand(tree: Tree) -> list[Branch]:
    at = _unwrapped(tree, ())
    return _parts(tree, at) or _folds(tree, at) or _classes(tree, at)


def _unwrapped(tree: Tree, at: FolderPath) -> FolderPath:
    """The folder in which there is something to choose: one that holds nothing but another is passed through."""
    while True:
        full = tree.full(at)
        idle = [place for place in tree.folders(at) if place not in full]
        if len(full) != 1 or any(not _has_other_files(tree, place) or tree.unread[place] for place in idle):
            return at
        inner = tree.full(full[0])
        if not inner or (len(inner) == 1 and tree.places[full[0]].pictures):
            return at
        at = full[0]


def _has_other_files(tree: Tree, place: FolderPath) -> bool:
    return any(here.others for other, here in tree.places.items() if other[: len(place)] == place)


def _unlabelled(tree: Tree, place: FolderPath) -> bool:
    """Whether a folder that would be a part has no class folders in it: pictures alone, perhaps in one more folder."""
    inner = tree.full(_unwrapped(tree, place))
    return not inner or (len(inner) == 1 and _is_wrapper(tree, inner[0]))


def _is_wrapper(tree: Tree, place: FolderPath) -> bool:
    """Whether a folder adds nothing to the one that it is alone in: cat/images, seg_pred/seg_pred, with pictures."""
    usual = place[-1].casefold() in _NEUTRAL.split() or place[-1].casefold() == place[-2].casefold()
    return len(place) > 1 and usual and not tree.full(place)


def _parts(tree: Tree, at: FolderPath) -> list[Branch]:
    """The classes in train/ and test/, however these are spelled; none where there are no parts."""
    full = tree.full(at)
    labelled = [place for place in full if not _unlabelled(tree, place)]
    said = parts.spellings(place[-1] for place in labelled)
    chosen = {place: said[place[-1]] for place in labelled if place[-1] in said and said[place[-1]] != parts.UNLABELLED}
    chosen |= _same_classes(tree, labelled, chosen)
    strange = [place for place in full if place not in chosen and parts.spelled(place[-1]) is None]
    if not chosen:
        return []
    if strange and not {"train", "test"} <= set(chosen.values()):
        name = next((place[-1] for place in chosen if place[-1].casefold() in ("test", "train", "val", "valid")), None)
        if name is None:
            return []
        advice = f"name the parts train/ and test/, or give --input {tree.path(at) / name} to have that one divided"
        others = f" ({a_few(place[-1] + '/' for place in strange)} beside it)"
        raise UserError(
            f"{tree.path(at)} has {name}/ with folders in it, but not both train/ and test/{others}: {advice}"
        )
    several = Counter(chosen.values())
    branches = []
    for place, part in chosen.items():
        group = place[-1] if several[part] > 1 else ""
        inner = _unwrapped(tree, place)
        for branch in _folds(tree, inner) or _classes(tree, inner):
            inside = "/".join(filter(None, (group, branch.group)))
            branches.append(Branch(branch.place, branch.label, part, inside))
    return branches


def _same_classes(tree: Tree, labelled: list[FolderPath], chosen: dict[FolderPath, str]) -> dict[FolderPath, str]:
    """Further parts beside those that were found: PublicTest/ beside Training/, where both hold the same folders."""
    names = {place: {inner[-1] for inner in tree.full(_unwrapped(tree, place))} for place in labelled}
    known, have = [names[place] for place in chosen], {*chosen.values(), parts.UNLABELLED}
    spelled = {place: parts.spelled(place[-1]) for place in labelled if place not in chosen and names[place] in known}
    return {place: word.part for place, word in spelled.items() if word is not None and word.part not in have}


def _folds(tree: Tree, at: FolderPath) -> list[Branch]:
    """The classes in fold1/, fold2/ ..., which are pooled; none where there are no folds."""
    full = tree.full(at)
    folds = len(full) > 1 and all(parts.is_fold(place[-1]) and not _unlabelled(tree, place) for place in full)
    if not folds:
        return []
    inside = {place: _unwrapped(tree, place) for place in full}
    names = [{inner[-1] for inner in tree.full(place)} for place in inside.values()]
    if len(parts.spellings(set.union(*names))) == len(set.union(*names)):
        advice = f"give one of them, as --input {tree.path(full[0])}"
        raise UserError(
            f"{tree.path(at)}: {_listed(full)} each hold {a_few(sorted(names[0]))}, so they are several divisions of"
            f" the same pictures: {advice}"
        )
    if not set.intersection(*names):
        return []
    return [
        Branch(branch.place, branch.label, "", place[-1])
        for place, inner in inside.items()
        for branch in _classes(tree, inner)
    ]


def _classes(tree: Tree, at: FolderPath) -> list[Branch]:
    """Each folder in one is a class. Raises UserError where it is not clear that they are."""
    full = tree.full(at)
    for place in tree.folders(at):
        if place not in full:
            raise UserError(_without_pictures(tree, place))
    _refuse_flat_parts(tree, at, full)
    inner = {place: tree.full(place) for place in full}
    wrapped = all(len(places) == 1 and _is_wrapper(tree, places[0]) for places in inner.values())
    if len(full) < 2 or wrapped or any(tree.places[place].pictures for place in full):
        return [Branch(place, place[-1]) for place in full]
    return _parts_of_classes(tree, inner) or _refuse_unclear(tree, at, full, inner)


def _refuse_flat_parts(tree: Tree, at: FolderPath, full: list[FolderPath]) -> None:
    said = parts.spellings(place[-1] for place in full)
    # train/ and test/ themselves were classes always where pictures lie right in them; a line says so.
    usual = {place[-1].casefold() for place in full} == {"train", "test"}
    if usual and all(tree.places[place].pictures for place in full):
        return
    if len(set(said.values())) > 1 and len(said) == len(full):
        advice = f"put those of a class in one, as {full[0][-1]}/cat/1.jpg, or give --class-depth {len(at) + 1}"
        raise UserError(
            f"{tree.path(at)}: {_listed(full)} are parts of a set, but their pictures lie in no folders of classes:"
            f" {advice} if they are classes"
        )


def _parts_of_classes(tree: Tree, inner: dict[FolderPath, list[FolderPath]]) -> list[Branch]:
    """The parts in each class, cat/train and cat/test; none where that is not what the folders are."""
    below = [(above[-1], place) for above, places in inner.items() for place in places]
    names = {place[-1] for _, place in below}
    said = parts.spellings(names)
    if len(said) < len(names) or len(set(said.values())) < 2 or any(tree.full(place) for _, place in below):
        return []
    return [Branch(place, label, said[place[-1]]) for label, place in below if said[place[-1]] != parts.UNLABELLED]


def _refuse_unclear(
    tree: Tree, at: FolderPath, full: list[FolderPath], inner: dict[FolderPath, list[FolderPath]]
) -> NoReturn:
    same = set.intersection(*({place[-1] for place in places} for places in inner.values()))
    what = sorted(same) if same else sorted({place[-1] for places in inner.values() for place in places})
    alike, depth = " in all of them" if same else "", len(at) + 1
    raise UserError(
        f"{tree.path(at)}: {_listed(full)} would be the {len(full)} classes, but they hold nothing but folders"
        f" ({a_few(what)}{alike}): give --class-depth {depth} if they are the classes, {depth + 1} if the folders in"
        " them are"
    )


def _at_depth(tree: Tree, depth: int) -> list[Branch]:
    """Every folder so many down is a class; those above it are parts where all of a level are, or else groups."""
    places = sorted(place for place in tree.places if len(place) == depth)
    said: list[dict[str, str]] = []
    for level in range(depth - 1):
        names = {place[level] for place in places}
        found = parts.spellings(names)
        said.append(found if len(found) == len(names) else {})
    branches = []
    for place in places:
        if not tree.counts[place]:
            raise UserError(_without_pictures(tree, place))
        part = next((words[name] for words, name in zip(said, place, strict=False) if words), "")
        group = "/".join(name for words, name in zip(said, place, strict=False) if not words)
        if part == parts.UNLABELLED:
            continue
        branches.append(Branch(place, place[-1], part, group))
    return branches


def _without_pictures(tree: Tree, place: FolderPath) -> str:
    if tree.unread[place]:
        return f"{tree.path(place)} holds no picture that can be read: {convert(tree.unread[place])}"
    return f"{tree.path(place)} holds no picture (.jpg, .png ...): add some, or remove the folder"


def _owner(owners: dict[FolderPath, Branch], place: FolderPath) -> Branch | None:
    lengths = range(len(place), 0, -1)
    return next((owners[place[:length]] for length in lengths if place[:length] in owners), None)


def _refuse_two_classes(tree: Tree, owners: dict[FolderPath, Branch]) -> None:
    """A folder that links reach from two classes would give the same pictures two labels."""
    for place, first in sorted(tree.again.items()):
        one, other = _owner(owners, place), _owner(owners, first)
        same = one is not None and other is not None and (one.label, one.said) == (other.label, other.said)
        if tree.counts[first] and not same:
            raise UserError(
                f"{tree.path(place)} and {tree.path(first)} are one folder, so that its pictures would count twice:"
                " remove the link"
            )


def _called(branches: Iterable[Branch], roles: dict[str, str]) -> dict[str, str]:
    """What the folders call the parts that they are used as: test -> Testing/."""
    names: dict[str, set[str]] = {}
    for branch in branches:
        above = next((name for name in branch.place if branch.said and _says(name, branch.said)), None)
        if above is not None:
            names.setdefault(roles[branch.said], set()).add(f"{above}/")
    return {role: " and ".join(sorted(folders)) for role, folders in names.items()}


def _use(folders: str, part: str, role: str) -> str:
    verb = "are" if " and " in folders else "is"
    if parts.validates(part, role):
        return f"{folders} {verb} valid"
    beside = "" if part in (role, "train") else f" (but {part} in the keys, as its part)" if role == "train" else ""
    return f"{folders} {verb} {role or 'the only part, and divided'}{beside}"


def _says(name: str, part: str) -> bool:
    spelling = parts.spelled(name)
    return spelling is not None and spelling.part == part


def _listed(places: Sequence[FolderPath]) -> str:
    return a_few(f"{place[-1]}/" for place in places)


def _notes(
    tree: Tree, owners: dict[FolderPath, Branch], roles: dict[str, str], alone: list[str], nested: list[str]
) -> dict[str, str]:
    """How the folders were understood and what was left out, by the first word of a line."""
    notes, branches = {}, list(owners.values())
    called = _called(branches, {part: part for part in roles})
    plain = {part: f"{part}/" for part in parts.PARTS}
    if called and called != plain:
        notes["parts"] = ", ".join(_use(called[part], part, role) for part, role in roles.items() if part in called)
    groups = sorted({branch.group for branch in branches if branch.group})
    if groups:
        notes["groups"] = f"{a_few(groups)} are pooled; which one a picture is of is kept as its group"
    level = min(branches, key=lambda branch: branch.place).place
    if not called and not groups and len(level) > 1:
        notes["inside"] = f"the classes are the folders in {'/'.join(level[:-1])}/"
    alike = [branch.label for branch in branches if (word := parts.spelled(branch.label)) is not None and not word.rest]
    if alike:
        notes["alike"] = f"{a_few(alike)}: read as classes for they hold pictures, though parts of a set are called so"
    if alone:
        notes["beside"] = f"{len(alone)} pictures in no folder of a class are left out: {a_few(alone)}"
    if nested:
        notes["nested"] = f"{len(nested)} pictures lie in folders within that of their class, such as {nested[0]}"
    counts = Counter[str]()
    for place in owners:
        counts.update(tree.unread[place])
    if counts:
        notes["unread"] = convert(counts)
    passed = [f"{name} ({count})" for name, count in tree.passed.most_common()]
    passed += [f"{'/'.join(place)} (a link that leads back)" for place in sorted(tree.back)]
    if passed:
        total = sum(tree.passed.values()) + len(tree.back)
        notes["skipped"] = f"{total} hidden or of the system: {a_few(passed)}"
    return notes
