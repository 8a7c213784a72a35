"""Pictures that are a map of a file stay on disk: the right ones come back, in little memory of the process's own."""

import mmap
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from project.work.dataset import pictures, storage, transforms
from project.work.dataset.base_dataset import Dataset, load
from project.work.dataset.pictures import Mapped, Resident, hold
from project.work.labels import naming

CPU = torch.device("cpu")
ROWS = 3_000_000
SIDE = 32


def mapped(folder: Path, images: np.ndarray) -> np.memmap:
    """The same pictures as a map of a file."""
    np.save(folder / "pictures.npy", images)
    return np.load(folder / "pictures.npy", mmap_mode="r")


def random_pictures(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("side", [None, 8])
@pytest.mark.parametrize("shape", [(40, 16, 16), (40, 16, 12, 3)])
def test_a_map_gives_what_memory_gives(tmp_path: Path, shape: tuple[int, ...], side: int | None) -> None:
    images = random_pictures(*shape)
    positions = list(torch.randperm(40, generator=torch.Generator().manual_seed(0)).split(8))
    resident, on_disk = hold(images, side, CPU), hold(mapped(tmp_path, images), side, CPU)
    assert (type(resident), type(on_disk)) == (Resident, Mapped)
    assert resident.shape == on_disk.shape
    for one, other in zip(resident.stream(positions), on_disk.stream(positions), strict=True):
        assert one.shape[1:] == resident.shape
        assert torch.equal(one, other)
    if side is None:
        pixels = images if images.ndim == 4 else images[..., None]
        assert np.array_equal(one.permute(0, 2, 3, 1).numpy(), pixels[positions[-1]])


def test_small_pictures_are_made_large_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, images = [], random_pictures(64, 8, 8)
    whole = hold(images, 256, CPU).pixels
    resized = pictures.resized
    monkeypatch.setattr(pictures, "CHUNK", 4 * 256 * 256)
    monkeypatch.setattr(pictures, "resized", lambda some, side: sizes.append(len(some)) or resized(some, side))
    assert torch.equal(hold(images, 256, CPU).pixels, whole)
    assert sizes == [4] * 16


def test_whoever_stops_early_leaves_no_reader_behind(tmp_path: Path) -> None:
    stream = hold(mapped(tmp_path, random_pictures(40, 8, 8)), None, CPU).stream(torch.arange(40).split(2))
    next(stream)
    stream.close()
    with pytest.raises(StopIteration):
        next(stream)


def test_a_normaliser_of_a_map_is_measured_on_an_even_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transforms, "SAMPLE", 3)
    images = np.zeros((9, 8, 8), np.uint8)
    images[[0, 4, 8]] = [[[51]], [[102]], [[153]]]
    found = transforms.measured(hold(mapped(tmp_path, images), None, CPU), torch.arange(9))
    assert found.mean == pytest.approx((0.4,))
    exact = transforms.measured(hold(images, None, CPU), torch.arange(9))
    assert exact.mean == pytest.approx((0.4 / 3,))


