"""Prints what mixup, manifold mixup and distillation give beside plain training: several seeds, equal epochs.

    .venv/bin/python benchmark/methods.py --dataset quickdraw --epoch 20

A sweep: a study that was stopped goes on where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from project.command.sweep import run_sweep
from project.work.declaration import parse, run_command, setting


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
    seeds = ",".join(map(str, range(study.seeds)))
    shared = {"dataset": study.dataset, "epoch": str(study.epoch), "output": study.output}
    run_sweep({}, shared | {"seed": seeds, "method": "base,mixup,manifold-mixup,distillation"})


if __name__ == "__main__":
    run_command(main)
