"""From the bytes of a picture file to its samples, bounded by what its header says before anything is decoded; no I/O.

OpenCV decodes JPEG, PNG and colours of 16 bits; Pillow reads the headers and decodes all else. Colour profiles are left
aside: numbers are taken for sRGB. Of several frames or pages the first is taken.
"""

import io
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import ExifTags, Image, ImagePalette, TiffImagePlugin

from project.work.picture_files import png_file
from project.work.picture_files.pixels import Samples, shown

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "JPEG2000", "PPM", "TIFF", "WEBP", "AVIF")
MEGAPIXELS = 100.0  # of a picture, at most: decoding takes up to 12 bytes a pixel
_SCANS = 200  # of a progressive JPEG; each is worked through over the whole picture
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG's markers of a frame, and those that stand alone
_JPEG, _JPEG_END, _TRAILER = b"\xff\xd8", b"\xff\xd9", 1 << 16  # bytes that may follow a picture
_ALONE = {0x01, 0xFF, *range(0xD0, 0xD9)}
_UNKNOWN = "not a picture that can be decoded"
_ORIENTATION = ExifTags.Base.Orientation
_BITS, _WHITE_IS_ZERO, _CHANNELS, _PLANES, _EXTRA, _FORMAT = 258, 262, 277, 284, 338, 339  # TIFF's tags
_LARGEST, _COLOURS, _TILES = 281, 320, (322, 323)
_BAND = 1 << 20  # pixels
_REDUCED_GREY = {
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
_REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
_OTHERS = {
    b"<!": "a web page",
    b"<html": "a web page",
    b"<HTML": "a web page",
    b"<svg": "an SVG drawing",
    b"<?xml": "an SVG drawing or other XML",
    b"version https://git-lfs": "a pointer of Git LFS, for which git lfs pull fetches the picture",
    b"%PDF": "a PDF",
    b"8BPS": "a Photoshop picture",
    b"PK\3\4": "a ZIP archive",
    b"\0\5\x16\7": "a side note of macOS",
}


@dataclass
class Header:
    """What a file says of its picture. decode: gives the Samples; raises ValueError. more: frames or pages left out.

    reduced: gives them at a half, a quarter or an eighth of their size, three times as fast, and in grey where that is
    asked for; None but for plain JPEG.
    """

    width: int
    height: int
    decode: Callable[[], Samples]
    more: bool = False
    reduced: Callable[[int, bool], Samples] | None = None


def header(data: bytes, megapixels: float = MEGAPIXELS) -> Header:
    """Read the header of a picture file. Raises ValueError where it is none, or has more pixels than are allowed."""
    if not data:
        raise ValueError("the file is empty")
    found = _png(data) if data.startswith(png_file.MAGIC) else _plain_jpeg(data) or _other(data, megapixels)
    check_size(found.width, found.height, megapixels)
    return found


def decode(data: bytes) -> np.ndarray:
    """Decode a picture: RGB uint8 (H, W, 3), upright by its orientation, transparency laid on white.

    Of 16 bits the upper 8 are taken. Raises ValueError that says what is wrong with the bytes.
    """
    return shown(header(data).decode())


def check_size(width: int, height: int, megapixels: float) -> None:
    """Raise ValueError for a picture, or a part of one that is decoded at once, that is too large."""
    if width * height > megapixels * 1e6:
        size = f"{width:,} x {height:,} pixels"
        raise ValueError(f"it is {size}, and more than --largest-picture {megapixels:g} (megapixels) are not decoded")
    if min(width, height) < 1:
        raise ValueError(f"it has {width} x {height} pixels")


def _png(data: bytes) -> Header:
    png = png_file.read(data)

    def decode() -> Samples:
        samples = _opencv(png.essential, cv2.IMREAD_UNCHANGED)
        samples.orientation, samples.least_bits = _orientation(lambda: _exif(png.exif)), png.significant_bits
        if png.clear_grey is not None and samples.colour.ndim == 2 and samples.alpha is None:
            largest = np.iinfo(samples.colour.dtype).max
            samples.alpha = np.where(samples.colour == png.clear_grey, 0, largest).astype(samples.colour.dtype)
        return samples

    return Header(png.width, png.height, decode, png.animated)


def _plain_jpeg(data: bytes) -> Header | None:
    """A JPEG of grey or of three colours, 8 bits each; None for all else. Pillow reads headers too, but not as fast."""
    place = 2 if data.startswith(_JPEG) else len(data)
    while place + 10 <= len(data) and data[place] == 0xFF:
        kind = data[place + 1]
        if kind in _FRAMES:
            bits, height, width, channels = struct.unpack_from(">BHHB", data, place + 4)
            if bits != 8 or channels not in (1, 3):
                return None
            _check_scans(data)
            return Header(  # cv2 turns it upright, too
                width,
                height,
                lambda: _opencv(data, cv2.IMREAD_COLOR),
                reduced=lambda by, grey: _opencv(data, (_REDUCED_GREY if grey else _REDUCED)[by]),
            )
        alone = kind in _ALONE
        place += (1 if kind == 0xFF else 2) if alone else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None


def _check_scans(data: bytes) -> None:
    if data.count(b"\xff\xda") > _SCANS:
        raise ValueError(f"it is a JPEG of more than {_SCANS} scans")


def _opencv(data: bytes, flags: int) -> Samples:
    """Decode by OpenCV, blue first. A colour of 3 channels is put in order in place."""
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        picture = None
    if picture is None:
        cut = data.startswith(_JPEG) and data.rfind(_JPEG_END, -_TRAILER) < 0
        raise ValueError(f"{_UNKNOWN}: it is {'cut off' if cut else 'damaged or cut off'}")
    if picture.ndim == 2:
        return Samples(picture)
    if picture.shape[2] == 3:
        return Samples(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=picture))
    return Samples(picture[..., 2::-1], picture[..., 3])


