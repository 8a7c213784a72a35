"""Copies and blank pictures are found byte for byte, in memory and in a map."""

from pathlib import Path

import numpy as np
import pytest
import torch

from project.work.audit.find import copies
from project.work.dataset import pictures


@pytest.fixture
def images() -> np.ndarray:
    drawn = np.random.default_rng(0).integers(0, 256, (8, 5, 5), dtype=np.uint8)
    drawn[6] = drawn[4] = drawn[1]
    drawn[2], drawn[7] = 255, 0
    drawn[3] = drawn[1].T
    return drawn


@pytest.mark.parametrize("chunk", [30, 1 << 20])
@pytest.mark.parametrize("mapped", [False, True])
def test_copies_name_the_first_and_blank_is_one_colour(
    images: np.ndarray, mapped: bool, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "CHUNK", chunk)
    np.save(tmp_path / "images.npy", images)
    held = np.load(tmp_path / "images.npy", mmap_mode="r") if mapped else images
    found = copies.find(pictures.hold(held, None, torch.device("cpu")))
    assert found.first.tolist() == [-1, -1, -1, -1, 1, -1, 1, -1]
    assert np.flatnonzero(found.blank).tolist() == [2, 7]


def test_a_blank_picture_in_colour_has_one_colour_and_not_one_number() -> None:
    drawn = np.zeros((2, 4, 4, 3), np.uint8)
    drawn[0] = (10, 20, 30)
    drawn[1, 0, 0] = (1, 0, 0)
    found = copies.find(pictures.hold(drawn, None, torch.device("cpu")))
    assert found.blank.tolist() == [True, False]
