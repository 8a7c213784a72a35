"""The same work on many things, in this process or in several."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from project.work.common import UserError
from project.work.machine.launch import end_with_parent

T = TypeVar("T")
# Of glibc's mallopt: the most memory that is kept when freed, and the least that is asked for and given back by itself.
KEPT, APART = (-1, 1 << 28), (-3, 1 << 25)


def keep_memory() -> None:
    """Have this process, and those it forks, use memory again in place of giving it back and asking anew.

    A sixth of the time of preparation went into that. Where glibc is not, nothing changes.
    """
    change = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    for parameter, size in (KEPT, APART) if change is not None else ():
        change(parameter, size)


def each(work: Callable[[T], None], things: Iterable[T], processes: int) -> Iterator[T]:
    """Do the work on things; gives each when it is done. What fails ends it all.

    work, things: what can be pickled, for more than one process. Raises UserError when a process is killed.
    """
    if processes == 1:
        for thing in things:
            work(thing)
            yield thing
        return
    # A fork has what is loaded and compiled; elsewhere that is not safe.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(os.getpid(),))
    try:
        waiting = {pool.submit(work, thing): thing for thing in things}
        for future in as_completed(waiting):
            future.result()
            yield waiting[future]
    except BrokenProcessPool as error:
        raise UserError("one of the processes was killed (out of memory, perhaps); the same command goes on") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(parent: int) -> None:
    """Ctrl-C is the first process's to answer; and none stays behind when that one is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, args=(parent,), daemon=True).start()
