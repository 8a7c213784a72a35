"""Prints where encoded pictures should lie and who should decode them: files, HDF5, LMDB, webdataset, TFRecord, packed.

    .venv/bin/python benchmark/loader_study.py
    .venv/bin/python benchmark/loader_study.py --input ~/photos --fig study.png

All deliver the same: shuffled batches of uint8 (b, 3, side, side). Photos are made from a seed unless --input names
some. OpenCV and torch use one thread; what processes cost to start counts, as each epoch starts its own. Cold readings
come after the kernel was made to let go of the files; names and inodes stay cached, which flatters single files.
"""

import dataclasses
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import inputs
import loader_chart
import loader_cold
import loader_ways as ways
import measure
import table
import torch
from loader_stores import MEMORY, Photos
from measure import Contender, Options
from table import Row

from project.work.common import UserError
from project.work.machine.process import run_command, stoppable
from project.work.settings.flags import parse, setting

SUFFIXES = (".jpg", ".jpeg")
LEAST = 16  # photos
PART = 4  # an epoch's part where neither processes nor threads are started
MADE = ((512, 384, 87, 224, 1), (150, 150, 75, 128, 2))  # width, height, quality, side, times as many


@dataclass(frozen=True)
class StudyOptions(Options):
    """What to read."""

    rounds: int = setting(3, "times that each contender has its turn", within="[1, 1000]")
    pictures: int = setting(
        1000, "photos of 512x384, and twice as many of 150x150; of --input, at most so many", within="[16, 100000]"
    )
    input: str | None = setting(None, "folder of JPEGs to read in place of made ones", value="FOLDER")
    side: int = setting(224, "pixels of the side that those of --input are delivered at", within="[16, 1024]")
    batch: int = setting(64, "pictures of a batch", within="[2, inf)")
    folder: str | None = setting(None, "where the files are written, to measure its disk", value="FOLDER")
    fig: str | None = setting(None, "file to draw the picture to, beside printing the tables", value="FILE")


