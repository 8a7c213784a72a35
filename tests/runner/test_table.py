"""What methods are called together and what they cost."""

import itertools
from collections.abc import Callable

import pytest

from project.work.runner.co_teaching_runner import CoTeachingRunner
from project.work.runner.gce_runner import GceRunner
from project.work.runner.mixup_runner import MixupRunner
from project.work.runner.nts_runner import NtsRunner
from project.work.runner.sce_runner import SceRunner
from project.work.runner.table import RUNNERS, cost, method_name, runner_class
from project.work.settings.methods import APART

PARTS = ("order", "correct_targets", "forward", "teach_targets", "loss", "penalties", "losses")


@pytest.mark.parametrize(
    ("methods", "name", "times"),
    [
        ({}, "base", 1.0),
        ({"elr": True, "gce": True}, "elr-gce", 1.0),
        ({"co_teaching": True}, "co-teaching", 2.0),
        ({"nts": True, "mixup": True}, "mixup-nts", 2.0),
        ({"sam": True}, "sam", 2.0),
        ({"sam": True, "nts": True}, "nts-sam", 4.0),
        ({"distillation": True}, "distillation", 5.0),
        ({"distillation": True, "folds": 3, "sam": True}, "distillation-sam", 4.0),  # fold models are plain
        ({"distillation": True, "oof_logits": "made elsewhere"}, "distillation", 1.0),
        ({"clean": "drop", "sam": True, "folds": 3}, "sam", 6.0),  # fold models of the same kind, for the audit
        ({"clean": "drop", "audit_file": "made elsewhere"}, "base", 1.0),
        ({"clean": "drop", "oof_logits": "made elsewhere"}, "base", 1.0),
    ],
)
def test_what_is_combined_has_a_name_and_a_cost(settings: Callable, methods: dict, name: str, times: float) -> None:
    assert method_name(settings(**methods)) == name
    assert cost(settings(**methods)) == times


def test_the_row_of_a_run_says_what_its_method_declares(make_runner: Callable) -> None:
    from project.work.runner.table import result_row

    runner = make_runner(sam=True, epoch=1)
    runner.fit()
    row = result_row(runner.settings, runner, "sam")
    assert (row["method"], row["declared_cost"], row["sam_radius"]) == ("sam", 2.0, 0.05)


def test_a_combination_takes_each_part_of_a_step_from_the_method_that_says_it(settings: Callable) -> None:
    taught = runner_class(settings(co_teaching=True, gce=True))
    assert (taught.losses, taught.loss) == (CoTeachingRunner.losses, GceRunner.loss)
    student = runner_class(settings(mixup=True, nts=True, sce=True))
    parts = (MixupRunner.forward, NtsRunner.teach_targets, SceRunner.loss)
    assert (student.forward, student.teach_targets, student.loss) == parts


def test_methods_that_say_the_same_part_of_a_step_are_refused_together() -> None:
    """Else the order of the table would decide in silence which of them is heard."""
    said = {name: {part for part in PARTS if part in vars(runner)} for name, runner in RUNNERS.items()}
    assert all(said.values()), "a method that says nothing"
    alike = [pair for pair in itertools.combinations(RUNNERS, 2) if (said[pair[0]] & said[pair[1]]) - {"penalties"}]
    assert ("gce", "sce") in alike or ("sce", "gce") in alike
    assert [pair for pair in alike if not {pair, pair[::-1]} & APART.keys()] == []


def test_two_methods_that_remember_predictions_have_a_memory_each(make_runner: Callable) -> None:
    runner = make_runner(label_posterior=True, elr=True)
    assert runner.memories.keys() == {"margins", "predictions", "elr"}
    assert runner.memories["elr"].values is not runner.memories["predictions"].values
