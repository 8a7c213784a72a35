"""Features of a prepared data set: one row of numbers a picture, made once and read by whoever asks again.

They are in a folder beside the runs that is named by all that decides them: pictures and keys, network, weights and
sizes. Labels decide nothing, so noise and corrections leave them as they are. Pictures of another size than the
network's are resized to it on the device, smoothly (bilinear with antialiasing), as training resizes them.
"""

import hashlib
import io
import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from project.work import common, run_folder
from project.work.common import UserError, progress
from project.work.dataset import prepared_data, remote_data, storage
from project.work.dataset.base_dataset import Dataset
from project.work.dataset.pictures import Records, resized
from project.work.files import arrays, disk
from project.work.labels.naming import unpacked
from project.work.machine.distributed import RunContext
from project.work.networks import backbones, build, library, weights
from project.work.networks.backbones import Backbone
from project.work.settings import resolve
from project.work.settings.groups import Settings

FORMAT = 1  # of the folder
PARTS = ("train", "test")
FACTS = "features.json"
SET = "pictures_digest"  # in these facts, of which pictures the features are
CHUNK = 256  # pictures whose features are on the disk at once: what a kill loses
BATCHES = {"cpu": 2, "cuda": 128, "mps": 32}  # pictures at once; a CPU's cache holds few
_LARGEST_FACTS = 1 << 16


@dataclass(frozen=True)
class Features:
    """train, test: float16 (N, D) and (M, D), a row for each row of the data set's files; mapped, so that nothing is
    read before it is used. train_keys, test_keys: key ids, text (N,) and (M,). name: of all that decides them; folder:
    where they are; facts: model, weights, digest, side, width and what else features.json says."""

    train: np.ndarray
    test: np.ndarray
    train_keys: np.ndarray
    test_keys: np.ndarray
    name: str
    folder: Path
    facts: dict[str, Any]


def features(context: RunContext, dataset: Dataset, backbone: Backbone | None = None) -> Features:
    """The features of a loaded data set, made first where they are not there yet, by one process at a time.

    backbone: the network, as `needed` gives it; that of the settings is opened when it is None. Raises UserError.
    """
    settings = context.settings
    folder = place(settings)
    folder.mkdir(exist_ok=True)
    with FileLock(folder / ".lock"):
        fetched = disk.absent(folder / FACTS) and _fetched(folder, settings)
        if disk.absent(folder / FACTS):
            _make(context, dataset, backbone or backbones.open_backbone(settings), folder)
    if not fetched:
        context.send(folder)
    return read(folder)


def _fetched(folder: Path, settings: Settings) -> bool:
    """Whether the bucket of the data set had these features, which are then here. Raises UserError."""
    if settings.data_uri is None or not remote_data.fetch_features(folder, settings.data_uri, FACTS):
        return False
    try:
        if read(folder).facts.get(SET) != pictures_digest(prepared_data.find(settings.dataset)):
            raise UserError(f"{settings.data_uri}/{folder.name}: features of other pictures; delete that folder there")
    except UserError:
        (folder / FACTS).unlink(missing_ok=True)
        raise
    return True


def training_rows(context: RunContext, dataset: Dataset, backbone: Backbone) -> np.ndarray:
    """The features of the training file alone, float16 (N, D), by a network that was opened already: mapped, and made
    first where they are not there yet, by one process at a time. Raises UserError.

    They are shared with `features` where that would give the network the same pictures: of the same side, in color or
    grey, normalised as the weights want it.
    """
    settings = context.settings
    folder = place(settings, *_otherwise(settings, dataset, backbone))
    folder.mkdir(exist_ok=True)
    path, records = folder / "train.npy", dataset.train.records
    with FileLock(folder / ".lock"):
        if disk.absent(path):
            _announce(len(records.labels), dataset.train.shape, backbone, folder)
            with progress(total=len(records.labels), desc="features", unit="picture", unit_scale=True) as bar:
                _write_part(_Extractor(backbone, context.device), records, path, bar)
    context.send(folder)
    found = _mapped(path)
    if found.shape != (len(records.labels), backbone.width):
        raise UserError(f"{folder}: its features are not those of {backbone.name}; delete it, to make them again")
    return found


