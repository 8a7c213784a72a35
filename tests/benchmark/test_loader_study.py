"""The study of loaders: all ways deliver the same pictures, cold files are cold, and what is absent is said to be."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import inputs
import loader_stores
import loader_study
import loader_ways as ways
import numpy as np
import page_cache
import pytest
import table
import torch
from loader_stores import Photos

from project.work.common import UserError
from project.work.picture_files import reader

SIDE, COUNT, BATCH = 48, 20, 8
PACKAGES = {"hdf5": "h5py", "hdf5_pixels": "h5py", "lmdb": "lmdb", "webdataset": "webdataset"}
ours = ways.ours(SIDE)
WAYS: dict[str, Callable[[Photos], ways.Deliver]] = {
    "packed, one thread": lambda photos: ways.packed_one_thread(photos.packed),
    "packed, threads": lambda photos: ways.packed_streamed(photos.packed),
    "packed, a prefetching thread": lambda photos: ways.prefetched(ways.packed_one_thread(photos.packed)),
    "packed, as a store": lambda photos: ways.one_by_one(loader_stores.packed_store(photos.packed), ours),
    "raw files": lambda photos: ways.one_by_one(photos.raw, ours),
    "raw files on tmpfs": lambda photos: ways.one_by_one(photos.tmpfs, ours),
    "raw files, threads": lambda photos: ways.threads(photos.raw, ours, 3),
    "raw files, processes": lambda photos: ways.workers(photos.raw, ours, 2),
    "HDF5": lambda photos: ways.one_by_one(photos.hdf5, ours),
    "HDF5, processes": lambda photos: ways.workers(photos.hdf5, ours, 2),
    "LMDB": lambda photos: ways.one_by_one(photos.lmdb, ours),
    "LMDB, processes": lambda photos: ways.workers(photos.lmdb, ours, 2),
    "webdataset": lambda photos: ways.in_order(photos.webdataset, ours),
    "webdataset, processes": lambda photos: ways.in_order(photos.webdataset, ours, 2),
    "TFRecord": lambda photos: ways.in_order(photos.tfrecord, ours),
    "pixels in HDF5": lambda photos: ways.hdf5_pixels(photos.hdf5_pixels),
    "pixels mapped": lambda photos: ways.mapped(photos.pixels),
    "pixels in memory": lambda photos: ways.resident(photos.pixels),
}
IN_ORDER = ("webdataset", "webdataset, processes", "TFRecord")  # these choose the rows
CONTENDERS = {  # ends of groups -> some of their rows, whether their packages are installed or not
    "One thread": {
        "packed",
        "raw files",
        "raw files on tmpfs",
        "HDF5",
        "LMDB",
        "webdataset",
        "TFRecord",
        "pixels mapped",
    },
    "by one thread": {"OpenCV", "Pillow"},
    "threads or processes": {"packed, threads", "raw files, processes", "LMDB, processes", "DALI"},
    "as long as one thread loads": {"packed, a prefetching thread", "pixels in memory"},
    "Reading alone": {"packed, warm", "raw files, warm, a new process"},
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    """A few, twice as wide as they are delivered, so that reduced decoding has its turn."""
    folder = tmp_path_factory.mktemp("photos")
    files = inputs.photos(folder / "files", COUNT, 2 * SIDE, 70, 87)
    for name in ("scratch", "memory"):
        (folder / name).mkdir()
    made = Photos("some", files, SIDE, folder / "scratch", folder / "memory")
    made.decode()
    return made


def delivered(way: ways.Deliver, count: int = COUNT) -> Iterator[tuple[int, torch.Tensor]]:
    """Rows and their pictures, after a check of the batches' form."""
    asked = ways.batches(COUNT, BATCH, torch.Generator().manual_seed(1), count)
    for rows, images in way(asked):
        assert images.dtype == torch.uint8
        assert images.shape == (len(rows), 3, SIDE, SIDE)
        yield from zip(rows.tolist(), images, strict=True)


def made(make: Callable[[Photos], ways.Deliver], photos: Photos) -> ways.Deliver:
    """A way, where its packages are installed."""
    try:
        return make(photos)
    except ImportError as error:
        pytest.skip(f"{error.name} is not installed")


@pytest.mark.slow
@pytest.mark.parametrize("name", WAYS)
def test_every_way_delivers_the_pictures_that_this_projects_reader_decodes(name: str, photos: Photos) -> None:
    found = list(delivered(made(WAYS[name], photos)))
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(1)).tolist()
    assert sorted(row for row, _ in found) == list(range(COUNT))
    if name == "pixels in HDF5":  # sorts the rows of each batch
        order = [row for start in range(0, COUNT, BATCH) for row in sorted(order[start : start + BATCH])]
    if name not in IN_ORDER:
        assert [row for row, _ in found] == order
    for row, image in found:
        wanted = reader.decode(photos.files[row].read_bytes(), photos.view)
        assert np.array_equal(image.permute(1, 2, 0), wanted)


