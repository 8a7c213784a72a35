"""The study of mending: its reviewer and what it calls recovered, by hand."""

import mending
import pandas as pd
import pytest


def test_the_reviewer_is_right_about_flagged_rows_and_sees_no_other() -> None:
    flagged = {"row": [3, 1, 2], "key_id": ["c", "a", "b"], "given_label": [5, 6, 7], "flagged": [1, 1, 0]}
    manifest = pd.DataFrame({"key_id": ["a", "b"], "true_label": [8, 9]})
    found = mending.reviewed(pd.DataFrame(flagged), manifest)
    assert found.to_dict("list") == {
        "row": [3, 1],
        "key_id": ["c", "a"],
        "given_label": [5, 6],
        "new_label": [5, 8],
    }


def test_what_is_recovered_is_a_share_of_what_was_lost() -> None:
    means = pd.Series({"clean": 0.50, "noisy": 0.44, "drop": 0.46, "relabel": 0.43})
    assert mending.shares(means).tolist() == pytest.approx([1, 0, 1 / 3, -1 / 6])
