"""Memory that is kept: fewer pages are asked for anew."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

AGAIN = """
import resource, sys
import numpy as np
from project.data_preparation.quickdraw import keep_memory
if sys.argv[1] == "kept":
    keep_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    several = [np.ones(1 << 20) for _ in range(4)]  # 8 MiB each
    del several
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_is_used_again():
    given_back, kept = (
        int(subprocess.run([sys.executable, "-c", AGAIN, how], capture_output=True, text=True, check=True).stdout)
        for how in ("given back", "kept")
    )
    assert kept < given_back / 2
