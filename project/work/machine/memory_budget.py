"""How many networks fit on one device at once, from the memory that one takes and the memory that is free.

Imports only the standard library; torch is used only if it is loaded already.
"""

import os
import sys
from dataclasses import dataclass

SHARE = 0.9  # of the free memory; the rest is for fragmentation and other programs
LARGEST_CONTEXT = 1 << 30  # bytes; CUDA and its libraries take less than this for a process


@dataclass(frozen=True)
class Usage:
    """Bytes of a device's memory. peak: the most that this process took; free: what it could have taken."""

    peak: int = 0
    free: int = 0


def how_many_fit(free: int, peak: int, cores: int) -> int:
    """The number of networks of `peak` bytes each that train at once in `free` bytes; each also needs a CPU core.

    peak 0 means a device without its own memory, which trains one.
    """
    if peak <= 0:
        return 1
    return max(1, min(int(SHARE * free / peak), cores))


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usage() -> Usage:
    """The memory use since `begin` on the GPU that this process used most; 0 without a GPU."""
    if not _on_cuda():
        return Usage()
    cuda = sys.modules["torch"].cuda
    device = max(range(cuda.device_count()), key=cuda.max_memory_reserved)
    free, total = cuda.mem_get_info(device)
    reserved = cuda.memory_reserved(device)
    # Memory that is neither free nor torch's belongs to this process's CUDA context or to other programs.
    context = min(total - free - reserved, LARGEST_CONTEXT)
    return Usage(cuda.max_memory_reserved(device) + context, free + reserved + context)


def begin() -> None:
    """Release unused memory, and count `usage` from here."""
    if _on_cuda():
        cuda = sys.modules["torch"].cuda
        cuda.empty_cache()
        for device in range(cuda.device_count()):
            cuda.reset_peak_memory_stats(device)


def _on_cuda() -> bool:
    return "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized()
