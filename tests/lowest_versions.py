"""./inv test --lowest: preparations, a training and an audit with the lowest versions that requirements.txt admits.

They are installed into an environment that is thrown away afterwards; it takes about 8 GB of disk meanwhile, and as
long as PyTorch takes to download.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURES = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
generator = np.random.default_rng(0)
for name, level in (("dark", 40), ("bright", 160)):
    for row in range(20):
        suffix = ("png", "jpg", "webp", "avif", "tif", "gif", "bmp", "jp2")[row % 8]
        path = Path(sys.argv[1], name, f"{row}.{suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(level, level + 60, (40, 50, 3), dtype=np.uint8)).save(path)
"""
MODULES = """
import importlib, pathlib
for path in sorted(pathlib.Path("project").rglob("*.py")):
    importlib.import_module(".".join(path.with_suffix("").parts))
"""


def lowest(requirements: str) -> list[str]:
    """Requirements as pip takes them, each held to its lower bound. Raises ValueError for one that has none."""
    lines = [line.split("#")[0].strip() for line in requirements.splitlines()]
    found = []
    for line in filter(None, lines):
        bound = re.fullmatch(r"([\w.-]+(?:\[[\w,-]+\])?)>=([\w.]+)(?:,.*)?", line)
        if bound is None:
            raise ValueError(f"{line}: no lower bound")
        found.append(f"{bound[1]}=={bound[2]}")
    return found


def main() -> None:
    """Install, run, and say what is done; a command that fails ends it with its exit code."""
    wanted = lowest((ROOT / "requirements.txt").read_text())
    with tempfile.TemporaryDirectory(prefix="lowest-") as place:
        python, data, runs = f"{place}/venv/bin/python", f"{place}/data", f"{place}/runs"
        do("an environment to throw away", [sys.executable, "-m", "venv", f"{place}/venv"])
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]
        do(" ".join(wanted), [*pip, *wanted])
        do("every module", [python, "-c", MODULES])
        do("./inv --list", [f"{place}/venv/bin/invoke", "--search-root", str(ROOT), "--list"], subprocess.DEVNULL)
        sample = script(python, "data_preparation/quickdraw.py", source="sample", per_class=20, output=data)
        do("drawings prepared", sample)
        do("pictures of eight formats", [python, "-c", PICTURES, f"{place}/pictures"])
        folder = script(python, "data_preparation/image_folder.py", input=f"{place}/pictures", output=data)
        do("pictures prepared", folder)
        settings = {"epoch": 1, "batch_size": 16, "output": runs}
        do("a training", script(python, "work/main.py", dataset=f"{data}/pictures", **settings))
        do("an audit", script(python, "work/main.py", stage="audit", folds=2, dataset=f"{data}/sample", **settings))
        print("the lowest versions work", flush=True)


def script(python: str, path: str, **settings: object) -> list[str]:
    """The command that runs a script of the project."""
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    return [python, str(ROOT / "project" / path), *flags]


def do(what: str, command: list[str], output: int | None = None) -> None:
    """Say what is done and do it."""
    print(f"== {what}", flush=True)
    outcome = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=output)
    if outcome.returncode:
        print(f"== {what}: failed with exit code {outcome.returncode}", file=sys.stderr, flush=True)
        sys.exit(outcome.returncode)


if __name__ == "__main__":
    main()
