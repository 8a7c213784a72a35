"""What a pixel means, format by format: expected values are worked out by hand from the formats' definitions."""

import struct
import zlib

import numpy as np
import pytest
from picture_files import png, saved, shorts, tiff
from PIL import Image

from project.work.picture_files.decoding import decode, header
from project.work.picture_files.threads import quiet

W = 255


def row(data):
    """The first row: a level for a grey pixel, else (r, g, b)."""
    return [p[0] if p[0] == p[1] == p[2] else tuple(p) for p in decode(data)[0].tolist()]


PALETTE = (b"PLTE", bytes([10, 20, 30, 40, 50, 60, 70, 80, 90]))
PNGS = {
    "1 bit": (png(4, 1, 1, 0, [b"\x50"]), [0, W, 0, W]),
    "1 bit, 0 is clear": (png(4, 1, 1, 0, [b"\x50"], (b"tRNS", shorts(0))), [W, W, W, W]),
    "2 bits": (png(4, 1, 2, 0, [b"\x1b"]), [0, 85, 170, W]),
    "2 bits, 1 is clear": (png(4, 1, 2, 0, [b"\x1b"], (b"tRNS", shorts(1))), [0, W, 170, W]),
    "4 bits, 10 is clear": (png(4, 1, 4, 0, [b"\x0a\x5f"], (b"tRNS", shorts(10))), [0, W, 85, W]),
    "8 bits, 10 is clear": (png(3, 1, 8, 0, [bytes([0, 10, 200])], (b"tRNS", shorts(10))), [0, W, 200]),
    "16 bits": (png(3, 1, 16, 0, [shorts(256, 0x7FFF, 65535)]), [1, 127, W]),
    "16 bits, 257 is clear": (png(3, 1, 16, 0, [shorts(256, 257, 512)], (b"tRNS", shorts(257))), [1, W, 2]),
    "colour clear": (png(2, 1, 8, 2, [bytes([1, 2, 3, 4, 5, 6])], (b"tRNS", shorts(1, 2, 3))), [W, (4, 5, 6)]),
    "colour of 16 bits": (png(1, 1, 16, 2, [shorts(256, 512, 65535)]), [(1, 2, W)]),
    "palette": (png(3, 1, 2, 3, [b"\x18"], PALETTE), [(10, 20, 30), (40, 50, 60), (70, 80, 90)]),
    # 0 of 255 and 51 of 255: white, and 40 x 0.2 + 255 x 0.8 = 212 ...
    "palette, clear": (png(2, 1, 2, 3, [b"\x10"], PALETTE, (b"tRNS", bytes([0, 51]))), [W, (212, 214, 216)]),
    "grey and alpha": (png(2, 1, 8, 4, [bytes([10, 0, 20, 51])]), [W, 208]),
    "16 bits and alpha": (png(2, 1, 16, 4, [shorts(256, 0, 5120, 51 * 257)]), [W, 208]),
    "colour and alpha": (png(1, 1, 8, 6, [bytes([10, 20, 30, 51])]), [(206, 208, 210)]),
}
COLOURS = [0, 9] + [0] * 255 + [8] + [0] * 510  # of a TIFF: all reds, all greens, all blues
TIFFS = {
    "white is zero": (tiff(np.uint8([[0, 1, 255]]), {262: [0]}), [W, 254, 0]),
    "white is zero of 16 bits": (tiff(np.uint16([[0, 256, 65535]]), {262: [0]}), [W, 254, 0]),
    "12 bits": (tiff(np.uint8([[0x12, 0x3F, 0xFF]]), {256: [2], 258: [12]}), [0x12, W]),
    "16 bits": (tiff(np.uint16([[256, 65535]])), [1, W]),
    "colour of 16 bits": (tiff(np.uint16([[[256, 512, 65535]]])), [(1, 2, W)]),
    "alpha": (tiff(np.uint8([[[10, 20, 30, 51]]]), {338: [2]}), [(206, 208, 210)]),
    "alpha of 16 bits": (tiff(np.uint16([[[10, 20, 30, 51]]]) * 257, {338: [2]}), [(206, 208, 210)]),
    "weighted by alpha": (tiff(np.uint8([[[50, 0, 0, 51]]]), {338: [1]}), [(254, 204, 204)]),
    "weighted by alpha, 16 bits": (tiff(np.uint16([[[50, 0, 0, 51]]]) * 257, {338: [1]}), [(254, 204, 204)]),
    "a fourth channel that is no alpha": (tiff(np.uint8([[[1, 2, 3, 0]]]), {338: [0]}), [(1, 2, 3)]),
    "the same of 16 bits": (tiff(np.uint16([[[1, 2, 3, 0]]]) * 257, {338: [0]}), [(1, 2, 3)]),
    "CMYK": (tiff(np.uint8([[[255, 0, 0, 0], [0, 0, 0, 127]]]), {262: [5]}), [(0, W, W), 128]),
    "palette": (tiff(np.uint8([[1]]), {262: [3], 320: [0, 257 * 9] + [0] * 255 + [257 * 8] + [0] * 510}), [(9, 8, 0)]),
    "palette of 8 bits in 16": (
        tiff(np.uint8([[1]]), {262: [3], 320: [0, 9] + [0] * 255 + [8] + [0] * 510}),
        [(9, 8, 0)],
    ),
}
NETPBM = {
    "P5, 4095": (b"P5 3 1 4095\n" + shorts(0, 1024, 4095), [0, 64, W]),
    "P5, 1023": (b"P5\n# scanned\n3 1\n1023\n" + shorts(0, 512, 1023), [0, 128, W]),
    "P5, 65535": (b"P5 2 1 65535\n" + shorts(256, 65535), [1, W]),
    "P5, 15": (b"P5 3 1 15\n\0\1\x0f", [0, 17, W]),
    "P2, 4095": (b"P2\n3 1 # wide\n4095\n0 1024 4095\n", [0, 64, W]),
    "P6, 4095": (b"P6 1 1 4095\n" + shorts(0, 1024, 4095), [(0, 64, W)]),
    "P3, 1023": (b"P3 1 1 1023 0 512 1023", [(0, 128, W)]),
    "P4": (b"P4 4 1\n\x60", [W, 0, 0, W]),
    "P1": (b"P1 4 1\n0 1 1 0", [W, 0, 0, W]),
}


