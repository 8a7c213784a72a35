"""Prints how well an audit finds known wrong labels: several kinds of noise, several seeds.

    .venv/bin/python benchmark/audit_quality.py --dataset quickdraw --epoch 24

Runs audits with a vote and single runs with the same settings through main.py; a stopped study resumes. Confusion noise
is drawn from the transition matrix of an audit of the unchanged labels.
"""

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure
import numpy as np
import pandas as pd
import studies

import make_command
from project.work.audit.find import scores
from project.work.audit.find.detection_metrics import flag_metrics, ranking_metrics
from project.work.audit.find.noise_rate import flagged
from project.work.common import UserError
from project.work.dataset import distillation_dataset
from project.work.machine.process import run_command
from project.work.settings.flags import parse, setting

KINDS = ("symmetric", "pairflip", "confusion")


@dataclass(frozen=True)
class StudySettings:
    """What to audit."""

    dataset: str = setting("quickdraw", "name of a prepared data set")
    epoch: int = setting(24, "passes over the training pictures, of fold models and single runs", within="[1, inf)")
    folds: int = setting(5, "fold models of an audit", within="[2, inf)")
    seeds: int = setting(3, "audits of each kind of noise: the seeds of noise, split and training", within="[1, inf)")
    noise: str = setting("symmetric:0.12,symmetric:0.4,confusion:0.12", "kinds of noise and their rates")
    vote: bool = setting(True, "train the models that vote, too")
    recipe: str = setting("robust", "recipe of all models", choices=("default", "predecessor", "robust"))
    extra: str = setting("", "further settings of all models, as on a command line: '--elr --elr-weight 7'")
    output: str = setting("project/output/audit-quality", "folder of the study")


def main(argv: Sequence[str] | None = None) -> None:
    """Do the missing runs and print the tables."""
    study = parse(StudySettings, argv, "Measure how well an audit finds wrong labels.")
    studies.refuse_other(study, growing=("seeds", "noise", "vote", "output"))
    print(measure.machine())
    for kind, rate in kinds(study.noise):
        found = [one(study, kind, rate, seed) for seed in range(study.seeds)]
        models = f"{study.epoch} epochs, {study.folds} folds, recipe {study.recipe} {study.extra}"
        print(f"\n{study.dataset}, {rate:.0%} {kind} noise, {models}")
        print(table(found), flush=True)


def kinds(text: str) -> list[tuple[str, float]]:
    """symmetric:0.12,confusion:0.1 -> kinds and rates. Raises UserError."""
    pairs = [word.strip().partition(":") for word in text.split(",")]
    try:
        found = [(kind, float(rate)) for kind, _, rate in pairs]
    except ValueError as error:
        raise UserError(f"--noise {text}: give kinds and rates such as symmetric:0.12,confusion:0.1") from error
    if not all(kind in KINDS and 0 < rate < 1 for kind, rate in found):
        raise UserError(f"--noise {text}: kinds are {', '.join(KINDS)}, rates lie between 0 and 1")
    return found


def one(study: StudySettings, kind: str, rate: float, seed: int) -> dict[str, dict[str, float]]:
    """An audit and a single run on the same noise: metrics by score, and estimates of the rate."""
    shared: dict[str, Any] = {"seed": seed, "split_seed": seed, "noise_type": kind, "noise_rate": rate}
    if kind == "confusion":
        shared["noise_file"] = audited(study, {"split_seed": 0}) / "transition.csv"
    shared["noise_seed"] = seed
    folder = audited(study, shared | {"vote": study.vote})
    uuid = f"single-{kind}-{rate}-{seed}"
    if not list(Path(study.output).glob(f"*-{uuid}/margins.csv.gz")):
        run(study, shared | {"uuid": uuid})
    (single,) = Path(study.output).glob(f"*-{uuid}")
    return figures(folder, single)


def audited(study: StudySettings, values: dict[str, Any]) -> Path:
    """The folder of an audit."""
    said = run(study, values | {"stage": "audit", "folds": study.folds})
    return Path(said.splitlines()[-1].removeprefix("audit folder "))


def run(study: StudySettings, values: dict[str, Any]) -> str:
    """Run main.py; returns its output. A run that is finished already takes seconds."""
    shared = {"dataset": study.dataset, "epoch": study.epoch, "recipe": study.recipe, "output": study.output}
    command = [*make_command.script("project/work/main.py", shared | values), *shlex.split(study.extra)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{shlex.join(command)} ended with {done.returncode}; the same benchmark goes on from here")
    return done.stdout


def figures(folder: Path, single: Path) -> dict[str, dict[str, float]]:
    """Metrics of each score for the same labels. folder: of the audit; single: of a run on the same noise."""
    facts = json.loads((folder / "audit.json").read_text())
    rows = pd.read_csv(folder / "audit.csv", keep_default_na=False, na_values=[""]).set_index("row").sort_index()
    wrong = rows.index.isin(pd.read_csv(single / "noise.csv")["row"])
    margins = pd.read_csv(single / "margins.csv.gz").set_index("row")["margin"].reindex(rows.index).to_numpy()
    labels = rows["given_label"].to_numpy()
    probabilities = scores.softmax(distillation_dataset.read(Path(facts["logits"])).logits)
    each = {
        "rank of the audit": rows["rank"].to_numpy(float),
        "self-confidence out of fold": rows["self_confidence"].to_numpy(),
        "margin out of fold": rows["held_out_margin"].to_numpy(),
        "margin of fold models": rows["margin"].to_numpy(),
        "margin of a single run": margins,
        "the same, levelled by class": levelled(margins, labels),
    }
    if rows["votes"].notna().any():
        each["vote"] = np.where(rows["split"] == "valid", np.nan, -rows["votes"].to_numpy(float))
    try:
        from cleanlab.rank import get_label_quality_scores

        each["cleanlab's default ranking"] = get_label_quality_scores(labels, probabilities)
    except ImportError:
        print(f"cleanlab is {measure.ABSENT}", file=sys.stderr)
    found = {name: ranking_metrics(wrong, score) for name, score in each.items()}
    return found | estimates(facts, rows, wrong)


def levelled(margins: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """As `scores.levelled`, for rows some of which have no margin."""
    there, found = np.isfinite(margins), np.full(len(margins), np.nan)
    found[there] = scores.levelled(margins[there], labels[there])
    return found


def estimates(facts: dict[str, Any], rows: pd.DataFrame, wrong: np.ndarray) -> dict[str, dict[str, float]]:
    """The estimated noise rate by both methods, and precision and recall of the rows that each flags."""
    order, disagree = rows["rank"].to_numpy().argsort(), (rows["given_label"] != rows["suggested_label"]).to_numpy()
    ways = {"flagged by a noise channel": facts["noise_rate"], "flagged by confident learning": facts["confident_rate"]}
    return {
        name: {"true_rate": float(wrong.mean()), "rate": rate, **flag_metrics(wrong, flagged(order, disagree, rate))}
        for name, rate in ways.items()
    }


def table(found: list[dict[str, dict[str, float]]]) -> str:
    """Mean and standard deviation over seeds, a line a score."""
    lines = []
    for name in found[0]:
        of = {key: np.array([each[name][key] for each in found], float) for key in found[0][name]}
        words = [f"{key} {values.mean():.3f} +- {values.std(ddof=len(values) > 1):.3f}" for key, values in of.items()]
        lines.append(f"{name:<30} {'  '.join(words)}")
    return "\n".join(lines)


if __name__ == "__main__":
    run_command(main)
