"""The study of methods under label noise that the README quotes: real pictures, three seeds, a clean control.

    .venv/bin/python benchmark/noise_study.py --dataset quickdraw --epoch 24

It takes hours; stop it at any time, and the same command resumes it. The most informative runs come first: base and the
robust recipe on all seeds, then every other method. --print-only prints the present table, also while the study is
running elsewhere. A method that this version lacks is left out, with a note.
"""

import dataclasses
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measure import ONE_THREAD, machine

from project.command import sweep
from project.command.compare import carry_through, points_of
from project.command.growing_page import GrowingPage, Point
from project.command.sweep import SweepSettings
from project.work.common import UserError
from project.work.machine.process import run_command
from project.work.settings.flags import parse, setting
from project.work.settings.method_words import BASE
from project.work.study import comparison_words

ROBUST = "recipe=robust"
METHODS = (
    BASE,
    ROBUST,
    "elr",
    "mixup",
    "manifold-mixup",
    "label-posterior+mixup",
    "co-teaching",
    "nts",
    "sam",
    "ema=0.99",
    "clean=drop",
    "gce",
    "sce",
    "label-smoothing=0",
    "distillation",
    "recipe=predecessor+epoch=9",  # as many CPU-seconds as the default of 24 epochs
)
STAGES: tuple[tuple[tuple[str, ...], tuple[float, ...]], ...] = (  # methods and rates, the most informative first
    ((BASE, ROBUST), (0.4, 0.0)),
    (METHODS, (0.4,)),
    ((BASE, ROBUST), (0.2,)),
    (METHODS, (0.0,)),
)


@dataclass(frozen=True)
class StudySettings:
    """What to study."""

    dataset: str = setting("quickdraw", "name of a prepared data set of real pictures")
    epoch: int = setting(24, "passes over the training pictures", within="[1, inf)")
    seeds: int = setting(3, "runs of each method at each rate, each with noise of its own", within="[1, inf)")
    method: str = setting(",".join(METHODS), "methods, of which those that this version has are run")
    parallel: int = setting(1, "runs at once", within="[1, 64]")
    device: str = setting("cpu", "where to compute", choices=("auto", "cpu", "cuda", "mps"))
    output: str = setting("project/output/noise-study", "folder of the study's runs and its page")
    dry_run: bool = setting(False, "print the commands and run nothing")
    print_only: bool = setting(False, "print the table of what is finished, as Markdown too, and run nothing")


def stages(study: StudySettings) -> list[Point]:
    """The runs in their order, without repeats. Raises UserError."""
    shared = {name: str(getattr(study, name)) for name in ("dataset", "epoch", "device", "output")}
    shared["noise_type"] = "symmetric"
    wanted = study.method.split(",")
    points_of([BASE], [0.4, 0.0], [0], shared)  # an error here would affect all runs
    absent = {method: why for method in wanted if (why := _absent(method, shared)) is not None}
    for method, why in absent.items():
        print(f"left out: {method} ({why})", file=sys.stderr)
    points: dict[tuple[str, float, int], Point] = {}
    for methods, rates in STAGES:
        known = [each for each in wanted if each in methods or (methods is METHODS)]
        chosen = [each for each in dict.fromkeys([BASE, *known]) if each not in absent]
        for point in points_of(chosen, rates, range(study.seeds), shared):
            points.setdefault((point.method, point.rate, point.seed), point)
    return list(points.values())


def _absent(method: str, shared: dict[str, str]) -> str | None:
    """Why this version cannot run a method; None if it can."""
    try:
        points_of([method], [0.4], [0], shared)
    except UserError as error:
        return str(error)
    return None


def main(argv: Sequence[str] | None = None) -> None:
    """Do the missing runs and print the table."""
    study = parse(StudySettings, argv, "Study methods under label noise.")
    for name, value in ONE_THREAD.items():  # one core a run, so that times are comparable
        os.environ.setdefault(name, value)
    points = stages(study)
    values = dataclasses.asdict(study)
    order, _ = sweep.read_order(SweepSettings, {}, {name: values[name] for name in ("parallel", "dry_run", "output")})
    words = sys.argv[1:] if argv is None else argv
    command = shlex.join(["python", "benchmark/noise_study.py", *(word for word in words if word != "--print-only")])
    try:
        carry_through(order, points, command, render_only=study.print_only)
    finally:
        comparison = GrowingPage(Path(study.output), points, command).comparison()
        if not study.dry_run and len(comparison.missing) < len(comparison.plan):
            print(f"\n{machine()}\n\n{comparison_words.markdown(comparison)}")


if __name__ == "__main__":
    run_command(main)
