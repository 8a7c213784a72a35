"""Which pictures are odd, by what they measure: nearly blank, dark, light, blurred, of odd size or proportions.

Each kind has a bar of its own. What a quarter of a set or more shares is how that set is, and is no oddity: then it is
said in words, and none is listed.
"""

from dataclasses import dataclass

import numpy as np

from project.work.look.survey import Survey

USUAL = 0.25  # share of a set that makes something usual in it
DARK, LIGHT = 0.3, 0.93  # of the brightest, and of the darkest, pixels of a picture
FAINT = 0.12  # range of grey
BLURRED = 0.5, 2.75  # sharpness below which a picture may be blurred, and how many deviations below the set's others
ODD_SHAPE, ODD_SIZE = 2.0, 4.0  # times the usual proportions, and times the usual length of a side


@dataclass(frozen=True)
class Problem:
    """Pictures that have one thing wrong. title, told: in words; rows: int64 (n,), the worst first; usual: whether so
    many have it that it is how this set is."""

    name: str
    title: str
    told: str
    rows: np.ndarray
    usual: bool = False


def find(found: Survey, sizes: np.ndarray | None = None) -> list[Problem]:
    """All kinds of problems, also those that no picture has. sizes: int (N, 2), width and height of the original
    files, 0 where unknown; None where none is known."""
    seen = ~found.blank
    dark, light = seen & (found.dark < DARK), seen & (found.light > LIGHT)
    faint = seen & ~dark & ~light & (found.spread < FAINT)
    kinds = [
        ("blank", "Blank", "one colour, but for noise", found.blank, -found.spread),
        ("dark", "Dark", f"even the brightest pixels are below {DARK:.0%}", dark, -found.dark),
        ("light", "Overexposed", f"even the darkest pixels are above {LIGHT:.0%}", light, found.light),
        ("faint", "Faint", f"light and dark differ by less than {FAINT:.0%}", faint, -found.spread),
        ("blurred", "Blurred", "no sharp edge anywhere, unlike most of this set", *_blurred(found)),
    ]
    if sizes is not None:
        kinds += _odd_sizes(sizes)
    return [_problem(name, title, told, those, worst) for name, title, told, those, worst in kinds]


def _problem(name: str, title: str, told: str, those: np.ndarray, worst: np.ndarray) -> Problem:
    rows = np.flatnonzero(those)
    rows = rows[np.argsort(-worst[rows], kind="stable")]
    return Problem(name, title, told, rows, len(rows) > USUAL * len(those))


def _blurred(found: Survey) -> tuple[np.ndarray, np.ndarray]:
    """Whose sharpness is low in itself and far below that of the set, and how blurred each is."""
    clear = ~found.blank & (found.spread >= FAINT)
    logs = np.log(np.maximum(found.sharpness, 1e-3))
    if not clear.any():
        return clear, -logs
    middle = np.median(logs[clear])
    deviation = max(0.1, 1.4826 * float(np.median(np.abs(logs[clear] - middle))))
    least, times = BLURRED
    return clear & ((middle - logs > times * deviation) & (found.sharpness < least)), -logs


def _odd_sizes(sizes: np.ndarray) -> list[tuple[str, str, str, np.ndarray, np.ndarray]]:
    width, height = np.maximum(sizes.astype(float), 1).T
    known = (sizes > 0).all(axis=1)
    if not known.any():
        return []
    shape, side = np.log(width / height), np.log(width * height) / 2
    # Standing and lying pictures of the same proportions are alike.
    away = np.abs(np.abs(shape) - np.median(np.abs(shape[known])))
    other = np.abs(side - np.median(side[known]))
    return [
        ("shape", "Odd proportions", f"{ODD_SHAPE:g} times as long or as square as usual here",
         known & (away > np.log(ODD_SHAPE)), away),
        ("size", "Odd size", f"the files are {ODD_SIZE:g} times as large or as small as usual here",
         known & (other > np.log(ODD_SIZE)), other),
    ]  # fmt: skip
