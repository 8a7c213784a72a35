"""A prepared data set as it is known before any of its pictures is read; standard library only at import."""

import hashlib
import json
import os
from pathlib import Path

from project.work import common
from project.work.common import UserError
from project.work.dataset import unprepared
from project.work.dataset.unprepared import FILES
from project.work.files import disk
from project.work.files.disk import shown
from project.work.settings.flags import nearest


def find(dataset: str) -> Path:
    """The folder of a data set given by name or path.

    Raises UserError, with the command that makes one of what is there instead, when it is not there.
    """
    folder = common.input_folder(dataset)
    if any(os.path.exists(folder / name) for name in FILES):
        return folder
    if not dataset.strip():
        raise UserError("--dataset is empty: give the name of a prepared set, a folder of project/input, or its path")
    typed = Path(dataset)  # a name may also be meant as what has that name in the current folder
    place = folder if os.path.lexists(folder) or not os.path.lexists(typed) else typed
    if os.path.lexists(place):
        raise UserError(f"{shown(place)} {unprepared.advice(place)}")
    beside = folder.parent.iterdir() if folder.parent.is_dir() else ()
    prepared = [path.name for path in beside if path.is_dir() and not path.name.startswith(".")]
    raise UserError(
        f"{shown(folder)} is missing: run ./inv prepare first (./inv prepare-images for pictures of your own), or give"
        f" --dataset the name of a prepared set{nearest(folder.name, prepared)}"
    )


def digest(folder: Path) -> str | None:
    """A short name for the files of a data set, by the checksums that its preparation noted; None without any.

    It takes no reading of pictures, and names the same files as long as nobody prepares them anew otherwise.
    """
    from project.work.dataset.storage import LARGEST_FACTS, PROVENANCE

    try:
        facts = disk.read_json(folder / PROVENANCE, LARGEST_FACTS)
        checksums = facts["sha256"] | facts.get("label_sets", {})
    except (UserError, LookupError, TypeError):
        return None
    return hashlib.sha256(json.dumps(checksums, sort_keys=True).encode()).hexdigest()[:12]
