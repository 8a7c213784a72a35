"""Prints how long the README's four commands take on pictures of your own; "corrected" takes every suggestion.

.venv/bin/python benchmark/own_pictures.py --input ~/photos --epoch 10
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
import pandas as pd

from project.work.common import ROOT, UserError
from project.work.machine.process import run_command
from project.work.settings.flags import parse, setting


@dataclass(frozen=True)
class OwnPictures:
    """What is measured."""

    input: str | None = setting(None, "folder with one sub-folder a class, or a CSV of path,label")
    epoch: int = setting(50, "passes over the training pictures", within="[1, inf)")


def commands(input: str, epoch: int, work: Path) -> list[list[str]]:
    """The README's four commands, with all their output below one folder."""
    return [
        ["check", input, f"--output={work / 'output'}", "--no-browser"],
        ["apply-corrections", f"{work / 'corrections.csv'}", f"--to={work / 'own'}", f"--input={input}"],
        ["prepare-images", f"--input={work / 'own'}", f"--output={work / 'prepared'}", "--dataset=own"],
        ["train", f"--dataset={work / 'prepared' / 'own'}", f"--output={work / 'output'}", f"--epoch={epoch}"],
    ]


def accept_suggestions(work: Path) -> int:
    """Write a corrections.csv that takes every suggestion; returns their number."""
    table = pd.read_csv(next((work / "output").glob("*/audit.csv")), dtype=str)
    flagged = table[table["flagged"].isin(["1", "True", "true"])]
    chosen = flagged.rename(columns={"suggested_label": "new_label"})[["key_id", "given_label", "new_label"]]
    chosen.to_csv(work / "corrections.csv", index=False)
    return len(chosen)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the seconds and CPU-seconds of each command, and the machine."""
    options = parse(OwnPictures, argv, "Measure the README's four commands.")
    if options.input is None:
        raise UserError("--input is missing: name a folder of pictures, or a CSV of path,label")
    source = os.path.abspath(os.path.expanduser(options.input))
    with TemporaryDirectory() as folder:
        work = Path(folder)
        for words in commands(source, options.epoch, work):
            cpu, wall = measure.cpu_seconds(), time.perf_counter()
            subprocess.run([sys.executable, ROOT / "project/command/program.py", *words], check=True)
            spent = f"{time.perf_counter() - wall:.1f} s, {measure.cpu_seconds() - cpu:.1f} CPU-s"
            print(f"== {words[0]}: {spent}", flush=True)
            if words[0] == "check":
                print(f"== {accept_suggestions(work)} suggestions taken")
    print(f"{options.epoch} epochs; {measure.machine()}")


if __name__ == "__main__":
    run_command(main)
