"""Scores of single labels and the rank made of them, worked out by hand."""

import numpy as np
import pytest

from project.work.audit.find import scores

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.2, 0.5, 0.3]])
LABELS = np.array([0, 1, 2])


def test_softmax_of_logarithms_is_the_shares_whatever_is_added() -> None:
    logits = np.log(PROBABILITIES) + np.array([[1000.0], [0.0], [-1000.0]])
    np.testing.assert_allclose(scores.softmax(logits), PROBABILITIES)
    assert scores.softmax(logits.astype(np.float32)).dtype == np.float32


def test_self_confidence_is_what_the_label_is_given() -> None:
    assert scores.self_confidence(LABELS, PROBABILITIES).tolist() == [0.7, 0.3, 0.3]


def test_percentiles_share_a_place_where_values_are_equal() -> None:
    assert scores.percentiles(np.array([5.0, 1.0, 5.0, 9.0])).tolist() == [0.5, 0.125, 0.5, 0.875]
    assert scores.percentiles(np.zeros(3)).tolist() == [0.5, 0.5, 0.5]
    assert len(scores.percentiles(np.zeros(0))) == 0


def test_rows_without_a_margin_are_ranked_among_themselves_and_merged_by_percentile() -> None:
    held_out = np.array([-5.0, -2.0, 0.3, 0.4, 0.9, 0.8])
    margins = np.array([-3.0, 2.0, -1.0, 4.0, np.nan, np.nan])
    # Ranks of 4: held out 1 2 3 4, by margin 1 3 2 4, mean 1 2.5 2.5 4; the two others are alone: the lower is first.
    labels = np.zeros(6, int)
    assert scores.suspicion(held_out, margins, labels).tolist() == [0.125, 0.5, 0.5, 0.875, 0.75, 0.25]
    alone = scores.suspicion(held_out, None, labels)
    assert alone.argsort().tolist() == [0, 1, 2, 3, 5, 4]
    assert scores.suspicion(held_out, np.full(6, np.nan), labels).tolist() == alone.tolist()


def test_margins_are_set_half_right_for_their_class() -> None:
    # The classes' means are 2 and -3.
    levelled = scores.levelled(np.array([1.0, -4.0, 3.0, -2.0]), np.array([0, 2, 0, 2]))
    assert levelled.tolist() == [0.0, -2.5, 2.0, -0.5]


@pytest.mark.parametrize("rows", [2, 1000])
def test_scores_do_not_depend_on_how_many_rows_are_taken_at_once(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(scores, "ROWS", rows)
    found = scores.score(LABELS, np.log(PROBABILITIES))
    np.testing.assert_allclose(found.self_confidence, [0.7, 0.3, 0.3], rtol=1e-6)
    np.testing.assert_allclose(found.held_out_margin, np.log([0.7 / 0.2, 0.3 / 0.6, 0.3 / 0.5]), rtol=1e-6)
    assert found.suggested.tolist() == [0, 2, 1]
