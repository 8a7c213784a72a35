"""A person's own network: in stages, as it is or wrapped, and what is wrong with it in a line."""

from pathlib import Path

import pytest
import torch
from torch import nn

from project.work import model
from project.work.classifier import Classifier
from project.work.common import UserError
from project.work.dataset.transforms import Normaliser
from project.work.networks.build import Start
from project.work.runner.mixup_runner import mix_places
from project.work.runner.optimizer import inner_kernels


@pytest.fixture(autouse=True)
def in_folder_of_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where own_networks can be imported from, as the current folder of a person."""
    monkeypatch.chdir(Path(__file__).parent)


def test_a_network_in_stages_is_taken_as_it_is() -> None:
    network = model.make("own_networks:staged", 4, 1, 0, (32, 32))
    assert [name for name, _ in network.named_children()] == ["stem", "layer1", "head"]
    assert next(iter(network.state_dict())) == "stem.0.weight"
    assert mix_places(network) == ["input", "layer1"]
    assert [tuple(each.shape) for each in inner_kernels(network)] == [(8, 8, 3, 3)]
    assert [len(group) for group in model.blocks(network)] == [2, 2, 2]


def test_any_other_module_is_a_body_whose_last_linear_layer_gives_the_logits() -> None:
    network = model.make("own_networks:Plain", 4, 1, 0, (32, 32))
    assert network(torch.zeros(3, 1, 32, 32)).shape == (3, 4)
    assert mix_places(network) == ["input"]
    assert model.final_layer(network) is network.layer1.last
    assert [tuple(each.shape) for each in inner_kernels(network)] == [(8, 8, 3, 3), (8, 8)]
    again = model.make("own_networks:Plain", 4, 1, 0, (32, 32)).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in network.state_dict().items())


def test_its_weights_come_from_a_file_but_for_a_head_of_other_classes(tmp_path: Path) -> None:
    wide = model.make("own_networks:Plain", 9, 1, 5, (32, 32)).layer1
    torch.save(wide.state_dict(), tmp_path / "wide.pt")
    network = model.make("own_networks:Plain", 4, 1, 0, (32, 32), Start(str(tmp_path / "wide.pt"))).layer1
    assert torch.equal(network.first.weight, wide.first.weight)
    assert network.last.weight.shape == (4, 8)
    torch.save({"first.weight": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"own_networks:Plain has first.weight, 8x1x3x3, and here it is 1$"):
        model.make("own_networks:Plain", 4, 1, 0, (32, 32), Start(str(tmp_path / "other.pt")))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_networks:wide", "there is no module no_networks in "),
        ("own_networks:wide", "has no function 'wide'"),
        ("own_networks:NO_FUNCTION", "has no function"),
        ("own_networks:nothing", "gives a int, and a torch.nn.Module is needed"),
        ("own_networks:failing", r"KeyError \('width'\) in .*own_networks.py line \d+"),
        ("own_networks:one_logit_more", r"gives \(2, 5\) for pictures .*, and logits \(2, 4\) are needed"),
        ("os:kill", "os is a module of Python itself"),
        ("torch:rand", "and a function is needed"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(name: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        model.make(name, 4, 1, 0, (32, 32))
    assert "\n" not in str(refused.value)
    assert f"--model {name}" in str(refused.value)


def test_a_classifier_file_names_it_and_needs_it(tmp_path: Path) -> None:
    network = model.make("own_networks:staged", 2, 1, 0, (16, 16))
    made = Classifier(network, "own_networks:staged", ["a", "b"], (1, 16, 16), Normaliser((0.5,), (0.5,)), {})
    made.save(tmp_path / "model.pt")
    found = Classifier.load(tmp_path / "model.pt")
    assert isinstance(found.network.head, nn.Sequential)
    moved = torch.load(tmp_path / "model.pt", weights_only=True) | {"model": "gone_networks:staged"}
    torch.save(moved, tmp_path / "moved.pt")
    with pytest.raises(UserError, match=r"moved\.pt: --model gone_networks:staged: there is no module gone_networks"):
        Classifier.load(tmp_path / "moved.pt")
