"""The README's four commands are those that are measured, and a reviewer who takes every suggestion is one."""

import re
from pathlib import Path

import own_pictures
import pandas as pd
import pytest

from project.work.common import ROOT

pytestmark = pytest.mark.slow


def test_what_is_measured_is_what_the_readme_shows(tmp_path: Path) -> None:
    shown = re.search(r"in four commands.*?```\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    measured = [words[0] for words in own_pictures.commands("photos", 1, tmp_path)]
    assert measured == re.findall(r"^\./inv (\S+)", shown, re.MULTILINE)


def test_every_flagged_row_gets_its_suggestion_and_no_other_row_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "output" / "audit-1"
    folder.mkdir(parents=True)
    rows = {"key_id": ["a", "b", "c"], "given_label": [0, 1, 2], "suggested_label": [1, 2, 0], "flagged": [1, 0, 1]}
    pd.DataFrame(rows).to_csv(folder / "audit.csv", index=False)
    assert own_pictures.accept_suggestions(tmp_path) == 2
    assert pd.read_csv(tmp_path / "corrections.csv").to_dict("list") == {
        "key_id": ["a", "c"],
        "given_label": [0, 2],
        "new_label": [1, 0],
    }
