"""Batch normalisation over a whole batch that several processes share, so that their number changes nothing."""

import torch
from torch import Tensor, nn

from project.work.machine.distributed import Parallel


def join_norms(network: nn.Module, parallel: Parallel, device: torch.device) -> nn.Module:
    """The network with its batch normalisation joined: torch's own on CUDA, ours elsewhere; alone as it is."""
    if parallel.size == 1:
        return network
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, JointBatchNorm(child, parallel))
    return network


class JointBatchNorm(nn.BatchNorm2d):
    """Batch normalisation by mean and variance of the whole batch; what nn.SyncBatchNorm is, which needs CUDA."""

    def __init__(self, norm: nn.BatchNorm2d, parallel: Parallel) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.load_state_dict(norm.state_dict())
        self.parallel = parallel

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        values = input.to(self.weight.dtype)
        ones = values.new_full((1,), values.numel() / self.num_features)
        sums = self.parallel.total(torch.cat([values.sum((0, 2, 3)), ones]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = values - mean[:, None, None]
        variance = self.parallel.total((centred**2).sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)
