"""Other libraries that load small images: shuffled, each flipped with probability one half, normalised.

A factory imports its library, writes the images in its format into a scratch folder, and returns a function that
makes one epoch of float batches of 128.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import predecessor_training
import torch
from measure import cores
from predecessor_training import MEAN, STD
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

BATCH = 128
Epoch = Callable[[], Iterator[Any]]


class Items(Dataset):
    """Images one by one."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, change: Callable[[np.ndarray], Any]) -> None:
        self.images, self.labels, self.change = images, labels, change

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Any, int]:
        return self.change(self.images[row]), int(self.labels[row])


class Rows(Items):
    """The same, a batch's rows at once."""

    def __getitems__(self, rows: list[int]) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.images[rows]), torch.from_numpy(self.labels[rows])


def normalised(pixels: Tensor) -> Tensor:
    """uint8 (B, H, W) -> float (B, 1, H, W), flipped and normalised as a batch."""
    flipped = torch.where(torch.rand(len(pixels), 1, 1) < 0.5, pixels.flip(2), pixels)
    return flipped[:, None].float().sub_(MEAN * 255).div_(STD * 255)


def predecessor(images: np.ndarray, labels: np.ndarray, faithful: bool, workers: int) -> Epoch:
    """The predecessor's loader."""
    predecessor_training.pipeline(train=True)
    made = predecessor_training.loader(images, labels, BATCH, train=True, faithful=faithful, workers=workers)
    return lambda: iter(made)


def torchvision(images: np.ndarray, labels: np.ndarray, workers: int) -> Epoch:
    """A DataLoader with torchvision's v2 transforms for each picture."""
    from torchvision.transforms import v2

    steps = [v2.RandomHorizontalFlip(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([MEAN], [STD])]
    change = v2.Compose(steps)
    items = Items(images, labels, lambda image: change(torch.from_numpy(image)[None]))
    return lambda: iter(DataLoader(items, BATCH, shuffle=True, num_workers=workers))


def collated(images: np.ndarray, labels: np.ndarray, workers: int) -> Epoch:
    """A DataLoader that cuts uint8 batches, normalised together by v2; flipped by hand, as v2 flips all or none."""
    from torchvision.transforms import v2

    change = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize([MEAN], [STD], inplace=True)])

    def collate(batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        pixels, targets = batch
        pixels = torch.where(torch.rand(len(pixels), 1, 1) < 0.5, pixels.flip(2), pixels)
        return change(pixels[:, None]), targets

    rows = Rows(images, labels, lambda image: image)
    return lambda: iter(DataLoader(rows, BATCH, shuffle=True, num_workers=workers, collate_fn=collate))


def timm(images: np.ndarray, labels: np.ndarray, workers: int) -> Epoch:
    """timm's fast loader: numpy items, fast_collate, PrefetchLoader normalises batches."""
    from timm.data.loader import PrefetchLoader, fast_collate

    def change(image: np.ndarray) -> np.ndarray:
        return (np.ascontiguousarray(image[:, ::-1]) if random.random() < 0.5 else image)[None]

    items, device = Items(images, labels, change), torch.device("cpu")
    loader = DataLoader(items, BATCH, shuffle=True, num_workers=workers, collate_fn=fast_collate)
    made = PrefetchLoader(loader, mean=(MEAN,), std=(STD,), channels=1, device=device)
    return lambda: iter(made)


def h5py(images: np.ndarray, labels: np.ndarray, scratch: Path) -> Epoch:
    """An HDF5 file in one piece; the sorted rows of each batch read at once."""
    import h5py

    path = scratch / "pictures.h5"
    with h5py.File(path, "w") as file:
        file["images"], file["labels"] = images, labels

    def epoch() -> Iterator[tuple[Tensor, Tensor]]:
        with h5py.File(path) as file:
            for rows in torch.randperm(len(images)).split(BATCH):
                at = rows.sort().values.numpy()
                yield normalised(torch.from_numpy(file["images"][at])), torch.from_numpy(file["labels"][at])

    return epoch


def lmdb(images: np.ndarray, labels: np.ndarray, scratch: Path) -> Epoch:
    """An LMDB of raw pixels, mapped into memory; a get a picture."""
    import lmdb

    path = str(scratch / "pictures.lmdb")
    with lmdb.open(path, map_size=images.nbytes * 8 + (1 << 24)) as store, store.begin(write=True) as writer:
        for row, image in enumerate(images):
            writer.put(b"%08d" % row, image.tobytes())

    def epoch() -> Iterator[tuple[Tensor, Tensor]]:
        with lmdb.open(path, readonly=True, lock=False) as store, store.begin(buffers=True) as reader:
            for rows in torch.randperm(len(images)).split(BATCH):
                pixels = b"".join([reader.get(b"%08d" % row) for row in rows.tolist()])
                batch = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(len(rows), *images.shape[1:])
                yield normalised(batch), torch.from_numpy(labels[rows.numpy()])

    return epoch


def webdataset(images: np.ndarray, labels: np.ndarray, scratch: Path) -> Epoch:
    """A tar of raw pixels read in order through a shuffle buffer of 5,000."""
    import webdataset as wds

    path = scratch / "pictures.tar"
    with wds.TarWriter(str(path)) as writer:
        for row, (image, label) in enumerate(zip(images, labels, strict=True)):
            writer.write({"__key__": f"{row:08d}", "bin": image.tobytes(), "cls": int(label)})

    def collate(samples: list[tuple[bytes, bytes]]) -> tuple[Tensor, Tensor]:
        pixels = torch.frombuffer(bytearray(b"".join(data for data, _ in samples)), dtype=torch.uint8)
        batch = pixels.view(len(samples), *images.shape[1:])
        return normalised(batch), torch.tensor([int(label) for _, label in samples])

    made = wds.WebDataset(str(path), shardshuffle=False, empty_check=False).shuffle(5000).to_tuple("bin", "cls")
    return lambda: iter(made.batched(BATCH, collation_fn=collate))


def every(images: np.ndarray, labels: np.ndarray, scratch: Path) -> dict[str, Callable[[], Epoch]]:
    """All factories by name; those that support workers once without and once with a worker a core."""
    data = (images, labels)
    found: dict[str, Callable[[], Epoch]] = {}
    for workers, how in ((0, "no worker"), (cores(), "a worker a core")):
        found |= {
            f"torchvision v2 a batch, {how}": lambda w=workers: collated(*data, w),
            f"timm fast loader, {how}": lambda w=workers: timm(*data, w),
            f"torchvision v2 a picture, {how}": lambda w=workers: torchvision(*data, w),
            f"predecessor, pipeline made once, {how}": lambda w=workers: predecessor(*data, False, w),
            f"predecessor as it was, {how}": lambda w=workers: predecessor(*data, True, w),
        }
    return found | {
        "HDF5, a batch": lambda: h5py(*data, scratch),
        "LMDB, a picture": lambda: lmdb(*data, scratch),
        "webdataset, in order": lambda: webdataset(*data, scratch),
    }
