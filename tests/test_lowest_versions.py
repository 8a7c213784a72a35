"""What ./inv test --lowest installs is what requirements.txt admits at least."""

import pytest
from lowest_versions import ROOT, lowest


def test_each_requirement_is_held_to_its_lower_bound():
    text = "# why\ntorch>=2.9,<3   # training\ngoogle-auth[requests]>=2.40\n\n"
    assert lowest(text) == ["torch==2.9", "google-auth[requests]==2.40"]
    with pytest.raises(ValueError, match="numpy<3: no lower bound"):
        lowest("numpy<3")


def test_every_requirement_has_one():
    text = (ROOT / "requirements.txt").read_text()
    assert len(lowest(text)) == sum(">=" in line for line in text.splitlines())
