"""Shared by all benchmarks: measures contenders in turn, and describes the machine."""

import os
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from project.work.common import UserError
from project.work.settings.flags import setting

ABSENT = "not installed: pip install -e .[benchmark]"
PACKAGES = ("torch", "numpy", "opencv-python-headless")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
KIBI = 1 if platform.system() == "Darwin" else 1024  # unit of ru_maxrss in bytes


@dataclass(frozen=True)
class Options:
    """The options of every benchmark."""

    quick: bool = setting(False, "tiny sizes, to check that it works; the figures mean nothing")
    rounds: int = setting(5, "number of times that each contender runs", within="[1, 1000]")
    csv: str | None = setting(None, "a file to add the rows to, beside printing them")

    @property
    def turns(self) -> int:
        """The number of rounds; one with --quick."""
        return 1 if self.quick else self.rounds


@dataclass(frozen=True)
class Contender:
    """Something to measure. run: does the work and returns the number of units; None: cannot run here."""

    name: str
    run: Callable[[], float] | None
    note: str = ""


@dataclass(frozen=True)
class Cost:
    """The cost of one turn: units of work, CPU-seconds including ended child processes, seconds."""

    units: float
    cpu: float
    wall: float


def optional(name: str, make: Callable[[], Callable[[], float]], note: str = "") -> Contender:
    """A contender whose packages may be absent. make: imports them and returns the function to run."""
    try:
        return Contender(name, make(), note)
    except ImportError:
        return Contender(name, None, ABSENT)


def cost(run: Callable[[], float]) -> Cost:
    """Run once and measure the cost."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    units = run()
    return Cost(units, max(cpu_seconds() - cpu, 1e-9), time.perf_counter() - wall)


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def in_turn(contenders: Sequence[Contender], rounds: int, warm: bool = True) -> dict[str, list[Cost]]:
    """Measure A, B, A, B ..., so that a temporary slowdown of the machine affects all alike.

    warm: run each once before, so that compilation and first allocations do not count.
    """
    able = [each for each in contenders if each.run is not None]
    for each in able if warm else ():
        each.run()
    costs: dict[str, list[Cost]] = {each.name: [] for each in able}
    for _ in range(rounds):
        for each in able:
            costs[each.name].append(cost(each.run))
    return costs


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Median, lowest and highest of ours / theirs, round by round."""
    each = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return statistics.median(each), min(each), max(each)


def process(command: Sequence[str], one_core: bool = True) -> float:
    """Run a command to its end, without output, with one thread a library; returns its peak memory in MB.

    one_core: on one core only, because libraries that count cores would start threads. The caller should be small: the
    kernel also counts the memory that the process had before exec. Raises UserError when it fails.
    """
    pin = (lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})) if one_core and pinnable() else None
    child = subprocess.Popen(
        command, env=os.environ | ONE_THREAD, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=pin
    )
    with child.stderr:
        words = child.stderr.read().decode(errors="replace")
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise UserError(f"{' '.join(command)} ended with {child.returncode}: {words.strip()[-500:]}")
    return used.ru_maxrss * KIBI / 1e6


def pinnable() -> bool:
    """Whether this system can bind a process to a core."""
    return hasattr(os, "sched_setaffinity")


def cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if pinnable() else os.cpu_count() or 1


def machine() -> str:
    """The machine and versions behind the figures, in one line."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    packages = ", ".join(f"{name} {installed(name)}" for name in PACKAGES)
    return f"{model}, {cores()} of {os.cpu_count()} cores, Python {platform.python_version()}, {packages}"


def installed(package: str) -> str:
    """The version of a package, without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
