"""Reads files of torch.save without torch.load, which trusts the sizes that a file claims.

Such a file is an uncompressed zip archive of a pickle and the bytes of each tensor's storage.
"""

import math
import struct
import zipfile
import zlib
from typing import Any, BinaryIO

import torch
from torch import Tensor

from project.work.files.pickles import Call, Unlike, Unpickler

MOST = 1 << 30  # bytes that a checkpoint may take in memory whatever its size on disk
BAD = (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, LookupError, NotImplementedError,
       RuntimeError, MemoryError)  # fmt: skip
_PROGRAM = 1 << 22  # bytes of the pickle, at most: twenty thousand epochs
_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def read(file: BinaryIO, most: int, device: torch.device) -> Any:
    """The content of a checkpoint of at most `most` bytes, with tensors on the device. Raises the errors in `BAD`."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise Unlike("it is compressed, which torch never does")
        if sum(member.file_size for member in members) > most:
            raise Unlike(f"it claims more than the {most:,} bytes that are read")
        program = [member for member in members if member.filename.endswith("/data.pkl")]
        if len(program) != 1 or program[0].file_size > _PROGRAM:
            raise Unlike("it is not a checkpoint")
        storages = _Storages(archive, program[0].filename.removesuffix("data.pkl"), device)
        with archive.open(program[0]) as stream:
            return Unpickler(stream, _known, _PROGRAM, _PROGRAM, storages.get).load()


class _Storages:
    """The storages of an archive, each read once."""

    def __init__(self, archive: zipfile.ZipFile, folder: str, device: torch.device) -> None:
        self.archive, self.folder, self.device = archive, folder, device
        self.known: dict[str, Tensor] = {}

    def get(self, reference: Any) -> Tensor:
        """The storage for torch's reference ("storage", kind, key, place, count), flat and on the device."""
        if not isinstance(reference, tuple) or len(reference) != 5 or not isinstance(reference[2], str):
            raise Unlike("it refers to something that is not a tensor")
        _, dtype, key, _, count = reference
        if not isinstance(dtype, torch.dtype) or type(count) is not int:
            raise Unlike("a tensor of it has no type")
        if key not in self.known:
            data = bytearray(self.archive.read(f"{self.folder}data/{key}"))
            if len(data) != count * dtype.itemsize:
                raise Unlike(f"{len(data):,} bytes are not {count:,} numbers of {dtype}")
            flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            self.known[key] = flat.to(self.device)
        if self.known[key].dtype != dtype or len(self.known[key]) != count:
            raise Unlike("tensors of it disagree on their storage")
        return self.known[key]


def _rebuilt(flat: Any, offset: Any, shape: Any, strides: Any, *more: Any) -> Tensor:
    """torch._utils._rebuild_tensor_v2, for tensors that lie within their storage."""
    if not isinstance(flat, Tensor) or not (isinstance(shape, tuple) and isinstance(strides, tuple)):
        raise Unlike("a tensor of it has no storage and shape")
    numbers = [offset, *shape, *strides]
    if len(shape) != len(strides) or any(type(each) is not int or not 0 <= each < 1 << 48 for each in numbers):
        raise Unlike("a tensor of it has no shape")
    last = offset + sum((count - 1) * stride for count, stride in zip(shape, strides, strict=True))
    if math.prod(shape) > len(flat) or (math.prod(shape) > 0 and last >= len(flat)):
        raise Unlike("a tensor of it is larger than its storage")
    return flat.as_strided(shape, strides, offset)


def _known(module: str, name: str) -> Any:
    if (module, name) == ("collections", "OrderedDict"):
        return Call(lambda: {})
    if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
        return Call(_rebuilt)
    if module == "torch" and name in _DTYPES:
        return _DTYPES[name]
    raise Unlike(f"it asks for {module[:40]}.{name[:40]}, and only tensors and plain values are read")
