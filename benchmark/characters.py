"""Prints what a pretrained network does for handwriting with wrong labels, against one trained from scratch.

    .venv/bin/python benchmark/characters.py --input ~/hanzi/labels.csv --output project/output/characters

Symmetric noise in the training and validation labels; every run of a seed has the same. Each way has so many epochs
that it takes about as many CPU-seconds as it is given, on one thread of an idle machine: see `EPOCHS`. Stop it at any
time, and the same command goes on. --print-only prints what is finished.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure
from fine_tuning import features_cost
from photo_features import spent
from studies import refuse_other
from timed_runs import Row, once, show, train

import make_command
from project.work.common import UserError
from project.work.machine.process import run_command
from project.work.settings.flags import parse, setting

PRETRAINED: dict[str, Any] = {"model": "tf_efficientnet_lite0", "pretrained": True}
WAYS: Mapping[str, dict[str, Any]] = {
    "base": {},
    "robust": {"recipe": "robust"},
    "finetune": PRETRAINED | {"recipe": "finetune"},
    "finetune,robust": PRETRAINED | {"recipe": "finetune,robust"},
}
EPOCHS = {True: {300: 4, 600: 9}, False: {300: 20, 600: 40}}  # by whether it is pretrained, and CPU-seconds


@dataclass(frozen=True)
class Characters:
    """What is measured."""

    input: str | None = setting(None, "folder with one sub-folder a class, or a CSV of path,label")
    size: int = setting(96, "side that a pretrained network is trained at", within="[8, 1024]")
    small: int = setting(64, "side that the default network is trained at", within="[8, 1024]")
    noise_rate: float = setting(0.12, "share of the labels that become wrong", within="(0, 1)")
    seeds: int = setting(3, "runs of each way, each with noise of its own", within="[1, inf)")
    variant: str = setting(";".join(f"{way} {time}" for time in (300, 600) for way in WAYS), "what is run; A;B")
    output: str = setting("project/output/characters", "folder of the prepared set, runs and the table")
    print_only: bool = setting(False, "print the table of what is finished, and run nothing")


def main(argv: Sequence[str] | None = None) -> None:
    """Do the missing runs and print the table."""
    options = parse(Characters, argv, "Train on handwriting with wrong labels.")
    if options.input is None:
        raise UserError("--input is missing: name a folder of pictures, or a CSV of path,label")
    refuse_other(options, ("variant", "seeds", "print_only"))
    work, variants = Path(options.output).resolve(), options.variant.split(";")
    print(f"{measure.machine()}; load {os.getloadavg()[0]:.1f} now; one thread")
    for variant in [] if options.print_only else variants:
        for seed in range(options.seeds):
            once(work / "runs.csv", variant, seed, lambda variant=variant, seed=seed: run(options, work, variant, seed))
    show(work / "runs.csv", variants, options.seeds)


def run(options: Characters, work: Path, variant: str, seed: int) -> Row:
    """One way of a seed, for so long."""
    way, _, seconds = variant.rpartition(" ")
    folder, own = work / "characters", WAYS[way]
    if not (folder / "provenance.json").exists():
        values = {"input": options.input, "output": work, "dataset": folder.name, "size": options.size}
        spent(make_command.script("project/data_preparation/image_folder.py", values))
    shared = {"dataset": folder, "output": work / "runs", "device": "cpu"}
    noise = {"noise_type": "symmetric", "noise_rate": options.noise_rate, "noise_seed": seed, "seed": seed}
    pretrained = "pretrained" in own
    size = {} if pretrained else {"image_size": options.small}
    cost = features_cost(shared | {"model": own["model"], "image_size": options.size}) if pretrained else 0.0
    return train(shared | noise | size | own | {"epoch": EPOCHS[pretrained][int(seconds)]}, cost)


if __name__ == "__main__":
    run_command(main)