def _other(data: bytes, megapixels: float) -> Header:
    image = _open(data)
    width, height = image.size
    check_size(width, height, megapixels)
    if image.format in ("JPEG", "MPO"):
        _check_scans(data)
        return Header(width, height, lambda: _pillow(image))
    if image.format == "PPM" and image.mode in ("L", "I", "RGB"):
        return Header(width, height, lambda: _pnm(data, image))
    if image.format == "TIFF":
        _check_tiff(image.tag_v2, megapixels)
        return Header(width, height, lambda: _tiff(data, image), _has_more(image))
    if image.format == "JPEG2000":
        return Header(width, height, _jpeg2000(data, image, megapixels))
    return Header(width, height, lambda: _pillow(image), _has_more(image))


def _open(data: bytes) -> Image.Image:
    """A picture whose header alone has been read."""
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.UnidentifiedImageError:
        raise ValueError(_UNKNOWN + (_other_kind(data) or _reason(data))) from None
    except Exception as error:  # plug-ins raise anything for hostile bytes: OverflowError, struct.error, IndexError ...
        raise ValueError(f"{_UNKNOWN} ({_line(error)})") from error


def _other_kind(data: bytes) -> str:
    """What the bytes are, where their start tells: files are called .jpg that phones, servers or Git wrote."""
    start = data[:64].lstrip()
    kind = next((kind for mark, kind in _OTHERS.items() if start.startswith(mark)), None)
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"heim", b"heis"):
        kind = "a HEIC picture"
    elif data[4:8] == b"ftyp" and data[8:12] not in (b"avif", b"avis"):
        kind = "a film"
    return f": it holds {kind}" if kind else ""


def _reason(data: bytes) -> str:
    """Why the format whose mark the bytes bear did not take them, in its own words."""
    for name in FORMATS:
        factory, accept = Image.OPEN[name]
        if accept is not None and accept(data[:16]) is True:
            try:
                factory(io.BytesIO(data), "")
            except Exception as error:
                if name == "TIFF":
                    _check_numbers(_tags(data))
                return f" ({name}: {_line(error)})"
    return ""


