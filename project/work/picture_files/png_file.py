"""The chunks of a PNG: those that make the picture, checked, and what the others say of it."""

import struct
import zlib
from dataclasses import dataclass

MAGIC = b"\x89PNG\r\n\x1a\n"
_ESSENTIAL = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_LONGEST_EXIF = 1 << 16
_GREY = 0


@dataclass
class Png:
    """A PNG without its side notes, which nothing here reads and which may hide anything of any size.

    clear_grey: the level, as it is decoded, that is transparent; exif: the bytes of its eXIf, b"" where it has none.
    """

    width: int
    height: int
    essential: bytes
    animated: bool = False
    exif: bytes = b""
    significant_bits: int = 8
    clear_grey: int | None = None


def read(data: bytes) -> Png:
    """Take a PNG apart. Raises ValueError where it is damaged or cut off."""
    kept: list[bytes | memoryview] = [MAGIC]
    notes: dict[bytes, bytes] = {}
    place = len(MAGIC)
    while True:
        size, name = _chunk_head(data, place)
        end = place + 12 + size
        if end > len(data):
            raise ValueError("not a picture that can be decoded: it is cut off")
        if name in _ESSENTIAL:
            if zlib.crc32(memoryview(data)[place + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
                raise ValueError("not a picture that can be decoded: it is damaged")
            kept.append(memoryview(data)[place:end])
        if name in (b"IHDR", b"tRNS", b"sBIT", b"acTL") or (name == b"eXIf" and size <= _LONGEST_EXIF):
            notes.setdefault(name, data[place + 8 : end - 4])
        if name == b"IEND":
            break
        place = end
    head = notes.get(b"IHDR", b"")
    if len(head) != 13:
        raise ValueError("not a picture that can be decoded: it has no header")
    width, height, depth, kind = struct.unpack_from(">IIBB", head)
    clear, bits = notes.get(b"tRNS", b""), notes.get(b"sBIT", b"")
    return Png(
        width, height, b"".join(kept), b"acTL" in notes, notes.get(b"eXIf", b""),
        significant_bits=min(max(bits[: 3 if kind & 2 else 1], default=8), 16),
        clear_grey=_level(clear, depth) if kind == _GREY and len(clear) == 2 else None,
    )  # fmt: skip


def _chunk_head(data: bytes, place: int) -> tuple[int, bytes]:
    if len(data) < place + 12:
        raise ValueError("not a picture that can be decoded: it is cut off")
    return struct.unpack_from(">I4s", data, place)


def _level(clear: bytes, depth: int) -> int:
    """A grey of so many bits as decoders show it: of fewer than 8 spread over 0..255."""
    level = int.from_bytes(clear, "big")
    return level * 255 // ((1 << depth) - 1) if depth < 8 else level
