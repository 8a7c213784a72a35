"""Looks once at a picture that is kept encoded: can it be read, what marks it, and which bytes are kept.

A plain JPEG is decoded in grey, at an eighth, a quarter or half of its size. That shows whether it is whole and what
it looks like, in a third of the time.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import framing
from project.data_preparation.pictures.entries import Box, Content
from project.data_preparation.pictures.reading import check_file, said_of
from project.work.common import UserError
from project.work.dataset.packed import LONGEST, MARK
from project.work.picture_files import decoding, pixels, reader
from project.work.picture_files.decoding import Header
from project.work.picture_files.threads import Allowance
from project.work.picture_files.view import THUMBNAIL

Source: TypeAlias = Content | Callable[[], Content]
QUALITY = 95  # of a JPEG made of a picture that is larger than LONGEST
AS_IT_CAME, AS_JPEG, AS_PNG = range(3)
KEPT = ("as they came", f"as JPEG of quality {QUALITY}, {LONGEST} pixels long", "as PNG, without loss")
COLOURED, GREY, UNKNOWN = range(3)
_BYTES_A_PIXEL, _SPARE = 8, 1 << 16  # a larger file holds something else beside its picture
_MOST = 200  # characters of a fault
_LITTLE = 1 << 20  # bytes or pixels: for so few, no thread waits


@dataclass
class Item:
    """One picture. data: the bytes to keep; fault: what is wrong, "" for nothing.

    how: AS_IT_CAME or another; more: whether it has further frames; colour: COLOURED, GREY, or UNKNOWN, where another
    picture was coloured already; blank: whether it is of one colour; peak, least: of one of 16 bits, see
    `pixels.Samples`, else -1 and 8; mark: a digest of data; seen: a digest of what it shows at a small size; thumbnail:
    grey uint8 (32, 32).
    """

    data: bytes = b""
    fault: str = ""
    width: int = 0
    height: int = 0
    how: int = AS_IT_CAME
    more: bool = False
    colour: int = UNKNOWN
    blank: bool = False
    peak: int = -1
    least: int = 8
    mark: bytes = b""
    seen: bytes = b""
    thumbnail: np.ndarray = field(default_factory=lambda: np.zeros((THUMBNAIL, THUMBNAIL), np.uint8))


@dataclass
class Looker:
    """What the threads share. contents: of all pictures; boxes: what is cut out of each, or nothing at all; bits: how
    many of 16 are in use; coloured: whether a coloured picture was seen."""

    contents: Sequence[Source]
    settings: ImageFolderSettings
    boxes: Sequence[Box | tuple[()]] = ()
    bits: int = 16
    coloured: bool = False

    def __post_init__(self) -> None:
        self.bytes = Allowance(int(self.settings.largest_file * 1e6))
        self.pixels = Allowance(int(self.settings.largest_picture * 1e6))

    def box(self, row: int) -> Box | tuple[()]:
        """What is cut out of a picture."""
        return self.boxes[row] if self.boxes else ()

    def look(self, members: range) -> list[Item]:
        """Look at some pictures after each other."""
        return [self._look(row) for row in members]

    def _look(self, row: int) -> Item:
        try:
            content = self.contents[row]
            content = content() if callable(content) else content
            if isinstance(content, Path):
                check_file(content, self.settings)
                with open(content, "rb", 0) as file, self.bytes.of(size := os.fstat(file.fileno()).st_size, _LITTLE):
                    return self._item(file.read(size), self.box(row))
            return self._item(content if isinstance(content, bytes) else _as_png(content), self.box(row))
        except (UserError, ValueError, OSError, MemoryError) as error:
            return Item(fault=said_of(error)[:_MOST] or "it cannot be read")

    def _item(self, data: bytes, box: Box | tuple[()]) -> Item:
        header = decoding.header(data, self.settings.largest_picture)
        size = header.width * header.height
        item = Item(data, width=header.width, height=header.height, more=header.more)
        fits = max(header.width, header.height) <= LONGEST and len(data) <= _BYTES_A_PIXEL * size + _SPARE
        by = reader.reduction(min(header.width, header.height), THUMBNAIL)
        with self.pixels.of(size, _LITTLE):
            if fits and not box and header.reduced is not None and by > 1:
                self._glance(item, header, by)
            else:
                self._study(item, header, box, fits and not box and not header.more)
        return item

    def _glance(self, item: Item, header: Header, by: int) -> None:
        """Look at a plain JPEG that is kept as it came."""
        assert header.reduced is not None
        small = header.reduced(by, True).colour
        if not self.coloured:
            item.colour = colour_of(pixels.shown(header.reduced(by, False)))
            self.coloured = item.colour == COLOURED
        _describe(item, small)
        if pixels.is_blank(small):  # a dot may be lost in what is small
            item.blank = pixels.is_blank(header.decode().colour)

    def _study(self, item: Item, header: Header, box: Box | tuple[()], keep: bool) -> None:
        """Look at any picture at its full size, and make a file of it where its own cannot be kept."""
        longest = max(header.width, header.height)
        if header.reduced is not None and longest > LONGEST and not box:
            whole = reader.shown(header, reader.reduction(longest, LONGEST))
        else:
            samples = header.decode()
            if samples.peak is not None:
                item.peak, item.least = samples.peak, samples.least_bits
            whole = pixels.shown(samples, self.bits)
            del samples
        whole = framing.boxed(whole, box) if box else whole
        if max(whole.shape) > LONGEST or (longest > LONGEST and not box):
            whole = reader.shrunk(whole, LONGEST)
            item.data, item.how = _encoded(whole, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, QUALITY]), AS_JPEG
        elif not keep:
            item.data, item.how = _encoded(whole, ".png", []), AS_PNG
        item.colour, item.blank = colour_of(whole), pixels.is_blank(whole)
        by = reader.reduction(min(whole.shape[:2]), THUMBNAIL)
        small = whole if by == 1 else reader.shrunk(whole, -(-max(whole.shape[:2]) // by))
        _describe(item, cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))


def _describe(item: Item, small: np.ndarray) -> None:
    """Note the marks of a picture and its thumbnail. small: grey (h, w)."""
    item.mark = hashlib.sha256(item.data).digest()[:MARK]
    item.seen = hashlib.sha256(b"%d %d %b" % (item.width, item.height, small.tobytes())).digest()[:MARK]
    item.thumbnail = reader.thumbnail(small)


def colour_of(picture: np.ndarray) -> int:
    """Whether a picture, RGB (H, W, 3), is COLOURED or GREY."""
    red, green, blue = (channel.tobytes() for channel in cv2.split(picture))
    return GREY if red == green == blue else COLOURED


def _encoded(picture: np.ndarray, form: str, options: Sequence[int]) -> bytes:
    return cv2.imencode(form, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def _as_png(array: np.ndarray) -> bytes:
    """Pixels, uint8 (H, W) or RGB (H, W, 3), as a file."""
    return cv2.imencode(".png", array if array.ndim == 2 else cv2.cvtColor(array, cv2.COLOR_RGB2BGR))[1].tobytes()
