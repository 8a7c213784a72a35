"""How often and how long something that fails in passing is tried again: a row for the sheet, a message, a job.

google.api_core.retry, which does this for buckets (`BucketFolder`), is not used here. It bounds the time of attempts
but not that of one answer which drips in byte by byte; it knows no Retry-After, makes no last attempt when the time is
up, and takes no clock, by which fifty runs that report at once are tested in seconds. It also takes 0.25 CPU-seconds to
import, with requests and google.auth, which a message in Slack does not need.
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
    """A failure that may pass, of something that can be asked again. after: seconds the other side wants to be left."""

    def __init__(self, text: str, after: float = 0.0) -> None:
        super().__init__(text)
        self.after = after


class Unknown(Passing):
    """A failure that leaves open whether the request was carried out: look before asking again."""


@dataclass
class Patience:
    """Bounded attempts with exponential back-off and jitter. All times are in seconds.

    seconds: how long to go on after `start`; first, longest: the pause after the first failure and the longest one;
    answer: how long one request may take; spread: how far those that start together are spread when they must not
    collide. The last attempt is made when the time is up, and everything is tried once even after that.
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
        """Seconds that are left, not below 0."""
        return max(0.0, self._end - self.clock())

    def insist(self, attempt: Callable[[], T], on: type[Passing] = Passing) -> T:
        """What an attempt comes to; it is made again while it raises exactly that kind of failure and time lasts."""
        pause = self.first
        while True:
            try:
                return attempt()
            except Passing as error:
                if type(error) is not on or self.left <= error.after:
                    raise
                # Jitter: those that failed together must not come back together.
                self.sleep(min(self.left, error.after + pause * (0.5 + self.draw())))
                pause = min(2 * pause, self.longest)

    def stagger(self) -> None:
        """Wait a moment that differs from that of others."""
        self.sleep(self.spread * self.draw())

    def bound(self, work: Callable[[], T]) -> T:
        """Do something in at most the whole time and two answers more, even if its answer drips in byte by byte.

        Raises Passing when that time is over; what is still going on then ends with the process.
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
