"""What threads share that decode pictures together: the memory that they may take, and silence.

What decoders of pictures print by themselves is kept off the screen (`quiet`).
"""

import contextlib
import io
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import TextIO

import cv2
from PIL import Image

_BLOCK = 64 << 20  # bytes


class Allowance:
    """So much of something, which threads take parts of and give back; what is larger than all of it takes all."""

    def __init__(self, whole: int) -> None:
        self.whole = self.free = max(whole, 1)
        self.changed = threading.Condition()

    def of(self, part: int, little: int = 0) -> contextlib.AbstractContextManager[None]:
        """Wait until so much is free, and hold it; less than a little is nothing, and nobody waits for it."""
        return contextlib.nullcontext() if part < little else self._hold(min(part, self.whole))

    @contextlib.contextmanager
    def _hold(self, part: int) -> Iterator[None]:
        with self.changed:
            self.changed.wait_for(lambda: self.free >= part)
            self.free -= part
        try:
            yield
        finally:
            with self.changed:
                self.free += part
                self.changed.notify_all()


@contextlib.contextmanager
def large_blocks() -> Iterator[None]:
    """Have Pillow take memory in blocks that the system gets back; those up to 32 MB may stay with a thread for good.

    Each of many threads would keep a large picture's memory, which the others cannot use.
    """
    size = Image.core.get_block_size()
    Image.core.set_block_size(_BLOCK)
    try:
        yield
    finally:
        Image.core.set_block_size(size)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the decoders' own reports of broken files from the screen; what Python itself prints goes there as ever.

    The libraries below OpenCV and Pillow write to file number 2 whatever they are told, so that leads nowhere
    meanwhile, and Python's standard error goes on by another number. To be entered once around all threads: nothing is
    switched while they run.
    """
    level, most, log = cv2.utils.logging.getLogLevel(), Image.MAX_IMAGE_PIXELS, logging.getLogger("PIL")
    heard = log.level
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    Image.MAX_IMAGE_PIXELS = None  # --largest-picture says it
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), _silent_standard_error():
            warnings.simplefilter("ignore")
            yield
    finally:
        cv2.utils.logging.setLogLevel(level)
        Image.MAX_IMAGE_PIXELS = most
        log.setLevel(heard)


@contextlib.contextmanager
def _silent_standard_error() -> Iterator[None]:
    stream = sys.stderr
    try:
        kept = os.dup(2)
    except OSError:  # it is closed: nothing is to be seen anyway
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        if stream is not None:
            stream.flush()
            if _number(stream) == 2:
                sys.stderr = io.TextIOWrapper(
                    io.FileIO(kept, "w", closefd=False), stream.encoding, stream.errors, write_through=True
                )
        os.dup2(nowhere, 2)
        yield
    finally:
        if sys.stderr is not stream:
            sys.stderr.flush()
        sys.stderr = stream
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _number(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):  # a test's stand-in has none
        return None
