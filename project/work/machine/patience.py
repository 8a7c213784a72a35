"""Retries of requests that fail temporarily: a row for the sheet, a message, a job.

google.api_core.retry, which does this for buckets (`BucketFolder`), is not used here. It bounds the time of all
attempts, but not of one answer that arrives byte by byte. It ignores Retry-After and makes no last attempt when the
time is up. It takes no clock, which a test of fifty runs that report at once needs. And it imports requests and
google.auth, which takes 0.25 CPU-seconds and which a message in Slack does not need.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class Passing(Exception):
    """A temporary failure of a request that can be repeated. after: seconds to wait, as the server asks."""

    def __init__(self, text: str, after: float = 0.0) -> None:
        super().__init__(text)
        self.after = after


class Unknown(Passing):
    """A failure after which it is unknown whether the request was carried out: check before repeating it."""


@dataclass
class Patience:
    """Bounded attempts with exponential back-off and jitter. All times are in seconds.

    seconds: how long to retry after `start`; first, longest: the pause after the first failure, and the longest pause;
    answer: how long one request may take; spread: how far `stagger` spreads processes that start together. The last
    attempt is made when the time is up, and a request is tried once even after that.
    """

    seconds: float = 65.0
    first: float = 1.0
    longest: float = 16.0
    answer: float = 20.0
    spread: float = 3.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = field(default_factory=lambda: random.Random().random)
    _end: float = 0.0

    def start(self) -> None:
        """Count the time from now."""
        self._end = self.clock() + self.seconds

    @property
    def left(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self._end - self.clock())

    def insist(self, attempt: Callable[[], T], on: type[Passing] = Passing) -> T:
        """The result of an attempt. It is repeated while it raises exactly this kind of failure and time is left."""
        pause = self.first
        while True:
            try:
                return attempt()
            except Passing as error:
                if type(error) is not on or self.left <= error.after:
                    raise
                # Jitter: processes that failed together must not retry together.
                self.sleep(min(self.left, error.after + pause * (0.5 + self.draw())))
                pause = min(2 * pause, self.longest)

    def stagger(self) -> None:
        """Wait for a moment, which differs between processes."""
        self.sleep(self.spread * self.draw())

    def bound(self, work: Callable[[], T]) -> T:
        """Do something within the whole time plus two answers, even if an answer arrives byte by byte.

        Raises Passing when that time is over. Work that is still going on then ends with the process.
        """
        outcome: SimpleQueue = SimpleQueue()

        def keep() -> None:
            try:
                outcome.put((work(), None))
            except BaseException as error:
                outcome.put((None, error))

        threading.Thread(target=keep, daemon=True).start()
        limit = self.seconds + 2 * self.answer
        try:
            value, error = outcome.get(timeout=limit)
        except Empty:
            raise Passing(f"no whole answer in {limit:.0f} s") from None
        if error is not None:
            raise error
        return value
