"""How pictures became those of a prepared data set: what a classifier keeps, to see a new picture as those it learnt.

Standard library only, but for what is asked for.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from project.work.picture_files.view import View

_BITS = re.compile(r"read as ([0-9]+) bits$")
_FITS, _BORDERS, _RASTERS = (
    ("pad", "crop", "stretch"),
    ("median", "replicate", "white", "black"),
    ("distance", "upstream"),
)


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
        return View(self.side, self.fit, self.channels, self.invert, self.bits)

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for a file."""
        return dataclasses.asdict(self)


def of_set(provenance: Mapping[str, Any], side: int, channels: int, view: View | None) -> Preparation:
    """Of a data set, by what its provenance.json says. view: of its encoded files, None where it keeps pictures."""
    options = provenance.get("options")
    if not isinstance(options, Mapping):
        return Preparation(side, channels, told=False)
    if "raster" in options:
        return read({"side": side, "channels": channels, "drawn": True, "raster": options["raster"]})
    facts = {name: options[name] for name in ("fit", "margin", "border") if name in options}
    if view is not None:
        return read({**facts, "side": side, "channels": channels, "encoded": True, "fit": view.fit,
                     "invert": view.invert, "bits": view.bits})  # fmt: skip
    facts |= {"invert": bool(provenance.get("inverted")), "bits": _bits(provenance)}
    return read({**facts, "side": side, "channels": channels, "told": "fit" in options})


def read(facts: Mapping[str, Any]) -> Preparation:
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
