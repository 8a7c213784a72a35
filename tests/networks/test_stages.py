"""A network of timm in stages gives what timm's own gives, to the bit, for families of every kind."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from project.work import model
from project.work.common import UserError
from project.work.networks import build, library, stages
from project.work.runner.mixup_runner import mix_places, mixed_forward
from project.work.runner.optimizer import inner_kernels

pytestmark = pytest.mark.slow  # timm takes seconds to import

SIDE = 64
# Families, made small where timm has no small one; the blocks in each stage of the body, and 0 where it is one stage.
FAMILIES: dict[str, tuple[dict[str, Any], list[int]]] = {
    "resnet18": ({"channels": (8, 8, 16, 16)}, [1, 1, 1, 1]),
    "tf_efficientnet_lite0": ({}, [1, 1, 1, 1, 1, 1, 3]),
    "test_efficientnet": ({}, [1, 1, 1, 1, 3]),
    "mobilenetv3_small_050": ({}, [1, 1, 1, 1, 1, 1]),
    "convnext_atto": ({"dims": (8, 16, 24, 32), "depths": (1, 1, 2, 1)}, [1, 1, 1, 2]),
    "densenet121": ({"growth_rate": 8, "block_config": (2, 2, 2, 2)}, [2, 2, 2, 2]),
    "regnety_002": ({}, [1, 1, 1, 2]),
    "deit_tiny_patch16_224": ({"img_size": SIDE, "embed_dim": 48}, [3, 3, 3, 4]),
    "beit_base_patch16_224": ({"img_size": SIDE, "embed_dim": 48, "num_heads": 3, "depth": 4}, [1, 1, 1, 2]),
    "swin_tiny_patch4_window7_224": (
        {"img_size": SIDE, "embed_dim": 16, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 2, 2)}, [1, 1, 1, 2],
    ),
    "xcit_nano_12_p16_224": ({"embed_dim": 32, "depth": 2, "num_heads": 2}, []),
    "cait_xxs24_224": ({"img_size": SIDE, "embed_dim": 48, "depth": 2, "num_heads": 4}, []),
}  # fmt: skip


def images(count: int = 2, channels: int = 3, side: int = SIDE) -> Tensor:
    """Some pictures."""
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_stages_of_a_family_give_its_logits_and_gradients_to_the_bit(name: str) -> None:
    options, expected = FAMILIES[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = library.timm().create_model(name, num_classes=3, **options)
        where = stages.tried(network, images())
        assert where is not None
        for parameter in network.parameters():
            nn.init.normal_(parameter, 0.05, 0.05)
        made = stages.cut(network, where)
        found = []
        for each in (network, made):
            torch.manual_seed(3)  # Swin leaves out blocks at random
            logits = each.train()(images())
            logits.square().sum().backward()
            found.append((logits, {id(weights): weights.grad for weights in network.parameters()}))
            network.zero_grad()
    (plain, gradients), (logits, others) = found
    assert torch.equal(plain, logits)
    assert where.draws == name.startswith("swin")
    for each in map(id, made.parameters()):
        assert (gradients[each] is None) == (others[each] is None)
        assert gradients[each] is None or torch.equal(gradients[each], others[each])
    assert [len(stage) for stage in where.body or ()] == expected
    names = [stage for stage, _ in made.named_children()]
    assert names == ["stem", *(f"layer{place + 1}" for place in range(len(expected) or 1)), "head"]
    groups = [parameter for group in model.blocks(made) for parameter in group]
    assert len(groups) == len(set(groups)) == len(list(made.parameters()))
    assert model.final_layer(made).out_features == 3


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_weights_are_the_seeds_and_nobody_elses_random_state_is_used(name: str) -> None:
    before = torch.get_rng_state()
    first, again, other = (model.make(name, 4, 1, seed, (32, 32)).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "resnet10t"])
def test_any_channels_and_size(name: str, channels: int) -> None:
    network = model.make(name, 5, channels, 0, (48, 48))
    assert network(images(2, channels, 48)).shape == (2, 5)


def test_muon_takes_the_inner_kernels_of_a_cnn_and_the_matrices_of_a_transformers_blocks() -> None:
    vit, cnn = (model.make(name, 4, 3, 0, (32, 32)) for name in ("test_vit", "test_efficientnet"))
    assert {tuple(kernel.shape) for kernel in inner_kernels(vit)} == {(192, 64), (64, 64), (192, 64), (64, 192)}
    assert len(inner_kernels(vit)) == 4 * 6  # qkv, proj, fc1 and fc2 of six blocks
    chosen = {id(kernel) for kernel in inner_kernels(cnn)}
    wanted = [module.weight for module in cnn.modules() if isinstance(module, nn.Conv2d) and module.groups == 1][1:]
    assert chosen == {id(weight) for weight in wanted}
    assert len(chosen) > 8


def test_manifold_mixup_finds_its_places_and_mixing_nothing_changes_nothing() -> None:
    for name, places in (("test_vit", ["input", "layer1", "layer2"]), ("xcit_nano_12_p16_224", ["input", "layer1"])):
        network = model.make(name, 4, 3, 0, (32, 32)).eval()
        assert mix_places(network) == places
        with torch.inference_mode():
            for place in places:
                found = mixed_forward(network, images(3, 3, 32), torch.tensor([1, 2, 0]), 1.0, place)
                assert torch.allclose(found, network(images(3, 3, 32)), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("resnt18", None, r"timm has no such network; the nearest are resnet18, \w+, \w+$"),
        ("resnet18.a9_in1k", None, r"its weights are called .*a1_in1k"),
        ("test_vit", (50, 50), r"16 x 16 pixels, do not divide pictures of 50 x 50; give --image-size 48 or 64$"),
        ("test_vit", (8, 8), r"do not divide pictures of 8 x 8; give --image-size 16$"),
        ("inception_v3", (64, 64), r"cannot take pictures of 64 x 64 \(.*\); choose another --image-size$"),
        ("swin_tiny_patch4_window7_224", (30, 30), r"4 x 4 pixels, do not divide .*; give --image-size 28 or 32$"),
    ],
)
def test_what_a_network_cannot_do_is_refused_in_a_line(name: str, size: tuple[int, int] | None, said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        model.make(name, 4, 3, 0, size)
    assert "\n" not in str(refused.value)


def test_a_network_whose_stages_do_not_add_up_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "alike", lambda *given: False)
    build._cut.cache_clear()
    with pytest.raises(UserError, match="--model test_resnet: its stages do not give the logits"):
        model.make("test_resnet", 4, 3, 0, (32, 32))
