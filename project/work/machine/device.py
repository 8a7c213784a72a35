"""What is chosen by the device: speed that rounds differently from run to run, or the same numbers every time."""

import importlib.util
import os
from dataclasses import dataclass

import torch
from torch import nn

from project.work.common import Settings

COMPILE_FROM = 20_000  # steps; shorter runs end before compiling has paid


@dataclass(frozen=True)
class Facts:
    """What decides. kind: cpu, cuda or mps; triton: whether kernels for a GPU can be compiled here."""

    kind: str
    triton: bool


@dataclass(frozen=True)
class Choices:
    """deterministic: the same numbers every time; benchmark: let cuDNN try its algorithms on each shape;
    tensor_float: multiply float32 with 10 bits of mantissa; compiled: let torch.compile fuse what a stage does."""

    deterministic: bool
    benchmark: bool
    tensor_float: bool
    compiled: bool


def look(device: torch.device) -> Facts:
    """The facts of a device of this machine."""
    return Facts(device.type, importlib.util.find_spec("triton") is not None)


def choose(settings: Settings, facts: Facts, steps: int, processes: int = 1) -> Choices:
    """What a run of so many steps does on a device. A CPU computes the same numbers every time as it is."""
    cuda = facts.kind == "cuda"
    pays = cuda and facts.triton and processes == 1 and steps >= COMPILE_FROM
    return Choices(
        deterministic=cuda and settings.deterministic,
        benchmark=cuda and not settings.deterministic,
        tensor_float=cuda and not settings.deterministic,
        compiled=pays if settings.compile is None else settings.compile,
    )


def apply(choices: Choices, network: nn.Sequential) -> None:
    """Set torch up for this process, and compile a network's stages in place: its state keeps its names."""
    if choices.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(choices.deterministic)
    torch.backends.cudnn.benchmark = choices.benchmark
    torch.set_float32_matmul_precision("high" if choices.tensor_float else "highest")
    if choices.compiled:
        for stage in network:
            stage.compile(dynamic=False)
