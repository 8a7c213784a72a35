"""What every kind of preparation shares: dividing a class, replacing an older set whole, saying what to do next."""

import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from project.data_preparation.sample_sheet import draw_samples
from project.work import process
from project.work.common import INPUT
from project.work.dataset import storage
from project.work.declaration import Interrupted, UserError

READY = "ready"  # in a scratch folder, what becomes the data set


def split(rows: int, train_ratio: float, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Divide the rows of one class at random: round(train_ratio x rows) for training, at least 1 on either side.

    Returns two sorted int arrays that together hold 0..rows-1; rows must be 2 or more.
    """
    count = train_count(rows, train_ratio)
    order = generator.permutation(rows)
    return np.sort(order[:count]), np.sort(order[count:])


def train_count(rows: int, train_ratio: float) -> int:
    """How many of the rows of a class are for training; rows must be 2 or more."""
    return min(max(round(train_ratio * rows), 1), rows - 1)


def check_classes(names: list[str]) -> None:
    """Raise UserError when there are too few classes to tell apart."""
    if len(names) < 2:
        given = ", ".join(names) or "none"
        raise UserError(f"a classifier needs at least 2 classes, but there is {len(names)} ({given}): add some")


def counts(train: storage.Pictures, test: storage.Pictures, names: list[str]) -> dict[str, dict[str, int]]:
    """Pictures of each class in both parts, for the provenance."""
    parts = (np.bincount(part.labels, minlength=len(names)).tolist() for part in (train, test))
    return {name: {"train": a, "test": b} for name, a, b in zip(names, *parts, strict=True)}


def publish(
    output: str | None,
    name: str,
    make: Callable[[Path], storage.Prepared],
    begun: Callable[[Path], bool] = lambda scratch: False,
) -> tuple[storage.Prepared, Path]:
    """Make a data set and put it into output/name; until it is whole, an older set stays as it was.

    make: is given a scratch folder, where it leaves the set in READY; returns as much of it as is to be shown.
    begun: whether the scratch folder of a preparation that failed holds what the next one goes on with.
    Returns what make returns, and the folder of the set. Raises UserError for whatever stopped it.
    """
    if name in ("", "..") or Path(name).name != name:
        raise UserError(f"--dataset {name}: give a plain name; --output says in which folder it goes")
    parent = INPUT if output is None else Path(output).expanduser()
    folder, scratch = parent / name, parent / f".{name}.partial"
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        with process.stoppable(), FileLock(scratch / ".lock", timeout=0):
            try:
                prepared = make(scratch)
                _replace(prepared, scratch / READY, folder)
            except BaseException:  # raised again, Ctrl-C too: only an empty scratch folder must not stay
                if not begun(scratch):
                    shutil.rmtree(scratch, ignore_errors=True)
                raise
            shutil.rmtree(scratch, ignore_errors=True)
    except Timeout as error:
        raise UserError(f"{folder}: another preparation of it is going on; wait for its end") from error
    except OSError as error:
        place, reason = error.filename or folder, error.strerror or error
        raise UserError(f"{place}: {reason}; {folder} is as it was: make room or mend permissions") from error
    except KeyboardInterrupt as stop:
        how = "goes on" if begun(scratch) else "starts again"
        raise Interrupted(f"stopped; {folder} is as it was, and the same command {how}", stop) from None
    return prepared, folder


def _replace(prepared: storage.Prepared, ready: Path, folder: Path) -> None:
    """Move a set that was made beside its folder in at once: a full disk leaves an older set as it was."""
    draw_samples(prepared, ready / "image_sample.png", dataset=folder.name)
    folder.mkdir(exist_ok=True)
    made = sorted(ready.iterdir())
    for path in made:
        os.replace(path, folder / path.name)
    for name in storage.image_files() - {path.name for path in made}:
        (folder / name).unlink(missing_ok=True)


def summarise(prepared: storage.Prepared, folder: Path, source: str, notes: Mapping[str, str] | None = None) -> None:
    """Print what was prepared and what to type next; notes: further lines, by their first word."""
    # A name means a folder of project/input; a set that lies elsewhere is trained on by its path.
    counts = prepared.provenance["counts"].values()
    train, test = (sum(count[part] for count in counts) for part in storage.PARTS)
    dataset = folder.name if folder.parent.resolve() == INPUT else str(folder.resolve())
    lines = {
        "classes": str(len(prepared.names)),
        "pictures": f"{train} train, {test} test",
        "source": source,
        **(notes or {}),
        "folder": str(folder),
        "next": f"./inv train --dataset {shlex.quote(dataset)}",
    }
    for word, text in lines.items():
        print(f"{word:<9} {text}")
