"""The learning rate's course at named steps, for runs of 1, 2, 5 and 50 epochs."""

import pytest

from project.work.runner import optimizer
from project.work.runner.optimizer import schedule_factor

STEPS = 10  # steps an epoch


@pytest.mark.parametrize("epochs", [1, 2, 5, 50])
def test_multistep_is_full_then_a_tenth_from_80_then_a_hundredth_from_90_percent(epochs: int) -> None:
    total = epochs * STEPS
    course = [schedule_factor("multistep", step, total) for step in range(total)]
    assert course == [1.0] * (total * 8 // 10) + [0.1] * (total // 10) + [0.01] * (total // 10)


@pytest.mark.parametrize("steps", [1, 7, 128, 638])
def test_multistep_over_50_epochs_falls_at_epochs_40_and_45_as_the_predecessors_did(steps: int) -> None:
    firsts = {epoch: schedule_factor("multistep", epoch * steps, 50 * steps) for epoch in (0, 39, 40, 44, 45, 49)}
    assert firsts == {0: 1.0, 39: 1.0, 40: 0.1, 44: 0.1, 45: 0.01, 49: 0.01}
    lasts = {epoch: schedule_factor("multistep", epoch * steps + steps - 1, 50 * steps) for epoch in (39, 44, 49)}
    assert lasts == {39: 1.0, 44: 0.1, 49: 0.01}


@pytest.mark.parametrize("name", ["multistep", "cosine"])
def test_a_run_of_one_step_is_made_at_the_full_rate(name: str) -> None:
    assert schedule_factor(name, 0, 1) == 1.0


@pytest.mark.parametrize("epochs", [1, 2, 5, 50])
def test_onecycle_climbs_from_a_twenty_fifth_to_the_full_rate_and_falls_to_nothing(
    epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimizer, "WARM_UP", 0.2)
    total = epochs * STEPS
    at = {share: schedule_factor("onecycle", int(share * total), total) for share in (0.0, 0.1, 0.2, 0.6)}
    assert at == pytest.approx({0.0: 0.04, 0.1: 0.52, 0.2: 1.0, 0.6: 0.5})
    last = schedule_factor("onecycle", total - 1, total)
    assert 0 < last < schedule_factor("onecycle", total - 2, total) < 0.16


@pytest.mark.parametrize("epochs", [1, 2, 5, 50])
def test_cosine_is_full_at_the_start_half_in_the_middle_and_nothing_at_the_end(epochs: int) -> None:
    total = epochs * STEPS
    at = [schedule_factor("cosine", step, total) for step in (0, total // 2, total)]
    assert at == pytest.approx([1.0, 0.5, 0.0])
    assert schedule_factor("cosine", total // 5, total) == pytest.approx(0.9045085)  # (1 + cos 36 degrees) / 2


@pytest.mark.parametrize("name", sorted(optimizer.SCHEDULES))
def test_no_step_stands_still_or_exceeds_the_full_rate(name: str) -> None:
    for total in (1, 2, 3, 10, 57):
        assert all(0 < schedule_factor(name, step, total) <= 1 for step in range(total))


def test_a_warm_up_rises_in_a_line_and_the_schedule_has_the_rest() -> None:
    course = [schedule_factor("cosine", step, 20, warm_up=0.2) for step in range(20)]
    assert course[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert course[4:] == [schedule_factor("cosine", step, 16) for step in range(16)]
