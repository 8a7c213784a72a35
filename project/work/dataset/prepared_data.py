"""A prepared data set as it is known before any of its pictures is read: where it is, and how its pictures were made.

Standard library only at import.
"""

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project.work import common
from project.work.common import UserError
from project.work.dataset import unprepared
from project.work.dataset.unprepared import FILES
from project.work.files import disk
from project.work.files.disk import shown
from project.work.picture_files.view import View
from project.work.settings.flags import nearest

_BITS = re.compile(r"read as ([0-9]+) bits$")
_FITS, _BORDERS, _RASTERS = (
    ("pad", "crop", "stretch"),
    ("median", "replicate", "white", "black"),
    ("distance", "upstream"),
)


def find(dataset: str) -> Path:
    """The folder of a data set given by name or path.

    Raises UserError, with the command that makes one of what is there instead, when it is not there.
    """
    folder = common.input_folder(dataset)
    if any(os.path.exists(folder / name) for name in FILES):
        return folder
    if not dataset.strip():
        raise UserError("--dataset is empty: give the name of a prepared set, a folder of project/input, or its path")
    typed = Path(dataset)  # a name may also be meant as what has that name in the current folder
    place = folder if os.path.lexists(folder) or not os.path.lexists(typed) else typed
    if os.path.lexists(place):
        raise UserError(f"{shown(place)} {unprepared.advice(place)}")
    beside = folder.parent.iterdir() if folder.parent.is_dir() else ()
    prepared = [path.name for path in beside if path.is_dir() and not path.name.startswith(".")]
    raise UserError(
        f"{shown(folder)} is missing: run ./inv prepare first (./inv prepare-images for pictures of your own), or give"
        f" --dataset the name of a prepared set{nearest(folder.name, prepared)}"
    )


def digest(folder: Path) -> str | None:
    """A short name for the files of a data set, by the checksums that its preparation noted; None without any.

    It takes no reading of pictures, and names the same files as long as nobody prepares them anew otherwise.
    """
    from project.work.dataset.storage import LARGEST_FACTS, PROVENANCE

    try:
        facts = disk.read_json(folder / PROVENANCE, LARGEST_FACTS)
        checksums = facts["sha256"] | facts.get("label_sets", {})
    except (UserError, LookupError, TypeError):
        return None
    return hashlib.sha256(json.dumps(checksums, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Preparation:
    """side, channels: of the pictures as the set gives them to training, which may resize them further.

    drawn: whether they were drawn from strokes, by the method raster; encoded: whether the set keeps files, which are
    decoded at that side, or pictures of it; fit, margin, border, invert: see data_preparation/options.py; bits: see
    `View`; told: whether the set says all this, or it is guessed.
    """

    side: int
    channels: int
    drawn: bool = False
    raster: str = "distance"
    encoded: bool = False
    fit: str = "pad"
    margin: float = 0.0
    border: str = "median"
    invert: bool = False
    bits: int = 16
    told: bool = True

    @property
    def view(self) -> View:
        """How its files are decoded."""
        return View(self.side, self.fit, self.channels, self.invert, self.bits, self.margin, self.border)



def preparation_of_set(provenance: Mapping[str, Any], side: int, channels: int, view: View | None) -> Preparation:
    """Of a data set, by what its provenance.json says. view: of its encoded files, None where it keeps pictures."""
    options = provenance.get("options")
    if not isinstance(options, Mapping):
        return Preparation(side, channels, told=False)
    if "raster" in options:
        return read_preparation({"side": side, "channels": channels, "drawn": True, "raster": options["raster"]})
    if view is not None:
        facts = {name: getattr(view, name) for name in ("fit", "invert", "bits", "margin", "border")}
        return read_preparation({**facts, "side": side, "channels": channels, "encoded": True})
    facts = {name: options[name] for name in ("fit", "margin", "border") if name in options}
    facts |= {"invert": bool(provenance.get("inverted")), "bits": _bits(provenance)}
    return read_preparation({**facts, "side": side, "channels": channels, "told": "fit" in options})


def read_preparation(facts: Mapping[str, Any]) -> Preparation:
    """From plain values, as `as_dict` gives them. Raises ValueError for values that cannot be."""
    declared = {field.name: field for field in dataclasses.fields(Preparation)}
    if not {"side", "channels"} <= facts.keys() <= declared.keys():
        raise ValueError("its preparation is not whole")
    found = Preparation(**facts)
    numbers = all(type(value) is int for value in (found.side, found.channels, found.bits))
    words = found.fit in _FITS and found.border in _BORDERS and found.raster in _RASTERS
    flags = all(type(value) is bool for value in (found.drawn, found.encoded, found.invert, found.told))
    if not (numbers and words and flags and isinstance(found.margin, float | int) and 0 <= found.margin <= 2):
        raise ValueError("its preparation holds values that cannot be")
    if not (1 <= found.side <= 1 << 14 and 1 <= found.channels <= 1 << 10 and 8 <= found.bits <= 16):
        raise ValueError("its preparation holds numbers that cannot be")
    return found


def _bits(provenance: Mapping[str, Any]) -> int:
    """How many of 16 bits were in use, which preparation says in words."""
    said = provenance.get("reading")
    found = _BITS.search(str(said.get("depth", ""))) if isinstance(said, Mapping) else None
    return int(found[1]) if found else 16
