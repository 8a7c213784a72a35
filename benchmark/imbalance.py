"""Prints what class weights do where one class is rare: macro F1 of a linear head on frozen features of photos.

    .venv/bin/python benchmark/imbalance.py --input ~/trashnet

The features of all pictures are made once, by ./inv features. Then, for each division into training and test, the
training pictures of one class (--rare) are thinned to --left, and a head is trained as ./inv features --head linear
trains it: its strength is chosen out of fold, among the training pictures alone; the test part is read once. There is
no sampler here: a head is fitted to all rows at once, where drawing a class more often is what its weight is.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
import numpy as np
import torch
from threadpoolctl import threadpool_limits

import make_command
from project.work.common import UserError, derive_seed
from project.work.dataset import imbalance, prepared_data, storage
from project.work.dataset.base_dataset import fold_numbers, split
from project.work.features import extract, heads
from project.work.features.heads import Balance
from project.work.machine.process import run_command
from project.work.runner.history import measure as measured
from project.work.settings.flags import parse, setting

FOLDS = 5
TEST = 0.2  # share of the pictures


@dataclass(frozen=True)
class Imbalance:
    """What is measured."""

    input: str | None = setting(None, "folder with one sub-folder a class")
    rare: str = setting("trash", "class that is thinned")
    left: int = setting(30, "training pictures of it that are left", within="[2, inf)")
    splits: int = setting(3, "divisions into training and test", within="[1, inf)")
    size: int = setting(224, "side that pictures are prepared at", within="[8, 1024]")
    output: str | None = setting(
        None, "folder of the prepared set and its features, kept; one to throw away if not given"
    )


def ways(counts: np.ndarray) -> dict[str, Balance]:
    """What is compared. counts: int (K,), of training rows."""

    def weighted(kind: str, beta: float = 0.999) -> Balance:
        return Balance(weights=imbalance.class_weights(counts, kind, beta))

    return {
        "none": heads.AS_COUNTED,
        "--class-weight inverse": weighted("inverse"),
        "--class-weight effective (beta .999)": weighted("effective"),
        "--class-weight effective, beta .99": weighted("effective", 0.99),
        "--logit-adjustment": Balance(prior=imbalance.log_prior(counts)),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line for each way: figures of each split, and the gain over none, paired by split."""
    options = parse(Imbalance, argv, "Measure class weights on photos.")
    if options.input is None:
        raise UserError("--input is missing: name a folder of pictures")
    torch.set_num_threads(1)
    threadpool_limits(1)
    print(f"{measure.machine()}; load {os.getloadavg()[0]:.1f} when it began; one thread")
    with TemporaryDirectory() as scratch:
        rows, labels, names = features(options, Path(options.output or scratch).resolve())
    if options.rare not in names:
        raise UserError(f"--rare {options.rare}: the classes are {', '.join(names)}")
    before = measure.cpu_seconds()
    found = [one_split(options, rows, labels, names, seed) for seed in range(options.splits)]
    cpu = measure.cpu_seconds() - before
    show(found, options)
    print(f"{cpu:.1f} CPU-s for {len(found)} x {len(found[0])} heads and their folds, beside the features")


def features(options: Imbalance, work: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Features float16 (N, D), labels int64 (N,) and class names of all pictures, prepared and made if need be."""
    folder = work / "all"
    if not (folder / "provenance.json").exists():
        values = {"input": options.input, "output": work, "dataset": folder.name, "size": options.size, "seed": 0}
        spent(make_command.script("project/data_preparation/image_folder.py", values))
    values = {"stage": "features", "dataset": folder, "output": work / "runs", "device": "cpu"}
    said = spent(make_command.script("project/work/main.py", values))
    made = extract.read(Path(said.splitlines()[-1].removeprefix("features in ")))
    prepared = storage.read(prepared_data.find(str(folder)))
    labels = np.concatenate([prepared.train.labels, prepared.test.labels])
    return np.concatenate([made.train, made.test]), labels, prepared.names


def one_split(
    options: Imbalance, rows: np.ndarray, labels: np.ndarray, names: list[str], seed: int
) -> dict[str, dict[str, float]]:
    """The figures of each way on one division, in percent."""
    train, test = split(labels, TEST, seed, "these pictures", names)
    random = np.random.default_rng(derive_seed(seed, "thinned"))
    rare = train[labels[train] == names.index(options.rare)]
    if len(rare) < options.left:
        raise UserError(f"--left {options.left}: {options.rare} has {len(rare)} training pictures")
    kept = np.sort(np.concatenate([np.setdiff1d(train, rare), random.permutation(rare)[: options.left]]))
    learnt, classes = labels[kept], len(names)
    folds = fold_numbers(learnt, FOLDS, seed, "these pictures", names)
    found = {}
    for way, balance in ways(np.bincount(learnt, minlength=classes)).items():
        held_out = heads.out_of_fold(rows[kept], learnt, folds, classes, balance)
        head = heads.fit(rows[kept], learnt, classes, held_out.choice, balance)
        own = labels[test] == names.index(options.rare)
        logits = head.logits(rows[test])
        valid, judged = (
            measured(torch.from_numpy(each), torch.from_numpy(true))
            for each, true in ((held_out.logits, learnt), (logits, labels[test]))
        )
        found[way] = {
            "macro F1": 100 * judged["macro_f1"],
            "top-1": 100 * judged["top1"],
            "recall": 100 * float((logits[own].argmax(axis=1) == names.index(options.rare)).mean()),
            "out of fold": 100 * valid["macro_f1"],
            "C": held_out.choice,
        }
    return found


def show(found: list[dict[str, dict[str, float]]], options: Imbalance) -> None:
    """The table."""
    columns = (f"{options.rare} thinned to {options.left}", "macro F1 by split", "mean", "gain", "top-1")
    columns += (f"recall of {options.rare}", "macro F1 out of fold", "C")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    none = np.array([each["none"]["macro F1"] for each in found])
    for way in found[0]:
        scores = np.array([each[way]["macro F1"] for each in found])
        gains, rest = scores - none, {name: [each[way][name] for each in found] for name in found[0][way]}
        by_split = ", ".join(f"{score:.1f}" for score in scores)
        spread = gains.std(ddof=len(gains) > 1)
        each = ", ".join(f"{gain:+.1f}" for gain in gains)
        gain = "" if way == "none" else f"{each}; mean {gains.mean():+.1f} +- {spread:.1f}"
        means = " | ".join(f"{np.mean(rest[name]):.1f}" for name in ("top-1", "recall", "out of fold"))
        strengths = ", ".join(f"{each:.2g}" for each in rest["C"])
        print(f"| {way} | {by_split} | {scores.mean():.1f} | {gain} | {means} | {strengths} |", flush=True)


def spent(command: list[str]) -> str:
    """Run a command on one thread; what it printed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ | measure.ONE_THREAD)
    if done.returncode:
        sys.exit(f"{command[1]} ended with {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    run_command(main)
