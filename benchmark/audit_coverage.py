"""Prints the noise rates that audits by weak and by trained models estimate, and how often their bounds hold.

    .venv/bin/python benchmark/audit_coverage.py --dataset hanzi,omniglot --models 2,16,gradients

A model is a number of epochs, for fold models that main.py trains, or a linear discriminant on gradients or pixels,
which takes seconds. Noise is none, a kind and a rate, or file:PATH for human noise in a noise.csv. Confusion noise
follows the confusions of the same models on clean labels. A stopped study resumes. HALF in `strength` was chosen on
Chinese characters and QuickDraw, LIMIT on the characters; other sets confirm.
"""

import contextlib
import io
import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import measure
import numpy as np
import studies
import torch

import make_command
from project.work import main as work
from project.work.audit import report
from project.work.audit.find import findings
from project.work.audit.find.copies import Copies
from project.work.audit.find.findings import Evidence
from project.work.common import UserError
from project.work.dataset import base_dataset
from project.work.dataset.base_dataset import Dataset
from project.work.files import disk
from project.work.machine.process import run_command
from project.work.settings import resolve
from project.work.settings.flags import parse, setting

LINEAR = ("gradients", "pixels")
HEADING = "data set     models     noise            seed  true  agree  models are       estimate  between       covered"


@dataclass(frozen=True)
class StudySettings:
    """What to audit."""

    dataset: str = setting("quickdraw", "names of prepared data sets")
    models: str = setting("2,16,gradients,pixels", "epochs of fold models, gradients and pixels")
    noise: str = setting("none,symmetric:0.2,symmetric:0.4,confusion:0.2", "kinds of noise and their rates")
    seeds: int = setting(3, "seeds of noise, split and training", within="[1, inf)")
    folds: int = setting(5, "fold models of an audit", within="[2, inf)")
    extra: str = setting("", "further settings of fold models, as on a command line: '--batch-size 32'")
    output: str = setting("project/output/audit-coverage", "folder of the study")


@dataclass(frozen=True)
class Cell:
    """One audit: of these labels by these models."""

    dataset: str
    model: str
    noise: str
    seed: int


def main(argv: Sequence[str] | None = None) -> None:
    """Do the missing audits; print a line a cell, and how often the truth is covered."""
    study = parse(StudySettings, argv, "Measure how far the estimate of an audit can be relied on.")
    studies.refuse_other(study, growing=("dataset", "models", "noise", "seeds", "output"))
    print(f"{measure.machine()}\n{HEADING}", flush=True)
    found = []
    words = (list(map(str.strip, text.split(","))) for text in (study.dataset, study.models, study.noise))
    datasets, models, kinds = words
    for seed in range(study.seeds):
        for cell in (Cell(*each, seed) for each in _product(datasets, models, kinds)):
            facts = audited(study, cell)
            found.append(facts)
            print(line(cell, facts), flush=True)
    print(summary(found))


def audited(study: StudySettings, cell: Cell) -> dict[str, Any]:
    """The facts of an audit, with true_noise_rate; cached in the study's folder."""
    path = Path(study.output) / f"{'-'.join(map(str, asdict(cell).values()))}.json".replace("/", "_")
    if not path.exists():
        asked = settings(study, cell)
        facts = linear(study, cell, asked) if cell.model in LINEAR else trained(study, cell, asked)
        disk.replace_file(path, json.dumps(facts).encode())
    return json.loads(path.read_text())


def settings(study: StudySettings, cell: Cell) -> dict[str, Any]:
    """The settings of the data set and its noise for main.py. Raises UserError."""
    kind, _, value = cell.noise.partition(":")
    asked: dict[str, Any] = {"dataset": cell.dataset, "split_seed": cell.seed}
    if kind == "file":
        return asked | {"noise_type": "file", "noise_file": value}
    if kind == "none":
        return asked
    if kind not in ("symmetric", "pairflip", "confusion"):
        raise UserError(f"--noise {cell.noise}: give none, symmetric:0.2, pairflip:0.2, confusion:0.2 or file:PATH")
    asked |= {"noise_type": kind, "noise_rate": float(value), "noise_seed": cell.seed}
    if kind == "confusion":
        asked["noise_file"] = str(confused(study, cell))
    return asked


def confused(study: StudySettings, cell: Cell) -> Path:
    """The confusion matrix of these models on clean labels, in the format of `noise.read_matrix`."""
    path = Path(study.output) / f"confusion-{Path(cell.dataset).name}-{cell.model}.csv"
    if not path.exists():
        clean = Cell(cell.dataset, cell.model, "none", 0)
        if cell.model in LINEAR:
            linear(study, clean, settings(study, clean), path)
        else:
            folder = Path(trained(study, clean, settings(study, clean))["folder"])
            disk.replace_file(path, (folder / "transition.csv").read_bytes())
    return path


def trained(study: StudySettings, cell: Cell, asked: dict[str, Any]) -> dict[str, Any]:
    """The facts of an audit by fold models of cell.model epochs."""
    values = asked | {"stage": "audit", "folds": study.folds, "epoch": cell.model, "seed": cell.seed}
    values |= {"recipe": "robust", "output": study.output}
    said = io.StringIO()
    with contextlib.redirect_stdout(said):  # in this process: imports take longer than a short training
        work.main([*make_command.flags(values), *shlex.split(study.extra)])
    folder = Path(said.getvalue().splitlines()[-1].removeprefix("audit folder "))
    return {"true_noise_rate": 0.0, **json.loads((folder / "audit.json").read_text()), "folder": str(folder)}


def linear(study: StudySettings, cell: Cell, asked: dict[str, Any], transition: Path | None = None) -> dict[str, Any]:
    """The facts of an audit by linear discriminants; writes the transition matrix if a path is given."""
    dataset = base_dataset.load(resolve.combine(asked | {"device": "cpu"}), torch.device("cpu"))
    labels = dataset.train.records.labels.cpu().numpy()
    logits = discriminated(dataset, labels, cell, study.folds)
    nothing = np.zeros(len(labels), dtype=bool)
    repeats = Copies(np.full(len(labels), -1), nothing)
    evidence = Evidence(np.arange(len(labels)), labels, logits, nothing, repeats, truth=dataset.truth)
    found = findings.find(evidence, "channel", cell.seed)
    if transition is not None:
        disk.replace_file(transition, report.transition(found, dataset.names).to_csv().encode())
    facts = report.facts(found)
    return {"true_noise_rate": 0.0} | {name: value for name, value in facts.items() if name != "scores"}


def discriminated(dataset: Dataset, labels: np.ndarray, cell: Cell, folds: int) -> np.ndarray:
    """Out-of-fold logits of discriminants, float32 (N, K)."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    images = dataset.train.records.pictures.pixels.cpu().numpy().astype(np.float32) / 255
    seen = gradients(images) if cell.model == "gradients" else pixels(images)
    part = base_dataset.fold_numbers(labels, folds, cell.seed, cell.dataset, dataset.names)
    logits = np.full((len(labels), len(dataset.names)), -20, dtype=np.float32)
    for fold in range(folds):
        held = part == fold
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3).fit(seen[~held], labels[~held])
        scores = model.decision_function(seen[held])
        scores = np.stack([-scores, scores], axis=1) / 2 if scores.ndim == 1 else scores
        logits[np.ix_(held, model.classes_)] = scores
    return logits


def pixels(images: np.ndarray) -> np.ndarray:
    """Means of 4 x 4 pixels, float (N, F), of images float (N, H, W[, C]), or of one with channels first."""
    grey = images.mean(axis=np.argmin(images.shape[1:]) + 1) if images.ndim == 4 else images
    count, height, width = grey.shape
    return (
        grey[:, : height // 4 * 4, : width // 4 * 4]
        .reshape(count, height // 4, 4, width // 4, 4)
        .mean((2, 4))
        .reshape(count, -1)
    )


def gradients(images: np.ndarray) -> np.ndarray:
    """Histograms of 9 directions of gradients in cells of 4 x 4 pixels, normalised by 2 x 2 cells, float (N, F)."""
    grey = images.mean(axis=np.argmin(images.shape[1:]) + 1) if images.ndim == 4 else images
    down, across = np.gradient(grey, axis=1), np.gradient(grey, axis=2)
    size, bins = np.hypot(down, across), (np.arctan2(down, across) % np.pi / np.pi * 9).astype(int).clip(0, 8)
    count, height, width = grey.shape
    shape = (count, height // 4, 4, width // 4, 4)
    cells = np.stack([(size * (bins == at)).reshape(shape).sum((2, 4)) for at in range(9)], axis=-1)
    blocks = [
        cells[:, top : top + 2, left : left + 2].reshape(count, -1)
        for top in range(0, height // 4 - 1, 2)
        for left in range(0, width // 4 - 1, 2)
    ]
    return np.concatenate([np.sqrt(each / (each.sum(axis=1, keepdims=True) + 0.1)) for each in blocks], axis=1)


def covered(facts: dict[str, Any]) -> bool:
    """Whether the true share is between the bounds, in tenths of a percent as printed."""
    least, true, most = (round(facts[name], 3) for name in ("noise_rate_least", "true_noise_rate", "noise_rate_most"))
    return least <= true <= most


def line(cell: Cell, facts: dict[str, Any]) -> str:
    """A cell as a line of the table, shares in percent."""
    rate = "none" if facts["noise_rate"] is None else f"{facts['noise_rate']:.1%}"
    between = f"{facts['noise_rate_least']:.1%} to {facts['noise_rate_most']:.1%}"
    kind = f"{cell.noise.partition(':')[0]} {Path(cell.noise).stem.rpartition('-')[2] if 'file' in cell.noise else ''}"
    said = f"{Path(cell.dataset).name:<12} {cell.model:<10} {kind:<16} {cell.seed:<5} {facts['true_noise_rate']:<6.1%}"
    said += f" {facts['agreement']:<6.1%} {facts['models']:<16} {rate:<9} {between:<15}"
    return f"{said} {'yes' if covered(facts) else 'no'}"


def summary(found: list[dict[str, Any]]) -> str:
    """How often the bounds hold the truth, and the error of estimates, for each verdict on the models."""
    lines = []
    for verdict in dict.fromkeys(each["models"] for each in found):
        some = [each for each in found if each["models"] == verdict]
        held = sum(map(covered, some))
        off = [abs(each["noise_rate"] - each["true_noise_rate"]) for each in some if each["noise_rate"] is not None]
        error = f"; the estimate is off by {np.median(off):.1%} in the median, {max(off):.1%} at most" if off else ""
        lines.append(f"models {verdict!r}: the ends hold the truth in {held} of {len(some)} audits{error}")
    return "\n".join(lines)


def _product(datasets: list[str], models: list[str], kinds: list[str]) -> list[tuple[str, str, str]]:
    """All combinations. Human noise, file:PATH, belongs to the data set with which its file name begins."""
    return [
        (dataset, model, kind)
        for model in models
        for kind in kinds
        for dataset in datasets
        if not kind.startswith("file:") or Path(kind).name.startswith(Path(dataset).name)
    ]


if __name__ == "__main__":
    run_command(main)
