"""The stage of a look: a prepared set is read, looked at, and described on one page. Nothing is trained; no torch."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from project.work import common
from project.work.common import progress
from project.work.dataset import prepared_data, storage
from project.work.look import page
from project.work.look.overview import Collection, Overview, Watch, look
from project.work.settings.groups import Settings


def run(settings: Settings) -> Overview:
    """Look at a prepared set, write its page and say where that is."""
    folder = prepared_data.find(settings.dataset)
    found = look(collection(folder, storage.read(folder, settings.largest_set)), watched)
    shown = page.write(common.output_folder(settings.output) / f"look-{place_name(folder)}", found)
    print("\n".join(summary(found)))
    print(f"to look at: {shown}")
    return found


def collection(folder: Path, prepared: storage.Prepared) -> Collection:
    """Both parts of a prepared set, as something to look at."""
    both = (prepared.train, prepared.test)
    said = [part.keys["part"].astype(str) if "part" in part.keys else [name] * len(part.labels)
            for name, part in zip(storage.PARTS, both, strict=True)]  # fmt: skip
    return Collection(
        folder.resolve().name,
        [part.images for part in both],
        np.concatenate([part.labels for part in both]),
        np.concatenate([part.keys["key_id"].to_numpy(dtype=object) for part in both]),
        np.concatenate([np.array(list(each), dtype=object) for each in said]),
        prepared.names,
        sizes=_sizes([part.images for part in both]),
    )


def _sizes(parts: list[Any]) -> np.ndarray | None:
    """Width and height of the files of encoded pictures, int (N, 2); None for pictures that are kept as pixels."""
    if not all(hasattr(images, "encoded") for images in parts):
        return None
    from PIL import Image

    return np.array(
        [Image.open(io.BytesIO(images.encoded(row))).size for images in parts for row in range(len(images))]
    )


def watched(what: str) -> Watch:
    """Shows the progress of something."""
    return lambda items, total: progress(items, desc=what, total=total)


def place_name(folder: Path) -> str:
    """What a folder of the output is called after a data set; two sets of one name have each their own."""
    name, path = folder.resolve().name, str(folder.resolve())
    inside = folder.resolve().parent == common.INPUT.resolve()
    return name if inside else f"{name}-{hashlib.sha256(path.encode()).hexdigest()[:6]}"


def summary(found: Overview) -> list[str]:
    """The text: how many pictures of what, and what stands out."""
    some = found.collection
    head = f"{len(some):,} pictures of {len(some.names):,} classes"
    return [head, *(found.lines or ["no copies, no blank, dark or blurred pictures, no outliers"])]
