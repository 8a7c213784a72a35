"""What a run reads from a bucket: prepared data sets, one folder each as in project/input, features, and OOF logits.

Features lie beside the data sets, in the folder that they have here. Its name stands for the pictures, the network and
its weights, so what is there under that name is what would be made.
"""

import hashlib
import shutil
import sys
from pathlib import Path

from filelock import FileLock

from project.work.common import UserError
from project.work.dataset.storage import PROVENANCE
from project.work.machine import bucket
from project.work.machine.bucket import BucketFolder
from project.work.run_folder import LOGITS_FILE


def push(folder: Path, place: BucketFolder) -> list[str]:
    """Upload a data set; returns the names of the files that were not there yet. Raises UserError."""
    if not folder.is_dir():
        raise UserError(f"{folder} is missing: run ./inv prepare first (or --dataset with the name of a prepared set)")
    return place.upload(folder, last=(PROVENANCE,), watched=True)


def fetch(folder: Path, data_uri: str | None) -> None:
    """Download a data set that is not here; it appears whole or not at all. Raises UserError."""
    if data_uri is None or folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    place = BucketFolder(f"{data_uri}/{folder.name}", bucket.connect())
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if folder.exists():
            return
        files = place.files()
        if not files:
            raise UserError(f"{place.uri} is empty: run ./inv push-data --dataset {folder.name} first")
        print(f"downloading {place.uri}", file=sys.stderr)
        partial = folder.with_name(f".{folder.name}.partial")
        place.download(files, partial, watched=True)
        shutil.move(partial, folder)


def push_features(folder: Path, place: BucketFolder, facts: str) -> list[str]:
    """Upload a folder of features; returns the names of the files that were not there yet. Raises UserError.

    facts: its file that says that all others are there.
    """
    return place.upload(folder, last=(facts,), watched=True)


def fetch_features(folder: Path, data_uri: str, facts: str) -> bool:
    """Download features into their folder; returns whether the bucket has them whole. Raises UserError.

    facts: the file that appears last, there and here. Each file is compared with its checksum.
    """
    place = BucketFolder(f"{data_uri}/{folder.name}", bucket.connect())
    files = place.files()
    if facts not in files:
        return False
    print(f"downloading {place.uri}", file=sys.stderr)
    place.download({name: files[name] for name in sorted(files, key=lambda name: name == facts)}, folder, watched=True)
    return True


def local_copy(logits: str, output: Path) -> Path:
    """The file of OOF logits that a path or a gs:// address names; fetched once into a folder of its own."""
    if not logits.startswith("gs://"):
        return Path(logits)
    folder = output / f"oof-{hashlib.sha256(logits.encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    parent, _, name = logits.rpartition("/")
    with FileLock(folder / ".lock"):
        place = BucketFolder(parent, bucket.connect())
        files = place.files()
        if name not in files:
            raise UserError(f"{logits} is missing: ./inv train-ai-platform --stage oof puts it in outputs/<uuid>/oof-*")
        place.download({LOGITS_FILE: files[name]}, folder)
    return folder / LOGITS_FILE
