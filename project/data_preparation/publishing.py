"""What every kind of preparation shares: dividing a class, replacing an older set whole, saying what to do next."""

import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from project.work.common import INPUT
from project.work.dataset import storage
from project.work.declaration import UserError


def split(rows: int, train_ratio: float, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Divide the rows of one class at random: round(train_ratio x rows) for training, at least 1 on either side.

    Returns two sorted int arrays that together hold 0..rows-1; rows must be 2 or more.
    """
    count = min(max(round(train_ratio * rows), 1), rows - 1)
    order = generator.permutation(rows)
    return np.sort(order[:count]), np.sort(order[count:])


def check_classes(names: list[str]) -> None:
    """Raise UserError when there are too few classes to tell apart."""
    if len(names) < 2:
        given = ", ".join(names) or "none"
        raise UserError(f"a classifier needs at least 2 classes, but there is {len(names)} ({given}): add some")


def counts(train: storage.Pictures, test: storage.Pictures, names: list[str]) -> dict[str, dict[str, int]]:
    """Pictures of each class in both parts, for the provenance."""
    parts = (np.bincount(part.labels, minlength=len(names)).tolist() for part in (train, test))
    return {name: {"train": a, "test": b} for name, a, b in zip(names, *parts, strict=True)}


def publish(output: str | None, name: str, make: Callable[[Path], storage.Prepared]) -> tuple[storage.Prepared, Path]:
    """Make a data set and put it into output/name; until it is whole, an older set stays as it was.

    make: is given a scratch folder (not made yet) that is removed afterwards. Returns the set and its folder.
    Raises UserError for whatever stopped it.
    """
    if name in ("", "..") or Path(name).name != name:
        raise UserError(f"--dataset {name}: give a plain name; --output says in which folder it goes")
    parent = INPUT if output is None else Path(output).expanduser()
    parent.mkdir(parents=True, exist_ok=True)
    folder, scratch = parent / name, Path(tempfile.mkdtemp(prefix=f".{name}.", dir=parent))
    try:
        prepared = make(scratch / "work")
        _replace(prepared, scratch / "ready", folder)
    except OSError as error:
        place, reason = error.filename or folder, error.strerror or error
        raise UserError(f"{place}: {reason}; {folder} is as it was: make room or mend permissions") from error
    except KeyboardInterrupt:
        raise UserError(f"stopped; {folder} is as it was, and the same command starts again") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return prepared, folder


def _replace(prepared: storage.Prepared, ready: Path, folder: Path) -> None:
    """Write everything beside the folder, then move it in at once: a full disk leaves an older set as it was."""
    from project.data_preparation import figures  # matplotlib takes a second that a refusal need not wait for

    storage.write(ready, prepared)
    figures.draw_samples(prepared, ready / "image_sample.png", dataset=folder.name)
    folder.mkdir(exist_ok=True)
    for path in sorted(ready.iterdir()):
        os.replace(path, folder / path.name)


def summarise(prepared: storage.Prepared, folder: Path, source: str, notes: Mapping[str, str] | None = None) -> None:
    """Print what was prepared and what to type next; notes: further lines, by their first word."""
    # A name means a folder of project/input; a set that lies elsewhere is trained on by its path.
    dataset = folder.name if folder.parent.resolve() == INPUT else str(folder.resolve())
    lines = {
        "classes": str(len(prepared.names)),
        "pictures": f"{len(prepared.train.labels)} train, {len(prepared.test.labels)} test",
        "source": source,
        **(notes or {}),
        "folder": str(folder),
        "next": f"./inv train --dataset {shlex.quote(dataset)}",
    }
    for word, text in lines.items():
        print(f"{word:<9} {text}")
