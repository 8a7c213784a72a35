"""Several processes train one network: each takes its share of every batch, and gradients are summed.

The sum is explicit, not by DistributedDataParallel, because manifold mixup bypasses the latter's forward. The result is
that of one process, to rounding, whatever their number. A RunContext holds settings, device and processes of a run.
"""

import contextlib
import dataclasses
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
from filelock import FileLock
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from project.work.common import UserError
from project.work.machine import device as devices
from project.work.machine.launch import LOST, STARVED, WORKER
from project.work.machine.process import OutOfMemory
from project.work.settings.groups import Settings

if TYPE_CHECKING:
    from project.work.machine.run_sync import RunSync

T = TypeVar("T")
PATIENCE = timedelta(hours=1)  # process 0 may wait for fold models that another run trains


class PeerLost(Exception):
    """Another process of the run has ended, so this one cannot continue."""


@dataclass(frozen=True)
class Distributed:
    """This process among those of a run. With one process, the methods return their input."""

    rank: int = 0
    size: int = 1
    local_rank: int | None = None

    def share(self, count: int) -> slice:
        """This process's slice of `count` things. Shares differ by one at most and may be empty."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes; differentiable."""
        return values if self.size == 1 else _Total.apply(values)

    def whole(self, share: Tensor, count: int) -> Tensor:
        """The shares of all processes in order, (count, ...); differentiable."""
        if self.size == 1:
            return share
        whole = share.new_zeros(count, *share.shape[1:])
        whole[self.share(count)] = share
        return self.total(whole)

    def add_gradients(self, network: nn.Module) -> None:
        """Replace the gradients of every process by their sum."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        flat = self.total(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, values in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(values.view_as(gradient))

    def first(self, work: Callable[[], T]) -> T:
        """Do something in process 0 alone; every process gets its value or its UserError."""
        if self.size == 1:
            return work()
        done = _attempt(work) if self.rank == 0 else None
        box: list[Any] = [None if done is None else _pack(done)]
        with _watched():
            dist.broadcast_object_list(box)
        return _open(done or torch.load(io.BytesIO(box[0]), map_location="cpu", weights_only=False))

    @property
    def is_first(self) -> bool:
        """Whether this is process 0, which alone writes files and prints."""
        return self.rank == 0

    @contextmanager
    def locked(self, path: Path) -> Iterator[None]:
        """Hold a lock on a file while all processes work; process 0 holds it."""
        with FileLock(path) if self.is_first else contextlib.nullcontext():
            yield

    def all(self, work: Callable[[], T]) -> T:
        """Do something in every process. If one fails, all fail with one UserError."""
        if self.size == 1:
            return work()
        value, error = _attempt(work)
        return _open((value, next((each for each in self.gather(error) if each is not None), None)))

    def gather(self, value: T) -> list[T]:
        """The small values of all processes, in order."""
        values = [value] * self.size
        if self.size > 1:
            with _watched():
                dist.all_gather_object(values, value)
        return values

    def choose_device(self, settings: Settings) -> torch.device:
        """The device of this process. Raises UserError."""
        device = devices.choose_device(settings, self.local_rank)
        if self.size > 1 and device.type == "cuda":
            torch.cuda.set_device(device)
        return device


ALONE = Distributed()


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(context: object, values: Tensor) -> Tensor:
        return _sum(values)

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        return _sum(gradient)


def _sum(values: Tensor) -> Tensor:
    values = values.clone(memory_format=torch.contiguous_format)
    with _watched():
        dist.all_reduce(values)
    return values


@contextmanager
def joined() -> Iterator[Distributed]:
    """Join the processes that torchrun started, while the context is open.

    Only process 0 prints: the others would print the same lines and UserErrors.
    """
    if WORKER not in os.environ:
        yield ALONE
        return
    distributed = Distributed(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
    with contextlib.ExitStack() as stack:
        if distributed.rank > 0:
            silence = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(silence))
            stack.enter_context(contextlib.redirect_stderr(silence))
        try:
            with _watched():
                backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
                dist.init_process_group(backend, timeout=PATIENCE)
            yield distributed
            dist.destroy_process_group()
        except PeerLost:
            sys.exit(LOST)
        except OutOfMemory:  # in this process alone, perhaps
            if distributed.rank > 0:
                sys.exit(STARVED)
            raise
        except UserError:
            if distributed.rank > 0:
                sys.exit(2)
            raise


@contextmanager
def _watched() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise PeerLost(str(error)) from error


def _attempt(work: Callable[[], T]) -> tuple[Any, UserError | None]:
    try:
        return work(), None
    except UserError as error:
        return None, error


def _open(done: tuple[T, UserError | None]) -> T:
    value, error = done
    if error is not None:
        raise error
    return value


def _pack(value: object) -> bytes:
    data = io.BytesIO()
    torch.save(value, data)
    return data.getvalue()


def join_norms(network: nn.Sequential, distributed: Distributed, device: torch.device) -> nn.Sequential:
    """The network with synchronised batch normalisation: torch's on CUDA, ours elsewhere; unchanged for one process."""
    if distributed.size == 1:
        return network
    strange = [type(module).__name__ for module in network.modules() if isinstance(module, _BatchNorm)
               and not (isinstance(module, nn.BatchNorm2d) and module.affine and module.momentum)]  # fmt: skip
    if strange:
        raise UserError(f"this network has {strange[0]}, which several processes cannot share; train it in one process")
    if device.type == "cuda":
        layers = sys.modules.get("timm.layers")  # timm's normalisation may rectify too, which torch's would leave out
        convert = nn.SyncBatchNorm.convert_sync_batchnorm if layers is None else layers.convert_sync_batchnorm
        return convert(network)
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, JointBatchNorm(child, distributed))
    return network


class JointBatchNorm(nn.BatchNorm2d):
    """Batch normalisation by mean and variance of the whole batch, as nn.SyncBatchNorm, which needs CUDA."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def __init__(self, norm: nn.BatchNorm2d, distributed: Distributed) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.load_state_dict(norm.state_dict(), strict=False)
        self.distributed = distributed
        for name in ("drop", "act"):  # of timm's, which does more
            if hasattr(norm, name):
                self.add_module(name, getattr(norm, name))

    def forward(self, input: Tensor) -> Tensor:
        values = self._normalised(input) if self.training else super().forward(input)
        for module in self.children():
            values = module(values)
        return values

    def _normalised(self, input: Tensor) -> Tensor:
        values = input.to(self.weight.dtype)
        ones = values.new_full((1,), values.numel() / self.num_features)
        sums = self.distributed.total(torch.cat([values.sum((0, 2, 3)), ones]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = values - mean[:, None, None]
        variance = self.distributed.total((centred**2).sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)


@dataclass(frozen=True)
class RunContext:
    """The context of a run: its settings and device; distributed: this process among those of the run; sync: syncs
    folders with a bucket, None without one."""

    settings: Settings
    device: torch.device
    distributed: Distributed = ALONE
    sync: "RunSync | None" = None

    def using(self, settings: Settings) -> "RunContext":
        """The same context with other settings: a teacher's, an audit's."""
        return dataclasses.replace(self, settings=settings)

    def send(self, folder: Path) -> None:
        """Send what changed in a folder to the bucket. Raises UserError."""
        if self.sync is not None:
            self.sync.send(folder)

    def try_send(self, folder: Path) -> None:
        """The same, but a failure is only a warning: the next epoch sends what is missing."""
        if self.sync is not None:
            self.sync.try_send(folder)
