"""Files to a bucket and back, by Google's own client library against an emulator that fails on command."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from stand_ins.storage import StorageStandIn

from project.work.common import UserError
from project.work.machine import bucket
from project.work.machine.bucket import CHUNK, BucketFolder, checksum

pytestmark = pytest.mark.slow


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[StorageStandIn]:
    with StorageStandIn("b") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


@pytest.fixture
def place(storage: StorageStandIn) -> BucketFolder:
    return BucketFolder("gs://b/some/folder/", bucket.connect(), patience=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files that go to the bucket, and hidden ones that do not."""
    place = tmp_path / "mine"
    (place / "below").mkdir(parents=True)
    (place / "a b.csv").write_text("1,2\n")
    (place / "below" / "empty").write_bytes(b"")
    (place / ".lock").write_text("")
    (place / ".a b.csv.123").write_text("half of i")
    return place


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_a_folder_comes_back_as_it_went(place: BucketFolder, folder: Path, tmp_path: Path) -> None:
    assert place.upload(folder) == ["a b.csv", "below/empty"]
    assert place.download(place.files(), tmp_path / "back") == ["a b.csv", "below/empty"]
    assert contents(tmp_path / "back") == {"a b.csv": b"1,2\n", "below/empty": b""}


def test_what_is_the_same_on_both_sides_is_not_moved(
    storage: StorageStandIn, place: BucketFolder, folder: Path, tmp_path: Path
) -> None:
    place.upload(folder)
    place.download(place.files(), tmp_path / "back")
    sent, read = len(storage.uploads("")), len(storage.said("GET /download"))
    (folder / "a b.csv").write_text("1,3\n")  # as long as before
    assert place.upload(folder) == ["a b.csv"]
    assert place.download(place.files(), tmp_path / "back") == ["a b.csv"]
    assert (len(storage.uploads("")), len(storage.said("GET /download"))) == (sent + 1, read + 1)
    assert place.upload(folder) == place.download(place.files(), tmp_path / "back") == []


def test_names_given_as_last_are_sent_last(storage: StorageStandIn, place: BucketFolder, folder: Path) -> None:
    for name in ("a", "checkpoint.pt", "result.json", "z"):
        (folder / name).write_text(name)
    sent = place.upload(folder, below="run", last=("checkpoint.pt", "result.json"))
    assert sent == ["run/a", "run/a b.csv", "run/below/empty", "run/z", "run/checkpoint.pt", "run/result.json"]


@pytest.mark.parametrize("how", [429, 503, "reset"])
def test_a_big_upload_goes_on_after_a_fault_from_where_it_stood(
    storage: StorageStandIn, place: BucketFolder, tmp_path: Path, how: int | str
) -> None:
    big = tmp_path / "big" / "file"
    big.parent.mkdir()
    big.write_bytes(os.urandom(2 * CHUNK + 12345))
    storage.fail(how, where="PUT /upload", skip=1)
    place.upload(big.parent)
    assert place.files()["file"].crc32c == checksum(big)
    moved = sum(len(request.body) for request in storage.said("PUT /upload"))
    assert moved <= big.stat().st_size + CHUNK


def test_a_download_that_breaks_off_is_made_good(
    storage: StorageStandIn, place: BucketFolder, folder: Path, tmp_path: Path
) -> None:
    place.upload(folder)
    storage.fail("reset", where="GET /download")
    storage.fail(503, where="GET /download", skip=1)
    place.download(place.files(), tmp_path / "back")
    assert contents(tmp_path / "back") == contents(folder)


def test_bytes_changed_on_the_way_are_refused_and_leave_nothing(
    storage: StorageStandIn, place: BucketFolder, folder: Path, tmp_path: Path
) -> None:
    place.upload(folder)
    headers = {"X-Goog-Hash": f"crc32c={checksum(folder / 'a b.csv')}"}
    storage.fail(200, where="GET /download", times=99, body=b"9,9\n", headers=headers)
    with pytest.raises(UserError, match=r"^gs://b/some/folder/a b\.csv: cannot be reached \(DataCorruption\)"):
        place.download(place.files(), tmp_path / "back")
    assert contents(tmp_path / "back") == {}
    assert not list((tmp_path / "back").iterdir())


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (404, "not there; check the bucket's name, or make it in the project first"),
        (403, r"refused \(Forbidden 403\); the account needs the role Storage Object Admin on the bucket"),
        (503, r"cannot be reached \(ServiceUnavailable 503\); the same command goes on"),
        ("reset", r"cannot be reached \(ConnectionError\); the same command goes on"),
    ],
)
def test_a_bucket_that_refuses_is_one_line(
    storage: StorageStandIn, place: BucketFolder, folder: Path, code: int | str, reason: str
) -> None:
    storage.fail(code, times=99)
    with pytest.raises(UserError, match=f"^gs://b/some/folder: {reason}$"):
        place.upload(folder)


def test_a_name_that_leads_out_of_the_folder_is_refused(storage: StorageStandIn, place: BucketFolder) -> None:
    listing = {"items": [{"name": "some/folder/../../elsewhere", "bucket": "b"}]}
    storage.fail(200, where="GET /storage/v1/b/b/o", body=listing)
    with pytest.raises(UserError, match=r"^gs://b/some/folder/\.\./\.\./elsewhere: leads out of the folder"):
        place.files()


@pytest.mark.parametrize("uri", ["bucket/folder", "gs://", "s3://b/c", "gs:///c"])
def test_what_is_no_address_in_a_bucket_is_refused(uri: str) -> None:
    with pytest.raises(UserError, match=r"needs the form gs://bucket/folder$"):
        BucketFolder(uri, None)


def test_a_folder_is_not_taken_for_another_whose_name_begins_so(place: BucketFolder, folder: Path) -> None:
    BucketFolder("gs://b/some/folder2", place.client).upload(folder)
    assert place.files() == {}
