"""Which stages of a network learn, how fast each of its layers does, and how long a step's gradients may be."""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import torch
from torch import Tensor, nn

from project.work import model
from project.work.common import UserError
from project.work.settings import resolve
from project.work.settings.groups import Settings

NONE = "none"  # of the stages
FEW = 1 << 18  # numbers that a frozen stage takes at once on a CPU
Parameters = list[nn.Parameter]


def freeze(network: nn.Sequential, stages: str) -> None:
    """Keep the first stages of a network as they are; no gradients are computed for them.

    stages: how many, all but so many (-2; none where it has no more), or the name of the last of them; none: all stages
    learn. Raises UserError where the network has no such stage, or none after it.
    """
    if stages == NONE:
        return
    names = list(dict(network.named_children()))
    if stages.startswith("-"):
        count = max(0, len(names) + int(stages))
    else:
        count = int(stages) if stages.isdecimal() else names.index(stages) + 1 if stages in names else len(names)
    if count >= len(names):
        raise UserError(f"--freeze {stages}: the stages of this network are {', '.join(names)}; give the name of one"
                        f" before {names[-1]}, or a number from 1 to {len(names) - 1}")  # fmt: skip
    for stage in network[:count]:
        stage.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise UserError(f"--freeze {stages}: then nothing learns; the stages of this network are {', '.join(names)}")


def in_parts(network: nn.Sequential) -> None:
    """Let the frozen stages of a network compute a few pictures at a time. On a CPU that halves their time at 224 px:
    what they compute stays in its cache. Other stages cannot, as batch normalisation asks for the whole batch."""
    for stage in network:
        if frozen(stage):
            stage.forward = functools.partial(_few, stage.forward)  # type: ignore[method-assign]


def _few(forward: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    parts = values.split(max(1, FEW // max(1, values.shape[1:].numel())))
    return forward(values) if len(parts) == 1 else torch.cat([forward(part) for part in parts])


def train(network: nn.Sequential) -> None:
    """Put a network into training mode; its frozen stages evaluate, so that their statistics stay as they are too."""
    network.train()
    for stage in network:
        if frozen(stage):
            stage.eval()


def frozen(stage: nn.Module) -> bool:
    """Whether a stage has weights and none of them learns."""
    learning = [parameter.requires_grad for parameter in stage.parameters()]
    return bool(learning) and not any(learning)


def layers(settings: Settings, network: nn.Sequential) -> Iterator[tuple[float, Parameters]]:
    """The parameters that learn, in groups from input to output, each with the factor of its learning rate.

    All are one group unless --layer-factors or --layer-decay says otherwise. A factor occurs once.
    """
    groups: dict[float, Parameters] = {}
    for factor, parameters in _layers(settings, network):
        groups.setdefault(factor, []).extend(each for each in parameters if each.requires_grad)
    return ((factor, parameters) for factor, parameters in groups.items() if parameters)


def _layers(settings: Settings, network: nn.Sequential) -> Iterator[tuple[float, Parameters]]:
    if settings.layer_decay is not None:
        blocks = model.blocks(network)
        yield from ((settings.layer_decay ** (len(blocks) - 1 - at), block) for at, block in enumerate(blocks))
    elif settings.layer_factors is not None:
        stem, body, head = resolve.layer_factors(settings)
        last = _last(network)
        for name, stage in network.named_children():
            factor = {"stem": stem, "head": head}.get(name, body)
            for parameter in stage.parameters():
                yield head if id(parameter) in last else factor, [parameter]
    else:
        yield 1.0, list(network.parameters())


def _last(network: nn.Sequential) -> set[int]:
    """The ids of the parameters of the layer that gives the logits: of a network that could not be cut into stages it
    is in the body."""
    with suppress(UserError):  # another kind of head
        return set(map(id, model.final_layer(network).parameters()))
    return set()


def kernels(network: nn.Module) -> set[int]:
    """The ids of the weights of convolutions and linear layers.

    AdamW shrinks these alone: biases, scales of normalisations, and embeddings of positions and tokens have a size that
    means something.
    """
    layers = (nn.Linear, nn.modules.conv._ConvNd)
    return {id(module.weight) for module in network.modules() if isinstance(module, layers)}


def clip(
    networks: Sequence[nn.Module],
    optimizers: Sequence[torch.optim.Optimizer],
    scaler: torch.amp.GradScaler,
    largest: float | None,
) -> None:
    """Shorten the gradients of each network, all together, to a norm; None leaves them as they are.

    They are those of the whole batch: summed over all processes. The factor of a GradScaler is taken off before, and
    nothing waits for the device. Where fp16 overflowed, what is finite becomes 0, and the scaler skips the rest.
    """
    if largest is None:
        return
    for each in optimizers:
        scaler.unscale_(each)
    for network in networks:
        learnt = [parameter for parameter in network.parameters() if parameter.grad is not None]
        norm = nn.utils.get_total_norm([parameter.grad for parameter in learnt])
        nn.utils.clip_grads_with_norm_(learnt, largest, norm.nan_to_num(nan=torch.inf))
