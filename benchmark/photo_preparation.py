"""Prints how many photos a second prepare-images packs, and the most memory that it takes, as whole processes.

    .venv/bin/python benchmark/photo_preparation.py
    .venv/bin/python benchmark/photo_preparation.py --pictures 70000 --rounds 1

The photos are made from a seed: JPEGs of 512 x 384. "packed" keeps their bytes and decodes each once at reduced size;
"arrays" decodes each to 224 pixels and keeps those, as sets up to 64 pixels are kept: it takes as much memory as its
pictures, so it has fewer of them. The plain loops write nothing. All but "packed, one core" may use every core.
"""

import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import measure
import numpy as np
import table
from measure import Contender, Options

import make_command
from project.work.common import UserError
from project.work.machine.process import run_command
from project.work.settings.flags import parse, setting

OURS = "project/data_preparation/image_folder.py"
CLASSES, BASES, SIDE = 10, 50, 224


@dataclass(frozen=True)
class PhotoOptions(Options):
    """How many photos."""

    rounds: int = setting(3, "times that each contender has its turn", within="[1, 1000]")
    pictures: int = setting(20_000, "photos for ours", within="[20, inf)")
    few: int = setting(2_000, "photos for the others", within="[20, inf)")
    way: str | None = setting(None, "read the folder this way and end", choices=("arrays", "bicubic", "reduced"))
    folder: str | None = setting(None, "of the photos, with --way")


def write(place: Path, count: int) -> Path:
    """So many photos in classes: no two are alike, and each takes some 30 kB."""
    bases = [_base(seed) for seed in range(BASES)]
    for label in range(CLASSES):
        (place / f"class{label}").mkdir(parents=True)

    def one(row: int) -> None:
        picture = np.roll(bases[row % BASES], (7 * row % 384, 11 * row % 512), (0, 1))
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
        (place / f"class{row % CLASSES}" / f"{row:06}.jpg").write_bytes(data.tobytes())

    with ThreadPoolExecutor() as pool:
        list(pool.map(one, range(count)))
    return place


def _base(seed: int) -> np.ndarray:
    """Patches of colour with edges and some grain, as photos have."""
    random = np.random.default_rng(seed)
    coarse = cv2.resize(random.integers(0, 256, (6, 8, 3), np.uint8), (512, 384), interpolation=cv2.INTER_CUBIC)
    for _ in range(30):
        centre, radius = random.integers(0, 512, 2), int(random.integers(5, 60))
        cv2.circle(coarse, [int(at) for at in centre], radius, random.integers(0, 256, 3).tolist(), -1)
    return np.clip(coarse + random.normal(0, 3, coarse.shape), 0, 255).astype(np.uint8)


def run_way(way: str, folder: Path) -> None:
    """What the other contenders do, in a process of their own."""
    paths = sorted(folder.rglob("*.jpg"))
    if way == "arrays":
        from project.data_preparation.options import ImageFolderSettings
        from project.data_preparation.pictures.reading import read_pictures
        from project.work.files import arrays

        settings = ImageFolderSettings(size=SIDE)
        images = read_pictures(paths, settings).kept(settings)
        with tempfile.TemporaryDirectory() as scratch:
            arrays.write_pickle(Path(scratch) / "images.pkl.gz", images)
    elif way == "bicubic":
        from PIL import Image

        for path in paths:
            with Image.open(path) as picture:
                picture.convert("RGB").resize((SIDE, SIDE * 384 // 512), Image.Resampling.BICUBIC)
    else:
        from project.work.picture_files import reader
        from project.work.picture_files.view import View

        for path in paths:
            reader.decode(path.read_bytes(), View(SIDE))


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = parse(PhotoOptions, argv, "Measure the preparation of photos as whole processes.")
    if options.way is not None:
        if options.folder is None:
            raise UserError("--way needs --folder")
        return run_way(options.way, Path(options.folder))
    if options.quick:
        options = dataclasses.replace(options, pictures=60, few=40)
    with tempfile.TemporaryDirectory() as place:
        scratch, peaks = Path(place), dict[str, float]()
        many, few = (write(scratch / name, getattr(options, name)) for name in ("pictures", "few"))

        def contender(name: str, command: list[str], count: int, one_core: bool) -> Contender:
            def run() -> float:
                peaks[name] = max(peaks.get(name, 0), measure.process(command, one_core))
                return count

            return Contender(name, run)

        def packed(name: str, folder: Path, count: int, one_core: bool) -> Contender:
            words = {"input": folder, "output": scratch, "dataset": "made", "size": SIDE}
            return contender(name, make_command.script(OURS, words), count, one_core)

        contenders = [
            packed("packed", many, options.pictures, one_core=False),
            packed("packed, one core", many, options.pictures, one_core=True),
            *(
                contender(name, [sys.executable, __file__, f"--way={way}", f"--folder={few}"], options.few, one_core)
                for name, way, one_core in (
                    ("arrays", "arrays", False),
                    ("PIL decode and bicubic, one process", "bicubic", True),
                    ("our reader to 224, one process", "reduced", True),
                )
            ),
        ]
        costs = measure.in_turn(contenders, options.turns, warm=False)
        noted = [dataclasses.replace(each, note=f"peak {peaks[each.name]:.0f} MB") for each in contenders]
        table.show(table.as_rows("Preparation of photos, whole process", "photos", noted, costs, "wall"), options)


if __name__ == "__main__":
    run_command(main)