@pytest.mark.parametrize("name", IN_ORDER)
def test_a_file_that_is_read_in_its_order_stops_after_the_pictures_asked_for(name: str, photos: Photos) -> None:
    rows = [row for row, _ in delivered(made(WAYS[name], photos), 11)]
    assert len(set(rows)) == len(rows) == 11


@pytest.mark.parametrize("decoder", [ways.opencv, ways.pillow, lambda side: ways.pillow(side, draft=True)])
def test_other_decoders_show_the_same_photos(decoder: Callable[[int], ways.Decode], photos: Photos) -> None:
    for path in photos.files[:5]:
        theirs = decoder(SIDE)(path.read_bytes()).astype(int)
        assert np.abs(theirs - ours(path.read_bytes())).mean() < 4  # another photo is some 40 away


@pytest.mark.slow
def test_dali_shows_the_same_photos_within_its_black_bars(photos: Photos) -> None:
    pytest.importorskip("nvidia.dali")
    for row, image in delivered(ways.dali(photos.files, SIDE, 2)):
        theirs = image.permute(1, 2, 0).cpu().numpy().astype(int)
        inside = slice(8, SIDE - 8)  # 35 of 48 rows are the photo's
        assert np.abs(theirs - ours(photos.files[row].read_bytes()))[inside].mean() < 8
        assert theirs[0].max() == 0


def test_a_record_has_tensorflows_checksums_and_a_damaged_one_is_refused(photos: Photos) -> None:
    # CRC-32C of "123456789" is 0xE3069283; turned right by 15 bits it is 0x2507C60D, and 0xA282EAD8 is added.
    assert loader_stores.checksum(b"123456789") == 0x2507C60D + 0xA282EAD8
    (path,) = photos.tfrecord.paths
    whole = path.read_bytes()
    first = photos.files[0].read_bytes()
    assert whole[:8] == struct.pack("<Q", len(first))
    assert whole[12 : 12 + len(first)] == first
    damaged = path.with_name("damaged")
    damaged.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    with pytest.raises(ValueError, match="record 0 is damaged"):
        list(loader_stores._records(damaged))


def test_a_file_just_read_is_in_the_page_cache_and_leaves_it_when_dropped(tmp_path: Path) -> None:
    path = tmp_path / "pictures"
    path.write_bytes(bytes(3_000_000))
    path.read_bytes()
    assert page_cache.share([path]) == 1
    if not page_cache.can_drop() or page_cache.file_system(path) == "tmpfs":
        pytest.skip(f"{page_cache.file_system(path)} on this system keeps its files in memory")
    assert page_cache.drop([path]) <= page_cache.KEPT
    with open(path, "rb") as file:
        file.read(1000)
    assert 0 < page_cache.share([path]) < 1  # what was read, and what the kernel reads ahead


def test_a_file_system_in_memory_drops_nothing(tmp_path: Path) -> None:
    if not page_cache.can_drop() or page_cache.file_system(loader_stores.MEMORY) != "tmpfs":
        pytest.skip("no tmpfs here")
    path = loader_stores.MEMORY / f"{tmp_path.parent.name}-{tmp_path.name}"
    try:
        path.write_bytes(bytes(100_000))
        assert page_cache.drop([path]) == 1
    finally:
        path.unlink()


@pytest.mark.slow
def test_the_study_prints_every_contender_and_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    loader_study.main(
        ["--quick", f"--csv={tmp_path / 'rows.csv'}", f"--folder={folder}", f"--fig={tmp_path / 'study.png'}"]
    )
    rows = {(row.group.split(":")[0], row.name): row for row in table.read(tmp_path / "rows.csv")}
    printed = capsys.readouterr().out
    assert list(folder.iterdir()) == []
    assert (tmp_path / "study.png").read_bytes().startswith(b"\x89PNG")
    for group, names in CONTENDERS.items():
        assert names <= {name for at, name in rows if at.endswith(group)}
    assert rows["One thread", "packed"].per_cpu > 0
    for (_, name), row in rows.items():
        assert name in printed
        assert (row.per_cpu is None) == row.note.startswith("skipped: ")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.png", b"", r"0 files end with \.jpg or \.jpeg; give 16 or more"),
        ("a.jpg", b"\x89PNG\r\n\x1a\n", r"00a\.jpg cannot be read \(it is no JPEG\)"),
        ("a.jpg", b"\xff\xd8\xff", r"00a\.jpg cannot be read"),
    ],
)
def test_photos_that_cannot_be_read_are_named_before_anything_is_measured(
    name: str, data: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own").mkdir()
    for number in range(16):
        (tmp_path / "own" / f"{number:02d}{name}").write_bytes(data)
    with pytest.raises(UserError, match=said):
        loader_study.main([f"--input={tmp_path / 'own'}", f"--folder={tmp_path}"])
    assert "a CPU-second" not in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_a_picture_that_could_not_be_written_is_refused_first(tmp_path: Path) -> None:
    for fig in (tmp_path / "absent" / "a.png", tmp_path / "a.jpeg"):
        with pytest.raises(UserError, match=r"--fig .*: name a file that ends with"):
            loader_study.main([f"--fig={fig}", f"--folder={tmp_path}"])
