"""A folder in a Cloud Storage bucket: uploads and downloads the files that differ."""

import base64
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from project.work.common import UserError, progress
from project.work.files import disk
from project.work.machine import google_account

CHUNK = 16 * 2**20  # bytes of an upload to repeat when the connection breaks
PATIENCE = 60.0  # seconds during which a failing request is retried


class BucketFolder:
    """gs://bucket/folder. Nothing is ever deleted there.

    client: a google.cloud.storage.Client; patience: seconds during which a failing request is retried.
    """

    def __init__(self, uri: str, client: Any, patience: float = PATIENCE) -> None:
        from google.cloud.storage.retry import DEFAULT_RETRY

        match = re.fullmatch(r"gs://([^/]+)(?:/(.*?))?/*", uri)
        if match is None:
            raise UserError(f"{uri}: needs the form gs://bucket/folder")
        self.uri, self.client = uri.rstrip("/"), client
        self._bucket, self._prefix = match[1], f"{match[2]}/" if match[2] else ""
        self._retry = DEFAULT_RETRY.with_timeout(patience)

    def files(self) -> dict[str, Any]:
        """Every file below the folder: relative path -> blob."""
        with self._explained(self.uri):
            blobs = list(self.client.list_blobs(self._bucket, prefix=self._prefix, retry=self._retry))
        names = {blob.name.removeprefix(self._prefix): blob for blob in blobs if not blob.name.endswith("/")}
        for name in names:
            if ".." in PurePosixPath(name).parts or name.startswith("/"):
                raise UserError(f"{self.uri}/{name}: leads out of the folder; delete it")
        return names

    def upload(self, folder: Path, below: str = "", last: tuple[str, ...] = (), watched: bool = False) -> list[str]:
        """Upload the files of a folder that are missing in the bucket or differ there; returns their names.

        below: folder within this one; last: names of files that are sent after all others, in that order; watched: show
        a progress bar. A file in the bucket is replaced whole or not at all.
        """
        order = {name: place for place, name in enumerate(last)}
        paths = sorted(_local_files(folder), key=lambda path: (order.get(path.name, -1), path))
        there, sent = self.files(), []
        with progress(total=sum(map(_size, paths)), unit="B", unit_scale=True, disable=not watched) as bar:
            for path in paths:
                name = str(PurePosixPath(below, path.relative_to(folder).as_posix()))
                if name in there and there[name].crc32c == checksum(path):
                    bar.update(_size(path))
                    continue
                self._send(path, name, bar.update)
                sent.append(name)
        return sent

    def download(self, files: Mapping[str, Any], folder: Path, watched: bool = False) -> list[str]:
        """Download the files that are missing here or differ, in the order given; returns their names.

        files: path below the folder -> blob; each appears whole or not at all.
        """
        brought = []
        with progress(
            total=sum(blob.size for blob in files.values()), unit="B", unit_scale=True, disable=not watched
        ) as bar:
            for name, blob in files.items():
                path = folder / name
                if not (path.is_file() and checksum(path) == blob.crc32c):
                    self._bring(blob, path)
                    brought.append(name)
                bar.update(blob.size)
        return brought

    def read(self, blob: Any) -> bytes:
        """A small file's bytes."""
        with self._explained(blob.name):
            return blob.download_as_bytes(retry=self._retry)

    def _send(self, path: Path, name: str, moved: Callable[[int], Any]) -> None:
        from tqdm.utils import CallbackIOWrapper

        blob = self.client.bucket(self._bucket).blob(self._prefix + name, chunk_size=CHUNK)
        with self._explained(f"{self.uri}/{name}"), open(path, "rb") as file:
            blob.upload_from_file(
                CallbackIOWrapper(moved, file), size=_size(path), checksum="crc32c", retry=self._retry
            )

    def _bring(self, blob: Any, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with disk.partial(path) as partial:
            with self._explained(f"gs://{self._bucket}/{blob.name}"):
                blob.download_to_filename(str(partial), checksum="crc32c", retry=self._retry)
            os.replace(partial, path)

    @contextmanager
    def _explained(self, place: str) -> Iterator[None]:
        """Turn errors of the client into a UserError that says what to do."""
        from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound, Unauthorized
        from google.auth.exceptions import GoogleAuthError
        from google.resumable_media import DataCorruption, InvalidResponse
        from requests.exceptions import RequestException

        try:
            yield
        except NotFound as error:
            raise UserError(f"{place}: not there; check the bucket's name, or make it in the project first") from error
        except (Forbidden, Unauthorized) as error:
            advice = "the account needs the role Storage Object Admin on the bucket"
            raise UserError(f"{place}: refused ({_reason(error)}); {advice}") from error
        except (GoogleAPIError, GoogleAuthError, RequestException, DataCorruption, InvalidResponse) as error:
            raise UserError(f"{place}: cannot be reached ({_reason(error)}); the same command goes on") from error


def connect(credential_path: str | None = None) -> Any:
    """A client of Cloud Storage. STORAGE_EMULATOR_HOST names an emulator, which needs no credentials."""
    from google.cloud import storage

    if credential_path is None and os.environ.get("STORAGE_EMULATOR_HOST"):
        return storage.Client.create_anonymous_client()
    account = google_account.credentials(credential_path)
    return storage.Client(project="unused", credentials=account)  # a project is needed only to create a bucket


def checksum(path: Path) -> str:
    """CRC32C of a file in base64, as Cloud Storage states it."""
    import google_crc32c

    digest = google_crc32c.Checksum()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return base64.b64encode(digest.digest()).decode()


def _local_files(folder: Path) -> list[Path]:
    """The files below a folder, without hidden ones: locks and partial files."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def _size(path: Path) -> int:
    return path.stat().st_size


def _reason(error: Exception) -> str:
    cause = getattr(error, "cause", None) or error  # the last error before a retry gave up
    return f"{type(cause).__name__} {getattr(cause, 'code', None) or ''}".strip()
