"""Optimizers and learning rate schedules by name.

A runner steps all optimizers that `make` returns; each group keeps its highest rate as highest_lr. A schedule is a pure
function of the share of the steps that are done.
"""

import functools
import inspect
import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from project.work import common, model
from project.work.dataset.base_dataset import Dataset
from project.work.machine import device as devices
from project.work.machine.distributed import RunContext, join_norms
from project.work.runner import fine_tuning
from project.work.settings import resolve
from project.work.settings.groups import Settings

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 3
WARM_UP = 0.25
SQUARES = 0.999  # the second beta of AdamW
Layers = Sequence[tuple[float, list[nn.Parameter]]]  # parameters with the factor of their learning rate
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def without_compiler(method: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """A method of torch's optimizers without its wrapper, unless torch's compiler is loaded.

    The wrapper tells the compiler to skip the method, and imports torch._dynamo and sympy for it: 1.5 CPU-seconds. Here
    the compiler never sees an optimizer.
    """
    plain = inspect.unwrap(method)

    @functools.wraps(plain)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        return (method if "torch._dynamo" in sys.modules else plain)(*args, **kwargs)

    return call


class Optimizer(torch.optim.Optimizer):
    """torch's, without its compiler."""

    add_param_group = without_compiler(torch.optim.Optimizer.add_param_group)
    state_dict = without_compiler(torch.optim.Optimizer.state_dict)
    load_state_dict = without_compiler(torch.optim.Optimizer.load_state_dict)
    zero_grad = without_compiler(torch.optim.Optimizer.zero_grad)


class SGD(Optimizer, torch.optim.SGD):
    """torch's, without its compiler."""

    step = torch.no_grad()(without_compiler(torch.optim.SGD.step))


class AdamW(Optimizer, torch.optim.AdamW):
    """torch's, without its compiler."""

    step = torch.no_grad()(without_compiler(torch.optim.AdamW.step))


def make(settings: Settings, network: nn.Sequential) -> list[torch.optim.Optimizer]:
    """SGD or AdamW for all that learns, or Muon for the kernels of the inner convolutions and SGD for the rest."""
    makers = {"adamw": _adamw, "sgd": _sgd, "muon": _muon_and_sgd}
    optimizers = makers[settings.optimizer](settings, network, list(fine_tuning.layers(settings, network)))
    for group in (group for each in optimizers for group in each.param_groups):
        group["highest_lr"] = group["lr"]
    return optimizers


def _adamw(settings: Settings, network: nn.Module, layers: Layers) -> list[torch.optim.Optimizer]:
    kernels = fine_tuning.kernels(network)
    shrunk = _groups(layers, settings.learning_rate, lambda each: id(each) in kernels)
    others = _groups(layers, settings.learning_rate, lambda each: id(each) not in kernels)
    groups = [*shrunk, *(group | {"weight_decay": 0.0} for group in others)]
    betas = (settings.momentum, SQUARES)
    return [AdamW(groups, settings.learning_rate, betas, weight_decay=settings.weight_decay, fused=True)]


def _sgd(
    settings: Settings, network: nn.Module, layers: Layers, without: Collection[int] = ()
) -> list[torch.optim.Optimizer]:
    sgd = SGD(
        _groups(layers, settings.learning_rate, lambda each: id(each) not in without),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=settings.momentum > 0,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    return [sgd]


def _muon_and_sgd(settings: Settings, network: nn.Module, layers: Layers) -> list[torch.optim.Optimizer]:
    kernels = {id(kernel) for kernel in inner_kernels(network)}
    rate, decay = settings.muon_learning_rate, settings.muon_weight_decay
    groups = _groups(layers, rate, lambda each: id(each) in kernels)
    optimizers = _sgd(settings, network, layers, kernels)
    return [*optimizers, Muon(groups, rate, settings.momentum, decay)] if groups else optimizers


def _groups(layers: Layers, rate: float, chosen: Callable[[nn.Parameter], bool]) -> list[dict[str, Any]]:
    """The chosen parameters as torch's groups, with the learning rates of their layers."""
    groups = [{"params": list(filter(chosen, layer)), "lr": factor * rate} for factor, layer in layers]
    return [group for group in groups if group["params"]]


def set_rates(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    """Set each group's learning rate to factor x its highest rate."""
    for group in (group for each in optimizers for group in each.param_groups):
        group["lr"] = group["highest_lr"] * factor


class Average(AveragedModel):
    """The exponential moving average of a network's weights and statistics, from the first step on."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Update the average. torch's own version synchronises with the device for each kind of tensor."""
        mine, theirs = list(self.module.state_dict().values()), list(model.state_dict().values())
        if self.n_averaged == 0:  # the counter stays on the CPU
            self.module.load_state_dict(model.state_dict())
        else:
            floats = [place for place, value in enumerate(mine) if value.is_floating_point()]
            self.multi_avg_fn([mine[place] for place in floats], [theirs[place] for place in floats], None)  # type: ignore
        self.n_averaged += 1


def make_average(network: nn.Module, decay: float) -> Average | None:
    """The moving average of a network; None if its decay is 0."""
    return None if decay == 0 else Average(network, decay)


def inner_kernels(network: nn.Module) -> list[Tensor]:
    """The weights of all convolutions except the first, whose input is pixels, and of the linear layers of a body
    (attention and MLP of a transformer), without the one that gives the logits.

    Not those of grouped and depthwise convolutions, whose rows are of different inputs: there is no matrix of them.
    """
    found, first = list[Tensor](), True
    stages = dict(network.named_children())
    body = [module for name, stage in stages.items() if name not in ("stem", "head") for module in stage.modules()]
    linear = {module for module in body if isinstance(module, nn.Linear)}
    if linear and isinstance(stages.get("head"), nn.Identity) and isinstance(network, nn.Sequential):
        linear.discard(model.final_layer(network))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            if not first and module.groups == 1:
                found.append(module.weight)
            first = False
        elif module in linear:
            found.append(module.weight)
    return found


class Muon(Optimizer):
    """Nesterov momentum with an orthogonalised update, for kernels (Jordan et al., 2024); decoupled weight decay.

    A kernel (out, in, h, w) counts as a matrix (out, in * h * w). torch.optim.Muon is not used, not even on views of
    that shape. It computes in bfloat16, so that its steps differ from these by 1e-4 of a weight's size, and it took 33
    times as long on a CPU without bfloat16 instructions. Also, a GradScaler with it waits for the device.
    """

    _step_supports_amp_scaling = True

    def __init__(
        self, kernels: list[Tensor] | list[dict[str, Any]], lr: float, momentum: float, weight_decay: float
    ) -> None:
        super().__init__(kernels, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every kernel that has a gradient.

        A GradScaler sets grad_scale and found_inf here, as on torch's fused optimizers. Otherwise it would ask
        whether to skip the step, which waits for the device.
        """
        scale, overflow = getattr(self, "grad_scale", None), getattr(self, "found_inf", None)
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is None:
                    continue
                if scale is not None:
                    kernel.grad.div_(scale)
                before = None if overflow is None else (kernel.clone(), self._velocity(kernel).clone())
                self._update(kernel, group["lr"], group["momentum"], group["weight_decay"])
                if before is not None:
                    for value, old in zip((kernel, self._velocity(kernel)), before, strict=True):
                        value.copy_(torch.where(overflow > 0, old, value))

    def _velocity(self, kernel: nn.Parameter) -> Tensor:
        state = self.state[kernel]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(kernel)
        return state["momentum_buffer"]

    def _update(self, kernel: nn.Parameter, rate: float, momentum: float, weight_decay: float) -> None:
        velocity = self._velocity(kernel).mul_(momentum).add_(kernel.grad)
        update = torch.add(kernel.grad, velocity, alpha=momentum).flatten(1)
        high = update.shape[0] > 2 * update.shape[1]  # then its other side makes the smaller products
        update = orthogonalised(update.T).T if high else orthogonalised(update)
        tall = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
        kernel.mul_(1 - rate * weight_decay).add_(update.view_as(kernel), alpha=-rate * tall)


def orthogonalised(matrix: Tensor) -> Tensor:
    """The matrix, float (m, n), with its singular values moved towards 1.

    Newton-Schulz iteration with the quintic of Jordan et al., 2024. The polynomials of all steps, (m, m), are
    multiplied with each other first, and then with the matrix.
    """
    linear, cubic, quintic = NEWTON_SCHULZ
    matrix = matrix / (matrix.norm() + 1e-7)
    gram, product = matrix @ matrix.T, None
    for step in range(NEWTON_SCHULZ_STEPS):
        polynomial = torch.addmm(gram, gram, gram, beta=cubic, alpha=quintic)
        polynomial.diagonal().add_(linear)
        product = polynomial if product is None else polynomial @ product
        if step < NEWTON_SCHULZ_STEPS - 1:
            gram = polynomial @ gram @ polynomial
    return product @ matrix


def multistep(progress: float) -> float:
    """A tenth after 80% of the steps and a hundredth after 90%."""
    return 1.0 if progress < 0.8 else 0.1 if progress < 0.9 else 0.01


def onecycle(progress: float) -> float:
    """Up from 1/25 in the first quarter, then down to 0 along a cosine (Smith and Topin, 2017)."""
    if progress < WARM_UP:
        return 0.04 + 0.96 * progress / WARM_UP
    return cosine((progress - WARM_UP) / (1 - WARM_UP))


def cosine(progress: float) -> float:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter, 2016)."""
    return 0.5 * (1 + math.cos(math.pi * progress))
SCHEDULES: Mapping[str, Callable[[float], float]] = {"multistep": multistep, "onecycle": onecycle, "cosine": cosine}


def schedule_factor(name: str, step: int, steps: int, warm_up: float = 0.0) -> float:
    """The factor of the learning rate at a step (0 .. steps-1) of a run of `steps`.

    It counts steps, so that a run of one or two epochs has the whole schedule too. warm_up: share of the steps in which
    the factor rises in a line, to what the schedule begins with; the schedule has the rest.
    """
    rise = warm_up * steps
    if step < rise:
        return SCHEDULES[name](0.0) * (step + 1) / (rise + 1)
    return SCHEDULES[name]((step - rise) / (steps - rise))


def make_network(context: RunContext, dataset: Dataset, steps: int, purpose: str) -> nn.Sequential:
    """A new network on the device; its weights depend on seed and purpose. steps: of the whole run."""
    settings, device, distributed = context.settings, context.device, context.distributed
    seed = common.derive_seed(settings.seed, purpose)
    channels, *size = dataset.train.shape
    start = model.Start(settings.weights) if resolve.starts_pretrained(settings) else None
    name = resolve.network(settings)
    network = model.make(name, len(dataset.names), channels, seed, (size[0], size[1]), start)
    network = join_norms(network, distributed, device)
    fine_tuning.freeze(network, settings.freeze)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if device.type == "cpu":
        fine_tuning.in_parts(network)
    choices = devices.choose(settings, devices.look(device), steps, distributed.size)
    devices.apply(choices, network)
    return network
