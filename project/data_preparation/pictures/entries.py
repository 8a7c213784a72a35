"""One picture of a list, and the list: what every reader of folders, tables and arrays gives, and what it must hold."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from project.data_preparation.finalize import check_classes
from project.data_preparation.pictures.parts import PARTS
from project.work.common import UserError
from project.work.files.disk import shown

SHOWN = 3  # names that a line gives as examples
# Where a picture comes from: its file, the bytes of an encoded picture, or its pixels, uint8 (H, W) or (H, W, 3) RGB.
Content: TypeAlias = Path | bytes | np.ndarray


class Box(NamedTuple):
    """What is cut out of a picture, in pixels of the picture as it is seen, upright; line: of the list that says so."""

    x: int
    y: int
    width: int
    height: int
    line: int = 0


class Entry(NamedTuple):
    """One picture: its class, its part (train or test, "" where it is still to be drawn) and its path from the root.

    group: of pictures that belong together, such as a person or a fold, "" where none is known; said: the part that the
    source gave, where that is another one, such as valid; box: what is cut out, () for all of it; true_label: the class
    that it shows, "" where that is not known; labels: its label in each of the list's label sets, "" for none; copy:
    how often it was taken before, where pictures are repeated.
    """

    label: str
    part: str
    path: str
    group: str = ""
    said: str = ""
    box: Box | tuple[()] = ()
    true_label: str = ""
    labels: tuple[str, ...] = ()
    copy: int = 0

    @property
    def key(self) -> str:
        """What no other picture of the set is called."""
        box = "#" + ",".join(map(str, self.box[:4])) if self.box else ""
        return f"{self.path}{box}" + (f"#{self.copy + 1}" if self.copy else "")


@dataclass(frozen=True)
class PictureList:
    """Sorted entries, the folder that their paths start from, and what there was beside them.

    others: how many files were left out; unlike: names of pictures left out because they are no plain files; notes: how
    the source was understood, by the first word of a line; called: what it calls the parts train and test; together:
    what the groups are where they must not be divided, such as person, "" where they are a note only; label_sets: names
    of further labels; opened: gives an entry's picture, from threads too, where it is no file below root.
    """

    root: Path
    entries: list[Entry]
    others: int = 0
    unlike: Sequence[str] = ()
    notes: dict[str, str] = field(default_factory=dict)
    called: dict[str, str] = field(default_factory=dict)
    together: str = ""
    label_sets: Sequence[str] = ()
    opened: Callable[[Entry], Content] | None = None

    def content(self, entry: Entry) -> Content:
        """Where the picture of an entry comes from."""
        return self.root / entry.path if self.opened is None else self.opened(entry)


def check_counts(entries: Sequence[Entry], called: dict[str, str] | None = None) -> None:
    """Raise UserError unless there are two classes, each with a picture to train and one to test.

    called: what the source calls the parts.
    """
    names = sorted({entry.label for entry in entries})
    check_classes(names)
    have = Counter((entry.label, entry.part) for entry in entries)
    if any(part for _, part in have):
        lacking = [(name, part) for name in names for part in PARTS if not have[name, part]]
        texts = [f"{name} has no picture in {(called or {}).get(part, f'{part}/')}" for name, part in lacking]
    else:
        lacking = [(name, "") for name in names if have[name, ""] < 2]
        texts = [f"{name} has 1 picture, and one to train and one to test are needed" for name, _ in lacking]
    if lacking:
        twin = next((name for name in names if name != lacking[0][0] and _alike(name, lacking[0][0])), None)
        others = f" ({len(lacking)} classes lack some)" if len(lacking) > 1 else ""
        others += f" ({twin} differs by capitals alone)" if twin is not None else ""
        raise UserError(f"class {texts[0]}{others}: add some, or leave the class out")


def check_groups(source: Path, entries: Iterable[Entry], together: str) -> None:
    """Raise UserError where pictures that belong together stand in two parts that the source gives."""
    first: dict[str, Entry] = {}
    for entry in entries:
        before = first.setdefault(entry.group, entry)
        if entry.group and before.said != entry.said:
            raise UserError(
                f"{source}: {together} {shown(entry.group)} is in two parts, {before.said} ({shown(before.path)}) and"
                f" {entry.said} ({shown(entry.path)}): move its pictures into one, or give --group-column none if they"
                " need not stay together"
            )


def _alike(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def a_few(names: Iterable[str], count: int = SHOWN) -> str:
    """The first of some names for a line, and how many more there are; what cannot be shown as Python writes it."""
    listed = list(map(shown, names))
    more = len(listed) - count
    return ", ".join(listed[:count]) + (f" and {more} more" if more > 0 else "")
