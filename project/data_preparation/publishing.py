"""A set that is made takes its place: an older one is replaced whole, and a person is told what to do next."""

import contextlib
import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from project.data_preparation.sample_sheet import draw_samples
from project.work.common import INPUT, UserError
from project.work.dataset import label_sets, storage
from project.work.files import disk
from project.work.machine import process
from project.work.machine.process import Interrupted

READY = "ready"  # in a scratch folder, what becomes the data set
LEFT_OUT = "left_out.csv"  # in a data set, the rows of its source that it has not


@dataclass(frozen=True)
class Target:
    """Where a set goes. named: what a person calls it, with --dataset; usual: its name otherwise.

    facts: of its provenance, those that an older set of the usual name must share to be replaced; same: whether an
    older set that shares them is of this very source.
    """

    output: str | None
    named: str | None
    usual: str
    facts: Mapping[str, str]
    same: Callable[[Path], bool] = lambda folder: True

    @property
    def folder(self) -> Path:
        """The folder of the set. Raises UserError for what is no name of one."""
        name = self.usual if self.named is None else self.named
        if name in ("", "..") or Path(name).name != name or not name.isprintable() or len(name.encode()) > 200:
            flag = f"--dataset {name}" if name.isprintable() else f"--dataset {name!a}"
            raise UserError(f"{flag}: give a plain name; --output says in which folder it goes")
        if self.output is not None and not self.output.strip():  # of an empty variable, say
            raise UserError("--output is empty: give the folder that is to hold the set, or leave --output out")
        return (INPUT if self.output is None else Path(os.path.expanduser(self.output))) / name


@dataclass(frozen=True)
class Published:
    """A set that was put in its place. prepared: as much of it as is to be shown; replaced: what was there before."""

    prepared: storage.Prepared
    folder: Path
    replaced: str


def publish(
    target: Target,
    make: Callable[[Path], storage.Prepared],
    begun: Callable[[Path], bool] = lambda scratch: False,
) -> Published:
    """Make a data set and put it into its folder; until it is whole, an older set stays as it was.

    make: is given a scratch folder, where it leaves the set in READY; returns as much of it as is to be shown.
    begun: whether the scratch folder of a preparation that failed holds what the next one goes on with.
    Raises UserError for whatever stopped it, and before it begins where a set of another source would be lost.
    """
    folder = target.folder
    scratch = folder.parent / f".{folder.name}.partial"
    replaced = _older(target, folder)
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
    return Published(prepared, folder, replaced)


def _older(target: Target, folder: Path) -> str:
    """What stands in a set's place, in words; "" for nothing. Raises UserError where it must not be replaced."""
    if not os.path.lexists(folder):
        return ""
    if not folder.is_dir():
        raise UserError(f"{folder} is there and no folder: give another name with --dataset, or move it away")
    there = {path.name for path in folder.iterdir()}
    if not there:
        return ""
    if not there & {storage.LABEL_NAME, storage.PROVENANCE, *storage.image_files()}:
        raise UserError(f"{folder} is there and no prepared set: give another name with --dataset, or move it away")
    facts: Any = None
    with contextlib.suppress(UserError):  # of a set that somebody else made, or that is damaged
        facts = disk.read_json(folder / storage.PROVENANCE)
    facts = facts if isinstance(facts, dict) else {}
    what = _described(facts)
    differs = any(facts.get(name) != value for name, value in target.facts.items())
    if target.named is None and (differs or not target.same(folder)):
        raise UserError(
            f"{folder} is another set, {what}: give this one a name with --dataset, or replace that one with"
            f" --dataset {shlex.quote(folder.name)}"
        )
    return f"the set of that name, {what}"


def _described(facts: Mapping[str, Any]) -> str:
    """An older set in a few words. facts: its provenance, however damaged."""
    counts: Any = facts.get("counts")
    source = " ".join(str(facts[name]) for name in ("source", "input") if name in facts) or "a source that is not known"
    try:
        pictures = sum(sum(count.values()) for count in counts.values())
    except (AttributeError, TypeError):
        return f"from {source}"
    return f"{pictures} pictures of {len(counts)} classes from {source}"


def _replace(prepared: storage.Prepared, ready: Path, folder: Path) -> None:
    """Move a set that was made beside its folder in at once: a full disk leaves an older set as it was."""
    draw_samples(prepared, ready / "image_sample.png", dataset=folder.name)
    folder.mkdir(exist_ok=True)
    made = sorted(ready.iterdir())
    for path in made:
        os.replace(path, folder / path.name)
    older = {path.name for path in folder.glob(label_sets.PATTERN)}
    for name in (storage.image_files() | {LEFT_OUT} | older) - {path.name for path in made}:
        (folder / name).unlink(missing_ok=True)


def summarise(published: Published, source: str, notes: Mapping[str, str] | None = None) -> None:
    """Print what was prepared and what to type next; notes: further lines, by their first word."""
    prepared, folder = published.prepared, published.folder
    # A name means a folder of project/input; a set that lies elsewhere is trained on by its path.
    counts = prepared.provenance["counts"].values()
    train, test = (sum(count[part] for count in counts) for part in storage.PARTS)
    dataset = folder.name if folder.parent.resolve() == INPUT else str(folder.resolve())
    lines = {
        "classes": f"{len(prepared.names)}: {_named(prepared)}",
        "pictures": f"{train} train, {test} test",
        "source": source,
        **(notes or {}),
        **({"replaced": published.replaced} if published.replaced else {}),
        "folder": str(folder),
        "next": f"./inv train --dataset {shlex.quote(dataset)}",
    }
    for word, text in lines.items():
        print(f"{word:<9} {text}")


def _named(prepared: storage.Prepared, shown: int = 4) -> str:
    """A few classes and how many pictures each has."""
    counts = list(prepared.provenance["counts"].items())
    named = ", ".join(f"{name} {sum(count.values())}" for name, count in counts[:shown])
    return named + (f" and {len(counts) - shown} more" if len(counts) > shown else "")
