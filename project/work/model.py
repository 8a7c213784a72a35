"""Networks by name. Each is a Sequential of named stages (stem, layer1, ..., head) and knows nothing of methods."""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Mapping

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock


def make(name: str, classes: int, channels: int, seed: int) -> nn.Sequential:
    """A freshly initialised network, the same for the same seed; the global random state is left as it was.

    Takes float (B, channels, H, W), gives logits (B, classes).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MODELS[name](classes, channels)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def _resnet18(classes: int, channels: int) -> nn.Sequential:
    """ResNet18 (He et al., 2015) with its 7x7/2 stem and max-pool, for one or more channels."""
    stem = [nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    return _resnet([*stem, nn.MaxPool2d(3, stride=2, padding=1)], (64, 64, 128, 256, 512), 2, classes)


def _resnet18_small(classes: int, channels: int) -> nn.Sequential:
    """ResNet18 for small pictures: a 3x3/1 stem and no max-pool; 8 times the work of the above."""
    stem = [nn.Conv2d(channels, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    return _resnet(stem, (64, 64, 128, 256, 512), 2, classes)


def _narrow(classes: int, channels: int) -> nn.Sequential:
    """One block a stage, half as wide, a 5x5/2 stem: the fast one for CPU."""
    stem = [nn.Conv2d(channels, 32, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(32), nn.ReLU(inplace=True)]
    return _resnet(stem, (32, 32, 64, 128, 256), 1, classes)


def _resnet(stem: list[nn.Module], widths: tuple[int, ...], blocks: int, classes: int) -> nn.Sequential:
    """Stages of basic blocks behind a stem of widths[0] channels; each stage but the first halves the picture."""
    stages: OrderedDict[str, nn.Module] = OrderedDict(stem=nn.Sequential(*stem))
    for number, (before, width) in enumerate(itertools.pairwise(widths), start=1):
        stride = 1 if number == 1 else 2
        first = BasicBlock(before, width, stride, _shortcut(before, width, stride))
        stages[f"layer{number}"] = nn.Sequential(first, *(BasicBlock(width, width) for _ in range(blocks - 1)))
    stages["head"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes))
    return nn.Sequential(stages)


def _shortcut(before: int, width: int, stride: int) -> nn.Module | None:
    if stride == 1 and before == width:
        return None
    return nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))


MODELS: Mapping[str, Callable[[int, int], nn.Sequential]] = {
    "narrow": _narrow,
    "resnet18": _resnet18,
    "resnet18-small": _resnet18_small,
}
