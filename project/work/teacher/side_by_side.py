"""The same work on several things, one after another or side by side in threads of one process."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
GoOn = Callable[[], None]


class Ended(Exception):
    """Another piece of the work has failed, or Ctrl-C was pressed, so that this one is to end."""


def each(
    work: Callable[[T, GoOn], R], things: Sequence[T], at_once: int = 1, done: Callable[[], object] = lambda: None
) -> list[R]:
    """What the work gives for each thing, in their order; the first error ends all of it.

    work: called with a thing and what it must call often, which ends it when the others end. done: called after each.
    """
    if at_once == 1:
        return [_one(work, thing, done) for thing in things]
    ended = threading.Event()

    def go_on() -> None:
        if ended.is_set():
            raise Ended

    with ThreadPoolExecutor(at_once) as pool:
        pieces = [pool.submit(work, thing, go_on) for thing in things]
        try:
            for piece in as_completed(pieces):
                piece.result()
                done()
        except BaseException:  # Ctrl-C reaches this thread alone
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [piece.result() for piece in pieces]


def _one(work: Callable[[T, GoOn], R], thing: T, done: Callable[[], object]) -> R:
    result = work(thing, lambda: None)
    done()
    return result
