"""The stage of features: make them, and train a head on them, which is a run like any other without epochs.

A head's result is reported as every run's is, so that tables compare it with networks that were trained, and a linear
one leaves a classifier of network and head, which predicts as every other does.
"""

import dataclasses
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np
import torch
from torch import nn

from project.work import model
from project.work.classifier import Classifier
from project.work.dataset import imbalance
from project.work.dataset.base_dataset import Dataset, fold_numbers
from project.work.dataset.distillation_dataset import DROPPED, OofLogits
from project.work.features import extract, heads
from project.work.features.extract import Features
from project.work.features.heads import Balance, Linear, OutOfFold
from project.work.labels.naming import unpacked
from project.work.machine.distributed import RunContext
from project.work.networks import backbones
from project.work.networks.backbones import Backbone
from project.work.reporter.outcome import Answers, Outcome
from project.work.reporter.result import DATA_DIGEST
from project.work.run_folder import git_revision
from project.work.runner.distillation_runner import DEFAULT_FOLDS
from project.work.runner.history import measure
from project.work.runner.table import noise_left, ordered, settings_cells
from project.work.settings import resolve
from project.work.settings.groups import Settings


@dataclass(frozen=True)
class Trained:
    """A head and what is known of it. train, valid, test: METRICS of its predictions, those of validation out of fold;
    outcome: those predictions; choice: its strength or count of neighbours; classifier: None for one that predicts by
    the pictures it was trained on."""

    train: dict[str, float]
    valid: dict[str, float]
    test: dict[str, float]
    outcome: Outcome
    choice: float
    seconds: float
    classifier: Classifier | None

    @property
    def words(self) -> str:
        """What came out, in a line."""
        return (
            f"top-1 accuracy on the test split: {self.test['top1']:.1%}, macro F1 {self.test['macro_f1']:.1%}; on"
            f" validation, out of fold, {self.valid['top1']:.1%}; trained in {self.seconds:.1f} s"
        )


def run(context: RunContext, dataset: Dataset, backbone: Backbone | None) -> Features:
    """Make the features of a data set, and say where they are."""
    found = extract.features(context, dataset, backbone)
    print(
        f"{len(found.train):,} rows to train and {len(found.test):,} to test of {found.train.shape[1]:,} features by"
        f" {found.facts['model']}\nfeatures in {found.folder}"
    )
    return found


def train_head(settings: Settings, dataset: Dataset, found: Features, backbone: Backbone | None) -> Trained:
    """Train a head on the rows of training and validation. What it is chosen by is how likely it makes labels out of
    fold; the test split is read once, at the end. backbone: that of the settings is opened when it is None."""
    began, classes = time.perf_counter(), len(dataset.names)
    rows = np.sort(np.concatenate([dataset.train.rows.numpy(), dataset.valid.rows.numpy()]))
    labels = dataset.train.records.labels.cpu().numpy()
    balance = _balance(settings, labels[rows], classes)
    held_out = _out_of_fold(settings, found.train[rows], labels[rows], dataset.names, balance)
    valid = np.isin(rows, dataset.valid.rows.numpy())
    linear = None
    if settings.head == "linear":
        linear = heads.fit(found.train[rows], labels[rows], classes, held_out.choice, balance)
        logits = linear.logits(found.train[rows]), linear.logits(found.test)
    else:
        learnt = found.train[rows], labels[rows], int(held_out.choice)
        logits = heads.nearest(learnt, found.train[rows], classes), heads.nearest(learnt, found.test, classes)
    seconds = time.perf_counter() - began
    on_train = Answers(torch.from_numpy(logits[0][~valid]), torch.from_numpy(labels[rows][~valid]))
    on_valid = Answers(torch.from_numpy(held_out.logits[valid]), torch.from_numpy(labels[rows][valid]))
    came_to = Outcome(on_valid, Answers(torch.from_numpy(logits[1]), dataset.test.labels.cpu()))
    classifier = None
    if linear is not None:
        classifier = _classifier(settings, dataset, linear, backbone or backbones.open_backbone(settings))
        classifier = dataclasses.replace(classifier, temperature=came_to.temperature)
    train, valid_too, test = (measure(each.logits, each.labels) for each in (on_train, came_to.valid, came_to.test))
    return Trained(train, valid_too, test, came_to, held_out.choice, seconds, classifier)


