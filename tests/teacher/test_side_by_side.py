"""Work that is done side by side comes out as one after another, and ends together."""

import os
import signal
import threading
import time
from collections.abc import Callable

import processes
import pytest

from project.work.teacher.fold_models import Ended, each

pytestmark = pytest.mark.slow


def forever(go_on: Callable[[], None]) -> None:
    while True:
        go_on()
        time.sleep(0.001)


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_results_come_in_order_whichever_is_done_first(at_once: int) -> None:
    done = []
    found = each(lambda thing, _: time.sleep(0.02 * (3 - thing)) or -thing, range(4), at_once, lambda: done.append(1))
    assert found == [0, -1, -2, -3]
    assert len(done) == 4


def test_never_more_than_so_many_are_at_work() -> None:
    two, three = threading.Barrier(2), threading.Barrier(3)
    assert sorted(each(lambda thing, _: two.wait(10), range(4), 2)) == [0, 0, 1, 1]
    with pytest.raises(threading.BrokenBarrierError):
        each(lambda thing, _: three.wait(0.1), range(3), 2)


@pytest.mark.parametrize("at_once", [1, 2])
def test_the_first_error_ends_all_and_what_waits_never_begins(at_once: int) -> None:
    begun, ended = [], []

    def work(thing: int, go_on: Callable[[], None]) -> None:
        begun.append(thing)
        if thing == at_once - 1:
            raise ValueError("of the last that began")
        try:
            forever(go_on)
        except Ended:
            ended.append(thing)
            raise

    with pytest.raises(ValueError, match="of the last that began"):
        each(work, range(5), at_once)
    assert set(range(at_once)) <= set(begun)
    assert set(begun) - {at_once - 1} == set(ended)
    assert len(begun) < 5


def interrupted() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        each(lambda thing, go_on: forever(go_on), range(3), 2)
    except KeyboardInterrupt:
        os._exit(13 if threading.active_count() == 1 else 1)


def test_ctrl_c_ends_all_of_it() -> None:
    assert processes.finish(processes.fork(interrupted)) == 13
