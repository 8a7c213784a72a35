"""Prints what a soft vote of fold models and what test-time augmentation gain over one model, on a prepared set.

    .venv/bin/python benchmark/votes.py --dataset project/input/quickdraw --epoch 6

Everything by what main.py does, on one thread. For each seed, one model is trained (--seed) and the five
fold models of ./inv oof (--split-seed), each of which learns from four fifths of what the one learns from, at as many
epochs: so the vote costs four times the training. All predict the test part; --tta decides on the validation split.
Beside what --tta does by its decision, every view is measured on the test part, to show what the decision is worth.
"""

import contextlib
import csv
import io
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
import numpy as np
import torch
from threadpoolctl import threadpool_limits

import make_command
from project.work import main as main_script
from project.work.classifier import MODEL_FILE, Classifier
from project.work.common import UserError
from project.work.dataset import base_dataset, storage
from project.work.machine.process import run_command
from project.work.predict import vote
from project.work.predict.choosing import settings_of
from project.work.settings.flags import parse, setting


@dataclass(frozen=True)
class Votes:
    """What is measured."""

    dataset: str | None = setting(None, "folder of a prepared set")
    epoch: int = setting(6, "epochs of every model", within="[1, inf)")
    seeds: int = setting(3, "seeds", within="[1, inf)")
    image_size: int | None = setting(None, "side in pixels to train at; as prepared when not given")
    output: str | None = setting(None, "folder of runs, kept; one to throw away when not given")


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line a seed, and the gains with their deviation."""
    options = parse(Votes, argv, "Measure votes and views.")
    if options.dataset is None:
        raise UserError("--dataset is missing: name the folder of a prepared set")
    print(f"{measure.machine()}; load {os.getloadavg()[0]:.1f} when it began; one thread")
    torch.set_num_threads(1)
    with TemporaryDirectory() as scratch, threadpool_limits(1):
        output = Path(options.output or scratch).resolve()
        found = [of_seed(options, Path(options.dataset).resolve(), output, seed) for seed in range(options.seeds)]
    for name in list(found[0])[1:]:
        gains = [100 * (each[name] - each["one model"]) for each in found]
        spread = np.std(gains, ddof=1) if len(gains) > 1 else 0
        said = ", ".join(f"{gain:+.1f}" for gain in gains)
        print(f"{name:28} {np.mean(gains):+.2f} +- {spread:.2f} points over one model ({said})")


def of_seed(options: Votes, dataset: Path, output: Path, seed: int) -> dict[str, float]:
    """Accuracy on the test part by each way."""
    began = time.perf_counter()
    usual = {"dataset": dataset, "output": output, "epoch": options.epoch, "image_size": options.image_size}
    usual |= {"device": "cpu", "split_seed": seed}
    before = set(output.glob("oof-*")) if output.exists() else set()
    spent = [command({**usual, "uuid": f"seed{seed}", "seed": seed}), command({**usual, "stage": "oof"})]
    folds = sorted(set(output.glob("oof-*")) - before)[0]
    one = output / f"base-seed{seed}"
    alone = [predicted(dataset, output, {"checkpoint": place / MODEL_FILE}) for place in sorted(folds.glob("fold-*"))]
    ways = {
        "one model": predicted(dataset, output, {"checkpoint": one}),
        "one model, --tta": predicted(dataset, output, {"checkpoint": one, "tta": True}),
        "vote of five": predicted(dataset, output, {"checkpoint": folds}),
        "vote of five, --tta": predicted(dataset, output, {"checkpoint": folds, "tta": True}),
        "one fold model (mean)": float(np.mean(alone)),
    }
    classifier = Classifier.load(one / MODEL_FILE)
    test = base_dataset.load(settings_of(classifier), torch.device("cpu")).test
    ways |= {f"one model, {gain.way} always": gain.accuracy for gain in vote.view_gains(classifier, test)}
    said = "  ".join(f"{name} {100 * value:.1f}" for name, value in ways.items())
    took = f"{spent[0]:.0f} CPU-s one, {spent[1]:.0f} folds; {time.perf_counter() - began:.0f} s"
    print(f"seed {seed}  {said}  ({took})", flush=True)
    return ways


def command(values: dict[str, object]) -> float:
    """Do what main.py does for these settings, quietly; returns its CPU-seconds."""
    before, said = time.process_time(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        main_script.main(make_command.flags(values))
    for line in said.getvalue().splitlines():
        if line.startswith("--tta"):
            print(f"        {line}", flush=True)
    return time.process_time() - before


def predicted(dataset: Path, output: Path, values: dict[str, object]) -> float:
    """Accuracy on the test part of what ./inv predict answers."""
    answers = output / "answers.csv"
    asked = {"stage": "predict", "input_image": dataset, "output": output, "to": answers, "device": "cpu"}
    command({**asked, **values})
    prepared = storage.read(dataset)
    with open(answers, newline="", encoding="utf-8") as file:
        said = [row["label"] for row in csv.DictReader(file)]
    given = [prepared.names[label] for label in prepared.test.labels]
    return float(np.mean([one == other for one, other in zip(given, said, strict=True)]))


if __name__ == "__main__":
    run_command(main)
