"""Every network takes any small picture, gives one logit a class, and starts the same from the same seed."""

import pytest
import torch

from project.work import model


@pytest.mark.parametrize("name", sorted(model.MODELS))
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 32, 32), (3, 28, 28), (1, 8, 8), (1, 9, 33)])
def test_a_network_gives_one_logit_a_class(name: str, channels: int, height: int, width: int) -> None:
    images = torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(0))
    logits = model.make(name, 7, channels, seed=0)(images)
    assert logits.shape == (2, 7)
    assert bool(torch.isfinite(logits).all())


@pytest.mark.parametrize("name", sorted(model.MODELS))
def test_weights_are_the_seeds_and_nobody_elses_random_state_is_used(name: str) -> None:
    before = torch.get_rng_state()
    first, again, other = (model.make(name, 4, 1, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["stem.0.weight"], other["stem.0.weight"])


@pytest.mark.parametrize("name", sorted(model.MODELS))
def test_a_network_is_a_row_of_named_stages(name: str) -> None:
    stages = [stage for stage, _ in model.make(name, 4, 1, seed=0).named_children()]
    assert stages == ["stem", "layer1", "layer2", "layer3", "layer4", "head"]


def test_the_predecessors_resnet18_has_its_stem_and_its_weights() -> None:
    network = model.make("resnet18", 340, 1, seed=0)
    stem = network.stem[0]
    assert (stem.in_channels, stem.out_channels, stem.kernel_size, stem.stride) == (1, 64, (7, 7), (2, 2))
    assert isinstance(network.stem[-1], torch.nn.MaxPool2d)
    # torchvision's ResNet18 has 11,689,512: less two colours of the stem, less 660 classes of the head
    assert sum(parameter.numel() for parameter in network.parameters()) == 11_689_512 - 2 * 3136 - 660 * 513


def test_the_stem_for_small_pictures_does_not_shrink_them() -> None:
    assert model.make("resnet18-small", 4, 1, seed=0).stem(torch.zeros(2, 1, 32, 32)).shape == (2, 64, 32, 32)
