"""The shipped study begins with what tells most, makes each run once and runs what this version has."""

import noise_study
import pytest

from project.work.common import UserError


def test_base_and_robust_come_first_on_all_seeds_and_alone_at_a_fifth(capsys: pytest.CaptureFixture) -> None:
    points = noise_study.stages(noise_study.StudySettings(seeds=2))
    places = [(point.method, point.rate, point.seed) for point in points]
    telling = {"base", noise_study.ROBUST}
    there = {method for method, _, _ in places}
    first = len(there & telling) * 4  # two rates, two seeds
    assert {(method, rate) for method, rate, _ in places[:first]} == {(m, r) for m in there & telling for r in (0.4, 0)}
    assert {method for method, rate, _ in places if rate == 0.2} == there & telling
    assert len(set(places)) == len(places) == len(there) * 4 + len(there & telling) * 2
    said = capsys.readouterr().err
    assert all((f"left out: {method} " in said) != (method in there) for method in noise_study.METHODS)
    assert {"base", "elr", "mixup", "label-smoothing=0"} <= there


def test_methods_can_be_chosen_and_base_stays() -> None:
    points = noise_study.stages(noise_study.StudySettings(seeds=1, method="elr"))
    assert [(point.method, point.rate) for point in points] == [
        ("base", 0.4), ("base", 0.0), ("elr", 0.4), ("base", 0.2), ("elr", 0.0),
    ]  # fmt: skip


def test_what_is_wrong_with_all_is_no_reason_to_leave_all_out() -> None:
    with pytest.raises(UserError, match="--epoch: 0 is outside"):
        noise_study.stages(noise_study.StudySettings(epoch=0))
