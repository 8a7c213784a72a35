"""Chooses the threshold below which a classifier names no class, and keeps it in the classifier's file.

Pictures of the classes are those of the validation split of its run. Those of no class are given, or one class after
the other stands for them: its pictures are kept from the examples, or from a head that is fitted anew on the features.
"""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from project.work import unknown
from project.work.classifier import Classifier
from project.work.common import UserError, progress
from project.work.dataset.base_dataset import Split, batch_sizes, fold_numbers
from project.work.dataset.pictures import resized
from project.work.features import heads
from project.work.files import disk
from project.work.files.disk import shown
from project.work.predict import inputs
from project.work.predict.choosing import Chosen, learnt_from, preparation_of
from project.work.predict.vote import batch
from project.work.settings.groups import Settings
from project.work.unknown import EXAMPLES, Curve, Unknown

HELD_OUT = 20  # classes that stand for outsiders, at most
LEARNT = 5_000  # rows that heads are fitted on, at most
CURVE, PICTURE = "unknown.csv", "unknown.png"


@dataclass(frozen=True)
class Seen:
    """What a classifier makes of pictures, on the CPU: calibrated logits (n, K), features (n, D); labels: int (n,), -1
    of none."""

    logits: Tensor
    features: Tensor
    labels: np.ndarray

    def take(self, rows: np.ndarray) -> "Seen":
        """Some of them. rows: bool or int."""
        at = torch.from_numpy(rows)
        return Seen(self.logits[at], self.features[at], self.labels[rows])

    @property
    def right(self) -> np.ndarray:
        """Whether the likeliest class is the label, bool (n,)."""
        return self.logits.argmax(dim=1).numpy() == self.labels


@dataclass(frozen=True)
class Judged:
    """Scores of known pictures, whether their class is named, and scores of outsiders."""

    known: np.ndarray
    right: np.ndarray
    outside: np.ndarray


def with_unknown(settings: Settings, chosen: Chosen) -> Chosen:
    """The classifier with the threshold that the settings ask for; one that it has already is kept where it is such.

    Raises UserError where nothing is left to be named, or no picture is there to choose by.
    """
    before, asked = chosen.classifier.unknown, settings.outsiders is not None or settings.unknown_threshold is not None
    if before is not None and not asked and (before.name, before.kind) == (settings.unknown, settings.unknown_by):
        return chosen
    assert settings.unknown is not None
    given = None if settings.outsiders is None else inputs.open_input(settings.outsiders, settings.largest_set)
    learnt, valid = _seen_of_run(chosen)
    own, outside = _class_of(settings.unknown, chosen.classifier.names), None
    if own is not None:  # a class of its own: its pictures are outsiders, and no examples
        outside = valid.take(valid.labels == own)
        learnt, valid = (each.take(each.labels != own) for each in (learnt, valid))
    if given is not None:
        outside = _seen_of_input(chosen, given)
    found = _chosen(settings, chosen, learnt, valid, outside)
    least = found.threshold if found.kind == "probability" else None
    classifier = dataclasses.replace(chosen.classifier, unknown=found, threshold=least)
    if chosen.file is not None:
        classifier.save(chosen.file)
        print(f"kept in {chosen.file}", file=sys.stderr)
    return dataclasses.replace(chosen, classifier=classifier)


def _class_of(name: str, names: Sequence[str]) -> int | None:
    return names.index(name) if name in names else None


