"""Google's public bucket of drawings, read without an account and only as much as a sample needs."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from project.data_preparation.parsing.rows import AT_ONCE, LeftOut, LineOrigin, Rows, Text, read_json, text_of
from project.work.common import UserError

BUCKET = "quickdraw_dataset"
WINDOWS = 8  # in a round of reading; fetched in parallel
SURPLUS = 1.25  # rows read for each row requested, so that a second round is seldom needed
ROW_BYTES = {False: 600, True: 4000}  # a first guess for a simplified and a raw row; updated by the rows read
TAIL = 4096  # bytes fetched beyond a window to complete its last row

Window = tuple[int, int]
T = TypeVar("T")


def place_windows(size: int, width: int, generator: np.random.Generator) -> list[Window]:
    """Spread WINDOWS stretches evenly over `size` bytes, starting at a random byte; those past the end wrap around.

    Every byte is covered with the same probability, WINDOWS x width / size. A row belongs to the window of its first
    byte, so every row has that probability too, whatever its length. width: bytes each, at most size // WINDOWS.
    """
    first = int(generator.integers(size))
    starts = [(first + number * size // WINDOWS) % size for number in range(WINDOWS)]
    windows = [(start, min(start + width, size)) for start in starts]
    return windows + [(0, start + width - size) for start in starts if start + width > size]


class Bucket:
    """full/simplified/<class>.ndjson or full/raw/<class>.ndjson of the public bucket.

    patience: seconds during which a failing request is retried. STORAGE_EMULATOR_HOST names an emulator.
    """

    synthetic = False

    def __init__(
        self, raw: bool = False, recognized: bool = False, patience: float = 20.0, skip_broken: bool = False
    ) -> None:
        self.raw, self.recognized, self.patience, self.skip_broken = raw, recognized, patience, skip_broken
        self._prefix = f"full/{'raw' if raw else 'simplified'}/"

    def words(self) -> list[str]:
        """The classes in the bucket, sorted; one request, which also gives the sizes."""
        return sorted(self._sizes)

    def rows(self, word: str, enough: int) -> int | None:
        """Unknown without reading the whole object."""
        return None

    def version(self, word: str) -> str:
        """Size of the object."""
        return str(self._sizes[word])

    def notes(self, names: Iterable[str]) -> list[str]:
        """Nothing: an object is a class."""
        return []

    def read(self, word: str, count: int, generator: np.random.Generator | None) -> Iterator[Rows]:
        """Draw rows as sources.Source says, reading a few windows until they hold enough rows.

        Every row is read with the same probability. `count` of those read are kept: a long row leaves room for fewer
        others, which moves its own chance by at most its share of the bytes read.
        """
        size, searched = self._sizes[word], 0
        found: dict[int, bytes] = {}
        left: dict[int, LeftOut] = {}
        row_bytes: float = ROW_BYTES[self.raw]
        while len(found) < count and searched < size:
            wanted = int(SURPLUS * (count - len(found)) * row_bytes) + WINDOWS
            windows, searched = self._next_windows(size, searched, wanted, generator)
            with ThreadPoolExecutor(WINDOWS) as pool:
                for rows, faults in pool.map(lambda window: self._rows(word, *window), windows):
                    found |= rows
                    left |= faults
            row_bytes = searched / max(len(found), 1)
        if len(found) < count:
            kind = "recognised drawings" if self.recognized else "drawings"
            where = f"gs://{BUCKET}/{self._prefix}{word}.ndjson"
            raise UserError(f"{where} has {len(found)} {kind}, but {count} are asked for: lower --per-class")
        positions = sorted(found)
        if generator is not None:
            positions = sorted(generator.choice(positions, count, replace=False).tolist())
        for start in range(0, count, AT_ONCE):
            chosen = positions[start : min(start + AT_ONCE, count)]
            text, origin = self._at(word, {at: found[at] for at in chosen})
            broken = tuple(left[at] for at in sorted(left)) if start == 0 else ()
            yield dataclasses.replace(origin.rows(text), left_out=broken)

    @staticmethod
    def _next_windows(
        size: int, searched: int, wanted: int, generator: np.random.Generator | None
    ) -> tuple[list[Window], int]:
        """The windows to read next, and the number of bytes searched after them."""
        if generator is None:
            end = min(searched + wanted, size)
            return [(searched, end)], end
        if searched + wanted > size // 2:
            return [(0, size)], size  # reading it whole is cheaper, and the choice is then exactly uniform
        return place_windows(size, wanted // WINDOWS, generator), searched + wanted

    def _rows(self, word: str, start: int, stop: int) -> tuple[dict[int, bytes], dict[int, LeftOut]]:
        """The admitted lines of a window, by position, and the broken ones."""
        lines, faults = dict(self._lines(word, start, stop)), {}
        if self.skip_broken:
            text, origin = self._at(word, lines)
            places = list(lines)
            faults = {places[number]: fault for number, fault in origin.left_out(text).items()}
            lines = {at: line for at, line in lines.items() if at not in faults}
        if not self.recognized or not lines:
            return lines, faults
        text, origin = self._at(word, lines)
        recognized = origin.unparsed(text).keys["recognized"]
        return {at: line for (at, line), taken in zip(lines.items(), recognized, strict=True) if taken}, faults

    def _at(self, word: str, lines: dict[int, bytes]) -> tuple[Text, LineOrigin]:
        file, positions = f"gs://{BUCKET}/{self._prefix}{word}.ndjson", np.array(list(lines), dtype=np.int64)
        origin = LineOrigin(file, positions, read_json, "byte", "take another class or source", self.raw)
        return text_of(list(lines.values())), origin

    def _lines(self, word: str, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """Every line whose first byte lies in [start, stop), with the position of that byte."""
        size, base = self._sizes[word], max(start - 1, 0)  # the byte before shows whether a line starts at `start`
        end = min(stop + TAIL, size)
        data = self._fetch(word, base, end)
        while end < size and data.find(b"\n", stop - 1 - base) < 0:
            data, end = data + self._fetch(word, end, min(end + 4 * TAIL, size)), min(end + 4 * TAIL, size)
        breaks = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
        starts = np.append(breaks + 1, 0) if start == 0 else breaks + 1
        for at in np.sort(starts[(starts + base >= start) & (starts + base < stop)]).tolist():
            finish = data.find(b"\n", at)
            line = data[at:] if finish < 0 else data[at:finish]
            if line.strip():
                yield base + at, line

    def _fetch(self, word: str, start: int, stop: int) -> bytes:
        name = f"{self._prefix}{word}.ndjson"
        blob = self._client.bucket(BUCKET).blob(name)
        options = {"raw_download": True, "checksum": None, "retry": self._retry}
        data = _ask(name, lambda: blob.download_as_bytes(start=start, end=stop - 1, **options))
        if len(data) != stop - start:
            raise UserError(f"gs://{BUCKET}/{name}: {len(data)} bytes came instead of {stop - start}; try again")
        return data

    def __getstate__(self) -> dict[str, Any]:
        """Without the client: each process makes its own."""
        return {name: value for name, value in vars(self).items() if name not in ("_client", "_retry")}

    @cached_property
    def _sizes(self) -> dict[str, int]:
        options = {"prefix": self._prefix, "fields": "items(name,size),nextPageToken", "retry": self._retry}
        blobs = _ask(self._prefix, lambda: list(self._client.list_blobs(BUCKET, **options)))
        names = {blob.name.removeprefix(self._prefix): int(blob.size) for blob in blobs}
        return {name.removesuffix(".ndjson"): size for name, size in names.items() if name.endswith(".ndjson")}

    @cached_property
    def _client(self) -> Any:
        from google.cloud import storage  # slow to import and needed here only

        return storage.Client.create_anonymous_client()

    @cached_property
    def _retry(self) -> Any:
        from google.cloud.storage.retry import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(self.patience)


def _ask(name: str, request: Callable[[], T]) -> T:
    from google.api_core.exceptions import GoogleAPIError, NotFound
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    place = f"gs://{BUCKET}/{name}"
    try:
        return request()
    except NotFound as error:
        raise UserError(f"{place} is not there: leave this class out with --classes") from error
    except (GoogleAPIError, GoogleAuthError, RequestException, OSError) as error:
        cause = getattr(error, "cause", None) or error  # the last error before a retry gave up
        reason = f"{type(cause).__name__} {getattr(cause, 'code', None) or ''}".strip()
        advice = "check the network, or use --source sample, which needs none"
        raise UserError(f"{place} cannot be reached ({reason}): {advice}") from error
