"""How encoded pictures become batches: decoders, and one thread, several, several processes, or one batch ahead.

Each way takes the rows of batches and delivers, for each, its rows and its pictures: uint8 (b, 3, side, side).
"""

import io
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from loader_stores import Read, Store, Tape
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from project.work.dataset.packed import PackedPictures
from project.work.dataset.pictures import Encoded, Home, hold
from project.work.picture_files import reader
from project.work.picture_files.pixels import fit
from project.work.picture_files.view import View

Delivered = tuple[Tensor, Tensor]
Deliver = Callable[[Sequence[Tensor]], Iterator[Delivered]]
Decode = Callable[[bytes], np.ndarray]  # -> RGB uint8 (side, side, 3)
BUFFER = 1000  # pictures that are shuffled at once where a file is read in its order
CPU = torch.device("cpu")


def batches(count: int, size: int, generator: torch.Generator, most: int) -> list[Tensor]:
    """Shuffled rows, so many of them at most: int64 (b,) each."""
    return list(torch.randperm(count, generator=generator)[:most].split(size))


def ours(side: int) -> Decode:
    """This project's: OpenCV, a JPEG at half its size or less where that is large enough."""
    return partial(reader.decode, view=View(side))


def _opencv(data: bytes, side: int) -> np.ndarray:
    whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return fit(cv2.cvtColor(whole, cv2.COLOR_BGR2RGB), side, "pad")


def opencv(side: int) -> Decode:
    """OpenCV, all of the picture, then INTER_AREA."""
    return partial(_opencv, side=side)


def _pillow(data: bytes, side: int, draft: bool) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        if draft:
            image.draft("RGB", (side, side))
        whole = image.convert("RGB")
    smaller = whole.resize(_inside(whole.size, side), Image.Resampling.BICUBIC)
    return fit(np.asarray(smaller), side, "pad")


def pillow(side: int, draft: bool = False) -> Decode:
    """Pillow and its bicubic filter. draft: the JPEG at half its size or less where that is large enough."""
    return partial(_pillow, side=side, draft=draft)


