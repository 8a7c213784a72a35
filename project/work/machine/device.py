"""The device of a run: which one, its mixed precision, and whether it is deterministic or fast."""

import importlib.util
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from project.work.common import UserError
from project.work.settings.groups import Settings
from project.work.settings.resolve import gpu_numbers

COMPILE_FROM = 20_000  # steps; compiling costs shorter runs more than it saves
_GLOBAL_RANDOM = threading.RLock()  # layers draw from the one global generator, whatever the thread
SMALLEST = 17  # pixels of a side; below it a last stage may be 1 x 1, where bfloat16 gradients on a CPU came out as NaN


@dataclass(frozen=True)
class Facts:
    """Facts that decide the choices. kind: cpu, cuda or mps; triton: whether GPU kernels can be compiled here."""

    kind: str
    triton: bool


@dataclass(frozen=True)
class Choices:
    """deterministic: the same numbers every time; benchmark: let cuDNN try its algorithms on each shape;
    tensor_float: multiply float32 with 10 bits of mantissa; compiled: torch.compile each stage."""

    deterministic: bool
    benchmark: bool
    tensor_float: bool
    compiled: bool


def look(device: torch.device) -> Facts:
    """Read the facts of a device of this machine."""
    return Facts(device.type, importlib.util.find_spec("triton") is not None)


def choose(settings: Settings, facts: Facts, steps: int, processes: int = 1) -> Choices:
    """The choices for a run of this many steps on a device. A CPU is always deterministic."""
    cuda = facts.kind == "cuda"
    pays = cuda and facts.triton and processes == 1 and steps >= COMPILE_FROM
    return Choices(
        deterministic=cuda and settings.deterministic,
        benchmark=cuda and not settings.deterministic,
        tensor_float=cuda and not settings.deterministic,
        compiled=pays if settings.compile is None else settings.compile,
    )


def apply(choices: Choices, network: nn.Sequential) -> None:
    """Set torch up for this process and compile a network's stages in place, so that its state keeps its names."""
    if choices.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if choices.compiled:
        torch.use_deterministic_algorithms(choices.deterministic)  # also for the compiler, which this line imports
    else:
        torch.set_deterministic_debug_mode("error" if choices.deterministic else "default")
    torch.backends.cudnn.benchmark = choices.benchmark
    torch.set_float32_matmul_precision("high" if choices.tensor_float else "highest")
    if choices.compiled:
        for stage in network:
            stage.compile(dynamic=False)


def choose_device(settings: Settings, place: int | None = None) -> "torch.device":
    """The requested device, or the best one. Raises UserError when it does not exist.

    place: the number of this process on the machine, when several share each batch.
    """
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    numbers, count = gpu_numbers(settings), torch.cuda.device_count()
    name = settings.device
    if name == "auto" and settings.processes is not None and not numbers:
        name = "cpu"
    elif name == "auto":
        name = "cuda" if numbers else next(kind for kind, present in there.items() if present)
    if numbers and (name != "cuda" or max(numbers) >= count):
        raise UserError(f"--gpu {settings.gpu}: torch sees {count} GPUs here; leave --gpu out for CPU")
    if not there[name]:
        raise UserError(f"--device {name}: this machine has none that torch can use; try --device cpu")
    if place is not None and name == "cuda":
        numbers = (numbers or list(range(count)))[place : place + 1]
        if not numbers:
            raise UserError(f"process {place} of this machine has no GPU of its own; start one process for each GPU")
    return torch.device(name, numbers[0]) if numbers else torch.device(name)


class MixedPrecision:
    """Autocast and loss scaling for a device; both do nothing when mixed precision is off."""

    def __init__(self, device: torch.device, wanted: bool | None, side: int = SMALLEST) -> None:
        """wanted: on or off; None: on if the device computes bfloat16 fast, and correctly at this image side."""
        self.device_type = device.type
        rightly = device.type != "cpu" or side >= SMALLEST
        self.on = fast_bfloat16(device) and rightly if wanted is None else wanted
        self.dtype = torch.bfloat16 if device.type == "cpu" or fast_bfloat16(device) else torch.float16
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.on and self.dtype == torch.float16)

    def autocast(self) -> torch.autocast:
        """The context to compute logits in."""
        return torch.autocast(self.device_type, self.dtype, enabled=self.on)


def fast_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16; emulated, it is slower than float32."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        if not hasattr(torch.cpu, "get_capabilities"):  # torch 2.9
            return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """For layers that draw from torch's global random state: it begins at a seed, and is then as it was before.

    One thread at a time is let in. device: on which they draw, beside the CPU.
    """
    gpu = [device] if device is not None and device.type == "cuda" else []
    with _GLOBAL_RANDOM, torch.random.fork_rng(devices=gpu):
        torch.manual_seed(seed)
        yield
