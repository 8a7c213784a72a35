"""Prints what a person waits for before anything happens: commands answered a second, each a process of its own.

.venv/bin/python benchmark/startup.py
"""

import sys
from collections.abc import Sequence

import measure
import table
from measure import Contender, Options

from project.work.common import ROOT, UserError
from project.work.machine.process import run_command
from project.work.settings.flags import parse

MAIN = str(ROOT / "project" / "work" / "main.py")
TRAINING = """
import torch
from project.work import common, main, model, run_folder
from project.work.dataset import base_dataset
from project.work.runner import optimizer, parallel, table, teachers
settings = common.parse(["--device=cpu"])
optimizer.make(settings, model.make(settings.model, 3, 1, 0))
"""  # up to the first step, without the data: a network and its optimizer are made, as torch imports more for them
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "./inv --list": ["-m", "invoke", "--search-root", str(ROOT), "--list"],
    "main.py --help": [MAIN, "--help"],
    "main.py, a setting refused": [MAIN, "--batch-size=0"],
    "main.py, all that plain training imports": ["-c", TRAINING],
    "import torch": ["-c", "import torch"],
    "import the runners": ["-c", "import project.work.runner.table"],
    "import preparation": ["-c", "import project.data_preparation.quickdraw"],
}


def contender(name: str, words: Sequence[str]) -> Contender:
    """Runs a command once; refusing is an answer too."""

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
    chosen = {name: words for name, words in COMMANDS.items() if not (options.quick and name.startswith("import"))}
    contenders = [contender(name, words) for name, words in chosen.items()]
    rows = table.compare("Start-up", "answers", contenders, options, clock="wall", warm=not options.quick)
    for row in rows:
        print(f"{row.name}: {1 / row.per_second:.2f} s, {1 / row.per_cpu:.2f} CPU-s")


if __name__ == "__main__":
    run_command(main)
