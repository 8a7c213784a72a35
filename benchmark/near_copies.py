"""Near copies: how many of those that were made are found, and how many pairs that are found are none.

    .venv/bin/python benchmark/near_copies.py --dataset cifar --sheet ~/pairs

Copies of pictures of a prepared set are made from a seed: a crop that keeps 85 to 100% of either side, JPEG of quality
40 to 90, brightness by 0.7 to 1.3, of which the last two may come on top of a crop. Pairs between other pictures are
natural ones or mistakes, which only a person can tell apart: --sheet draws them, numbered by their rows, and --wrong
names a file of those (a line a pair: row,row) that a look has found to be mistakes. A pair with a copy in it counts as
the pair of what it is a copy of. No weights, no thresholds are fitted here: near_copies.py has them.
"""

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from project.work.audit.find import copies, near_copies
from project.work.common import UserError
from project.work.dataset import prepared_data, storage
from project.work.files import tables
from project.work.look.survey import plain
from project.work.machine.process import run_command
from project.work.settings.flags import parse, setting

TILE, ACROSS, LETTERS = 96, 6, 18  # pixels of a picture on the sheet, pairs in a row, pixels below each


@dataclass(frozen=True)
class Options:
    """What to look at."""

    dataset: str | None = setting(None, "a prepared set, by name or path", value="NAME")
    copies: int = setting(300, "copies to make", within="[1, inf)")
    seeds: int = setting(3, "times that others are made", within="[1, 100]")
    sheet: str | None = setting(None, "folder for a sheet of the pairs that are no made ones", value="FOLDER")
    wrong: str | None = setting(None, "CSV of pairs (first,second: rows) that are no copies", value="FILE")
    largest_set: float = setting(2.0, "GB that the set may take", within="(0, inf)")


def main(argv: Sequence[str] | None = None) -> None:
    """Make copies, find them, and print the figures."""
    options = parse(Options, argv, "Measure the finding of near copies.")
    if options.dataset is None:
        raise UserError("--dataset: name a prepared set")
    prepared = storage.read(prepared_data.find(options.dataset), options.largest_set)
    images = np.concatenate([plain(np.asarray(part.images[:])) for part in (prepared.train, prepared.test)])
    wrong = _pairs(options.wrong)
    print(f"{options.dataset}: {len(images):,} pictures of {images.shape[2]} x {images.shape[1]}")
    natural: set[tuple[int, int]] = set()
    for seed in range(options.seeds):
        natural |= _measure(images, options.copies, seed, wrong)
    judged = "taken for right" if not wrong else f"{len(natural & wrong)} of them wrong"
    print(f"natural pairs in all: {len(natural)}, {judged}")
    if options.sheet is not None:
        _draw(images, sorted(natural), Path(options.sheet))


def _measure(images: np.ndarray, count: int, seed: int, wrong: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Print the figures of one seed; returns the pairs of rows of the set that were found."""
    source, made = make(images, count, seed)
    order = np.random.default_rng(seed).permutation(len(images) + len(made))  # a copy may well come first
    every = np.concatenate([images, made])[order]
    began = _seconds()
    exact = _exact(every)
    tints = np.array([near_copies.tint(image) for image in every]) if every.ndim == 4 else None
    found = near_copies.find(near_copies.thumbnail(every), tints, exact >= 0)
    spent = _seconds() - began
    origin = np.concatenate([np.arange(len(images)), source])[order]
    place = np.argsort(order)
    old, new = place[source], place[len(images) :]
    pairs = {tuple(sorted(pair)) for pair in origin[found.pairs].tolist() if pair[0] != pair[1]}
    mistakes = sum(tuple(sorted(pair)) in wrong for pair in origin[found.pairs].tolist())
    whole = found.groups(len(every))
    there = (whole[old] == whole[new]) & (whole[old] >= 0)
    there |= (exact[new] == old) | (exact[old] == new)  # a copy that came out as it was is an exact one
    between = int((origin[found.pairs[:, 0]] != origin[found.pairs[:, 1]]).sum())
    print(
        f"seed {seed}: {there.mean():.1%} of {count} made copies found; {len(found.pairs)} pairs, {between} of them"
        f" natural, {mistakes} known to be wrong (precision {1 - mistakes / max(1, len(found.pairs)):.1%}; at least"
        f" {1 - between / max(1, len(found.pairs)):.1%} if all natural ones were); bar {found.bar:.2f};"
        f" {spent:.1f} CPU-s"
    )
    return pairs  # type: ignore[return-value]


def make(images: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Copies of drawn pictures, uint8 (n, H, W[, 3]): the rows that they are of, and the copies."""
    random = np.random.default_rng(seed)
    rows = np.sort(random.choice(len(images), min(count, len(images)), replace=False))
    return rows, np.array([_copy(images[row], random) for row in rows])


def _copy(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    kind = ("crop", "jpeg", "brightness")[int(random.integers(3))]
    height, width = image.shape[:2]
    if kind == "crop":
        share = random.uniform(0.85, 1)
        tall, wide = max(2, round(height * share)), max(2, round(width * share))
        top, left = int(random.integers(height - tall + 1)), int(random.integers(width - wide + 1))
        image = cv2.resize(image[top : top + tall, left : left + wide], (width, height), interpolation=cv2.INTER_LINEAR)
    if kind == "brightness":
        image = np.clip(image * random.uniform(0.7, 1.3), 0, 255).astype(np.uint8)
    if kind == "jpeg" or random.random() < 0.3:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(40, 91))])
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    return image


def _exact(images: np.ndarray) -> np.ndarray:
    import torch

    from project.work.dataset.pictures import hold

    return copies.find(hold(images, None, torch.device("cpu"))).first


def _pairs(path: str | None) -> set[tuple[int, int]]:
    if path is None:
        return set()
    table = tables.read_table(Path(path), ("first", "second"), "a list of pairs")
    return {tuple(sorted(map(int, pair))) for pair in zip(table["first"], table["second"], strict=True)}  # type: ignore[misc]


def _draw(images: np.ndarray, pairs: list[tuple[int, int]], folder: Path) -> None:
    """Draw the pairs side by side, 120 a file."""
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(pairs), 20 * ACROSS):
        tiles = [_tile(images, pair) for pair in pairs[start : start + 20 * ACROSS]]
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % ACROSS)
        rows = [np.hstack(tiles[at : at + ACROSS]) for at in range(0, len(tiles), ACROSS)]
        cv2.imwrite(str(folder / f"pairs_{start // (20 * ACROSS)}.png"), np.vstack(rows))
    print(f"sheets in {folder}")


def _tile(images: np.ndarray, pair: tuple[int, int]) -> np.ndarray:
    whole = np.zeros((TILE + LETTERS, 2 * TILE + 8, 3), np.uint8)
    for at, row in enumerate(pair):
        image = images[row] if images.ndim == 4 else np.repeat(images[row][..., None], 3, axis=2)
        whole[:TILE, at * TILE : (at + 1) * TILE] = cv2.resize(image[..., ::-1], (TILE, TILE))
    cv2.putText(whole, f"{pair[0]},{pair[1]}", (2, TILE + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255))
    return whole


def _seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    run_command(main)
