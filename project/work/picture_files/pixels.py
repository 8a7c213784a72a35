"""From the numbers in a picture file (bits, transparency, paper, orientation) to a small square uint8 RGB; no I/O."""

from dataclasses import dataclass

import cv2
import numpy as np

DEPTHS = (8, 10, 12, 16)  # bits that 16-bit files are known to hold
_BAND = 1 << 18  # pixels that are turned into 8 bits at once, so that a large picture is not copied whole
_CHUNK = 1 << 10  # pictures that are compared at once
_FILLED = {"white": 255, "black": 0}  # borders of one colour


@dataclass
class Samples:
    """A decoded picture before its numbers are shown.

    colour: uint8 or uint16, (H, W) grey or (H, W, 3) RGB; alpha: the same type, (H, W), None where all is opaque.
    orientation: EXIF's, 1 to 8. paper: 0 is white. premultiplied: colours are weighted by alpha already.
    open_ended: whether 16 bits may hold fewer, which nothing in the file tells; least_bits: those that it does tell of.
    """

    colour: np.ndarray
    alpha: np.ndarray | None = None
    orientation: int = 1
    paper: bool = False
    premultiplied: bool = False
    open_ended: bool = True
    least_bits: int = 8

    @property
    def peak(self) -> int | None:
        """The highest number of a picture of 16 bits that may hold fewer; None for all others."""
        return int(self.colour.max()) if self.colour.dtype == np.uint16 and self.open_ended else None


def bits_in_use(peak: int, least: int = 8) -> int:
    """How many of 16 bits a set uses whose highest number is `peak` and whose files tell of `least` at least."""
    return next(bits for bits in DEPTHS if peak < 1 << bits and (least <= bits or bits == DEPTHS[-1]))


def shown(samples: Samples, bits: int = 16) -> np.ndarray:
    """RGB uint8 (H, W, 3), upright, what is transparent on white. bits: how many of an open-ended 16 are in use."""
    bits = bits if samples.open_ended else 16
    plain = samples.colour.dtype == np.uint8 and samples.alpha is None and not samples.paper
    if plain and samples.colour.ndim == 3:
        picture = samples.colour
    elif plain:
        picture = cv2.cvtColor(np.ascontiguousarray(samples.colour), cv2.COLOR_GRAY2RGB)
    else:
        picture = _in_bands(samples, bits)
    return np.ascontiguousarray(_upright(picture, samples.orientation))


def _in_bands(samples: Samples, bits: int) -> np.ndarray:
    height, width = samples.colour.shape[:2]
    picture = np.empty((height, width, 3), np.uint8)
    rows = max(1, _BAND // width)
    clear = samples.alpha
    # Transparency may use all 16 bits where the colours do not.
    clear_bits = bits if clear is None or clear.dtype == np.uint8 or clear.max() < 1 << bits else 16
    for top in range(0, height, rows):
        band = slice(top, top + rows)
        colour = _eight(samples.colour[band], bits)
        if samples.paper:
            colour = 255 - colour
        if colour.ndim == 2:
            colour = colour[..., None]
        if clear is not None:
            colour = _on_white(colour, _eight(clear[band], clear_bits)[..., None], samples.premultiplied)
        picture[band] = colour
    return picture


def _eight(numbers: np.ndarray, bits: int) -> np.ndarray:
    return numbers if numbers.dtype == np.uint8 else np.minimum(numbers >> (bits - 8), 255).astype(np.uint8)


def _on_white(colour: np.ndarray, alpha: np.ndarray, premultiplied: bool) -> np.ndarray:
    """Colour uint8 (H, W, C) under alpha uint8 (H, W, 1), as on white paper."""
    colour, alpha = colour.astype(np.uint32), alpha.astype(np.uint32)
    if premultiplied:
        return np.minimum(colour + (255 - alpha), 255).astype(np.uint8)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _upright(picture: np.ndarray, orientation: int) -> np.ndarray:
    """A view of a picture (H, W, 3) as EXIF's orientation 1 to 8 says it is to be seen; any other number is 1."""
    if orientation in (5, 6, 7, 8):
        picture = picture.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    return picture


def fit(picture: np.ndarray, size: int, how: str, *, longest: int = 0, shortest: int = 0) -> np.ndarray:
    """Make a picture square. picture: uint8 (H, W, 3); returns uint8 (size, size, 3).

    how: pad keeps all of it and fills up with the colour of its border, crop keeps the middle square, stretch
    keeps all of it and its proportions not. longest, shortest: its sides in its file, where it was reduced since.
    """
    height, width = picture.shape[:2]
    if how == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        picture = picture[top : top + side, left : left + side]
    if how != "pad" or height == width:
        return _resize(picture, size, size)
    less = max(1, round((shortest or min(height, width)) * size / (longest or max(height, width))))
    return _pad(_resize(picture, *((less, size) if height < width else (size, less))), size)


def _resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    shrinks = height < picture.shape[0] or width < picture.shape[1]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _pad(picture: np.ndarray, size: int) -> np.ndarray:
    height, width = picture.shape[:2]
    top, left = (size - height) // 2, (size - width) // 2
    around = (top, size - height - top, left, size - width - left)
    return cv2.copyMakeBorder(picture, *around, cv2.BORDER_CONSTANT, value=_usual_border(picture))


def _usual_border(picture: np.ndarray) -> list[int]:
    """The median colour of a border: one thing that touches it does not tint the padding."""
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    return np.median(border, axis=0).astype(np.uint8).tolist()


def padded(picture: np.ndarray, margin: float, border: str) -> np.ndarray:
    """A square with a picture (H, W, 3) in its middle, at its own size.

    margin: how much longer than the longer side its sides are; border: median and replicate go by the picture's own
    border, white and black do not.
    """
    height, width = picture.shape[:2]
    side = round(max(height, width) * (1 + margin))
    top, left = (side - height) // 2, (side - width) // 2
    around = (top, side - height - top, left, side - width - left)
    if border == "replicate":
        return cv2.copyMakeBorder(picture, *around, cv2.BORDER_REPLICATE)
    colour = _usual_border(picture) if border == "median" else [_FILLED[border]] * 3
    return cv2.copyMakeBorder(picture, *around, cv2.BORDER_CONSTANT, value=colour)


def is_blank(picture: np.ndarray) -> bool:
    """Whether a picture, (H, W) or (H, W, 3), is of one colour all over."""
    numbers, one = picture.tobytes(), picture[0, 0].tobytes()
    return numbers == one * (len(numbers) // len(one))


def as_channels(images: np.ndarray, channels: int | None) -> np.ndarray:
    """RGB uint8 (N, H, W, 3) -> (N, H, W) for 1 channel, unchanged for 3; None: 1 when every pixel is grey."""
    if channels is None:
        parts = (images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK))
        channels = 1 if all((part == part[..., :1]).all() for part in parts) else 3
    if channels == 3:
        return images
    tall = images.reshape(-1, *images.shape[2:])  # one picture above the other: one conversion for all
    return cv2.cvtColor(tall, cv2.COLOR_RGB2GRAY).reshape(images.shape[:3])
