"""Mixed precision where it is fast and right."""

import pytest
import torch

from project.work.machine import device as precision
from project.work.machine.device import MixedPrecision


@pytest.mark.parametrize("side", [8, 16, 17, 32])
def test_a_cpu_computes_small_pictures_in_float32_unless_told_otherwise(
    side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "fast_bfloat16", lambda device: True)
    cpu = torch.device("cpu")
    assert MixedPrecision(cpu, None, side).on == (side > 16)
    assert MixedPrecision(cpu, True, side).on
    assert not MixedPrecision(cpu, False, side).on
