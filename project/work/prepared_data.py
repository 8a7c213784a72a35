"""A prepared data set as it is known before any of its pictures is read; standard library only at import."""

import hashlib
import json
from pathlib import Path

from project.work import common, files
from project.work.declaration import UserError, nearest


def find(dataset: str) -> Path:
    """The folder of a data set given by name or path. Raises UserError when it is not there."""
    folder = common.input_folder(dataset)
    if folder.is_dir():
        return folder
    beside = folder.parent.iterdir() if folder.parent.is_dir() else ()
    prepared = [path.name for path in beside if path.is_dir() and not path.name.startswith(".")]
    raise UserError(
        f"{folder} is missing: run ./inv prepare first (./inv prepare-images for pictures of your own), or give"
        f" --dataset the name of a prepared set{nearest(folder.name, prepared)}"
    )


def digest(folder: Path) -> str | None:
    """A short name for the files of a data set, by the checksums that its preparation noted; None without any.

    It takes no reading of pictures, and names the same files as long as nobody prepares them anew otherwise.
    """
    from project.work.dataset.storage import LARGEST_FACTS, PROVENANCE

    try:
        checksums = files.read_json(folder / PROVENANCE, LARGEST_FACTS)["sha256"]
    except (UserError, LookupError, TypeError):
        return None
    return hashlib.sha256(json.dumps(checksums, sort_keys=True).encode()).hexdigest()[:12]
