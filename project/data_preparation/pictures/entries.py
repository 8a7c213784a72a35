"""One picture of a list, and the list: what every reader of folders and CSV files gives, and what it must hold."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from project.data_preparation.finalize import check_classes
from project.data_preparation.pictures.parts import PARTS
from project.work.common import UserError
from project.work.files.disk import shown

SHOWN = 3  # names that a line gives as examples


class Entry(NamedTuple):
    """One picture: its class, its part (train or test, "" where it is still to be drawn) and its path from the root.

    group: of pictures that belong together, such as a fold, "" where none is known; said: the part that the source
    gave, where that is another one, such as valid.
    """

    label: str
    part: str
    path: str
    group: str = ""
    said: str = ""


@dataclass(frozen=True)
class PictureList:
    """Sorted entries, the folder that their paths start from, and what there was beside them.

    others: how many files were left out; unlike: names of pictures left out because they are no plain files; notes: how
    the source was understood, by the first word of a line; called: what it calls the parts train and test.
    """

    root: Path
    entries: list[Entry]
    others: int = 0
    unlike: Sequence[str] = ()
    notes: dict[str, str] = field(default_factory=dict)
    called: dict[str, str] = field(default_factory=dict)


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


def _alike(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def a_few(names: Iterable[str], count: int = SHOWN) -> str:
    """The first of some names for a line, and how many more there are; what cannot be shown as Python writes it."""
    listed = list(map(shown, names))
    more = len(listed) - count
    return ", ".join(listed[:count]) + (f" and {more} more" if more > 0 else "")
