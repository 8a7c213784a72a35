"""Batch normalisation folded into convolutions: the same network to rounding, with less to do, for evaluation."""

import copy
import itertools

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from project.work.model import in_order


def folded(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode without those normalisations that directly follow a convolution."""
    network = copy.deepcopy(network).eval()
    for parent in network.modules():
        if not in_order(parent):  # elsewhere children may be called in another order
            continue
        for (name, first), (next_name, second) in itertools.pairwise(list(parent.named_children())):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.modules.batchnorm._BatchNorm):
                setattr(parent, name, fuse_conv_bn_eval(first, second))
                setattr(parent, next_name, nn.Identity())
    return network
