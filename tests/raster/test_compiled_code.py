"""Compiled code that is kept is taken up by the same kind of CPU, and made anew for another."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

OTHER = "x86-64" if platform.machine() in ("x86_64", "AMD64") else "cortex-a53"
CHILD = """
import sys
sys.path[:] = {path!r}
import numpy as np
from project.work.raster.raster import _length
assert _length(np.array([[0.0, 0.0], [3.0, 4.0]]), 0) == 5
print(sum(_length.stats.cache_hits.values()), sum(_length.stats.cache_misses.values()))
"""


def hits_and_misses(kept: Path, cpu: str) -> list[int]:
    """How often a process under a CPU's name found compiled code in a folder, and how often it had to compile."""
    names = {"NUMBA_CACHE_DIR": str(kept), "NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""}
    child = [sys.executable, "-c", CHILD.format(path=sys.path)]
    done = subprocess.run(child, env=os.environ | names, capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


def test_code_of_one_cpu_is_loaded_there_and_compiled_for_another(tmp_path: Path) -> None:
    assert hits_and_misses(tmp_path, "generic") == [0, 1]
    assert hits_and_misses(tmp_path, "generic") == [1, 0]
    assert hits_and_misses(tmp_path, OTHER) == [0, 1]
