"""Prints how well pictures of no class are told from those of the classes, on features of a pretrained network.

    .venv/bin/python benchmark/outsiders.py --dataset project/input/trashnet
    .venv/bin/python benchmark/outsiders.py --dataset project/input/omniglot --outside half --image-size 64

Features of a prepared set are made once and kept in --output. Then its pictures are divided anew for each split: a
fifth of every class is for testing.

--outside one: each class in turn is the outsider; half: half of the classes, drawn. A
head is fitted on the training pictures of the other classes, with the strength that makes their labels likeliest out of
fold; nothing is chosen by the outsiders. The area under the ROC curve is that of the test pictures of the other classes
against all of the outsiders'.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import measure
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from project.work import unknown
from project.work.common import UserError
from project.work.dataset import base_dataset
from project.work.features import extract, heads
from project.work.machine.distributed import RunContext
from project.work.machine.process import run_command
from project.work.settings import resolve
from project.work.settings.flags import parse, setting
from project.work.unknown import EXAMPLES, KINDS

CHOOSING = 100_000  # rows x classes that the strength of heads is chosen on, at most


@dataclass(frozen=True)
class Outsiders:
    """What is measured."""

    dataset: str | None = setting(None, "prepared set")
    outside: str = setting("one", "which classes are outsiders", choices=("one", "half"))
    image_size: int | None = setting(None, "side at which features are made; that of the weights when not given")
    splits: int = setting(3, "divisions", within="[1, inf)")
    output: str | None = setting(None, "folder in which features are kept; project/output when not given")


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line a split and outsider, and the means."""
    options = parse(Outsiders, argv, "Measure how outsiders are told.")
    if options.dataset is None:
        raise UserError("--dataset is missing: name a prepared set")
    print(f"{measure.machine()}; load {os.getloadavg()[0]:.1f} when it began; one thread")
    with threadpool_limits(1):
        torch.set_num_threads(1)
        rows, labels, names = features_of(options)
        began, means = time.process_time(), []
        for split in range(options.splits):
            found = {
                called: areas(rows, labels, outside, split) for called, outside in outsiders(options, names, split)
            }
            for called, each in found.items():
                print(f"split {split}  {called[:24]:24}" + "".join(f"  {kind} {each[kind]:.3f}" for kind in KINDS))
            means.append({kind: float(np.mean([each[kind] for each in found.values()])) for kind in KINDS})
        for kind in KINDS:
            values = [each[kind] for each in means]
            spread = np.std(values, ddof=1) if len(values) > 1 else 0
            print(f"{kind:12} mean AUROC {np.mean(values):.3f} +- {spread:.3f} over {len(values)} splits")
        print(f"{time.process_time() - began:.0f} CPU-s without features")


def features_of(options: Outsiders) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Features, float32 (N, D), labels (N,) and class names of all pictures of the set, of training and test."""
    words = ["--stage=features", f"--dataset={options.dataset}", "--device=cpu"]
    words += [] if options.image_size is None else [f"--image-size={options.image_size}"]
    words += [] if options.output is None else [f"--output={options.output}"]
    context = RunContext(resolve.parse(words), torch.device("cpu"))
    dataset = base_dataset.load(context.settings, context.device)
    found = extract.features(context, dataset)
    labels = [dataset.train.records.labels.numpy(), dataset.test.records.labels.numpy()]
    return np.concatenate([found.train, found.test]).astype(np.float32), np.concatenate(labels), dataset.names


def outsiders(options: Outsiders, names: list[str], split: int) -> Iterator[tuple[str, np.ndarray]]:
    """Which classes are outsiders, by what to call them."""
    if options.outside == "one":
        yield from ((name, np.array([label])) for label, name in enumerate(names))
        return
    drawn = np.random.default_rng([split, 1]).permutation(len(names))[: len(names) // 2]
    yield f"{len(drawn)} of {len(names)} classes", drawn


def areas(rows: np.ndarray, labels: np.ndarray, outside: np.ndarray, split: int) -> dict[str, float]:
    """The area under the ROC curve by each kind of score."""
    random, test = np.random.default_rng(split), np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        test[members[: max(1, len(members) // 5)]] = True
    strange = np.isin(labels, outside)
    learnt = np.flatnonzero(~test & ~strange)
    classes, given = np.unique(labels[learnt], return_inverse=True)
    some, most = np.arange(len(learnt)), CHOOSING // len(classes)
    if len(learnt) > most:
        some = np.argsort(given, kind="stable")[np.linspace(0, len(learnt) - 1, most).astype(int)]
    folds = base_dataset.fold_numbers(given[some], min(5, int(np.bincount(given[some]).min())), 0, "learnt")
    strength = heads.out_of_fold(rows[learnt[some]], given[some], folds, len(classes)).choice
    head = heads.fit(rows[learnt], given, len(classes), strength)
    some = np.unique(np.linspace(0, len(learnt) - 1, min(len(learnt), EXAMPLES)).astype(int))
    examples = unknown.directions(torch.from_numpy(rows[learnt[np.argsort(given, kind="stable")[some]]])).half()
    found = {}
    for kind in KINDS:
        said = [
            unknown.scores(kind, torch.from_numpy(head.logits(part)), torch.from_numpy(part), examples).numpy()
            for part in (rows[test & ~strange], rows[strange])
        ]
        found[kind] = unknown.auroc(*said)
    return found


if __name__ == "__main__":
    run_command(main)
