"""How picture files are to be seen; standard library only, for those who hold files and may never decode one."""

from dataclasses import dataclass

THUMBNAIL = 32  # side of a thumbnail in pixels


@dataclass(frozen=True)
class View:
    """How files become squares: side in pixels, fit as in `pixels.fit`, 1 channel or 3, whether dark becomes light.

    bits: how many of 16 are in use in files that do not say so themselves, see `pixels.shown`; margin, border: of a
    padded picture, see `pixels.padded`.
    """

    side: int
    fit: str = "pad"
    channels: int = 3
    invert: bool = False
    bits: int = 16
    margin: float = 0.0
    border: str = "median"

    @property
    def framed(self) -> bool:
        """Whether something else than the usual border is put round a picture."""
        return self.margin > 0 or self.border != "median"
