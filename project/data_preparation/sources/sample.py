"""The built-in sample: synthetic doodles in Kaggle's columns, some mislabelled on purpose, with the true labels.

No person drew these: a parametric hand (doodle/pen.py) draws 24 things (doodle/plain.py, nature.py, things.py).
They serve to try the whole repository offline and to test noise handling against known labels. They say nothing about
accuracy on real drawings.
"""

import io
import json
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from project.data_preparation.sources.doodle import nature, plain, things
from project.data_preparation.sources.doodle.pen import Pen
from project.work.common import UserError, progress
from project.work.files import disk
from project.work.raster.raster import pack, simplify

TEMPLATES = {
    function.__name__.replace("_", " "): function
    for module in (plain, nature, things)
    for function in vars(module).values()
    if getattr(function, "__module__", "") == module.__name__
}
WORDS = sorted(TEMPLATES)
WRONG_SHARE = 0.1
LOOK_ALIKES = {
    "apple": ("circle", "clock"),
    "car": ("table", "sailboat"),
    "chair": ("table", "ladder"),
    "circle": ("apple", "clock", "sun"),
    "clock": ("circle", "smiley face"),
    "cloud": ("tree", "flower"),
    "cup": ("square", "mushroom"),
    "envelope": ("square", "house"),
    "fish": ("key", "sailboat"),
    "flower": ("sun", "tree"),
    "house": ("envelope", "square"),
    "key": ("ladder", "fish"),
    "ladder": ("chair", "key"),
    "lightning": ("star", "key"),
    "mushroom": ("umbrella", "tree"),
    "sailboat": ("umbrella", "fish"),
    "smiley face": ("clock", "circle"),
    "snowman": ("key", "flower"),
    "square": ("envelope", "table"),
    "star": ("lightning", "sun"),
    "sun": ("flower", "circle"),
    "table": ("chair", "square"),
    "tree": ("mushroom", "flower", "cloud"),
    "umbrella": ("mushroom", "sailboat"),
}
_COUNTRIES = ["US"] * 9 + ["GB", "CA", "DE", "AU", "RU", "BR", "SE", "FI", "FR", "IT", "JP", "PL", "SA", "TH"]
_FIRST_KEY, _KEYS, _KEY_STEP = 10**15, 9 * 10**15, 2_654_435_761_234_567  # the step and _KEYS are coprime
_FIRST_DAY, _DAYS = pd.Timestamp("2017-01-22"), 68


def write(folder: Path, per_class: int, seed: int) -> None:
    """Write <folder>/train_simplified/<word>.csv, one file a class, and <folder>/truth.csv (key_id, true_word).

    Exactly round(0.1 * per_class) drawings of each file show another class. The same seed gives the
    same bytes. Raises UserError for fewer than one drawing a class.
    """
    if per_class < 1:
        raise UserError(f"the sample needs at least 1 drawing a class, not {per_class}")
    (folder / "train_simplified").mkdir(parents=True, exist_ok=True)
    truth = []
    for word in progress(WORDS, desc="drawing synthetic doodles", unit="class"):
        rows = draw_class(word, per_class, seed)
        truth.append(rows[["key_id", "true_word"]])
        _write_csv(folder / "train_simplified" / f"{word}.csv", rows.drop(columns="true_word"))
    _write_csv(folder / "truth.csv", pd.concat(truth))


def draw_class(word: str, count: int, seed: int) -> pd.DataFrame:
    """The drawings labelled `word`, in Kaggle's columns and true_word; they depend on no other class."""
    rng = np.random.default_rng([seed, zlib.crc32(word.encode())])
    shown = true_words(word, count, rng)
    wrong = np.array([other != word for other in shown])
    seconds = rng.uniform(0, _DAYS * 86400, count)
    return pd.DataFrame(
        {
            "countrycode": rng.choice(_COUNTRIES, count),
            "drawing": [to_json(draw(other, rng)) for other in shown],
            "key_id": [_key(word, row, seed) for row in range(count)],
            "recognized": rng.random(count) >= np.where(wrong, 0.5, 0.03),
            "timestamp": [(_FIRST_DAY + pd.Timedelta(seconds=s)).strftime("%Y-%m-%d %H:%M:%S.%f") for s in seconds],
            "word": word,
            "true_word": shown,
        }
    )


def true_words(word: str, count: int, rng: np.random.Generator) -> list[str]:
    """The true words of the drawings labelled `word`: a random tenth is another class, half the time a look-alike."""
    shown = [word] * count
    others = [other for other in WORDS if other != word]
    for row in rng.choice(count, round(WRONG_SHARE * count), replace=False):
        shown[row] = str(rng.choice(LOOK_ALIKES[word] if rng.random() < 0.5 else others))
    return shown


def draw(word: str, rng: np.random.Generator) -> list[np.ndarray]:
    """One synthetic doodle in Google's simplified form: int strokes (n, 2) within 0..255."""
    pen = Pen(rng)
    TEMPLATES[word](pen)
    return [stroke.astype(int) for stroke in simplify(pack([pen.finish()]))[0]]


def to_json(drawing: list[np.ndarray]) -> str:
    """The text of Kaggle's drawing column: [[[x, x, ...], [y, y, ...]], ...]."""
    return json.dumps([stroke.T.tolist() for stroke in drawing])


def _key(word: str, row: int, seed: int) -> str:
    """16 digits, different for every drawing and independent of its class: a walk in equal steps modulo _KEYS."""
    place = WORDS.index(word) * 10**7 + row + seed * 10**9
    return str(_FIRST_KEY + place * _KEY_STEP % _KEYS)


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    text = io.StringIO()
    table.to_csv(text, index=False, lineterminator="\n")
    disk.replace_file(path, text.getvalue().encode())
