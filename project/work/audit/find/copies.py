"""Pictures that are suspicious whatever their label: exact copies of another, and blank ones."""

import hashlib
import mmap
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from project.work.dataset.pictures import Home, Mapped, at_once


@dataclass(frozen=True)
class Copies:
    """first: int64 (N,), the first row with the same picture, -1 where it is the row itself; blank: bool (N,)."""

    first: np.ndarray
    blank: np.ndarray

    def of(self, rows: np.ndarray | slice) -> "Copies":
        """Those of some rows."""
        return Copies(self.first[rows], self.blank[rows])


def find(pictures: Home) -> Copies:
    """The copies and the blank ones among N pictures, as they are held: byte for byte, and of one colour only."""
    count = len(pictures.pixels)
    first, blank = np.full(count, -1), np.zeros(count, dtype=bool)
    seen: dict[bytes, int] = {}
    row = 0
    for some in _parts(pictures):
        flat = some.reshape(len(some), -1, some.shape[3] if some.ndim == 4 else 1)
        blank[row : row + len(some)] = (flat == flat[:, :1]).all(axis=(1, 2))
        for picture in flat:
            original = seen.setdefault(hashlib.blake2b(picture, digest_size=16).digest(), row)
            if original != row:
                first[row] = original
            row += 1
    return Copies(first, blank)


def _parts(pictures: Home) -> Iterator[np.ndarray]:
    """uint8 (n, H, W[, C]) a few at a time; pages of a map are let go of, for they would count as memory."""
    pixels, step = pictures.pixels, at_once(tuple(pictures.pixels.shape[1:]))
    for start in range(0, len(pixels), step):
        some = pixels[start : start + step]
        yield np.ascontiguousarray(some.cpu().numpy() if isinstance(some, torch.Tensor) else some)
        if isinstance(pictures, Mapped) and hasattr(mmap, "MADV_DONTNEED"):
            pixels._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[union-attr]
