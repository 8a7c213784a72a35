"""What all benchmarks share: contenders that are measured in turn, and the machine their figures stand for."""

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
KIBI = 1 if platform.system() == "Darwin" else 1024  # what ru_maxrss counts in


@dataclass(frozen=True)
class Options:
    """What every benchmark can be told."""

    quick: bool = setting(False, "tiny sizes, to see that it works; the figures mean nothing")
    rounds: int = setting(5, "times that each contender has its turn", within="[1, 1000]")
    csv: str | None = setting(None, "a file to add the rows to, beside printing them")

    @property
    def turns(self) -> int:
        """The rounds, but one when it is to be quick."""
        return 1 if self.quick else self.rounds


@dataclass(frozen=True)
class Contender:
    """Something to measure. run does the work and returns how many units it was; None: it cannot be run here."""

    name: str
    run: Callable[[], float] | None
    note: str = ""


@dataclass(frozen=True)
class Cost:
    """What one turn took: units of work, CPU seconds with those of child processes that ended, seconds."""

    units: float
    cpu: float
    wall: float


def optional(name: str, make: Callable[[], Callable[[], float]], note: str = "") -> Contender:
    """A contender whose packages may be absent: make imports them and returns what is to be run."""
    try:
        return Contender(name, make(), note)
    except ImportError:
        return Contender(name, None, ABSENT)


def cost(run: Callable[[], float]) -> Cost:
    """Run once and say what it took."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    units = run()
    return Cost(units, max(cpu_seconds() - cpu, 1e-9), time.perf_counter() - wall)


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def in_turn(contenders: Sequence[Contender], rounds: int, warm: bool = True) -> dict[str, list[Cost]]:
    """Measure A, B, A, B ...: what slows the machine for a while then slows all alike.

    warm: run each once before, so that no compilation or first allocation counts.
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
    """Run a command to its end, its words unseen, with one thread a library; returns its peak memory in MB.

    one_core: on one core only, as libraries that count cores would else start threads. The caller should be small:
    the kernel counts the memory of a process from before it became the command. Raises UserError when it fails.
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
    """Whether this system lets a process be bound to a core."""
    return hasattr(os, "sched_setaffinity")


def cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if pinnable() else os.cpu_count() or 1


def machine() -> str:
    """One line about where the figures come from."""
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
