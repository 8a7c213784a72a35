"""How well a score finds wrong labels, by hand."""

import numpy as np
import pytest

from project.work.audit.find.detection_metrics import flag_metrics, ranking_metrics

WRONG = np.array([True, False, True, False, False])


def test_figures_by_hand() -> None:
    found = ranking_metrics(WRONG, np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    # Pairs of a wrong and a right row: 5 of 6 in order. Precision at the two wrong ones: 1/1 and 2/3.
    assert found == pytest.approx({"auroc": 5 / 6, "average_precision": 5 / 6, "precision_true_count": 0.5})


def test_rows_without_a_score_are_left_out() -> None:
    assert ranking_metrics(WRONG, np.array([0.1, np.nan, 0.3, 0.4, 0.5]))["auroc"] == 1


def test_there_is_nothing_to_say_where_all_or_none_are_wrong() -> None:
    assert set(ranking_metrics(np.zeros(3, bool), np.arange(3.0)).values()) == {None}
    assert set(ranking_metrics(np.ones(3, bool), np.arange(3.0)).values()) == {None}
    assert flag_metrics(np.zeros(3, bool), np.zeros(3, bool)) == {"precision_flagged": None, "recall_flagged": None}


def test_flags_by_hand() -> None:
    flags = np.array([True, True, True, False, False])
    assert flag_metrics(WRONG, flags) == {"precision_flagged": 2 / 3, "recall_flagged": 1.0}