def _balance(settings: Settings, labels: np.ndarray, classes: int) -> Balance:
    """What the settings ask for to make up for the counts of classes. labels: int (n,), those that are learnt."""
    counts, weights, prior = np.bincount(labels, minlength=classes), None, None
    if settings.class_weight != "none":
        weights = imbalance.class_weights(counts, settings.class_weight, settings.class_weight_beta)
    if settings.logit_adjustment:
        prior = settings.logit_adjustment_tau * imbalance.log_prior(counts)
    return Balance(weights, prior)


def _out_of_fold(
    settings: Settings, rows: np.ndarray, labels: np.ndarray, names: list[str], balance: Balance
) -> OutOfFold:
    """In as many folds as the rarest class has rows, at most DEFAULT_FOLDS. Raises UserError where it has one."""
    rarest = int(np.unique(labels, return_counts=True)[1].min())
    folds = fold_numbers(labels, max(2, min(DEFAULT_FOLDS, rarest)), settings.split_seed, settings.dataset, names)
    if settings.head == "knn":
        return heads.nearest_out_of_fold(rows, labels, folds, len(names))
    return heads.out_of_fold(rows, labels, folds, len(names), balance)


def _classifier(settings: Settings, dataset: Dataset, linear: Linear, backbone: Backbone) -> Classifier:
    head = nn.Linear(*linear.weights.shape)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(linear.weights.T))
        head.bias.copy_(torch.from_numpy(linear.bias))
    chosen = {name: getattr(settings, name) for name in resolve.experiment_settings()}
    shape = (dataset.train.shape[0], backbone.side, backbone.side)
    network = model.with_head(backbone.network, head)
    return Classifier(
        network, backbone.name, dataset.names, shape, backbone.normaliser, chosen, git_revision=git_revision()
    )


def row(settings: Settings, dataset: Dataset, trained: Trained, data_digest: str | None) -> dict[str, Any]:
    """The row that reports a head: the columns of every run, where epochs are none."""
    left = noise_left(dataset)
    values = settings_cells(settings) | {
        "best_train_accuracy": trained.train["top1"],
        "best_valid_accuracy": trained.valid["top1"],
        "best_test_accuracy": trained.test["top1"],
        "best_test_macro_f1": trained.test["macro_f1"],
        "best_test_top5": trained.test["top5"],
        "selected_epoch": 0,
        "last_train_accuracy": trained.train["top1"],
        "last_valid_accuracy": trained.valid["top1"],
        "last_test_accuracy": trained.test["top1"],
        "last_test_macro_f1": trained.test["macro_f1"],
        "last_test_top5": trained.test["top5"],
        "head_choice": trained.choice,
        "noise_actual_rate": 0.0 if dataset.noise is None else round(dataset.noise.rate, 6),
        "noise_rate_left": None if left is None else round(left, 6),
        "train_pictures": len(dataset.train) + len(dataset.valid),
        "seconds": round(trained.seconds, 1),
        "device": "cpu",
        "torch": torch.__version__,
        "git_revision": git_revision(),
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "method": f"{settings.head}-features",
        DATA_DIGEST: data_digest,
    }
    return ordered(values, trained.outcome)


def oof_logits(context: RunContext, dataset: Dataset, backbone: Backbone | None = None) -> OofLogits:
    """Out-of-fold logits of a regression on features, for every row that corrections have kept; validation too, as
    nothing is selected by it here. Raises UserError."""
    settings = context.settings
    found = extract.features(context, dataset, backbone)
    rows = np.sort(np.concatenate([dataset.train.rows.numpy(), dataset.valid.rows.numpy()]))
    labels = dataset.train.records.labels.cpu().numpy()[rows]
    folds = np.full(len(found.train), DROPPED, np.int64)
    count = settings.folds or DEFAULT_FOLDS
    folds[rows] = fold_numbers(labels, count, settings.split_seed, settings.dataset, dataset.names)
    logits = np.zeros((len(found.train), len(dataset.names)), np.float32)
    logits[rows] = heads.out_of_fold(found.train[rows], labels, folds[rows], len(dataset.names)).logits
    return OofLogits(logits, unpacked(dataset.train_keys), folds, dataset.names)
