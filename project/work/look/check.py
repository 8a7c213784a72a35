"""The check of a prepared set: a look, an audit by the features of a pretrained network, and one page of both.

All pictures are judged, those to test too: a person wants to know what is wrong with their files, whatever is done with
these later. Each is judged by a regression that has learnt from others: exact and near copies are in one fold, or a
copy of a wrong label would speak for it.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from project.work.audit import report
from project.work.audit import stage as audit_stage
from project.work.audit.find import findings
from project.work.audit.find.copies import Copies
from project.work.audit.find.findings import Evidence, Findings
from project.work.audit.find.strength import NOTHING, WEAK
from project.work.audit.page import page as audit_page
from project.work.dataset import storage, transforms
from project.work.dataset.base_dataset import Dataset, Split, fold_numbers
from project.work.dataset.packed import PackedPictures
from project.work.dataset.pictures import Encoded, Home, Records, hold
from project.work.features import extract, heads
from project.work.files import disk
from project.work.labels.naming import packed
from project.work.look import page, plane, stage
from project.work.look.overview import Collection, Overview, look
from project.work.machine.device import choose_device
from project.work.machine.distributed import RunContext
from project.work.pages import rendering
from project.work.settings.groups import Settings

if TYPE_CHECKING:
    from project.work.networks.backbones import Backbone

FILE = "check.html"
FOLDS = 5
REVIEWED = 200  # pictures to review at least, where so many labels differ from the prediction
LISTED = 200  # files that cannot be read
SAID = 500_000  # labels times classes, from which on a regression takes so long that it is announced


@dataclass(frozen=True)
class Source:
    """What a person gave. title: what it is called; links: where the file of each picture is, by key; sizes: width and
    height of these, by key; parts: what the source calls the part of each picture, by key, none where it has no parts;
    unread: files that cannot be read, and why; target: what its corrections are taken back to."""

    title: str
    links: dict[str, str]
    sizes: dict[str, tuple[int, int]]
    parts: dict[str, str]
    unread: list[tuple[str, str]]
    target: str = "NEW_FOLDER"


def run(folder: Path, data: Path, settings: Settings, backbone: "Backbone", source: Source) -> Path:
    """Check a prepared set, whose folder is data, and write all that is found into a folder; returns the page.

    settings: of features and of their place, see `features.extract`; source: where the pictures come from.
    """
    context = RunContext(settings, choose_device(settings))
    prepared = storage.read(data, settings.largest_set)
    rows = extract.features(context, _dataset(context, prepared), backbone)
    points = np.concatenate([rows.train, rows.test])
    collection = _collection(data, prepared, source)
    overview = look(collection, stage.watched, extract.unit(points))
    found = audit(overview, points, settings.split_seed)
    facts = {"dataset": source.title, "fingerprint": _fingerprint(prepared, backbone), "folds": FOLDS}
    facts |= {"method": f"logistic regression on features of {backbone.name}", "flag_by": "channel"}
    names = collection.names
    print(audit_stage.write(folder, found, collection.keys.astype(str), names, report.facts(found) | facts))
    print("\n".join(stage.summary(overview)[1:]))
    if source.unread:
        count, (path, why) = len(source.unread), source.unread[0]
        others = f" ({count} files cannot be read; the page lists them)" if count > 1 else ""
        print(f"{path} cannot be read: {why}{others}")
    return _write(folder, overview, found, points, source)


def audit(overview: Overview, points: np.ndarray, seed: int) -> Findings:
    """What regressions on features, float (N, D), say of the labels of all pictures."""
    collection, first = overview.collection, overview.survey.first
    labels, classes = collection.labels.astype(np.int64), len(collection.names)
    folds = _folds(labels, seed, collection)
    alike = overview.pairs.groups(len(labels))
    _, leader, back = np.unique(np.where(alike < 0, len(labels) + np.arange(len(labels)), alike), return_index=True,
                                return_inverse=True)  # fmt: skip
    folds = folds[leader[back]]
    folds = np.where(first >= 0, folds[first], folds)
    if len(labels) * classes > SAID:
        how = f"a regression in {FOLDS} folds"
        print(f"judging {len(labels):,} labels of {classes:,} classes by {how}", file=sys.stderr)
    logits = heads.out_of_fold(points, labels, folds, classes).logits
    repeats = Copies(first, overview.survey.blank)
    rows = np.arange(len(labels))
    evidence = Evidence(rows, labels, logits, np.zeros(len(labels), bool), repeats, by_probability=True)
    return findings.find(evidence, "channel", seed)


def _folds(labels: np.ndarray, seed: int, collection: Collection) -> np.ndarray:
    """The fold of each row, stratified. Those of a class that has fewer rows than folds are in a fold each."""
    rare = np.bincount(labels)[labels] < FOLDS
    folds = np.random.RandomState(seed).permutation(len(labels)) % FOLDS
    if len(np.unique(labels[~rare])) > 1:
        folds[~rare] = fold_numbers(labels[~rare], FOLDS, seed, collection.title, collection.names)
    few = np.flatnonzero(rare)
    folds[few[np.argsort(labels[few], kind="stable")]] = np.arange(len(few)) % FOLDS
    return folds


def _dataset(context: RunContext, prepared: storage.Prepared) -> Dataset:
    """A prepared set of which all training rows are to train: one that is too small to validate has features too.

    Its pictures are read once, so that encoded ones are decoded as they are needed and never held.
    """
    normalise, count = transforms.Normaliser((0.5,), (0.5,)), len(prepared.names)
    records = [
        Records(_home(part.images, context.device), torch.as_tensor(part.labels).to(context.device))
        for part in (prepared.train, prepared.test)
    ]
    train, test = (Split(each, torch.arange(len(each.labels)), normalise, count) for each in records)
    valid = train.subset(slice(0, 0))
    keys, fingerprint = packed(prepared.train.keys["key_id"]), storage.fingerprint(prepared.train)
    return Dataset(train, valid, test, prepared.names, keys, fingerprint)


def _home(images: np.ndarray | PackedPictures, device: torch.device) -> Home:
    return Encoded(images, device) if isinstance(images, PackedPictures) else hold(images, None, device)


def _collection(data: Path, prepared: storage.Prepared, source: Source) -> Collection:
    found = stage.collection(data, prepared)
    links = [source.links.get(key, "") for key in found.keys]
    sizes = np.array([source.sizes.get(key, (0, 0)) for key in found.keys]) if source.sizes else found.sizes
    parts = np.array([source.parts.get(key, "") for key in found.keys], dtype=object)  # none are as they were drawn
    return Collection(
        source.title, found.images, found.labels, found.keys, parts, found.names,
        links if any(links) else (), sizes,
    )  # fmt: skip


def _fingerprint(prepared: storage.Prepared, backbone: "Backbone") -> str:
    """A short name for these pictures, labels and weights, under which a browser keeps decisions."""
    return f"{storage.fingerprint(prepared.train)}-{storage.fingerprint(prepared.test)}-{backbone.digest}"


@dataclass(frozen=True)
class Bracket:
    """How many labels look wrong. headline: in words; low, high: what each end assumes, "" where nothing is known."""

    headline: str
    low: str = ""
    high: str = ""


def bracket(found: Findings) -> Bracket:
    """The share of wrong labels between two ends, of which neither looks at how likely a label is."""
    strong = found.strength
    if strong.verdict == NOTHING:
        return Bracket("How many labels are wrong cannot be told: the features say nothing about these labels")
    if strong.verdict == WEAK:
        return Bracket(
            f"How many labels are wrong cannot be told: only {strong.agreement:.1%} of the predictions agree with them"
        )
    low, high = min(strong.sure_disagreement, strong.most), strong.most
    ends = f"{low:.1%} to {high:.1%}" if f"{low:.1%}" != f"{high:.1%}" else f"{high:.1%}"
    return Bracket(
        f"{ends} of the labels look wrong",
        f"{low:.1%} of the {strong.sure_rows:,} surest predictions (5%) differ from their label. That is the share of"
        " wrong labels, if these predictions are right and labels are wrong there as often as elsewhere; people err"
        " more on hard pictures, so it is the lower end.",
        f"{high:.1%} of all predictions differ. That is the share, if every prediction is right; some are not, so it is"
        " the upper end.",
    )


def _write(folder: Path, overview: Overview, found: Findings, points: np.ndarray, source: Source) -> Path:
    """Write check.html, and look.csv with all that it has no room for; returns the page's path."""
    some = overview.collection
    disk.replace_file(folder / page.TABLE, page.table(overview).to_csv(index=False).encode())
    made = plane.place(points, found.flagged)
    half, review = (
        page.values(overview),
        audit_page.values(folder, some.gather, some.names, links=some.links, least=REVIEWED),
    )
    shown = {
        **review,
        "overview": half,
        "title": f"Check of {some.title}",
        "bracket": bracket(found),
        "unread": source.unread[:LISTED],
        "unread_count": len(source.unread),
        "target": source.target,
        "plane": plane.values(made, some.labels, found.flagged, some.keys, some.names),
    }
    folders = [page.TEMPLATE, audit_page.TEMPLATE]
    disk.replace_file(folder / FILE, rendering.render(folders, "check.html", **shown).encode())
    return folder / FILE