KINDS = {f"PNG {name}": kind for name, kind in PNGS.items()} | {f"TIFF {name}": kind for name, kind in TIFFS.items()}


@pytest.fixture(autouse=True)
def _quiet():
    with quiet():
        yield


@pytest.mark.parametrize(("data", "expected"), [*KINDS.values(), *NETPBM.values()], ids=[*KINDS, *NETPBM])
def test_what_the_numbers_of_a_file_mean(data, expected):
    assert row(data) == expected


LEVELS = np.kron(np.array([[10, 90], [170, 250]], np.uint8), np.ones((8, 16), np.uint8))


def exif(orientation):
    tags = Image.Exif()
    tags[0x112] = orientation
    return tags.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_format_that_tells_of_an_orientation_stands_upright(orientation):
    lying, form = Image.fromarray(np.stack([LEVELS] * 3, axis=2)), {"exif": exif(orientation)}
    turn = [None, None, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
            Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE,
            Image.Transpose.ROTATE_90][orientation]  # fmt: skip
    upright = np.asarray(lying if turn is None else lying.transpose(turn)).astype(int)
    files = {
        "JPEG": saved(lying, "JPEG", quality=100, **form),
        "PNG": saved(lying, "PNG", **form),
        "WebP": saved(lying, "WEBP", lossless=True, **form),
        "TIFF": saved(lying, "TIFF", **form),
        "TIFF, LZW": saved(lying, "TIFF", compression="tiff_lzw", **form),
        "TIFF of 16 bits": tiff(np.stack([LEVELS] * 3, axis=2).astype(np.uint16) * 257, {274: [orientation]}),
        "AVIF": saved(lying, "AVIF", quality=100, **form),
    }
    for name, data in files.items():
        shown = decode(data)
        assert shown.shape == upright.shape, name
        assert np.abs(shown - upright).max() < 8, name


def test_transparency_in_every_format_that_has_it():
    clear = np.kron(np.uint8([[[255, 0, 0, 0], [255, 0, 0, 255], [0, 0, 0, 128]]]), np.ones((8, 8, 1), np.uint8))
    expected = [[255, 255, 255], [255, 0, 0], [127, 127, 127]]
    picture = Image.fromarray(clear)
    for form, options in {"WEBP": {"lossless": True, "exact": True}, "JPEG2000": {}, "TIFF": {},
                          "AVIF": {"quality": 100, "subsampling": "4:4:4"}}.items():  # fmt: skip
        assert np.abs(decode(saved(picture, form, **options))[4, 4::8] - np.int64(expected)).max() < 3, form
    indexed = Image.fromarray(np.uint8([[0, 1]]), "P")
    indexed.putpalette([255, 0, 0, 0, 255, 0])
    assert row(saved(indexed, "GIF", transparency=1)) == [(255, 0, 0), 255]


