"""Run folders in a bucket: what a job's machine leaves there, and how they come back."""

import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from project.work import bucket_folder
from project.work.bucket_folder import BucketFolder
from project.work.declaration import UserError
from project.work.files import absent, read_bytes
from project.work.reporter.reporter import RESULT_FILE, Result, read_result
from project.work.reporter.table.cells import as_text
from project.work.reporter.table.result_table import ResultTable
from project.work.run_folder import CHECKPOINT_FILE, HISTORY_FILE, LOGITS_FILE, SETTINGS_FILE, TEACHER_FILE


class Mirror:
    """Keeps folders of an output folder in a bucket, for a machine that may vanish. Without a place it does nothing.

    A run's whole state is one file, its checkpoint, which a bucket replaces whole; history.csv may be an epoch ahead of
    it and is written anew from it. A result stands there only once everything else does.
    """

    def __init__(self, place: BucketFolder | None, output: Path) -> None:
        self.place, self.output = place, output

    def fetch(self) -> None:
        """Bring what an earlier machine left."""
        if self.place is not None:
            bring(self.place, self.place.files(), self.output)

    def send(self, folder: Path) -> None:
        """Send what changed in a folder. Raises UserError."""
        if self.place is not None:
            below = folder.relative_to(self.output).as_posix()
            self.place.upload(folder, below, last=(CHECKPOINT_FILE, RESULT_FILE))

    def try_send(self, folder: Path) -> None:
        """The same; a failure only delays it, since the next epoch sends everything that is missing."""
        try:
            self.send(folder)
        except UserError as error:
            print(f"warning: {error}", file=sys.stderr)


def open_mirror(uri: str | None, output: Path) -> Mirror:
    """The mirror of an output folder at a URI, or one that does nothing."""
    return Mirror(None if uri is None else BucketFolder(uri, bucket_folder.connect()), output)


def bring(place: BucketFolder, files: Mapping[str, Any], output: Path, watched: bool = False) -> list[Path]:
    """Bring run folders here; returns those that changed.

    files: "<run folder>/<path>" -> blob. A folder that is in use or further here is left alone, as is a finished one.
    """
    folders: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, blob in files.items():
        folder, _, path = name.partition("/")
        if path:
            folders[folder][path] = blob
    changed = []
    for name, blobs in folders.items():
        folder = output / name
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / ".lock", timeout=0):
                if not _is_ahead(folder, place, blobs) and place.download(_in_order(blobs), folder, watched):
                    changed.append(folder)
        except Timeout:
            print(f"{folder}: in use here, left alone", file=sys.stderr)
    return changed


def _is_ahead(folder: Path, place: BucketFolder, blobs: Mapping[str, Any]) -> bool:
    """Whether the folder here has more epochs, or finished logits; it is then not replaced."""
    if any((folder / name).exists() for name in (LOGITS_FILE, TEACHER_FILE)):
        return True
    here = sum(read_bytes(path).count(b"\n") for path in folder.rglob(HISTORY_FILE))
    there = sum(place.read(blob).count(b"\n") for name, blob in blobs.items() if Path(name).name == HISTORY_FILE)
    if here > there:
        print(f"{folder}: further here than in {place.uri}, left alone", file=sys.stderr)
    return here > there


def _in_order(blobs: Mapping[str, Any]) -> dict[str, Any]:
    """Settings last: until they are here, a folder does not count as a run."""
    return dict(sorted(blobs.items(), key=lambda item: item[0] == SETTINGS_FILE))


def pull(place: BucketFolder, output: Path) -> tuple[list[Path], int]:
    """Bring the run folders of all jobs, and merge their rows into the table.

    place: <uuid>/<run folder>/<path> below it. Returns the folders that changed and the number of rows that did.
    """
    if not absent(ResultTable(output).path):
        ResultTable(output).read()  # a table that takes no rows is better known before hours of downloads
    jobs: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, blob in place.files().items():
        job, _, path = name.partition("/")
        jobs[job][path] = blob
    changed, folders = [], set()
    for files in jobs.values():
        changed += bring(place, files, output, watched=True)
        folders |= {output / path.partition("/")[0] for path in files if path.endswith(f"/{RESULT_FILE}")}
    return changed, sum(_merge(folder, ResultTable(output)) for folder in sorted(folders))


def _merge(folder: Path, table: ResultTable) -> bool:
    """Bring a finished run's row into the table; says whether that changed anything."""
    try:
        row = read_result(folder)
    except UserError as error:
        print(f"warning: {error}", file=sys.stderr)
        return False
    if row is None:
        return False
    texts = as_text(row)
    if not absent(table.path):
        known = table.read()
        for old in known[known["uuid"] == texts["uuid"]].to_dict("records"):
            if texts.items() <= old.items():
                return False
    table.write(Result(row, folder))
    return True
