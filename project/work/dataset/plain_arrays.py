"""The arrays in pickles, as numpy 1 and 2 and every protocol of Python 3 write them: made here, not by the pickle."""

import math
import re
from typing import Any, BinaryIO

import numpy as np

from project.work.files.pickles import Built, Call, Machine, Unlike

_STEPS = 10_000  # an array takes sixty opcodes
_TYPE = re.compile(r"[biufcSU][1-9][0-9]{0,3}")
_NDARRAY = Call(lambda *given: _refused("it calls numpy.ndarray itself"))


def read(stream: BinaryIO, most: int) -> Any:
    """What a pickle of at most so many bytes holds. Raises Unlike, EOFError, ValueError, or what its stream does."""
    value = Machine(stream, _known, most, _STEPS).load()
    return value.array if isinstance(value, _Array) else value


class _Type(Built):
    """A dtype of numbers or text."""

    def __init__(self, name: Any, align: Any = False, copy: Any = True) -> None:
        name = name if isinstance(name, str) else ""
        if name[:1] in ("O", "V"):
            raise Unlike("it holds ndarray, but a numeric numpy array is needed")
        if not _TYPE.fullmatch(name):
            raise Unlike(f"it has the dtype {name[:20]!r}, which is not read")
        self.dtype = np.dtype(name)

    def build(self, state: Any) -> None:
        """(version, byte order, subtype, names, fields, size, alignment, flags)."""
        if not isinstance(state, tuple) or state[2:5] != (None, None, None) or state[1] not in ("<", ">", "=", "|"):
            raise Unlike("its dtype has parts")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(Built):
    """An array that is empty until its state comes."""

    def __init__(self, kind: Any, shape: Any, typecode: Any) -> None:
        if kind is not _NDARRAY:
            raise Unlike("it makes no ndarray")
        self.array = np.empty(0, np.uint8)

    def build(self, state: Any) -> None:
        """(version, shape, dtype, whether in Fortran order, numbers)."""
        _, shape, kind, fortran, numbers = state
        self.array = _shaped(numbers, kind, shape, "F" if fortran else "C")


def _shaped(numbers: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(kind, _Type) or not isinstance(shape, tuple) or order not in ("C", "F"):
        raise Unlike("its array has no dtype and shape")
    if not isinstance(numbers, (bytes, np.ndarray)) or any(type(count) is not int or count < 0 for count in shape):
        raise Unlike("its array has no numbers or no shape")
    if math.prod(shape) * kind.dtype.itemsize != len(numbers):
        raise Unlike(f"its {len(numbers):,} bytes are no {kind.dtype} {str(shape)[:80]}")
    numbers = np.frombuffer(numbers, np.uint8).copy() if isinstance(numbers, bytes) else numbers
    return numbers.view(kind.dtype).reshape(shape, order=order)


def _encoded(text: Any, encoding: Any) -> Any:
    """Protocols below 3 have no bytes and write them as a text in Latin-1."""
    if encoding not in ("latin1", "latin-1"):
        raise Unlike("its text is not in Latin-1")
    return text.encode("latin-1") if isinstance(text, str) else text


def _refused(why: str) -> Any:
    raise Unlike(why)


_PARTS = {  # every global that pickled numeric arrays refer to, and its module under numpy 1 and 2
    "_reconstruct": ("multiarray", Call(_Array)),
    "ndarray": ("numpy", _NDARRAY),
    "dtype": ("numpy", Call(_Type)),
    "_frombuffer": ("numeric", Call(lambda *given: _Framed(*given))),
    "encode": ("_codecs", Call(_encoded)),
}


class _Framed(_Array):
    """An array of protocol 5, which has its numbers at once."""

    def __init__(self, numbers: Any, kind: Any, shape: Any, order: Any, *more: Any) -> None:
        self.array = _shaped(numbers, kind, shape, order)


def _known(module: str, name: str) -> Any:
    home, part = _PARTS.get(name, ("", None))
    if part is None or module.split(".")[0] not in ("numpy", "_codecs") or module.split(".")[-1] != home:
        raise Unlike(f"it asks for {module[:40]}.{name[:40]}, and only numpy arrays are read")
    return part
