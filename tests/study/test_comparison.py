"""What a comparison says, on numbers made by hand."""

import pytest

from project.work.study import comparison_words as words
from project.work.study.comparison import Comparison, Gain, Measured, Planned, Spread, spread


def compared(
    table: dict[tuple[str, float], list[float | None]], *, valid: dict[str, float] | None = None, **more: object
) -> Comparison:
    """A comparison whose test accuracies are given by seed, None for a missing run; elr takes 1.1 times as long."""
    plan, measured = [], {}
    for (method, rate), accuracies in table.items():
        for seed, test in enumerate(accuracies):
            uuid = f"{method}-{rate}-{seed}"
            plan.append(Planned(method, rate, seed, uuid, **more))
            if test is not None:
                validated = (valid or {}).get(method, test)
                measured[uuid] = Measured(validated, test, test - 0.02, 110 if method == "elr" else 100, rate * 0.99)
    return Comparison(plan, measured)


def test_mean_and_deviation_are_over_seeds() -> None:
    cell = compared({("base", 0.4): [0.40, 0.44, 0.48]}).cell("base", 0.4)
    assert (cell.test.mean, cell.test.std, cell.test.count) == pytest.approx((44, 4, 3))  # sqrt((16 + 16) / 2)
    assert (cell.last.mean, cell.seconds.mean, cell.actual_rate) == pytest.approx((42, 100, 0.396))


def test_a_gain_is_paired_by_seed_over_those_that_both_have() -> None:
    both = compared({("base", 0.4): [0.40, 0.50, None], ("elr", 0.4): [0.48, 0.60, 0.90]})
    gain = both.gain("elr", 0.4)
    assert (gain.points.mean, gain.points.std, gain.points.count) == pytest.approx((9, 2**0.5, 2))  # 8 and 10
    assert gain.time == pytest.approx(1.1)
    assert both.gain("base", 0.4) is None
    assert compared({("base", 0.4): [None, 0.4], ("elr", 0.4): [0.5, None]}).gain("elr", 0.4) is None


def test_the_interval_is_students() -> None:
    # Three values, two degrees of freedom: t = 4.303; 4.303 x 1 / sqrt(3) = 2.484
    assert spread([1.0, 2.0, 3.0]).margin == pytest.approx(2.484, abs=1e-3)
    assert spread([1.0]).margin is None


@pytest.mark.parametrize(
    ("gain", "rate", "said"),
    [
        (Gain(Spread(9.2, 0.8, 3), 1.1), 0.4, "At 40% noise, elr gains 9.2 +- 0.8 points over base for 1.1x the time."),
        (Gain(Spread(-4.0, 0.5, 3), 1.0), 0.2,
         "At 20% noise, elr loses 4.0 +- 0.5 points against base for 1.0x the time."),
        (Gain(Spread(-1.2, 0.1, 3), 2.0), 0.0,
         "Without added noise, elr loses 1.2 +- 0.1 points against base for 2.0x the time."),
        (
            Gain(Spread(1.9, 0.8, 3), 1.0), 0.4,  # the interval reaches to 1.9 - 1.99
            "At 40% noise, elr is not shown to help: +1.9 +- 0.8 points over 3 seeds, for 1.0x the time.",
        ),
        (
            Gain(Spread(-0.04, 0.3, 3), 1.0), 0.0,
            "Without added noise, elr is not shown to help or harm: +0.0 +- 0.3 points over 3 seeds,"
            " for 1.0x the time.",
        ),
        (
            Gain(Spread(5.0, None, 1), 1.0), 0.4,
            "At 40% noise, elr gains 5.0 points over base for 1.0x the time: one seed only, which may be chance.",
        ),
    ],
)  # fmt: skip
def test_the_verdict_in_plain_words(gain: Gain, rate: float, said: str) -> None:
    assert words.sentence("elr", rate, gain) == said


def test_time_that_is_spent_before_the_epochs_is_named() -> None:
    said = words.sentence("distillation", 0.4, Gain(Spread(5.0, 0.1, 3), 1.0), declared=5.0)
    assert said.endswith("for 1.0x the time of its epochs (5x in all, as it declares).")
    assert "declares" not in words.sentence("co-teaching", 0.4, Gain(Spread(5.0, 0.1, 3), 1.9), declared=2.0)


def test_the_best_is_chosen_by_validation_even_where_test_says_otherwise() -> None:
    table = {("base", 0.4): [0.4, 0.4], ("elr", 0.4): [0.5, 0.5], ("mixup", 0.4): [0.6, 0.6]}
    both = compared(table, valid={"elr": 0.7})
    assert both.best(0.4) == "elr"
    (_, heading, _), *_ = words.verdict(both)
    assert heading == (
        "At 40% noise: base reaches 40.0 +- 0.0% on the test split;"
        " the best by validation is elr, 50.0 +- 0.0% on test."
    )


def test_a_method_that_has_fewer_seeds_or_mends_validation_labels_is_not_chosen() -> None:
    assert compared({("base", 0.4): [0.4, 0.4], ("elr", 0.4): [0.9, None]}).best(0.4) == "base"
    plan = [Planned("base", 0.4, 0, "b"), Planned("corrections=c.csv", 0.4, 0, "c", same_labels=False)]
    measured = {"b": Measured(0.4, 0.4, 0.4, 1, 0.4), "c": Measured(0.9, 0.5, 0.5, 1, 0.4)}
    assert Comparison(plan, measured).best(0.4) == "base"


def test_methods_stand_by_accuracy_at_the_highest_rate() -> None:
    table = {("base", 0.0): [0.7], ("base", 0.4): [0.4], ("gce", 0.0): [0.9], ("gce", 0.4): [0.3], ("elr", 0.4): [0.5]}
    assert compared(table).ordered() == ["elr", "base", "gce"]


def test_what_is_missing_is_listed_and_counted() -> None:
    table = {("base", 0.0): [0.7, 0.7, 0.7], ("elr", 0.0): [0.7, None, 0.7], ("elr", 0.4): [None, None, None]}
    both = compared(table)
    assert words.missing(both) == ["elr at noise none: seed 1", "elr at noise 40%: seeds 0, 1, 2"]
    assert [(row[0], row[3]) for row in words.lines(both)] == [("base", "3"), ("elr", "2 of 3")]


def test_two_methods_may_share_a_run() -> None:
    plan = [Planned("base", 0.0, 0, "u"), Planned("recipe=default", 0.0, 0, "u")]
    both = Comparison(plan, {"u": Measured(0.5, 0.5, 0.5, 10, 0.0)})
    assert both.gain("recipe=default", 0.0).points.mean == 0
    assert both.missing == []


def test_the_table_as_markdown() -> None:
    both = compared({("base", 0.4): [0.40, 0.44], ("elr", 0.4): [0.50, 0.54]}, cost=1.0)
    assert words.markdown(both).splitlines() == [
        "| method | noise | actual | seeds | valid | test | last epoch | gain | seconds | time | declared |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| elr | 40% | 39.6% | 2 | 52.0 +- 2.8 | 52.0 +- 2.8 | 50.0 +- 2.8 | +10.0 +- 0.0 | 110 | 1.1x | 1x |",
        "| base | 40% | 39.6% | 2 | 42.0 +- 2.8 | 42.0 +- 2.8 | 40.0 +- 2.8 |  | 100 |  | 1x |",
    ]
