"""Prints what mixup, manifold mixup and distillation give beside plain training: several seeds, equal epochs.

    .venv/bin/python benchmark/methods.py --dataset quickdraw --epoch 20

Every run has a uuid of its own, so that a study that was stopped goes on where it was.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

import make_command
from project.work.declaration import parse, run_command, setting

METHODS = {
    "base": {},
    "mixup": {"mixup": True},
    "manifold-mixup": {"manifold_mixup": True},
    "distillation": {"distillation": True},
}


@dataclass(frozen=True)
class StudySettings:
    """What to compare."""

    dataset: str = setting("quickdraw", "name of a prepared data set")
    epoch: int = setting(20, "passes over the training pictures", within="[1, inf)")
    seeds: int = setting(3, "runs of each method", within="[1, inf)")
    output: str = setting("project/output/methods", "folder of the study's runs")


def main(argv: Sequence[str] | None = None) -> None:
    """Run what has not been run and print the table."""
    study = parse(StudySettings, argv, "Compare the methods on a prepared data set.")
    for seed in range(study.seeds):
        for name, method in METHODS.items():
            shared = {"dataset": study.dataset, "epoch": study.epoch, "output": study.output}
            run = {"seed": seed, "uuid": f"{study.dataset}-{study.epoch}-{seed}-{name}"}
            subprocess.run(make_command.script("project/work/main.py", shared | method | run), check=True)
    subprocess.run(make_command.script("project/work/reporter/summary.py", {"output": study.output}), check=True)


if __name__ == "__main__":
    run_command(main)
