"""A prepared data set as it is known before any of its pictures is read; standard library only at import."""

from pathlib import Path

from project.work import common
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
