"""How many networks can be trained on one device at once: what one takes there, and what there is; memory here.

Standard library only at import; torch is asked where it is loaded.
"""

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

SHARE = 0.9  # of the free memory: what fragments, and what others take meanwhile, must fit too
LARGEST_CONTEXT = 1 << 30  # bytes; what CUDA and its libraries take for a process themselves is below this


@dataclass(frozen=True)
class Usage:
    """Bytes of a device's memory. peak: what this process took at most; free: what it could have taken."""

    peak: int = 0
    free: int = 0


def how_many_fit(free: int, peak: int, cores: int) -> int:
    """How many that take `peak` bytes each train at once in `free` bytes: each needs a processor core to drive it.

    peak 0: on no device with memory of its own, so one.
    """
    if peak <= 0:
        return 1
    return max(1, min(int(SHARE * free / peak), cores))


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int | None:
    """Bytes of memory that this process could still take; None where the system does not say."""
    try:
        facts = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(facts["MemAvailable"].split()[0]) << 10
    except (OSError, KeyError, ValueError, IndexError):
        return None
    with contextlib.suppress(OSError, ValueError):  # a container's own limit
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        free = min(free, limit - int((group / "memory.current").read_text()))
    return max(free, 0)


def usage() -> Usage:
    """What this process has taken of the GPU it used most since `begin`; nothing where it used none."""
    if not _on_cuda():
        return Usage()
    cuda = sys.modules["torch"].cuda
    device = max(range(cuda.device_count()), key=cuda.max_memory_reserved)
    free, total = cuda.mem_get_info(device)
    reserved = cuda.memory_reserved(device)
    # What is neither free nor torch's is this process's context, or other people's.
    context = min(total - free - reserved, LARGEST_CONTEXT)
    return Usage(cuda.max_memory_reserved(device) + context, free + reserved + context)


def begin() -> None:
    """Give back what nobody uses any more, and count `usage` from here."""
    if _on_cuda():
        cuda = sys.modules["torch"].cuda
        cuda.empty_cache()
        for device in range(cuda.device_count()):
            cuda.reset_peak_memory_stats(device)


def _on_cuda() -> bool:
    return "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized()