def _chosen(settings: Settings, chosen: Chosen, learnt: Seen, valid: Seen, outside: Seen | None) -> Unknown:
    """The threshold, with its curve beside the classifier's file."""
    kind, name = settings.unknown_by, str(settings.unknown)
    examples = unknown.directions(learnt.features).half() if kind == "similarity" else None
    own = _judged(kind, valid, outside, examples)
    if settings.unknown_threshold is not None:
        _refuse_all(own.known, settings.unknown_threshold, name)
        return Unknown(name, kind, settings.unknown_threshold, examples=examples)
    judged = own if outside is not None else _each_held_out(kind, learnt, valid, chosen)
    drawn, area = unknown.curve(judged.known, judged.right, judged.outside), unknown.auroc(judged.known, judged.outside)
    at = drawn.best()
    threshold = float(drawn.thresholds[at])
    if outside is None:  # heads that were fitted anew have scores of their own: what they share is the rejected part
        threshold = float(np.quantile(own.known, 1 - drawn.accepted[at]))
    _refuse_all(own.known, threshold, name)
    print(
        f"{chosen.called} answers {name} where its {kind} is below {threshold:.4f}: AUROC {area:.3f}\n"
        f"  outsiders: {drawn.rejected[at]:.1%} of {len(judged.outside):,} are then {name}\n"
        f"  pictures of a class: {drawn.accepted[at]:.1%} of {len(judged.known):,} keep one, {drawn.accuracy[at]:.1%}"
        f" of them the right one ({judged.right.mean():.1%} of all without {name})",
        file=sys.stderr,
    )
    if chosen.file is not None:
        print(f"curve in {write_curve(chosen.file.parent, drawn, at, area, name)}", file=sys.stderr)
    return Unknown(name, kind, threshold, area, examples)


def _refuse_all(known: np.ndarray, threshold: float, name: str) -> None:
    if not (known >= threshold).any():
        raise UserError(f"--unknown {name}: below {threshold:g} all {len(known):,} pictures of validation are {name},"
                        f" so that no class is ever named (their scores: {known.min():.4f} to {known.max():.4f}); give"
                        " other --outsiders, another --unknown-by or --unknown-threshold")  # fmt: skip


def _judged(kind: str, valid: Seen, outside: Seen | None, examples: Tensor | None) -> Judged:
    def of(seen: Seen) -> np.ndarray:
        return unknown.scores(kind, seen.logits, seen.features, examples).numpy().astype(float)

    return Judged(of(valid), valid.right, np.empty(0) if outside is None else of(outside))


def _each_held_out(kind: str, learnt: Seen, valid: Seen, chosen: Chosen) -> Judged:
    """One class after the other as outsider, its pictures of training and of validation."""
    classes = np.unique(learnt.labels)
    if len(classes) < 3:
        raise UserError("--unknown without --outsiders: one class after the other stands for outsiders, which takes"
                        f" three, and {chosen.called} has {len(classes)}: give some with --outsiders")  # fmt: skip
    held = classes[np.unique(np.linspace(0, len(classes) - 1, min(len(classes), HELD_OUT)).astype(int))]
    network = chosen.classifier.settings.get("head") != "linear"
    said = f"{len(held)} of {len(classes)} classes stand for outsiders, one after the other"
    if kind != "similarity":
        said += f"; {len(held)} heads are fitted on {len(learnt.labels):,} rows"
    if network:
        said += "; the network has learnt them, so real outsiders may be harder to tell: give some with --outsiders"
    print(said, file=sys.stderr)
    strength = 0.0 if kind == "similarity" else _strength(learnt)
    parts = [_one_held_out(kind, learnt, valid, int(label), strength)
             for label in progress(held, desc="held out", unit="class")]  # fmt: skip
    return Judged(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("known", "right", "outside")))


def _one_held_out(kind: str, learnt: Seen, valid: Seen, label: int, strength: float) -> Judged:
    rest, known = learnt.take(learnt.labels != label), valid.take(valid.labels != label)
    outside = [part.take(part.labels == label) for part in (learnt, valid)]
    if kind == "similarity":
        examples = unknown.directions(rest.features).half()
        judged = [_judged(kind, known, each, examples) for each in outside]
        return Judged(judged[0].known, judged[0].right, np.concatenate([each.outside for each in judged]))
    classes = np.unique(rest.labels)
    head = heads.fit(rest.features.numpy(), np.searchsorted(classes, rest.labels), len(classes), strength)
    anew = [
        Seen(torch.from_numpy(head.logits(part.features.numpy())), part.features, np.searchsorted(classes, part.labels))
        for part in (known, *outside)
    ]
    judged = [_judged(kind, anew[0], each, None) for each in anew[1:]]
    return Judged(judged[0].known, judged[0].right, np.concatenate([each.outside for each in judged]))


