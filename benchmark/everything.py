"""Runs the benchmarks one after the other, keeps their tables and draws them as one figure.

    ./inv benchmark
    ./inv benchmark --only loaders --rounds 3

Each script's table and rows stay in the output folder until it is run again; the figure shows all that are there.
Nothing is installed: an absent library is listed as such.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import chart
import table

import make_command
from project.command.benchmarks import SCRIPTS, BenchmarkSettings
from project.work.common import OUTPUT, ROOT, UserError
from project.work.machine.process import run_command
from project.work.settings.flags import parse

ROWS, PICTURE = "benchmark.csv", "benchmark.png"
VARIANTS = {"train_step": ({"model": "narrow"}, {"model": "resnet18"})}  # scripts that run more than once


def run_script(name: str, folder: Path, options: BenchmarkSettings) -> bool:
    """Run one benchmark, show and keep its output; returns whether it succeeded."""
    rows = folder / f"{name}.csv"
    rows.unlink(missing_ok=True)
    values = {"quick": options.quick, "rounds": options.rounds, "csv": rows}
    with open(folder / f"{name}.txt", "w", encoding="utf-8") as file:
        return all([
            _say(make_command.script(f"benchmark/{name}.py", values | variant), file)
            for variant in VARIANTS.get(name, ({},))
        ])  # fmt: skip


def _say(command: Sequence[str], file: TextIO) -> bool:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            file.write(line)
    return process.returncode == 0


def collect(folder: Path) -> None:
    """Put the rows of all benchmarks into one file and one figure."""
    files = [folder / f"{name}.csv" for name in SCRIPTS]
    rows = [row for file in files if file.exists() for row in table.read(file)]
    (folder / ROWS).unlink(missing_ok=True)
    table.append(folder / ROWS, rows)
    chart.draw(rows, folder / PICTURE)


def main(argv: Sequence[str] | None = None) -> None:
    """Run them. Raises UserError that names those that failed."""
    options = parse(BenchmarkSettings, argv, "Run the benchmarks.")
    usual = OUTPUT / ("benchmark-quick" if options.quick else "benchmark")
    folder = usual if options.output is None else Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = SCRIPTS if options.only is None else (options.only,)
    failed = [name for name in chosen if not run_script(name, folder, options)]
    collect(folder)
    if options.fig:
        shutil.copy(folder / PICTURE, ROOT / "fig" / PICTURE)
    print(f"\ntables, {ROWS} and {PICTURE} in {folder}")
    if failed:
        raise UserError(f"{', '.join(failed)} failed: their output is above")


if __name__ == "__main__":
    run_command(main)