def test_cmyk_jpegs_as_adobe_writes_them():
    ink = Image.fromarray(
        np.kron(np.uint8([[[255, 0, 0, 0], [0, 0, 0, 255], [0, 255, 255, 0]]]), np.ones((8, 8, 1), np.uint8)), "CMYK"
    )
    shown = decode(saved(ink, "JPEG", quality=100))[4, 4::8]
    assert np.abs(shown - np.int64([[0, 255, 255], [0, 0, 0], [255, 0, 0]])).max() < 4


def test_bitmaps_of_windows():
    def bmp(bits, height, pixels, compression=0, masks=b""):
        start = 54 + len(masks)
        facts = (start + len(pixels), 0, start, 40, 2, height, 1, bits, compression, len(pixels), 0, 0, 0, 0)
        return b"BM" + struct.pack("<IIIIiiHHIIiiII", *facts) + masks + pixels

    two = [(1, 2, 3), (4, 5, 6)]
    assert row(bmp(24, -1, bytes([3, 2, 1, 6, 5, 4, 0, 0]))) == two
    assert row(bmp(32, 1, bytes([3, 2, 1, 0, 6, 5, 4, 0]))) == two  # the fourth byte is reserved, and no alpha
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x1F)
    assert row(bmp(16, 1, struct.pack("<HH", 0xF800, 0x07E0), 3, masks)) == [(255, 0, 0), (0, 255, 0)]


def test_of_frames_and_pages_the_first_is_shown_and_that_there_are_more_is_told():
    first, second = (Image.new("L", (8, 8), level) for level in (200, 50))
    for form in ("GIF", "TIFF", "WEBP", "PNG", "AVIF"):
        found = header(saved(first, form, save_all=True, append_images=[second]))
        assert found.more, form
        assert abs(int(found.decode().colour.flat[0]) - 200) < 4, form
        assert not header(saved(first, form)).more, form


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (tiff(np.int16([[1]]), {339: [2]}), "its pixels are int16"),
        (tiff(np.uint32([[1]])), "its pixels are uint32"),
        (tiff(np.float32([[1]]), {339: [3]}), "its pixels are float32"),
        (tiff(np.uint16([[[1, 2]]])), "2 channels of 16 bits"),
        (tiff(np.uint16([[[1, 2, 3]]]), {284: [2]}), "in planes"),
        (tiff(np.uint8([[1]]), {322: [60000], 323: [60000], 324: [8], 325: [1]}), "60,000 x 60,000 .*largest-picture"),
        (b"P5 60000 60000 255\n", "60,000 x 60,000 pixels"),
        (b"P5 3 1 255\nab", "cut off"),
        (b"P2 3 1 255\n1 2 x", "fewer numbers than pixels"),
        (b"P5 1 1 15\n\xff", "a number above 15"),
        (png(40000, 40000, 8, 0, [b""]), "40,000 x 40,000 pixels, and more than --largest-picture 100"),
        (png(1, 1, 8, 0, [b"a"])[:-1], "cut off"),
        (png(1, 1, 8, 0, [b"a"]).replace(b"IDATx", b"IDATy"), "damaged"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_refused_in_words(data, fault):
    with pytest.raises(ValueError, match=fault):
        decode(data)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC picture"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "a film"),
        (b"<!DOCTYPE html><html>404", "a web page"),
        (b"\n <html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "a pointer of Git LFS"),
        (b"%PDF-1.7", "a PDF"),
    ],
)
def test_what_lies_in_a_file_that_is_called_a_picture_is_named(data, kind):
    with pytest.raises(ValueError, match=f"not a picture that can be decoded: it holds {kind}"):
        decode(data)


def test_half_a_file_is_a_fault_in_every_format():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8))
    forms = {"JPEG": {}, "PNG": {}, "GIF": {}, "BMP": {}, "WEBP": {}, "AVIF": {}, "JPEG2000": {}, "TIFF": {}, "PPM": {}}
    for form, options in [*forms.items(), ("JPEG", {"progressive": True}), ("TIFF", {"compression": "tiff_lzw"})]:
        data = saved(noise, form, **options)
        assert decode(data).shape == (60, 60, 3)
        for part in (data[: len(data) // 2], data[: len(data) * 9 // 10], data[:30]):
            with pytest.raises(ValueError, match="not a picture that can be decoded"):
                decode(part)


def test_side_notes_that_unpack_to_gigabytes_are_passed_over():
    bomb = zlib.compress(bytes(1 << 24), 9)
    notes = [(b"iCCP", b"x\0\0" + bomb), (b"zTXt", b"x\0\0" + bomb)]
    assert row(png(2, 1, 8, 0, [b"\1\2"], *notes)) == [1, 2]
