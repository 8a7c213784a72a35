"""A network with less to do in evaluation: batch normalisation becomes part of the convolution before it.

`classifier.folded` does the same for the networks of this repository, whose order of modules it knows. Of a network of
timm it is not known, and is seen from what flows through it.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

TOLERANCE = 1e-3  # of the largest feature: beyond it the network is left as it is


class _After(nn.Module):
    """What is left of a normalisation of timm without its mean and std: dropout, which is idle, and activation."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.drop = getattr(norm, "drop", nn.Identity())
        self.act = getattr(norm, "act", nn.Identity())

    def forward(self, values: Tensor) -> Tensor:
        return self.act(self.drop(values))


@torch.inference_mode()
def fused(network: nn.Module, side: int) -> nn.Module:
    """The same network to rounding, or, where fusing changed more than that, a plain copy. side: of a picture."""
    plain = copy.deepcopy(network).eval()
    probe = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    probe = probe.to(next(network.parameters()).device)
    made = copy.deepcopy(plain)
    for convolution, place, norm in _pairs(made, probe):
        _fuse(convolution, norm)
        parent, _, name = place.rpartition(".")
        setattr(made.get_submodule(parent), name, _After(norm))
    before, after = plain(probe), made(probe)
    alike = bool(((before - after).abs() <= TOLERANCE * before.abs().max()).all())
    return (made if alike else plain).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _pairs(network: nn.Module, probe: Tensor) -> list[tuple[nn.Conv2d, str, nn.modules.batchnorm._BatchNorm]]:
    """Convolutions and the normalisation that takes what they give, each of both used once; and its place."""
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # the tensor too, whose id would be given to another one
    found: list[tuple[nn.Conv2d, str, nn.modules.batchnorm._BatchNorm]] = []
    calls: dict[nn.Module, int] = {}
    hooks = []

    def note(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        calls[module] = calls.get(module, 0) + 1
        if isinstance(module, nn.Conv2d):
            made[id(output)] = module, output

    for place, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(note))
        elif isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:

            def take(module: nn.Module, given: tuple[Tensor, ...], place: str = place) -> None:
                calls[module] = calls.get(module, 0) + 1
                if id(given[0]) in made:
                    assert isinstance(module, nn.BatchNorm2d)
                    found.append((made[id(given[0])][0], place, module))

            hooks.append(module.register_forward_pre_hook(take))
    network(probe[:1])
    for hook in hooks:
        hook.remove()
    return [each for each in found if calls[each[0]] == 1 and calls[each[2]] == 1]


def _fuse(convolution: nn.Conv2d, norm: nn.modules.batchnorm._BatchNorm) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
