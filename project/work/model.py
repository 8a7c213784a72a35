"""Networks by name. Each is a Sequential of named stages (stem, layer1, ..., head) and knows nothing of methods.

Those of this repository are here; those of timm and a person's own are brought into that form by networks/.
"""

import itertools
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from project.work.common import UserError
from project.work.machine.device import seeded
from project.work.networks import build, library
from project.work.networks.build import Start


def make(
    name: str,
    classes: int,
    channels: int,
    seed: int,
    size: tuple[int, int] | None = None,
    start: Start | None = None,
) -> nn.Sequential:
    """A new network, the same for the same seed; the global random state is left as it was.

    Takes float (B, channels, H, W), gives logits (B, classes). name: see `resolve.network`; size: H and W, which some
    networks of timm are made for, their own when not given; start: weights to start from. Raises UserError: no such
    network, one that cannot be made for such pictures, weights that do not fit.
    """
    if name not in MODELS:
        return build.make(name, classes, channels, seed, size, start)
    with seeded(seed):
        network = MODELS[name](classes, channels)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def final_layer(network: nn.Sequential) -> nn.Linear:
    """The linear layer that gives the logits. Raises UserError where there is none."""
    for stage in reversed(network):
        layers = [module for module in stage.modules() if isinstance(module, nn.Linear)]
        if layers:
            return layers[-1]
    raise UserError("this network gives its logits by no linear layer; choose another --model")


def blocks(network: nn.Sequential) -> list[list[nn.Parameter]]:
    """All parameters of a network in groups from input to output: the stem, each block, the head."""
    named = dict(network.named_parameters())
    groups = [[named[name] for name in names] for names in getattr(network, "groups", ())]
    if not groups:
        parts = [part for name, stage in network.named_children() for part in _parts(name, stage)]
        groups = [list(part.parameters()) for part in parts]
    return [group for group in groups if group]


def _parts(name: str, stage: nn.Module) -> list[nn.Module]:
    whole = name in ("stem", "head") or not isinstance(stage, nn.Sequential)
    return [stage] if whole else list(stage.children())


def of_features(name: str, classes: int) -> nn.Sequential:
    """The network of a linear head on the features of a network of timm, untrained. It takes three channels."""
    backbone: Any = library.headless(name)[0]
    return with_head(backbone, nn.Linear(getattr(backbone, "head_hidden_size", backbone.num_features), classes))


def resnet18(classes: int, channels: int) -> nn.Sequential:
    """ResNet18 (He et al., 2015) with its 7x7/2 stem and max-pool, for any number of channels."""
    stem = nn.Sequential(*_convolution(channels, 64, 7, 2), nn.MaxPool2d(3, stride=2, padding=1))
    return _resnet(stem, (64, 64, 128, 256, 512), 2, classes, _torchvision_block)


def resnet18_small(classes: int, channels: int) -> nn.Sequential:
    """ResNet18 for small images: a 3x3/1 stem and no max-pool, at eight times the cost."""
    stem = nn.Sequential(*_convolution(channels, 64, 3, 1))
    return _resnet(stem, (64, 64, 128, 256, 512), 2, classes, _torchvision_block)


def narrow(classes: int, channels: int) -> nn.Sequential:
    """A ResNet for CPUs: half as wide, a 5x5/2 stem, one block a stage, pooling shortcuts (He et al., 2018)."""
    stem = nn.Sequential(*_convolution(channels, 32, 5, 2))
    return _resnet(stem, (32, 32, 64, 128, 256), 1, classes, PoolingBlock)


class PoolingBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut that pools before it widens. The parts have torchvision's names.

    The shortcut is the identity where neither size nor width changes. Takes (B, before, H, W), gives (B, width,
    H / stride, W / stride), rounded up.
    """

    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__()
        shortcut = None
        if stride != 1 or before != width:  # made first, as its weights are drawn first
            pool, kernel = nn.AvgPool2d(stride, ceil_mode=True), nn.Conv2d(before, width, 1, bias=False)
            shortcut = nn.Sequential(pool, kernel, nn.BatchNorm2d(width))
        self.conv1 = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut

    def forward(self, images: Tensor) -> Tensor:
        """The sum of both paths, rectified."""
        changed = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(images)))))
        changed += images if self.downsample is None else self.downsample(images)
        return self.relu(changed)


def in_order(module: nn.Module) -> bool:
    """Whether a module calls its children in the order in which they are registered: sequences and blocks do."""
    torchvision = sys.modules.get("torchvision.models.resnet")  # loaded if the network has its blocks
    return isinstance(module, nn.Sequential | PoolingBlock) or (
        torchvision is not None and isinstance(module, torchvision.BasicBlock)
    )


MODELS: Mapping[str, Callable[[int, int], nn.Sequential]] = {
    "narrow": narrow,
    "resnet18": resnet18,
    "resnet18-small": resnet18_small,
}


def with_head(backbone: nn.Module, head: nn.Linear) -> nn.Sequential:
    """A network of two stages. backbone: gives features (B, W); head: logits of them."""
    return nn.Sequential(OrderedDict(backbone=backbone, head=head))


def _convolution(before: int, width: int, size: int, stride: int) -> list[nn.Module]:
    kernel = nn.Conv2d(before, width, size, stride, padding=size // 2, bias=False)
    return [kernel, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]


def _resnet(
    stem: nn.Module, widths: Sequence[int], blocks: int, classes: int, block: Callable[[int, int, int], nn.Module]
) -> nn.Sequential:
    """Stages of basic blocks behind a stem of widths[0] channels; each stage but the first halves the image."""
    stages: OrderedDict[str, nn.Module] = OrderedDict(stem=stem)
    for number, (before, width) in enumerate(itertools.pairwise(widths), start=1):
        stride = 1 if number == 1 else 2
        first = block(before, width, stride)
        stages[f"layer{number}"] = nn.Sequential(first, *(block(width, width, 1) for _ in range(blocks - 1)))
    stages["head"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes))
    return nn.Sequential(stages)


def _torchvision_block(before: int, width: int, stride: int) -> nn.Module:
    from torchvision.models.resnet import BasicBlock  # slow to import, and the default network does without

    shortcut = None
    if stride != 1 or before != width:
        shortcut = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))
    return BasicBlock(before, width, stride, shortcut)