class Study:
    """Contenders over the same photos."""

    def __init__(self, photos: Photos, options: StudyOptions) -> None:
        self.photos, self.options = photos, options
        self.decode = ways.ours(photos.side)

    def contender(
        self,
        name: str,
        make: Callable[[], ways.Deliver],
        note: str = "",
        *,
        part: int = 1,
        batch: int = 0,
        step: float = 0,
        processes: bool = False,
    ) -> Contender:
        """An epoch to measure, or its part, 1 of so many, where its packages are installed.

        The rows are shuffled anew each time, the same for all. One batch comes first, off the clock, unless it starts
        processes. step: seconds that a device works on each batch; a pause stands for it.
        """
        try:
            way = make()
        except ImportError as error:
            return Contender(name, None, f"skipped: {error.name} is not installed")
        generator = torch.Generator().manual_seed(0)
        count, size = len(self.photos.files), batch or self.options.batch
        if not processes:
            next(way([torch.arange(min(count, size))]))

        def run() -> float:
            done = 0
            for rows, _ in way(ways.batches(count, size, generator, count // part)):
                done += len(rows)
                if step:
                    time.sleep(step)
            return done

        return Contender(name, run, note)

    def one_thread(self) -> list[Contender]:
        """Every store, read and decoded by one thread with this project's decoder; pixels that were decoded before."""
        photos, made, decode = self.photos, partial(self.contender, part=PART), self.decode
        tmpfs = "raw files on tmpfs"
        return [
            made("packed", lambda: ways.packed_one_thread(photos.packed), "this project's file"),
            made("raw files", lambda: ways.one_by_one(photos.raw, decode)),
            Contender(tmpfs, None, f"skipped: no {MEMORY} here")
            if photos.memory is None
            else made(tmpfs, lambda: ways.one_by_one(photos.tmpfs, decode)),
            made("HDF5", lambda: ways.one_by_one(photos.hdf5, decode)),
            made("LMDB", lambda: ways.one_by_one(photos.lmdb, decode)),
            # Whole epochs, as both fill their shuffle buffers before they deliver anything.
            self.contender("webdataset", lambda: ways.in_order(photos.webdataset, decode), "in its order"),
            self.contender("TFRecord", lambda: ways.in_order(photos.tfrecord, decode), "in its order"),
            made("pixels in HDF5", lambda: ways.hdf5_pixels(photos.hdf5_pixels), "decoded before"),
            made("pixels mapped", lambda: ways.mapped(photos.pixels), "decoded before; two threads"),
            made("pixels in memory", lambda: ways.resident(photos.pixels), "decoded before"),
        ]

    def decoders(self) -> list[Contender]:
        """Raw files by other decoders."""
        side = self.photos.side
        found = {
            "OpenCV, reduced where it fits": (self.decode, "this project's"),
            "OpenCV": (ways.opencv(side), ""),
            "Pillow, draft": (ways.pillow(side, draft=True), "bicubic"),
            "Pillow": (ways.pillow(side), "bicubic"),
        }
        return [
            self.contender(name, partial(ways.one_by_one, self.photos.raw, decode), note, part=PART)
            for name, (decode, note) in found.items()
        ]

    def several(self) -> list[Contender]:
        """A thread or a process a core, against one thread."""
        photos, made, decode, cores = self.photos, self.contender, self.decode, measure.cores()
        pillow = ways.pillow(photos.side)
        where = (
            "its own threads, on the GPU" if torch.cuda.is_available() else "its own threads; no GPU here: on the CPU"
        )
        apart = partial(made, processes=True)
        return [
            made("packed, threads", lambda: ways.packed_streamed(photos.packed), "this project's way"),
            made("packed, one thread", lambda: ways.packed_one_thread(photos.packed)),
            made("raw files, threads", lambda: ways.threads(photos.raw, decode, cores)),
            apart("raw files, one process", lambda: ways.workers(photos.raw, decode, 1)),
            apart("raw files, processes", lambda: ways.workers(photos.raw, decode, cores)),
            apart("HDF5, processes", lambda: ways.workers(photos.hdf5, decode, cores)),
            apart("LMDB, processes", lambda: ways.workers(photos.lmdb, decode, cores)),
            apart("webdataset, processes", lambda: ways.in_order(photos.webdataset, decode, cores), "in its order"),
            made("raw files, Pillow, one thread", lambda: ways.one_by_one(photos.raw, pillow)),
            apart("raw files, Pillow, processes", lambda: ways.workers(photos.raw, pillow, cores)),
            made("DALI", lambda: ways.dali(photos.files, photos.side, cores), f"{where}; pads with black"),
        ]

    def sizes(self) -> list[Contender]:
        """Batch sizes, and how many threads or processes."""
        made, packed, raw = partial(self.contender, part=2), self.photos.packed, self.photos.raw
        usual = made("packed, threads", lambda: ways.packed_streamed(packed), f"batches of {self.options.batch}")
        batches = [
            made(f"packed, threads, batches of {size}", lambda: ways.packed_streamed(packed), batch=size)
            for size in (16, 256)
        ]
        counts = [
            made(f"raw files, threads: {count}", partial(ways.threads, raw, self.decode, count))
            for count in sorted({1, measure.cores(), 2 * measure.cores()})
        ]
        return [usual, *batches, *counts]

    def beside(self, step: float) -> list[Contender]:
        """Loading while a device works on each batch for so many seconds."""
        made, photos = partial(self.contender, part=PART, step=step), self.photos
        return [
            made("packed, threads", lambda: ways.packed_streamed(photos.packed), "this project's way"),
            made("packed, a prefetching thread", lambda: ways.prefetched(ways.packed_one_thread(photos.packed))),
            made("packed, one thread", lambda: ways.packed_one_thread(photos.packed), "reads while the device waits"),
            made("pixels in memory", lambda: ways.resident(photos.pixels), "decoded before"),
        ]

    def seconds_a_batch(self) -> float:
        """How long one thread takes for a batch here and now."""
        alone = self.contender("", lambda: ways.packed_one_thread(self.photos.packed), part=PART)
        took = measure.cost(alone.run)
        return took.wall * self.options.batch / took.units

    def rows(self) -> list[Row]:
        """Measure and show all tables; the cold readings first, while nothing holds a file open."""
        title, found = self.photos.title, loader_cold.rows(self.photos, self.options)
        for start, contenders, clock in (
            ("One thread", self.one_thread, "cpu"),
            ("Decoders, from raw files by one thread", self.decoders, "cpu"),
            (f"{measure.cores()} threads or processes", self.several, "wall"),
            ("Batches and threads", self.sizes, "wall"),
        ):
            found += self._compare(f"{start}: {title}", contenders(), clock)
        step = self.seconds_a_batch()
        start = f"Beside a device that works {1000 * step:.0f} ms a batch, as long as one thread loads"
        return found + self._compare(f"{start}: {title}", self.beside(step), "wall")

    def _compare(self, group: str, contenders: Sequence[Contender], clock: str) -> list[Row]:
        return table.compare(group, "pictures", contenders, self.options, clock=clock, warm=False)


@contextmanager
def all_photos(options: StudyOptions) -> Iterator[list[Photos]]:
    """The sets to read, in temporary folders. Raises UserError where they cannot be."""
    with stoppable(), ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        memory = None
        if os.access(MEMORY, os.W_OK):
            memory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=MEMORY)))
        found = []
        for title, files, side in _made(options, scratch) if options.input is None else _named(options):
            folders = [None if place is None else place / str(len(found)) for place in (scratch, memory)]
            for folder in folders:
                folder.mkdir() if folder is not None else None
            found.append(Photos(f"{title} at {side} px", files, side, *folders))
        _check_room(found, scratch, memory)
        for photos in found:
            photos.decode()
        yield found