def _tags(data: bytes) -> Mapping[int, Any]:
    """The tags of a TIFF that Pillow does not open; empty where they cannot be read."""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
        stream = io.BytesIO(data)
        stream.seek(tags.next)
        tags.load(stream)
        return dict(tags)
    except Exception:  # plug-ins raise anything for hostile bytes; that the file is none is said already
        return {}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _has_more(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # the first frame may be whole where the second is not
        return True


def _pillow(image: Image.Image) -> Samples:
    """Decode by Pillow: modes of 8 bits a channel, and grey of 16. The image gives its memory back."""
    orientation = _orientation(image.getexif)
    _load(image)
    with image:
        if image.format == "TIFF":  # Pillow has turned it
            orientation = 1
        if image.mode.startswith("I;16"):
            return Samples(_array(image, image.mode), orientation=orientation)
        if image.mode in ("I", "F"):
            kind = "float32" if image.mode == "F" else "int32"
            raise ValueError(f"its pixels are {kind}, and only 8 or 16 bits are read")
        if image.has_transparency_data:
            whole = _array(image, "RGBA")
            return Samples(whole[..., :3], whole[..., 3], orientation)
        return Samples(_array(image, "L" if image.mode in ("1", "L") else "RGB"), orientation=orientation)


def _load(image: Image.Image) -> None:
    try:
        image.load()
    except Exception as error:
        raise ValueError(f"{_UNKNOWN} ({_line(error)})") from error


def _orientation(exif: Callable[[], Image.Exif]) -> int:
    try:
        return int(exif().get(_ORIENTATION, 1))
    except Exception:  # whatever a damaged side note raises, the picture may be whole
        return 1


def _exif(data: bytes) -> Image.Exif:
    found = Image.Exif()
    found.load(data)
    return found


def _array(image: Image.Image, mode: str) -> np.ndarray:
    """The numbers of a loaded image in some mode; in bands, since Pillow takes three times as much for them."""
    width, height = image.size
    kind, channels = (
        (np.uint16, ()) if mode.startswith("I;16") else (np.uint8, {"RGB": (3,), "RGBA": (4,)}.get(mode, ()))
    )
    whole = np.empty((height, width, *channels), kind)
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        low = min(top + rows, height)
        band = image if rows >= height else image.crop((0, top, width, low))
        try:
            whole[top:low] = band if band.mode == mode else band.convert(mode)
        except ValueError as error:
            raise ValueError(f"its colours are {image.mode}, which are not read: save it as RGB") from error
    return whole


def _pnm(data: bytes, image: Image.Image) -> Samples:
    """Grey and colours of PNM, whose largest number is whatever its header says: that is white."""
    width, height = image.size
    count = width * height * (3 if image.mode == "RGB" else 1)
    start, args = image.tile[0][2], image.tile[0][3]
    most = args[1] if isinstance(args, tuple) else {"I;16B": 65535}.get(args, 255)
    if data[1:2] in b"23":
        numbers = _plain_numbers(data[start:], count)
    else:
        kind = np.dtype(np.uint8 if most < 256 else ">u2")
        if len(data) - start < count * kind.itemsize:
            raise ValueError(f"{_UNKNOWN}: it is cut off")
        numbers = np.frombuffer(data, kind, count, start)
    if numbers.max() > most:
        raise ValueError(f"{_UNKNOWN}: a number above {most}, the largest that its header admits")
    shape = (height, width, 3) if image.mode == "RGB" else (height, width)
    if most in (255, 65535):
        return Samples(numbers.astype(np.uint8 if most == 255 else np.uint16).reshape(shape))
    table = np.round(np.arange(most + 1) * 255 / most).astype(np.uint8)
    return Samples(table[numbers].reshape(shape))


def _plain_numbers(text: bytes, count: int) -> np.ndarray:
    text = re.sub(rb"#[^\r\n]*", b"", text)
    # numpy 2.0 makes up numbers where it meets something else, so that is looked for first
    numbers = np.empty(0, np.int64) if re.search(rb"[^\d\s]", text) else np.fromstring(text, np.int64, sep=" ")
    if len(numbers) < count:
        raise ValueError(f"{_UNKNOWN}: fewer numbers than pixels")
    return numbers[:count]


def _check_tiff(tags: Mapping[int, Any], megapixels: float) -> None:
    """Raise ValueError for a TIFF whose parts are too large, or whose numbers are none that can be shown."""
    width, height = (_first(tags.get(tag, 1)) for tag in _TILES)
    check_size(width, height, megapixels)
    _check_numbers(tags)
    if _first(tags.get(_BITS, 1)) == 16 and tags.get(_PLANES) == 2:
        raise ValueError("its channels of 16 bits lie in planes, which is not read: save it without planes")


def _check_numbers(tags: Mapping[int, Any]) -> None:
    kind = {2: "int", 3: "float"}.get(_first(tags.get(_FORMAT, 1)))
    bits, channels = _first(tags.get(_BITS, 1)), _first(tags.get(_CHANNELS, 1))
    if kind or bits > 16:
        raise ValueError(f"its pixels are {kind or 'uint'}{bits}, and only 8 or 16 bits without a sign are read")
    if channels > 4 or (channels == 2 and bits == 16):
        raise ValueError(f"it has {channels} channels of {bits} bits, which are not read: save it as grey or RGB")


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, tuple) and value else value or 0)


