"""A folder is of one study."""

from pathlib import Path

import mending
import pytest
import studies

from project.work.common import UserError


def test_a_study_is_not_mixed_with_another_of_the_same_folder(tmp_path: Path) -> None:
    first = mending.StudySettings(output=str(tmp_path / "out"), seeds=1)
    growing = ("seeds", "output")
    studies.refuse_other(first, growing)
    studies.refuse_other(mending.StudySettings(output=str(tmp_path / "out"), seeds=3), growing)
    with pytest.raises(UserError, match="give another --output"):
        studies.refuse_other(mending.StudySettings(output=str(tmp_path / "out"), noise_rate=0.4), growing)
