"""Prints what fine-tuning a pretrained network does for a folder of photos, against its frozen features, at equal time.

    .venv/bin/python benchmark/fine_tuning.py --input ~/trashnet --output project/output/fine-tuning

Every variant trains on the same divisions of the pictures, on one thread, for so many epochs that all take about as
long. It takes hours; stop it at any time, and the same command goes on. --print-only prints what is finished.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure
from photo_features import after, prepared, spent
from studies import refuse_other
from timed_runs import Row, once, show, train

import make_command
from project.work.common import UserError
from project.work.machine.process import run_command
from project.work.settings.flags import parse, setting

FROZEN, PLAIN = "frozen head", "plain timm"
DEEP: dict[str, Any] = {"no_head_first": True, "epoch": 2}  # all layers learn, which takes twice as long an epoch
VARIANTS: Mapping[str, dict[str, Any]] = {  # what differs from --recipe finetune --pretrained
    "finetune": {},
    "random head": {"no_head_first": True},
    "SGD": {"optimizer": "sgd", "learning_rate": 0.01, "weight_decay": 1e-4},
    "no augmentation": {"augment": "none"},
    "one rate for all layers": DEEP | {"freeze": "none"},
    "layer factors": DEEP | {"freeze": "none", "layer_factors": "0.01,0.1,1"},
    "layer decay": DEEP | {"freeze": "none", "layer_decay": 0.75},
    "not pretrained": DEEP | {"freeze": "none", "pretrained": None, "no_pretrained": True},
}


@dataclass(frozen=True)
class FineTuning:
    """What is measured."""

    input: str | None = setting(None, "folder with one sub-folder a class, or a CSV of path,label")
    model: str = setting("tf_efficientnet_lite0", "network of timm that is trained")
    size: int = setting(224, "side that pictures are prepared and trained at", within="[8, 1024]")
    splits: int = setting(3, "divisions into training and test", within="[1, inf)")
    variant: str = setting(",".join([FROZEN, *VARIANTS, PLAIN]), "what is run, in this order")
    output: str = setting("project/output/fine-tuning", "folder of prepared sets, runs and the table")
    print_only: bool = setting(False, "print the table of what is finished, and run nothing")


def main(argv: Sequence[str] | None = None) -> None:
    """Do the missing runs and print the table."""
    options = parse(FineTuning, argv, "Fine-tune a pretrained network.")
    if options.input is None:
        raise UserError("--input is missing: name a folder of pictures, or a CSV of path,label")
    refuse_other(options, ("variant", "splits", "print_only"))
    work = Path(options.output).resolve()
    print(f"{measure.machine()}; load {os.getloadavg()[0]:.1f} now; one thread")
    for name in [] if options.print_only else options.variant.split(","):
        for seed in range(options.splits):
            once(work / "runs.csv", name, seed, lambda name=name, seed=seed: run(options, work, name, seed))
    show(work / "runs.csv", [FROZEN, *VARIANTS, PLAIN], options.splits)


def run(options: FineTuning, work: Path, name: str, seed: int) -> Row:
    """One variant on one division."""
    dataset = prepared(options, work, seed)
    shared: Row = {"model": options.model, "dataset": dataset, "output": work / "runs", "device": "cpu"}
    if name == FROZEN:
        return frozen(shared)
    if name == PLAIN:
        return plain(options, dataset, seed)
    values = shared | {"recipe": "finetune", "pretrained": True, "seed": seed} | VARIANTS[name]
    return train(values, 0.0 if "no_head_first" in values else features_cost(shared))


def frozen(shared: Row) -> Row:
    """Features of the whole set, which later runs find there, and a linear head on them."""
    _, said = spent(make_command.script("project/work/main.py", shared | {"stage": "features"}))
    cost = json.loads((after("features in ", said) / "features.json").read_text())["cpu_seconds"]
    return train(shared | {"stage": "features", "head": "linear"}, cost) | {"epochs": 0}


def features_cost(shared: Row) -> float:
    """CPU-seconds that the features of the training pictures took when the frozen head was trained."""
    _, said = spent(make_command.script("project/work/main.py", shared | {"stage": "features"}))
    facts = json.loads((after("features in ", said) / "features.json").read_text())
    return facts["cpu_seconds"] * facts["train"] / (facts["train"] + facts["test"])


def plain(options: FineTuning, dataset: Path, seed: int) -> Row:
    """The plain loop, all layers of which learn, for as many epochs as ours that do the same."""
    values = {"dataset": dataset, "model": options.model, "size": options.size, "epoch": DEEP["epoch"], "seed": seed}
    _, said = spent(make_command.script("benchmark/plain_fine_tuning.py", values))
    return {**json.loads(said.splitlines()[-1]), "run": "plain"}


if __name__ == "__main__":
    run_command(main)