def _tiff(data: bytes, image: Image.Image) -> Samples:
    tags = image.tag_v2
    bits, white_is_zero, most = _first(tags.get(_BITS, 1)), tags.get(_WHITE_IS_ZERO) == 0, _first(tags.get(_LARGEST, 0))
    if bits == 16 and image.mode in ("RGB", "RGBA"):
        extra = _first(tags.get(_EXTRA, 2))
        _load(image)  # OpenCV shows what is left of a damaged one
        image.close()
        samples = _opencv(data, cv2.IMREAD_UNCHANGED)
        samples.premultiplied = extra == 1
        samples.alpha = samples.alpha if extra in (1, 2) else None
    else:
        palette = tags.get(_COLOURS)
        if image.mode == "P" and palette and max(palette) < 256:  # 8 bits in numbers of 16, which Pillow makes black
            image.palette = ImagePalette.raw("RGB;L", bytes(palette))
        samples = _pillow(image)
    if samples.colour.dtype == np.uint16:
        samples.paper = white_is_zero
        if bits == 12:  # as Pillow leaves them
            samples.colour, samples.open_ended = samples.colour << 4, False
        if (most + 1).bit_count() == 1:
            samples.least_bits = most.bit_length()
    return samples


def _jpeg2000(data: bytes, image: Image.Image, megapixels: float) -> Callable[[], Samples]:
    """How to decode a JPEG 2000: by its code stream, since what wraps it may say anything."""
    place = data.find(b"\xff\x4f\xff\x51")
    if place < 0 or len(data) < place + 43:
        raise ValueError(f"{_UNKNOWN}: it is cut off")
    right, low, left, top, *tile = struct.unpack_from(">8I", data, place + 8)
    channels, precision = struct.unpack_from(">HB", data, place + 40)
    bits = (precision & 127) + 1
    check_size(right - left, low - top, megapixels)
    check_size(min(tile[0], right), min(tile[1], low), megapixels)
    if channels > 4 or bits > 16:
        raise ValueError(f"it has {channels} channels of {bits} bits, and up to 4 of up to 16 are read")

    def decode() -> Samples:
        if bits == 16 and channels >= 3:
            _load(image)
            image.close()
            return _opencv(data, cv2.IMREAD_UNCHANGED)
        samples = _pillow(image)
        samples.open_ended = bits == 16
        return samples

    return decode
