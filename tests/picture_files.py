"""PNG and TIFF files made by hand, so that every kind is there whatever a library cares to write."""

import io
import struct
import zlib

import numpy as np


def png(width, height, depth, kind, rows, *chunks):
    """rows: bytes of each; chunks: (name, data) to stand before the pixels."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", head), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def shorts(*numbers):
    return struct.pack(f">{len(numbers)}H", *numbers)


def tiff(picture, tags=()):
    """An uncompressed little-endian TIFF of one strip. picture: (H, W) or (H, W, C); tags: {number: shorts}, on top."""
    picture = np.asarray(picture)
    height, width, channels = (*picture.shape, 1)[:3]
    data = picture.tobytes()
    facts = {
        256: [width], 257: [height], 258: [picture.itemsize * 8] * channels, 259: [1], 262: [2 if channels > 2 else 1],
        273: [8], 277: [channels], 278: [height], 279: [len(data)], **dict(tags),
    }  # fmt: skip
    start = 8 + len(data) + len(data) % 2
    after, body, entries = start + 2 + 12 * len(facts) + 4, b"", b""
    for number, values in sorted(facts.items()):
        text = struct.pack(f"<{len(values)}H", *values)
        if len(text) > 4:
            text, body = struct.pack("<I", after + len(body)), body + text
        entries += struct.pack("<HHI", number, 3, len(values)) + text.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<I", start) + data.ljust(start - 8, b"\0")
    return head + struct.pack("<H", len(facts)) + entries + b"\0" * 4 + body


def saved(image, form, **options):
    """A Pillow image as the bytes of a file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()
