"""Prints how long commands take to start: commands a second, each in its own process.

"all that this run imports" imports the modules that the run in the row above has loaded at its end, in the same order,
and does nothing else. Its difference from "import torch" is what this project can keep small.

.venv/bin/python benchmark/startup.py
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import inputs
import measure
import table
from measure import Contender, Options

from project.work.common import ROOT, UserError
from project.work.machine.process import run_command
from project.work.settings.flags import parse

MAIN = str(ROOT / "project" / "work" / "main.py")
PICTURES = 500
NOTING = """
import atexit, runpy, sys
noted, *sys.argv = sys.argv[1:]
atexit.register(lambda: print(*sys.modules, file=open(noted, "w")))
sys.path[0] = ""
runpy.run_path(sys.argv[0], run_name="__main__")
"""
IMPORTING = """
import contextlib, importlib, sys
for name in open(sys.argv[1]).read().split():
    with contextlib.suppress(ImportError):  # names that packages added to sys.modules themselves
        importlib.import_module(name)
"""


def training(folder: Path) -> list[str]:
    """The command of a plain run of one epoch on a small data set, which is made in the folder."""
    inputs.prepared_folder(folder / "data", PICTURES)
    return [MAIN, f"--dataset={folder / 'data'}", "--epoch=1", "--device=cpu", f"--output={folder / 'output'}"]


def imported(words: Sequence[str], noted: Path) -> list[str]:
    """The modules that a script has loaded at its end, in order; also written to the file `noted`."""
    measure.process([sys.executable, "-c", NOTING, str(noted), *words])
    return noted.read_text(encoding="utf-8").split()


def commands(folder: Path) -> Mapping[str, Sequence[str]]:
    """The commands to measure, by name. folder: for their files."""
    run = training(folder)
    imported(run, folder / "modules.txt")
    return {
        "python -c pass": ["-c", "pass"],
        "./inv --list": ["-m", "invoke", "--search-root", str(ROOT), "--list"],
        "main.py --help": [MAIN, "--help"],
        "main.py, a setting refused": [MAIN, "--batch-size=0"],
        f"main.py, an epoch of {PICTURES} pictures": run,
        "all that this run imports": ["-c", IMPORTING, str(folder / "modules.txt")],
        "import torch": ["-c", "import torch"],
        "import the runners": ["-c", "import project.work.runner.table"],
        "import preparation": ["-c", "import project.data_preparation.quickdraw"],
    }


def contender(name: str, words: Sequence[str]) -> Contender:
    """A contender that runs a command once; an error exit counts too."""

    def run() -> float:
        try:
            measure.process([sys.executable, *words])
        except UserError:
            if "refused" not in name:
                raise
        return 1

    return Contender(name, run)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table, in the order of the commands, and the seconds of each."""
    options = parse(Options, argv, "Measure how soon commands answer.")
    with TemporaryDirectory() as folder:
        chosen = commands(Path(folder))
        if options.quick:
            chosen = {name: words for name, words in chosen.items() if not name.startswith("import")}
        contenders = [contender(name, words) for name, words in chosen.items()]
        rows = table.compare("Start-up", "answers", contenders, options, clock="wall", warm=not options.quick)
    for row in rows:
        print(f"{row.name}: {1 / row.per_second:.2f} s, {1 / row.per_cpu:.2f} CPU-s")


if __name__ == "__main__":
    run_command(main)
