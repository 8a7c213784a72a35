"""Prints the accuracy with each rasteriser: trains on the same drawings, drawn by each, with several seeds.

    .venv/bin/python benchmark/raster_accuracy.py --input FOLDER --per-class 25 --epoch 30

FOLDER: as for ./inv prepare. A stopped study resumes.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import make_command
from project.command.sweep import run_sweep
from project.data_preparation.options import RASTERS
from project.work.common import OUTPUT, UserError
from project.work.machine.process import run_command
from project.work.settings.flags import parse, setting


@dataclass(frozen=True)
class StudySettings:
    """What to compare."""

    input: str | None = setting(None, "folder of drawings, as for ./inv prepare")
    per_class: int = setting(25, "drawings a class", within="[2, inf)")
    epoch: int = setting(30, "passes over the training pictures", within="[1, inf)")
    seeds: int = setting(3, "runs of each rasteriser", within="[1, inf)")
    output: str = setting(str(OUTPUT / "rasters"), "folder of the study's data and runs")


def main(argv: Sequence[str] | None = None) -> None:
    """Do the missing preparations and runs, and print the table."""
    study = parse(StudySettings, argv, "Compare the rasterisers on the same drawings.")
    if study.input is None:
        raise UserError("--input: give a folder of drawings, as for ./inv prepare")
    sets = [Path(study.output).resolve() / "data" / raster for raster in RASTERS]
    for place in (place for place in sets if not place.exists()):
        values = {"input": study.input, "per_class": study.per_class, "raster": place.name}
        values |= {"output": place.parent, "dataset": place.name}
        subprocess.run(make_command.script("project/data_preparation/quickdraw.py", values), check=True)
    seeds = ",".join(map(str, range(study.seeds)))
    shared = {"dataset": ",".join(map(str, sets)), "epoch": str(study.epoch), "output": study.output}
    run_sweep({}, shared | {"seed": seeds})


if __name__ == "__main__":
    run_command(main)
