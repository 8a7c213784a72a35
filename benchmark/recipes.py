"""Prints the top-1 accuracy of each recipe after the same CPU time on one core.

    .venv/bin/python benchmark/recipes.py --dataset quickdraw --cpu-seconds 600

Runs of one and three epochs show how many epochs fit. The time is that of the whole process, with start-up and test.
"""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure

import make_command
from project.work.machine.process import run_command
from project.work.reporter.table.result_table import ResultTable
from project.work.settings.flags import parse, setting
from project.work.settings.groups import RECIPES


@dataclass(frozen=True)
class BudgetSettings:
    """What to compare."""

    dataset: str = setting("quickdraw", "name of a prepared data set")
    cpu_seconds: float = setting(600, "CPU time of each run", within="(0, inf)")
    seeds: int = setting(1, "runs of each recipe", within="[1, inf)")
    recipe: str | None = setting(None, "one recipe only", choices=tuple(RECIPES))


def cpu_seconds(values: Mapping[str, Any]) -> float:
    """Train with these settings on one thread; returns the CPU time of the whole process in seconds."""
    before = measure.cpu_seconds()
    command = make_command.script("project/work/main.py", values)
    subprocess.run(command, check=True, env=os.environ | measure.ONE_THREAD, stdout=subprocess.DEVNULL)
    return measure.cpu_seconds() - before


def within_budget(study: BudgetSettings, recipe: str, seed: int, output: Path) -> dict[str, Any]:
    """Train a recipe for as many epochs as fit; returns one line of the table."""
    shared = {"dataset": study.dataset, "recipe": recipe, "seed": seed, "device": "cpu", "output": output}
    one, three = (
        cpu_seconds(shared | {"epoch": epochs, "uuid": f"{recipe}-{seed}-probe-{epochs}"}) for epochs in (1, 3)
    )
    epoch = (three - one) / 2
    epochs = max(1, int((study.cpu_seconds - (one - epoch)) / epoch))
    used = cpu_seconds(shared | {"epoch": epochs, "uuid": f"{recipe}-{seed}"})
    row = ResultTable(output).read().set_index("uuid").loc[f"{recipe}-{seed}"]
    accuracies = {name: float(row[name]) for name in ("best_test_accuracy", "last_test_accuracy")}
    return {"recipe": recipe, "seed": seed, "epochs": epochs, "cpu_seconds": round(used)} | accuracies


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line a run."""
    study = parse(BudgetSettings, argv, "Compare the recipes at equal CPU time.")
    with tempfile.TemporaryDirectory() as output:
        for seed in range(study.seeds):
            for recipe in [study.recipe] if study.recipe else RECIPES:
                print(within_budget(study, recipe, seed, Path(output)), flush=True)


if __name__ == "__main__":
    run_command(main)
