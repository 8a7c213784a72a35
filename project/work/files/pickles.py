"""A safe unpickler for plain values: it runs no code from the file and allocates no memory on the file's word.

Python's own unpickler allocates the size that a few bytes claim before it knows whether the data is there. This one
supports the opcodes of arrays, tensors and plain values; its caller says what may be called.
"""

import codecs
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

_LARGE = 1 << 16  # bytes; longer data belongs to an array and is read into an array
_CHUNK = 1 << 22
_LINE = 1 << 26  # bytes of a line of protocol 0, at most
_DIGITS = 40
_MARK = object()


class Unlike(ValueError):
    """The pickle is not of the supported kind; the text says why."""


class TooLarge(Unlike):
    """A pickle that claims more bytes than allowed. bytes: the number it claims."""

    def __init__(self, claimed: int) -> None:
        super().__init__(f"it comes to {claimed:,} bytes")
        self.bytes = claimed


@dataclass(frozen=True)
class Call:
    """The callable for a global of a pickle. make: called with the pickle's arguments."""

    make: Callable[..., Any]


class Built(ABC):
    """An object that a Call makes and that then gets a state."""

    @abstractmethod
    def build(self, state: Any) -> None:
        """Take the state. Raises Unlike."""


class Unpickler:
    """Reads one pickle.

    known: returns the object for a global, by module and name; raises Unlike for an unknown one. most: bytes that the
    pickle may claim; steps: opcodes, at most; stored: returns the object for a persistent id.
    """

    def __init__(
        self,
        stream: Any,  # with read, readline and readinto
        known: Callable[[str, str], Any],
        most: int,
        steps: int,
        stored: Callable[[Any], Any] | None = None,
    ) -> None:
        self.stream, self.known, self.left, self.steps, self.stored = stream, known, most, steps, stored
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def load(self) -> Any:
        """The content of the pickle; long bytes become a uint8 array (n,). Raises ValueError, EOFError, OSError."""
        try:
            for _ in range(self.steps):
                code = self._take(1)
                if code == b".":
                    return self.stack.pop()
                step = _STEPS.get(code)
                if step is None:
                    raise Unlike(f"it has the opcode {code!r}, which no array has")
                step(self)
        except (IndexError, KeyError, TypeError, AttributeError, struct.error, OverflowError, MemoryError) as error:
            raise Unlike(f"its opcodes make no sense ({type(error).__name__})") from error
        raise Unlike(f"it has more than {self.steps:,} opcodes")

    def _take(self, count: int) -> bytes:
        self._claim(count)
        data = self.stream.read(count)
        if len(data) < count:
            raise EOFError("it ends too early")
        return data

    def _claim(self, count: int) -> None:
        if count > self.left or count < 0:
            raise TooLarge(count)
        self.left -= count

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _line(self) -> bytes:
        line = self.stream.readline(min(self.left, _LINE) + 1)
        if not line.endswith(b"\n"):
            raise Unlike("a line of it has no end")
        self._claim(len(line))
        return line[:-1]

    def _bytes(self, count: int) -> Any:
        """Read `count` bytes; many are read into an array, which takes no memory before they arrive."""
        if count <= _LARGE:
            return self._take(count)
        self._claim(count)
        block = np.empty(count, np.uint8)
        view, place = memoryview(block), 0
        while place < count:
            read = self.stream.readinto(view[place : place + _CHUNK])
            if not read:
                raise EOFError("it ends too early")
            place += read
        return block

    def _text(self, count: int) -> Any:
        """Read `count` bytes of UTF-8. A long text is an array's data in Latin-1 and is returned as such."""
        if count <= _LARGE:
            return self._take(count).decode("utf-8", "surrogatepass")
        self._claim(count)
        decoder, block, filled = codecs.getincrementaldecoder("utf-8")(), np.empty(count, np.uint8), 0
        while count > 0:
            data = self.stream.read(min(count, _CHUNK))
            if not data:
                raise EOFError("it ends too early")
            count -= len(data)
            numbers = np.frombuffer(decoder.decode(data, final=count == 0).encode("latin-1"), np.uint8)
            block[filled : filled + len(numbers)] = numbers
            filled += len(numbers)
        return block[:filled]

    def _push(self, value: Any) -> None:
        self.stack.append(value)

    def _several(self) -> list[Any]:
        """The items above the last mark."""
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise IndexError
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    def _tuple(self, count: int) -> None:
        if count > len(self.stack):
            raise IndexError
        values = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        self.stack.append(values)

    def _put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def _set(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or not all(type(key) in (str, int) for key in pairs[::2]):
            raise Unlike("a mapping of it has keys that are neither text nor numbers")
        target.update(zip(pairs[::2], pairs[1::2], strict=True))

    def _extend(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError
        self.stack[-1].extend(values)

    def _global(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError
        self._push(self.known(module, name))

    def _reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Call) or not isinstance(arguments, tuple):
            raise Unlike("it calls what cannot be called")
        self._push(function.make(*arguments))

    def _build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Built):
            target.build(state)
        elif not isinstance(target, dict):  # attributes that torch sets on a mapping are not needed
            raise Unlike("it changes what cannot be changed")

    def _persistent(self) -> None:
        if self.stored is None:
            raise Unlike("it refers to what is not in it")
        self._push(self.stored(self.stack.pop()))

    def _whole(self, digits: bytes) -> int | bool:
        if digits in (b"00", b"01"):
            return digits == b"01"
        digits = digits.removesuffix(b"L")
        if len(digits) > _DIGITS:
            raise Unlike("a number of it has too many digits")
        return int(digits)

    def _integer(self, count: int) -> int:
        if count > _DIGITS:
            raise Unlike("a number of it has too many digits")
        return int.from_bytes(self._take(count), "little", signed=True)


_STEPS: dict[bytes, Callable[[Unpickler], object]] = {
    b"\x80": lambda m: m._take(1),  # PROTO
    b"\x95": lambda m: m._take(8),  # FRAME: only for reading faster
    b"(": lambda m: m._push(_MARK),
    b"0": lambda m: m.stack.pop(),
    b"1": lambda m: m._several(),
    b"N": lambda m: m._push(None),
    b"\x88": lambda m: m._push(True),
    b"\x89": lambda m: m._push(False),
    b"I": lambda m: m._push(m._whole(m._line())),
    b"L": lambda m: m._push(m._whole(m._line())),
    b"J": lambda m: m._push(m._number("<i")),
    b"K": lambda m: m._push(m._number("<B")),
    b"M": lambda m: m._push(m._number("<H")),
    b"\x8a": lambda m: m._push(m._integer(m._number("<B"))),
    b"G": lambda m: m._push(m._number(">d")),
    b"F": lambda m: m._push(float(m._line()[:_DIGITS])),
    b"S": lambda m: m._push(codecs.escape_decode(m._line().strip()[1:-1])[0].decode("ascii")),
    b"T": lambda m: m._push(m._take(m._number("<i")).decode("ascii")),
    b"U": lambda m: m._push(m._take(m._number("<B")).decode("ascii")),
    b"V": lambda m: m._push(m._line().decode("raw-unicode-escape")),
    b"X": lambda m: m._push(m._text(m._number("<I"))),
    b"\x8c": lambda m: m._push(m._text(m._number("<B"))),
    b"\x8d": lambda m: m._push(m._text(m._number("<Q"))),
    b"B": lambda m: m._push(m._bytes(m._number("<I"))),
    b"C": lambda m: m._push(m._bytes(m._number("<B"))),
    b"\x8e": lambda m: m._push(m._bytes(m._number("<Q"))),
    b"\x96": lambda m: m._push(m._bytes(m._number("<Q"))),
    b")": lambda m: m._push(()),
    b"t": lambda m: m._push(tuple(m._several())),
    b"\x85": lambda m: m._tuple(1),
    b"\x86": lambda m: m._tuple(2),
    b"\x87": lambda m: m._tuple(3),
    b"]": lambda m: m._push([]),
    b"l": lambda m: m._push(m._several()),
    b"a": lambda m: m._extend([m.stack.pop()]),
    b"e": lambda m: m._extend(m._several()),
    b"}": lambda m: m._push({}),
    b"s": lambda m: m._set([*reversed([m.stack.pop(), m.stack.pop()])]),
    b"u": lambda m: m._set(m._several()),
    b"p": lambda m: m._put(m._whole(m._line())),
    b"q": lambda m: m._put(m._number("<B")),
    b"r": lambda m: m._put(m._number("<I")),
    b"\x94": lambda m: m._put(len(m.memo)),
    b"g": lambda m: m._push(m.memo[m._whole(m._line())]),
    b"h": lambda m: m._push(m.memo[m._number("<B")]),
    b"j": lambda m: m._push(m.memo[m._number("<I")]),
    b"c": lambda m: m._global(m._line().decode(), m._line().decode()),
    b"\x93": lambda m: m._global(*reversed([m.stack.pop(), m.stack.pop()])),
    b"R": lambda m: m._reduce(),
    b"b": lambda m: m._build(),
    b"Q": lambda m: m._persistent(),
}
