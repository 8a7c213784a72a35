"""Output that cannot be written: the reader has gone, the disk is full, the descriptor is closed.

Lost output does not end the work, which may have run for hours.
"""

import errno
import io
import os
import sys
from typing import TextIO


class _Lossy(io.TextIOWrapper):
    """A text stream whose writes never fail. fault: the first error that it hid."""

    fault: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._lose(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        self.fault = self.fault or error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def begin() -> None:
    """Let standard output and error drop what they cannot write. A closed one is replaced: else the next file would get
    its descriptor."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stdout, sys.stderr = _lossy(1, sys.stdout, "strict"), _lossy(2, sys.stderr, "backslashreplace")


def _lossy(descriptor: int, old: TextIO | None, errors: str) -> TextIO:
    file = io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False))
    if not isinstance(old, io.TextIOWrapper):
        return _Lossy(file, "utf-8", errors, line_buffering=descriptor == 2)
    old.flush()
    return _Lossy(file, old.encoding, old.errors, line_buffering=old.line_buffering, write_through=old.write_through)


def refuse_loss() -> None:
    """Raises OSError if standard output could not be written, unless only its reader has gone."""
    out = sys.stdout
    if not isinstance(out, _Lossy):
        return
    out.flush()
    fault, out.fault = out.fault, None
    if fault is not None and fault.errno != errno.EPIPE:
        raise OSError(fault.errno, fault.strerror, "standard output")
