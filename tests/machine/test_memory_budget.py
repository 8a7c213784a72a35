"""How many runs fit on a device, and what a sweep learns from those that did and did not."""

import pytest

from project.command.pool_worker import Outcome
from project.command.run_worker import STARVED
from project.command.sweep_pool import Capacity
from project.work.machine import memory_budget

GIB = 1 << 30


@pytest.mark.parametrize(
    ("free", "peak", "cores", "fit"),
    [
        (40 * GIB, 6 * GIB, 64, 6),  # 0.9 * 40 / 6 = 6.0
        (40 * GIB, 6 * GIB + 1, 64, 5),
        (40 * GIB, 6 * GIB, 4, 4),
        (6 * GIB, 6 * GIB, 64, 1),
        (1 * GIB, 6 * GIB, 64, 1),
        (0, 0, 64, 1),
        (40 * GIB, 0, 64, 1),
    ],
    ids=["memory", "a byte too many", "cores", "hardly one", "not even one", "a processor", "nothing was measured"],
)
def test_as_many_fit_as_memory_and_cores_hold(free: int, peak: int, cores: int, fit: int) -> None:
    assert memory_budget.how_many_fit(free, peak, cores) == fit


def test_a_process_without_a_gpu_takes_nothing_of_one() -> None:
    memory_budget.begin()
    assert memory_budget.usage() == memory_budget.Usage(0, 0)


def test_one_run_goes_first_and_the_first_that_succeeds_decides_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_budget, "cores", lambda: 8)
    there = Capacity(None)
    assert there.at_once == 1
    assert not there.learn(Outcome(2, GIB, 40 * GIB), 0)
    assert there.at_once == 1  # one that failed may have taken little
    assert not there.learn(Outcome(0, 10 * GIB, 40 * GIB), 0)
    assert there.at_once == 3
    assert not there.learn(Outcome(0, GIB, 40 * GIB), 2)
    assert there.at_once == 3


def test_runs_that_starve_beside_others_are_tried_again_beside_fewer_and_fail_alone() -> None:
    there = Capacity(None, at_once=4, known=True)
    assert [there.learn(Outcome(STARVED), beside) for beside in (3, 2)] == [True, True]
    assert there.at_once == 2
    assert there.learn(Outcome(STARVED), 1)
    assert there.at_once == 1
    assert not there.learn(Outcome(STARVED), 0)


def test_a_number_that_was_given_stands() -> None:
    there = Capacity(4)
    assert not there.learn(Outcome(0, 10 * GIB, 40 * GIB), 3)
    assert not there.learn(Outcome(STARVED), 3)
    assert there.at_once == 4
    assert Capacity(None).at_once == 1
