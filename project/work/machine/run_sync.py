"""Copies run folders of a job to a bucket and back."""

import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from project.work.common import UserError
from project.work.files.disk import read_bytes
from project.work.machine import bucket
from project.work.machine.bucket import BucketFolder
from project.work.run_folder import CHECKPOINT_FILE, HISTORY_FILE, LOGITS_FILE, RESULT_FILE, SETTINGS_FILE, TEACHER_FILE


class RunSync:
    """Keeps folders of an output folder in a bucket, for a machine that may vanish.

    A run's whole state is its checkpoint, one file, which a bucket replaces whole. history.csv may be an epoch ahead of
    it and is rewritten from it. The result is sent after everything else.
    """

    def __init__(self, uri: str, output: Path) -> None:
        self.place, self.output = BucketFolder(uri, bucket.connect()), output

    def fetch(self) -> None:
        """Download what an earlier machine left."""
        bring(self.place, self.place.files(), self.output)

    def send(self, folder: Path) -> None:
        """Send what changed in a folder. Raises UserError."""
        below = folder.relative_to(self.output).as_posix()
        self.place.upload(folder, below, last=(CHECKPOINT_FILE, RESULT_FILE))

    def try_send(self, folder: Path) -> None:
        """The same, but a failure is only a warning: the next epoch sends what is missing."""
        try:
            self.send(folder)
        except UserError as error:
            print(f"warning: {error}", file=sys.stderr)


def bring(place: BucketFolder, files: Mapping[str, Any], output: Path, watched: bool = False) -> list[Path]:
    """Download run folders; returns those that changed.

    files: "<run folder>/<path>" -> blob. A local folder that is in use, further along or finished is left alone.
    """
    folders: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, blob in files.items():
        run, _, path = name.partition("/")
        if path:
            folders[run][path] = blob
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
    """Whether the local folder has more epochs or finished logits; then it is not replaced."""
    if any((folder / name).exists() for name in (LOGITS_FILE, TEACHER_FILE)):
        return True
    here = sum(read_bytes(path).count(b"\n") for path in folder.rglob(HISTORY_FILE))
    there = sum(place.read(blob).count(b"\n") for name, blob in blobs.items() if Path(name).name == HISTORY_FILE)
    if here > there:
        print(f"{folder}: further here than in {place.uri}, left alone", file=sys.stderr)
    return here > there


def _in_order(blobs: Mapping[str, Any]) -> dict[str, Any]:
    """Settings last: a folder without them does not count as a run."""
    return dict(sorted(blobs.items(), key=lambda item: item[0] == SETTINGS_FILE))