def _inside(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height in proportion, the longer one `side` pixels."""
    longest = max(size)
    width, height = (max(1, round(length * side / longest)) for length in size)
    return width, height


def _batch(read: Read, decode: Decode, rows: Tensor) -> Delivered:
    return rows, _stacked([decode(read(row)) for row in rows.tolist()])


def _stacked(images: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def one_by_one(store: Store, decode: Decode) -> Deliver:
    """One thread reads, decodes and puts together."""

    def deliver(batches: Sequence[Tensor]) -> Iterator[Delivered]:
        with store.open() as read:
            for rows in batches:
                yield _batch(read, decode, rows)

    return deliver


def threads(store: Store, decode: Decode, count: int) -> Deliver:
    """As many threads, a batch each; they are a few batches ahead."""

    def deliver(batches: Sequence[Tensor]) -> Iterator[Delivered]:
        with store.open() as read, ThreadPoolExecutor(count) as pool:
            coming: deque[Future[Delivered]] = deque()
            for rows in batches:
                coming.append(pool.submit(_batch, read, decode, rows))
                if len(coming) > 2 * count:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()

    return deliver


def prefetched(way: Deliver) -> Deliver:
    """The same in a thread of its own, which is a batch ahead of whoever uses them."""

    def deliver(batches: Sequence[Tensor]) -> Iterator[Delivered]:
        with ThreadPoolExecutor(1) as thread:
            made = way(batches)
            coming = thread.submit(next, made, None)
            while (batch := coming.result()) is not None:
                coming = thread.submit(next, made, None)
                yield batch

    return deliver


class Pictures(Dataset):
    """A store for a DataLoader, opened by each process that reads it."""

    def __init__(self, store: Store, decode: Decode) -> None:
        self.store, self.decode = store, decode
        self.opened, self.read = ExitStack(), None

    def __getitems__(self, rows: list[int]) -> Delivered:
        if self.read is None:
            self.read = self.opened.enter_context(self.store.open())
        return _batch(self.read, self.decode, torch.tensor(rows))


class Shuffled(IterableDataset):
    """Batches of a file that is read in its order, through a shuffle buffer, until so many pictures are decoded."""

    def __init__(self, tape: Tape, decode: Decode, size: int, most: int) -> None:
        self.tape, self.decode, self.size, self.most = tape, decode, size, most

    def __iter__(self) -> Iterator[Delivered]:
        rows: list[int] = []
        images: list[np.ndarray] = []
        for row, data in itertools.islice(_through_buffer(self.tape.open(), random.Random(0)), self.most):
            rows.append(row)
            images.append(self.decode(data))
            if len(rows) == self.size:
                yield torch.tensor(rows), _stacked(images)
                rows, images = [], []
        if rows:
            yield torch.tensor(rows), _stacked(images)


def _through_buffer(items: Iterable[tuple[int, bytes]], chance: random.Random) -> Iterator[tuple[int, bytes]]:
    held: list[tuple[int, bytes]] = []
    for item in items:
        if len(held) < BUFFER:
            held.append(item)
            continue
        at = chance.randrange(BUFFER)
        yield held[at]
        held[at] = item
    chance.shuffle(held)
    yield from held


def _as_it_is(batch: Delivered) -> Delivered:
    return batch


def workers(store: Store, decode: Decode, count: int) -> Deliver:
    """A DataLoader with as many processes, started for each epoch."""

    def deliver(batches: Sequence[Tensor]) -> Iterator[Delivered]:
        asked = [rows.tolist() for rows in batches]
        yield from DataLoader(
            Pictures(store, decode), batch_sampler=asked, num_workers=count, collate_fn=_as_it_is
        )  # fmt: skip

    return deliver


def in_order(tape: Tape, decode: Decode, workers: int = 0) -> Deliver:
    """A file that is read in its order, in this process or in as many others, until there are as many pictures."""

    def deliver(batches: Sequence[Tensor]) -> Iterator[Delivered]:
        left = sum(map(len, batches))
        made = Shuffled(tape, decode, len(batches[0]), left)
        for rows, images in DataLoader(made, batch_size=None, num_workers=workers) if workers else made:
            yield rows[:left], images[:left]
            left -= len(rows)
            if left <= 0:
                return

    return deliver


def packed_one_thread(images: PackedPictures) -> Deliver:
    """This project's file by this project's reader, in this thread."""

    def deliver(batches: Sequence[Tensor]) -> Iterator[Delivered]:
        for rows in batches:
            batch = torch.empty(len(rows), *images.shape[1:], dtype=torch.uint8)
            images.read(rows.numpy(), batch.numpy())
            yield rows, batch.permute(0, 3, 1, 2)

    return deliver


def _streamed(open: Callable[[], Home], batches: Sequence[Tensor]) -> Iterator[Delivered]:
    yield from zip(batches, open().stream(batches), strict=True)


def packed_streamed(images: PackedPictures) -> Deliver:
    """This project's file as training streams it: a thread a core decodes, some batches ahead."""
    return partial(_streamed, lambda: Encoded(images, CPU))


def mapped(pixels: Path) -> Deliver:
    """Pixels mapped from disk, as training reads them: two threads."""
    return partial(_streamed, lambda: hold(np.load(pixels, mmap_mode="r"), None, CPU))


def resident(pixels: Path) -> Deliver:
    """Pixels held in memory, as training holds what fits."""
    held = hold(np.load(pixels), None, CPU)
    return partial(_streamed, lambda: held)


def hdf5_pixels(path: Path) -> Deliver:
    """Pixels in an HDF5 file, which reads the sorted rows of a batch at once."""
    import h5py

    def deliver(batches: Sequence[Tensor]) -> Iterator[Delivered]:
        with h5py.File(path) as file:
            for rows in batches:
                at = rows.sort().values
                yield at, torch.from_numpy(file["pixels"][at.numpy()]).permute(0, 3, 1, 2)

    return deliver


def dali(files: Sequence[Path], side: int, count: int) -> Deliver:
    """NVIDIA DALI: its own decoders and threads, on the GPU where there is one; pads with black."""
    from nvidia.dali import fn, pipeline_def, types

    gpu = torch.cuda.is_available()

    @pipeline_def(num_threads=count, device_id=0 if gpu else None)
    def pipeline(source: Iterator[list[np.ndarray]]) -> object:
        encoded = fn.external_source(source=source, dtype=types.UINT8, ndim=1)
        whole = fn.decoders.image(encoded, device="mixed" if gpu else "cpu", output_type=types.RGB)
        smaller = fn.resize(whole, size=[side, side], mode="not_larger")
        return fn.crop(smaller, crop=(side, side), out_of_bounds_policy="pad", fill_values=0.0)

    def deliver(batches: Sequence[Tensor]) -> Iterator[Delivered]:
        source = ([np.fromfile(files[row], np.uint8) for row in rows.tolist()] for rows in batches)
        made = pipeline(source, batch_size=max(map(len, batches)))
        for rows in batches:
            (images,) = made.run()
            yield rows, torch.from_dlpack(images.as_tensor()).permute(0, 3, 1, 2)

    return deliver
