"""Pictures are mirrored, shifted, turned and scaled as the docstrings say, and equally by equal generators."""

import math

import pytest
import torch
from torch import Tensor

from project.work.dataset import transforms
from project.work.dataset.transforms import AUGMENTATIONS, affine, affine_matrices


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int) -> Tensor:
    return torch.rand(count, 1, 16, 16, generator=generator(9)) * 255


def changed(name: str, images: Tensor, seed: int = 0) -> Tensor:
    """Pictures as an augmentation shows them."""
    augmentation = AUGMENTATIONS[name]
    return augmentation.change(images, augmentation.draw(len(images), generator(seed)))


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """All amounts of change at zero."""
    for name in ("ROTATION", "SCALE", "SHIFT"):
        monkeypatch.setattr(transforms, name, 0.0)
    return monkeypatch


def test_flip_mirrors_left_to_right_and_only_so() -> None:
    images = torch.tensor([[1.0, 2, 3], [4, 5, 6]]).expand(64, 1, 2, 3)
    shown = {str(image.tolist()) for image in changed("flip", images)}
    assert shown == {"[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]", "[[[3.0, 2.0, 1.0], [6.0, 5.0, 4.0]]]"}


def test_half_of_the_pictures_are_mirrored() -> None:
    images = torch.tensor([0.0, 1.0]).expand(10_000, 1, 1, 2)
    mirrored = int(changed("flip", images)[:, 0, 0, 0].sum())
    assert abs(mirrored - 5000) < 200  # four standard deviations


@pytest.mark.parametrize("name", ["affine", "flip"])
def test_a_generator_gives_the_same_changes_again(name: str) -> None:
    images = noise(8)
    assert torch.equal(changed(name, images, 1), changed(name, images, 1))
    assert not torch.equal(changed(name, images, 1), changed(name, images, 2))


@pytest.mark.parametrize("name", ["affine", "flip"])
def test_shape_and_range_of_pixels_stay(name: str) -> None:
    shown = changed(name, noise(8).expand(8, 3, 16, 16))
    assert shown.shape == (8, 3, 16, 16)
    assert 0 <= float(shown.min()) <= float(shown.max()) <= 255


def test_affine_without_amounts_only_mirrors(still: pytest.MonkeyPatch) -> None:
    images = noise(32)
    shown = changed("affine", images)
    same = [bool(torch.allclose(a, b, atol=1e-3)) for a, b in zip(shown, images, strict=True)]
    mirrored = [bool(torch.allclose(a, b, atol=1e-3)) for a, b in zip(shown, images.flip(3), strict=True)]
    assert all(one != other for one, other in zip(same, mirrored, strict=True))
    assert 4 < sum(mirrored) < 28


def test_affine_by_a_known_matrix_moves_pictures_by_whole_pixels() -> None:
    left_by_two_up_by_one = torch.tensor([[1.0, 0.0, 2 * 2 / 16], [0.0, 1.0, 2 * 1 / 16]])
    images = noise(2)
    expected = torch.zeros_like(images)
    expected[:, :, :15, :14] = images[:, :, 1:, 2:]
    assert torch.allclose(affine(images, left_by_two_up_by_one.expand(2, 2, 3)), expected, atol=1e-3)


def test_shifts_reach_their_limit_in_every_direction_and_not_beyond(still: pytest.MonkeyPatch) -> None:
    still.setattr(transforms, "SHIFT", 1 / 8)
    matrices = affine_matrices(2000, generator())
    shifts = matrices[:, :, 2]
    assert 0.24 < float(shifts.max()) <= 0.25  # an eighth of the side, which is 2 long in these coordinates
    assert -0.25 <= float(shifts.min()) < -0.24
    assert torch.equal(matrices[:, 0, 0].abs(), torch.ones(2000))
    assert torch.equal(matrices[:, 1, :2], torch.tensor([0.0, 1.0]).expand(2000, 2))


def test_turning_keeps_the_size_and_stays_within_its_angle(still: pytest.MonkeyPatch) -> None:
    still.setattr(transforms, "ROTATION", math.radians(30))
    across, along = affine_matrices(2000, generator())[:, :, :2].unbind(dim=1)
    assert torch.allclose(across.norm(dim=1), torch.ones(2000))
    assert torch.allclose((across * along).sum(dim=1), torch.zeros(2000), atol=1e-6)
    angles = torch.asin(along[:, 0].abs().clamp(max=1)).rad2deg()
    assert 29.5 < float(angles.max()) <= 30.001


def test_scaling_grows_and_shrinks_both_sides_alike(still: pytest.MonkeyPatch) -> None:
    still.setattr(transforms, "SCALE", 0.25)
    matrices = affine_matrices(2000, generator())
    sizes = matrices[:, 1, 1]
    assert torch.equal(matrices[:, 0, 0].abs(), sizes)
    assert 0.75 <= float(sizes.min()) < 0.76
    assert 1.24 < float(sizes.max()) <= 1.25
