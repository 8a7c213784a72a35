"""What is evaluated has its batch normalisation folded into the convolutions, and computes the same."""

import pytest
import torch
from torch import nn

from project.work import model
from project.work.classifier import folded


@pytest.mark.parametrize("name", sorted(model.MODELS))
def test_a_folded_network_computes_the_same_without_a_normalisation(name: str) -> None:
    random = torch.Generator().manual_seed(0)
    network = model.make(name, 4, 1, seed=0)
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        for values in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
            values.uniform_(0.5, 1.5, generator=random)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = torch.randn(3, 1, 16, 16, generator=random)
    copy = folded(network)
    with torch.inference_mode():
        assert network.training
        assert torch.allclose(copy(images), network.eval()(images), rtol=1e-3, atol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in copy.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_neighbours_in_a_module_that_may_call_them_in_another_order_stay() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.convolution(self.norm(images))

    assert isinstance(folded(Backwards()).norm, nn.BatchNorm2d)
