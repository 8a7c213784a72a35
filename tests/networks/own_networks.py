"""Networks as a person writes them, which tests name as own_networks:function."""

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

SIDE = 32


def dropping_vit(classes: int, channels: int) -> nn.Module:
    """A small transformer that leaves out blocks and values at random in training."""
    import timm

    options = {"img_size": SIDE, "patch_size": 8, "depth": 4, "drop_rate": 0.2, "drop_path_rate": 0.3}
    return timm.create_model("test_vit", num_classes=classes, in_chans=channels, **options)


class Plain(nn.Module):
    """A network without stages, whose linear layers are within."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(channels, 8, 3, stride=4), nn.Conv2d(8, 8, 3)
        self.between, self.last = nn.Linear(8, 8), nn.Linear(8, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = self.second(self.first(images).relu()).relu().mean(dim=(2, 3))
        return self.last(self.between(values).relu())


def staged(classes: int, channels: int) -> nn.Sequential:
    """A network in stages."""
    stem = nn.Sequential(nn.Conv2d(channels, 8, 4, stride=4), nn.ReLU())
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))
    return nn.Sequential(OrderedDict(stem=stem, layer1=nn.Conv2d(8, 8, 3), head=head))


def one_logit_more(classes: int, channels: int) -> nn.Module:
    """Gives a logit too many."""
    return staged(classes + 1, channels)


def nothing(classes: int, channels: int) -> Any:
    """Gives no network."""
    return classes


def failing(classes: int, channels: int) -> nn.Module:
    """Fails."""
    raise KeyError("width")


NO_FUNCTION = 3
