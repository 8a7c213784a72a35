"""The network of a run: made, put on its device, and shared by the processes of the run."""

import torch
from torch import nn

from project.work import common, model
from project.work.dataset.base_dataset import Dataset
from project.work.machine import device as devices
from project.work.machine.distributed import join_norms
from project.work.machine.run_context import RunContext


def make_network(context: RunContext, dataset: Dataset, steps: int, purpose: str) -> nn.Sequential:
    """A new network on the device; its weights depend on seed and purpose. steps: how many the run takes in all."""
    settings, device, distributed = context.settings, context.device, context.distributed
    seed = common.derive_seed(settings.seed, purpose)
    network = model.make(settings.model, len(dataset.names), dataset.train.shape[0], seed)
    network = join_norms(network, distributed, device)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    choices = devices.choose(settings, devices.look(device), steps, distributed.size)
    devices.apply(choices, network)
    return network