def _strength(learnt: Seen) -> float:
    """The strength of heads that makes labels likeliest out of fold."""
    classes, labels = np.unique(learnt.labels, return_inverse=True)
    folds = max(2, min(5, int(np.bincount(labels).min())))
    numbers = fold_numbers(labels, folds, 0, "the training part of the run")
    return heads.out_of_fold(learnt.features.numpy(), labels, numbers, len(classes)).choice


def _seen_of_run(chosen: Chosen) -> tuple[Seen, Seen]:
    """What a classifier makes of some training pictures of its run, evenly of all classes, and of all of validation."""
    dataset = learnt_from(chosen, "--unknown")
    labels = dataset.train.labels.cpu().numpy()
    most = EXAMPLES if len(labels) > EXAMPLES else len(labels)
    order = np.argsort(labels, kind="stable")
    some = np.sort(order[np.unique(np.linspace(0, len(order) - 1, most).astype(int))])
    train = dataset.train.subset(some)
    print(f"{chosen.called}: features of {len(train):,} training pictures and {len(dataset.valid):,} of validation",
          file=sys.stderr)  # fmt: skip
    return _seen_of_split(chosen.classifier, train), _seen_of_split(chosen.classifier, dataset.valid)


def _seen_of_split(classifier: Classifier, split: Split) -> Seen:
    sizes = batch_sizes(len(split), batch(classifier))
    places = split.rows.to(split.records.pictures.home).split(sizes)
    found = []
    for pixels in progress(split.records.pictures.stream(places), desc="features", total=len(sizes), unit="batch"):
        square = resized(pixels.to(classifier.device), classifier.shape[1])
        found.append([each.cpu() for each in classifier.with_features(square)])
    logits, features = (torch.cat(each) for each in zip(*found, strict=True))
    return Seen(logits / classifier.temperature, features, split.labels.cpu().numpy())


def _seen_of_input(chosen: Chosen, given: inputs.Input) -> Seen:
    """What a classifier makes of outsiders; those that cannot be read are left out and counted."""
    classifier, made = chosen.classifier, preparation_of(chosen)
    sizes, found, broken = batch_sizes(len(given.names), batch(classifier)), [], 0
    with inputs.reading():
        for chunk in progress(inputs.stream(given, made, sizes), desc="outsiders", total=len(sizes), unit="batch"):
            good = np.setdiff1d(np.arange(len(chunk.images)), list(chunk.faults))
            broken += len(chunk.faults)
            if len(good):
                found.append([each.cpu() for each in classifier.with_features(classifier.pixels(chunk.images[good]))])
    if not found:
        raise UserError(f"--outsiders: none of {len(given.names):,} pictures can be read")
    if broken:
        print(f"warning: {broken} of {len(given.names):,} outsiders cannot be read and are left out", file=sys.stderr)
    logits, features = (torch.cat(each) for each in zip(*found, strict=True))
    return Seen(logits / classifier.temperature, features, np.full(len(logits), -1))


def write_curve(folder: Path, drawn: Curve, at: int, area: float, name: str) -> Path:
    """Write the curve of accuracy on known classes against rejection, as a table and a picture; returns the latter."""
    from matplotlib.figure import Figure

    columns = ("thresholds", "accepted", "right", "accuracy", "rejected")
    some = np.unique([*np.linspace(0, len(drawn.thresholds) - 1, 1000).astype(int), at])
    table = pd.DataFrame({column.removesuffix("s"): getattr(drawn, column)[some].round(6) for column in columns})
    disk.replace_file(folder / CURVE, table.to_csv(index=False).encode())
    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(100 * drawn.rejected, 100 * drawn.right, label="right class named, of all known pictures")
    axes.plot(100 * drawn.rejected, 100 * drawn.accuracy, label="right class, of those that keep one")
    axes.axvline(100 * drawn.rejected[at], color="grey", linewidth=1, label="chosen")
    axes.set(xlabel=f"outsiders answered {shown(name)} (%)", ylabel="known pictures (%)", ylim=(0, 102))
    axes.set_title(f"AUROC {area:.3f}", fontsize=11)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    path = folder / PICTURE
    with disk.replacing(path) as file:
        figure.savefig(file, dpi=110, format="png")
    return path