def test_keys_are_kept_in_a_byte_a_character_and_come_back_as_text() -> None:
    keys = naming.packed(pd.Series(["12", "3", "456"]))
    assert (keys.dtype, naming.unpacked(keys).tolist()) == (np.dtype("S3"), ["12", "3", "456"])
    assert naming.unpacked(naming.packed(pd.Series(["a", "\u00e9"]))).tolist() == ["a", "\u00e9"]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that are read, from a process that has read none."""
    folders, read = [], storage.read
    monkeypatch.setattr(storage, "read", lambda folder, largest: folders.append(folder) or read(folder, largest))
    pictures.LAST.forget()
    yield folders
    pictures.LAST.forget()


def held(dataset: Dataset) -> int:
    """The address of the training pictures."""
    return dataset.train.records.pictures.pixels.data_ptr()


def test_splits_and_runs_share_the_pictures_of_a_file(reads: list[Path], settings: Callable) -> None:
    first = load(settings(), CPU)
    second = load(settings(split_seed=1, seed=3), CPU)
    fold = second.train.subset(np.arange(5))
    assert len(reads) == 1
    assert first.train.rows.tolist() != second.train.rows.tolist()
    assert fold.records.pictures is first.valid.records.pictures
    assert held(first) == held(second)


def test_another_size_or_changed_files_are_read_again(reads: list[Path], settings: Callable, tmp_path: Path) -> None:
    copy = shutil.copytree(settings().dataset, tmp_path / "copy")
    for wanted in (settings(), settings(image_size=8), settings(dataset=str(copy)), settings(dataset=str(copy))):
        load(wanted, CPU)
    assert len(reads) == 3
    (copy / storage.PROVENANCE).write_text("{}")
    load(settings(dataset=str(copy)), CPU)
    assert len(reads) == 4


LARGE = """
import sys
from pathlib import Path
import numpy as np, pandas as pd, torch
from project.work.settings.groups import Settings
from project.work.dataset import base_dataset, storage

folder, rows = Path(sys.argv[1]), int(sys.argv[2])

def read(folder, largest):
    images = np.load(folder / "train_images.npy", mmap_mode="r")
    keys = pd.DataFrame({"key_id": np.arange(rows) + 5_000_000_000_000_000})
    train = storage.Pictures(images, np.arange(rows) % 340, keys)
    test = storage.Pictures(np.array(images[:340]), np.arange(340), keys[:340])
    return storage.Prepared(train, test, [str(name) for name in range(340)])

def own():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 2**20 for line in lines if line.startswith("RssAnon"))

storage.read, storage.fingerprint = read, lambda pictures: "large"
data = base_dataset.load(Settings(dataset=str(folder)), torch.device("cpu"))
numbers = data.train.normalise.on(torch.device("cpu"))
most, seen, batches = own(), [], data.train.batches(128, torch.Generator().manual_seed(0))
for _, batch in zip(range(100), batches):
    pixels = ((batch.images - numbers.offset) / numbers.scale).round().long()
    shown = pixels[:, 0, 0, 0] + 256 * pixels[:, 0, 0, 1] + 65536 * pixels[:, 0, 0, 2]
    assert torch.equal(shown, batch.rows)
    assert torch.equal(batch.targets.argmax(1), batch.rows % 340)
    seen.append(batch.rows)
    most = max(most, own())
batches.close()
train, valid = data.train.rows, data.valid.rows
assert torch.equal(torch.cat([train, valid]).sort().values, torch.arange(rows))
assert len(torch.cat(seen).unique()) == 12800
print(most)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see a process's own memory")
def test_three_gigabytes_are_trained_on_in_less_than_one_of_the_processs_own(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 8 * 2**30:
        pytest.skip("needs 8 GB of free disk")
    path = tmp_path / "train_images.npy"
    pool = random_pictures(20_000, SIDE, SIDE)
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (ROWS, SIDE, SIDE)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, ROWS, len(pool)):
            rows = np.arange(start, start + len(pool))
            pool[:, 0, 0], pool[:, 0, 1], pool[:, 0, 2] = rows % 256, rows // 256 % 256, rows // 65536
            file.write(pool)
    done = subprocess.run([sys.executable, "-c", LARGE, tmp_path, str(ROWS)], capture_output=True, text=True)
    path.unlink()
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1.0


@pytest.mark.skipif(not hasattr(mmap, "MADV_RANDOM"), reason="this system has no such advice")
def test_one_picture_is_not_read_with_its_neighbours(tmp_path: Path) -> None:
    stand_in = mapped(tmp_path, random_pictures(4, 8, 8))
    hold(stand_in, None, CPU)
    lines = Path("/proc/self/smaps").read_text().split("pictures.npy")[1]
    assert " rr" in next(line for line in lines.splitlines() if line.startswith("VmFlags"))