def _otherwise(settings: Settings, dataset: Dataset, backbone: Backbone) -> list[Any]:
    """What else decides the features of a run, beside what decides those of its settings."""
    seen = [backbone.side, list(backbone.normaliser.mean), list(backbone.normaliser.std)]
    if resolve.is_own_code(settings.model):
        return [build.origin(settings), *seen]
    config = library.configuration(settings.model)
    usual = weights.normaliser(config, 3)
    return [] if seen == [settings.image_size or config.input_size[1], list(usual.mean), list(usual.std)] else seen


def read(folder: Path) -> Features:
    """The features in a folder. Raises UserError when they are not whole."""
    facts = disk.read_json(folder / FACTS, _LARGEST_FACTS)
    parts = [_mapped(folder / f"{part}.npy") for part in PARTS]
    keys = [_mapped(folder / f"{part}_keys.npy") for part in PARTS]
    for rows, names in zip(parts, keys, strict=True):
        if rows.ndim != 2 or rows.dtype != np.float16 or names.shape != rows.shape[:1]:
            raise UserError(f"{folder}: its features and keys do not belong together; delete it, to make them again")
    texts = [np.array(each) for each in keys]
    return Features(parts[0], parts[1], texts[0], texts[1], folder.name.rpartition("-")[2], folder, facts)


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1, float32 (n, D): their products are cosines. rows: float (n, D)."""
    found = np.asarray(rows, dtype=np.float32)
    lengths = np.sqrt((found * found).sum(axis=1, keepdims=True))
    return found / np.maximum(lengths, 1e-12)


def _mapped(path: Path) -> np.ndarray:
    try:
        return arrays.read_map(path)
    except UserError as error:
        raise UserError(f"{error}; delete the folder {path.parent}, to make its features again") from error


def place(settings: Settings, *more: Any) -> Path:
    """The folder of the features that these settings ask for, made or not. Its name stands for all that decides them,
    and is known without timm, which takes seconds to import. more: what else decides them. Raises UserError."""
    digest = pictures_digest(prepared_data.find(settings.dataset))
    decided = [FORMAT, digest, settings.model, weights.origin(settings), settings.image_size, *more]
    name = hashlib.sha256(json.dumps(decided).encode()).hexdigest()[:12]
    return run_folder.output_folder(settings) / f"features-{name}"


def needed(settings: Settings) -> Backbone | None:
    """The network, where features are still to be made: what is wrong with it is then said before pictures are read.

    None where they are there. Raises UserError.
    """
    there = settings.data_uri is None and not disk.absent(place(settings) / FACTS)
    return None if there else backbones.open_backbone(settings)


def made_of(source: Path, output: Path) -> list[Path]:
    """The folders of whole features below an output folder that are of the pictures of a prepared set."""
    there = sorted(path.parent for path in output.glob(f"features-*/{FACTS}"))
    digest = pictures_digest(source) if there else ""
    return [folder for folder in there if disk.read_json(folder / FACTS, _LARGEST_FACTS).get(SET) == digest]


def pictures_digest(source: Path) -> str:
    """A short name for the pictures and keys of a data set, whatever their labels: by the checksums that preparation
    noted, or, of a set without any, by its files themselves."""
    noted: dict[str, Any] = {}
    with suppress(UserError, LookupError, TypeError, AttributeError):
        noted = dict(disk.read_json(source / storage.PROVENANCE, storage.LARGEST_FACTS)["sha256"])
    labels = {f"{part}_labels.pkl.gz" for part in PARTS}
    there = [path for path in sorted(source.iterdir()) if path.name.startswith(PARTS) and path.name not in labels]
    digest = hashlib.sha256()
    for path in there:
        digest.update(f"{path.name} {path.stat().st_size} {noted.get(path.name) or arrays.file_digest(path)}".encode())
    return digest.hexdigest()[:12]


def _make(context: RunContext, dataset: Dataset, backbone: Backbone, folder: Path) -> None:
    """Make the files of a folder; what a kill left of them is gone on with."""
    began, burnt = time.perf_counter(), time.process_time()
    source = common.input_folder(context.settings.dataset)
    records = {"train": dataset.train.records, "test": dataset.test.records}
    count = sum(len(each.labels) for each in records.values())
    _announce(count, dataset.train.shape, backbone, folder)
    with progress(total=count, desc="features", unit="picture", unit_scale=True) as bar:
        network = _Extractor(backbone, context.device)
        for part in PARTS:
            _write_part(network, records[part], folder / f"{part}.npy", bar)
    test_keys = storage.read_keys(source, "test", len(dataset.test))["key_id"].to_numpy(str)
    for part, keys in zip(PARTS, (unpacked(dataset.train_keys), test_keys), strict=True):
        with disk.replacing(folder / f"{part}_keys.npy") as file:
            np.save(file, keys.astype(str), allow_pickle=False)
    facts = {
        "dataset": context.settings.dataset,
        SET: pictures_digest(source),
        "model": backbone.name,
        "weights": backbone.source,
        "digest": backbone.digest,
        "side": backbone.side,
        "pictures": list(dataset.train.shape),
        "width": backbone.width,
        "train": len(records["train"].labels),
        "test": len(records["test"].labels),
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(time.process_time() - burnt, 1),
    }
    disk.replace_file(folder / FACTS, (json.dumps(facts, indent=2) + "\n").encode())


def _announce(count: int, shape: tuple[int, int, int], backbone: Backbone, folder: Path) -> None:
    side = f"{backbone.side} x {backbone.side}"
    how = "" if shape[1:] == (backbone.side, backbone.side) else f" (they are {shape[1]} x {shape[2]}, and are resized)"
    said = f"making features of {count:,} pictures at {side}{how} by {backbone.name}, weights of {backbone.source}"
    print(f"{said}, in {folder}", file=sys.stderr)


class _Extractor:
    """A network on a device that gives rows of features."""

    def __init__(self, backbone: Backbone, device: torch.device) -> None:
        self.device, self.side, self.width = device, backbone.side, backbone.width
        self.batch = BATCHES.get(device.type, 2)
        self.network = backbone.fused.to(device)
        self.normalise = backbone.normaliser.on(device)

    def rows(self, records: Records, start: int) -> Iterator[np.ndarray]:
        """The features of all pictures from a place on, float16 (b, width), a batch at a time, in order.

        On a CPU each thread computes batches of its own. Threads that share the small operations of one batch wait for
        each other most of the time: on a busy machine that takes four times the CPU time.
        """
        places = torch.arange(start, len(records.labels)).to(records.pictures.home).split(self.batch)
        threads = torch.get_num_threads() if self.device.type == "cpu" else 1
        waiting: deque[Future[np.ndarray]] = deque()
        with _one_thread_an_operation(threads), ThreadPoolExecutor(threads) as pool:
            for images in records.pictures.stream(places):
                waiting.append(pool.submit(self._of, images))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    @torch.inference_mode()
    def _of(self, images: Tensor) -> np.ndarray:
        """images: uint8 (b, C, H, W), of which one channel is spread to three where it is normalised."""
        pixels = self.normalise(resized(images, self.side)).contiguous(memory_format=torch.channels_last)
        found = self.network(pixels).clamp(-65504, 65504)  # the largest that float16 has
        return found.to(torch.float16).cpu().numpy()


@contextmanager
def _one_thread_an_operation(threads: int) -> Iterator[None]:
    """Where several threads compute, each operation is done by one of them; afterwards as before."""
    before = torch.get_num_threads()
    if threads > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _write_part(network: _Extractor, records: Records, path: Path, bar: Any) -> None:
    """Write the features of a part into a .npy file, which appears whole; the beginning of one is gone on with."""
    count, width = len(records.labels), network.width
    if path.exists():
        bar.update(count)
        return
    part = path.with_name(f"{path.name}.part")
    header = _header(count, width)
    done = _done(part, header, width)
    bar.update(done)
    with open(part, "r+b" if done else "wb") as file:
        if done == 0:
            file.write(header)
        file.truncate(len(header) + done * width * 2)
        file.seek(0, 2)
        waiting: list[np.ndarray] = []
        for rows in network.rows(records, done):
            waiting.append(rows)
            bar.update(len(rows))
            if sum(map(len, waiting)) >= CHUNK:
                file.write(np.concatenate(waiting).tobytes())
                file.flush()
                waiting = []
        file.write(b"".join(rows.tobytes() for rows in waiting))
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def _header(count: int, width: int) -> bytes:
    text = io.BytesIO()
    facts = {"descr": np.dtype("<f2").str, "fortran_order": False, "shape": (count, width)}
    np.lib.format.write_array_header_1_0(text, facts)
    return text.getvalue()


def _done(part: Path, header: bytes, width: int) -> int:
    """How many rows of a file that was begun are whole and stay, in steps of CHUNK."""
    try:
        with open(part, "rb") as file:
            if file.read(len(header)) != header:
                return 0
            return (part.stat().st_size - len(header)) // (2 * width) // CHUNK * CHUNK
    except FileNotFoundError:
        return 0
