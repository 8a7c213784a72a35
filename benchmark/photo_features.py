"""Prints what frozen features do for a folder of photos: the accuracy of a linear head, and audits without training.

    .venv/bin/python benchmark/photo_features.py --input ~/trashnet

Everything through the commands that a person types, on one thread: pictures are prepared at --size for each split, and
each command's CPU-seconds are those of its whole process, beside those that it spent on features and on what it learnt
on them. Confusion noise is drawn from the transition matrix of an audit of the labels as they are.
"""

import dataclasses
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import measure
import numpy as np
import torch
from threadpoolctl import threadpool_limits

import make_command
from project.work.audit.find import findings
from project.work.audit.stage import Audit
from project.work.common import UserError
from project.work.dataset import base_dataset
from project.work.dataset.base_dataset import Dataset
from project.work.features import extract, stage
from project.work.machine.distributed import RunContext
from project.work.machine.process import run_command
from project.work.networks import backbones
from project.work.settings import resolve
from project.work.settings.flags import parse, setting
from project.work.settings.groups import Settings

AUDIT: dict[str, Any] = {"stage": "audit", "features": True}


@dataclass(frozen=True)
class PhotoFeatures:
    """What is measured."""

    input: str | None = setting(None, "folder with one sub-folder a class, or a CSV of path,label")
    model: str = setting("tf_efficientnet_lite0", "network of timm that makes the features")
    weights: str | None = setting(None, "file of its weights")
    size: int = setting(224, "side that pictures are prepared at", within="[8, 1024]")
    splits: int = setting(3, "divisions into training and test", within="[1, inf)")
    seeds: int = setting(3, "seeds of each kind of noise, on the first division", within="[0, inf)")
    noise: str = setting("symmetric:0.2,confusion:0.12", "kinds of noise and their rates")
    output: str | None = setting(None, "folder of prepared sets and runs, kept; one to throw away when not given")


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line a run, and the mean and deviation of each kind."""
    options = parse(PhotoFeatures, argv, "Measure features of photos.")
    if options.input is None:
        raise UserError("--input is missing: name a folder of pictures, or a CSV of path,label")
    print(f"{measure.machine()}; load {os.getloadavg()[0]:.1f} when it began; one thread")
    with TemporaryDirectory() as scratch:
        work = Path(options.output or scratch).resolve()
        sets = [prepared(options, work, seed) for seed in range(options.splits)]
        print(f"\n{options.model}, linear head")
        show([head(options, work, each) for each in sets])
        for word in filter(None, options.noise.split(",")):
            kind, _, rate = word.partition(":")
            print(f"\naudits by features, {float(rate):.0%} {kind} noise")
            show([audit(options, work, sets[0], kind, float(rate), seed) for seed in range(options.seeds)])


def prepared(options: PhotoFeatures, work: Path, seed: int) -> Path:
    """The folder of a division of the pictures, made when it is not there."""
    folder = work / f"split-{seed}"
    if not (folder / "provenance.json").exists():
        values = {"input": options.input, "output": work, "dataset": folder.name, "size": options.size, "seed": seed}
        spent(make_command.script("project/data_preparation/image_folder.py", values))
    return folder


def settings(options: PhotoFeatures, work: Path, dataset: Path, **more: Any) -> dict[str, Any]:
    """What every command is given."""
    given = {"model": options.model, "weights": options.weights, "dataset": dataset, "output": work / "runs"}
    return {name: value for name, value in given.items() if value is not None} | {"device": "cpu"} | more


def head(options: PhotoFeatures, work: Path, dataset: Path) -> dict[str, float]:
    """Features, a linear head on them, and its figures on the test split."""
    values = settings(options, work, dataset, stage="features", head="linear")
    cpu, said = spent(make_command.script("project/work/main.py", values))
    run, features = after("run folder ", said), after("features in ", said)
    row, facts = (json.loads(path.read_text()) for path in (run / "result.json", features / "features.json"))
    return {
        "top-1": 100 * row["best_test_accuracy"],
        "macro F1": 100 * row["best_test_macro_f1"],
        "C": row["head_choice"],
        "features CPU-s": facts["cpu_seconds"],
        "head CPU-s": head_alone(values),
        "whole command CPU-s": cpu,
    }


def audit(options: PhotoFeatures, work: Path, dataset: Path, kind: str, rate: float, seed: int) -> dict[str, float]:
    """An audit on features that are there already, held against the noise that was put in."""
    noise: dict[str, Any] = {"noise_type": kind, "noise_rate": rate, "noise_seed": seed}
    if kind == "confusion":
        _, said = spent(make_command.script("project/work/main.py", settings(options, work, dataset, **AUDIT)))
        noise["noise_file"] = after("audit folder ", said) / "transition.csv"
    values = settings(options, work, dataset, **AUDIT, **noise)
    cpu, said = spent(make_command.script("project/work/main.py", values))
    facts = json.loads((after("audit folder ", said) / "audit.json").read_text())
    return {
        "AUROC": facts["auroc"],
        "precision at the true count": facts["precision_true_count"],
        "true rate": facts["true_noise_rate"],
        "estimated rate": facts["noise_rate"],
        "beside features CPU-s": audit_alone(values),
        "whole command CPU-s": cpu,
    }


def head_alone(values: dict[str, Any]) -> float:
    """CPU-seconds of choosing, training and judging the head, its features and the pictures being there."""
    settings, dataset, context = loaded(values)
    found, backbone = extract.features(context, dataset), backbones.open_backbone(settings)
    return measure.cost(lambda: float(stage.train_head(settings, dataset, found, backbone) is not None)).cpu


def audit_alone(values: dict[str, Any]) -> float:
    """CPU-seconds of an audit from features to what it finds: five folds, the choice of C, scores, ranks and rates."""
    settings, dataset, context = loaded(values)
    within = Audit(settings, dataset)
    before = within.evidence(stage.oof_logits(context, dataset), None)  # and exact copies, which are of the pictures

    def work() -> float:
        logits = stage.oof_logits(context, dataset).logits[before.rows]
        evidence = dataclasses.replace(before, logits=logits)
        return float(len(findings.find(evidence, settings.flag_by, settings.split_seed).order))

    return measure.cost(work).cpu


def loaded(values: dict[str, Any]) -> tuple[Settings, Dataset, RunContext]:
    """What the command of these settings works with, in this process."""
    torch.set_num_threads(1)
    threadpool_limits(1)  # numpy's multiplications
    made = resolve.combine({name: str(value) if isinstance(value, Path) else value for name, value in values.items()})
    device = torch.device("cpu")
    return made, base_dataset.load(made, device), RunContext(made, device)


def spent(command: list[str]) -> tuple[float, str]:
    """Run a command on one thread: its CPU-seconds and what it printed."""
    before = measure.cpu_seconds()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ | measure.ONE_THREAD)
    if done.returncode:
        sys.exit(f"{shlex.join(command)} ended with {done.returncode}")
    return measure.cpu_seconds() - before, done.stdout


def after(words: str, said: str) -> Path:
    """The path that a command printed after some words."""
    return Path(next(line.removeprefix(words) for line in said.splitlines() if line.startswith(words)))


def show(found: list[dict[str, float]]) -> None:
    """A line a run, then mean and deviation."""
    for row in found:
        print("  ".join(f"{name} {value:.4g}" for name, value in row.items()))
    for name in found[0] if found else ():
        values = np.array([row[name] for row in found])
        print(f"{name:<28} {values.mean():.4g} +- {values.std(ddof=len(values) > 1):.2g}", flush=True)


if __name__ == "__main__":
    run_command(main)
