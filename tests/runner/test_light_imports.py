"""A plain run does not wait for packages that it has no use for."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

CHILD = """
import sys
import startup
exec(startup.TRAINING)
print(*sorted({"sklearn", "scipy", "torchvision", "timm", "matplotlib"} & set(sys.modules)))
"""


def test_plain_training_starts_without_packages_that_it_does_not_use() -> None:
    code = f"import sys; sys.path[:] = {sys.path!r}" + CHILD
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []
