"""Text in figures, in any script: finds a font with its letters, and shows codes for letters that no font has."""

import functools
import io
import sys
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.ft2font import FT2Font
    from PIL.ImageFont import FreeTypeFont

_PLAIN = ("sans", "regular", "gothic", "hei")  # in the names of preferred fonts
_UNLIKE = ("bold", "italic", "oblique", "mono", "serif", "light", "thin", "black", "condensed")
_SAID: set[str] = set()  # letters that were reported; one line is enough for a process


def for_pillow(text: str, size: float) -> tuple[str, "FreeTypeFont"]:
    """The text to draw on one line, and a font for it: Pillow's own if it has all letters."""
    from PIL import ImageFont

    default = ImageFont.load_default(size)
    assert isinstance(default, ImageFont.FreeTypeFont)  # it is one when a size is given
    text = _visible(text)
    if text.isascii() or _lacking(_opened(io.BytesIO(default.font_bytes)), text) == "":
        return text, default
    path, shown = _settled(text)
    return shown, ImageFont.truetype(path, size)


def for_matplotlib(figure: "Figure") -> None:
    """Give each text of a figure a font that has its letters, and show `$` literally. Call it before saving."""
    from matplotlib.text import Text

    for item in figure.findobj(Text):
        item.set_parse_math(False)
        text = item.get_text()
        if text.isascii() and all(line.isprintable() for line in text.split("\n")):
            continue
        path, shown = _settled("\n".join(map(_visible, text.split("\n"))))
        item.set_text(shown)
        properties = item.get_fontproperties().copy()
        properties.set_file(path)
        item.set_fontproperties(properties)


def _visible(text: str) -> str:
    """A text without formatting characters, and with codes for invisible ones."""
    kept = (letter for letter in text if unicodedata.category(letter) != "Cf" and not "\ufe00" <= letter <= "\ufe0f")
    return "".join(letter if letter.isprintable() else _code(letter) for letter in kept)


def _code(letter: str) -> str:
    return ascii(letter)[1:-1]


def _settled(text: str) -> tuple[str, str]:
    """The file of the font with most letters of a text, and the text with codes for the missing letters."""
    path, lacking = _font_for("".join(sorted({*text} - {"\n"})))
    _tell(lacking)
    return path, "".join(_code(letter) if letter in lacking else letter for letter in text)


@functools.lru_cache(maxsize=4096)
def _font_for(letters: str) -> tuple[str, str]:
    """The file of the first font that lacks fewest of these letters, and the letters that it lacks."""
    found = ("", letters)
    for path in _files():
        try:
            lacking = _lacking(_face(path), letters)
        except Exception:  # a file that FreeType cannot read, whatever it is called
            continue
        if not found[0] or len(lacking) < len(found[1]):
            found = (path, lacking)
        if not lacking:
            break
    return found


@functools.lru_cache(maxsize=1)
def _files() -> list[str]:
    """Matplotlib's own font, then the system's fonts, plain ones first."""
    from matplotlib import font_manager

    def rank(path: str) -> tuple[bool, bool, str]:
        name = path.rsplit("/", 1)[-1].lower()
        return any(word in name for word in _UNLIKE), not any(word in name for word in _PLAIN), path

    own = font_manager.findfont("DejaVu Sans")
    return [own, *sorted(font_manager.findSystemFonts(), key=rank)]


@functools.lru_cache(maxsize=32)
def _face(path: str) -> "FT2Font":
    face = _opened(path)
    if not face.scalable:
        raise ValueError(f"{path} has letters of one size alone")
    return face


def _opened(file: str | io.BytesIO) -> "FT2Font":
    from matplotlib.ft2font import FT2Font

    return FT2Font(file)


def _lacking(face: "FT2Font", letters: str) -> str:
    return "".join(letter for letter in letters if not face.get_char_index(ord(letter)))


def _tell(lacking: Iterable[str]) -> None:
    """Print once that letters are drawn as codes."""
    if not lacking or _SAID:
        return
    _SAID.update(lacking)
    some = " ".join(sorted(_SAID)[:5])
    print(
        f"note: no font here has {some}, so pictures show such letters as codes, as {_code(min(_SAID))};"
        " install a font of that script (fonts-noto and fonts-noto-cjk have most)",
        file=sys.stderr,
    )