def _named(options: StudyOptions) -> Iterator[tuple[str, list[Path], int]]:
    folder = Path(options.input).expanduser()
    if not folder.is_dir():
        raise UserError(f"--input {options.input}: no folder is there")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if len(files) < LEAST:
        ends = " or ".join(SUFFIXES)
        raise UserError(f"--input {options.input}: {len(files)} files end with {ends}; give {LEAST} or more")
    some = files[:: -(-len(files) // options.pictures)]
    yield f"{len(some):,} photos of --input", some, options.side


def _made(options: StudyOptions, scratch: Path) -> Iterator[tuple[str, list[Path], int]]:
    for width, height, quality, side, times in MADE[: 1 if options.quick else None]:
        count = options.pictures * times
        folder = scratch / f"{width}x{height}"
        yield f"{count:,} photos of {width}x{height}", inputs.photos(folder, count, width, height, quality), side


def _check_room(found: Sequence[Photos], scratch: Path, memory: Path | None) -> None:
    """Say what the forms take, before any is written. Raises UserError where the disk has no room for them."""
    needed = sum(photos.cost for photos in found)
    free = shutil.disk_usage(scratch).free
    if needed > free:
        raise UserError(f"{scratch}: the study writes {needed:,} bytes, but {free:,} are free; name another --folder")
    if memory is not None and sum(photos.cost for photos in found) > shutil.disk_usage(memory).free:
        raise UserError(f"{memory}: not enough room; give fewer --pictures")
    print(
        f"Each photo in 8 forms, up to {needed / 1e9:.1f} GB below {scratch}, which is removed at the end", flush=True
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables and draw them."""
    options = parse(StudyOptions, argv, "Compare ways of keeping and reading photos.")
    loader_chart.check(options.fig)
    if options.quick:
        options = dataclasses.replace(options, pictures=24, batch=8)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with all_photos(options) as sets:
        rows = [row for photos in sets for row in Study(photos, options).rows()]
    if options.fig is not None:
        loader_chart.draw(rows, Path(options.fig))


if __name__ == "__main__":
    run_command(main)
