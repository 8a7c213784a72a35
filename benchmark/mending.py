"""Prints the gain of label correction: the share of the accuracy lost to noise that each way of correcting wins back.

    .venv/bin/python benchmark/mending.py --dataset real170 --epoch 30

For each seed: plain training on clean labels and on noisy ones; --clean drop, relabel and reweight, by an audit of the
noisy labels; and the corrections of a perfect reviewer who sees only the flagged rows. A stopped study resumes.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import studies

import make_command
from project.work.common import UserError
from project.work.labels import corrections, noise
from project.work.machine.process import run_command
from project.work.reporter.table.result_table import ResultTable
from project.work.settings.flags import parse, setting

WAYS = ("clean", "noisy", "drop", "relabel", "reweight", "reviewer")
ACCURACIES = ("best_test_accuracy", "last_test_accuracy")


@dataclass(frozen=True)
class StudySettings:
    """What to compare."""

    dataset: str = setting("quickdraw", "name of a prepared data set whose labels are right")
    epoch: int = setting(30, "passes over the training pictures", within="[1, inf)")
    seeds: int = setting(3, "runs of each way, each with noise of its own", within="[1, inf)")
    noise_type: str = setting("symmetric", "kind of noise", choices=("symmetric", "pairflip"))
    noise_rate: float = setting(0.2, "share of the labels that become wrong", within="(0, 1)")
    output: str = setting("project/output/mending", "folder of the study's runs")


def shares(means: pd.Series) -> pd.Series:
    """The share of the lost accuracy that each way recovers, from the mean accuracies of WAYS."""
    return (means - means["noisy"]) / (means["clean"] - means["noisy"])


def reviewed(audit: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """Corrections of the flagged rows of audit.csv by a reviewer who is always right.

    manifest: noise.csv, every row whose label was changed.
    """
    flagged = audit.loc[audit["flagged"] == 1, ["row", "key_id", "given_label"]]
    true = manifest.set_index("key_id")["true_label"]
    new = flagged["key_id"].map(true).fillna(flagged["given_label"]).astype(np.int64)
    return flagged.assign(new_label=new)


def run_main(values: dict[str, Any]) -> None:
    """Run main.py with these settings. Raises UserError when it fails."""
    command = make_command.script("project/work/main.py", values)
    if subprocess.run(command, stdout=subprocess.DEVNULL, env=os.environ).returncode != 0:
        raise UserError(f"this failed: {' '.join(command)}")


def study_of(study: StudySettings, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings that all runs of a seed share, and those of its noise."""
    shared = {"dataset": study.dataset, "epoch": study.epoch, "seed": seed, "output": study.output}
    return shared, {"noise_type": study.noise_type, "noise_rate": study.noise_rate, "noise_seed": seed}


def train(study: StudySettings, way: str, seed: int, extra: dict[str, Any]) -> Path:
    """A run of this way, unless it is finished; returns its folder."""
    shared, noisy = study_of(study, seed)
    name = f"{way}-{seed}-{study.epoch}"
    if name not in finished(study):
        run_main({**shared, **({} if way == "clean" else noisy), **extra, "uuid": name})
    return Path(study.output) / f"base-{name}"


def finished(study: StudySettings) -> set[str]:
    """The runs that the table of results holds."""
    output = Path(study.output)
    return set(ResultTable(output).read()["uuid"]) if (output / "results.csv").exists() else set()


def audit(study: StudySettings, seed: int) -> Path:
    """The folder of the audit of a seed's noisy labels, made first when missing; its fingerprint names it."""
    shared, noisy = study_of(study, seed)
    output = Path(study.output) / f"audit-{seed}-{study.epoch}"
    folders = sorted(path.parent for path in output.glob("audit-*/audit.csv"))
    if not folders:
        run_main({**shared, **noisy, "output": output, "stage": "audit"})
        folders = sorted(path.parent for path in output.glob("audit-*/audit.csv"))
    if len(folders) != 1:
        raise UserError(f"{output}: holds {len(folders)} audits, but one is needed; remove the folder")
    return folders[0]


def one_seed(study: StudySettings, seed: int) -> None:
    """All ways with one seed."""
    train(study, "clean", seed, {})
    noisy, found = train(study, "noisy", seed, {}), audit(study, seed)
    for how in ("drop", "relabel", "reweight"):
        train(study, how, seed, {"clean": how, "audit_file": found})
    table = pd.read_csv(found / "audit.csv", dtype={"key_id": str}, usecols=["row", "key_id", "given_label", "flagged"])
    review = reviewed(table, pd.read_csv(noisy / noise.MANIFEST, dtype={"key_id": str}))
    path = found.parent / corrections.FILE
    review.to_csv(path, index=False)
    train(study, "reviewer", seed, {"corrections": path})
    facts = json.loads((found / "audit.json").read_text())
    right = {name: facts.get(name) for name in ("flagged", "precision_flagged", "recall_flagged", "auroc")}
    print(f"seed {seed}, audit: {right}", flush=True)


def report(study: StudySettings) -> None:
    """Print mean and standard deviation of each way, and the share it recovers."""
    table = ResultTable(Path(study.output)).read()
    parts = table["uuid"].str.extract(r"^(?P<way>[a-z]+)-(?P<run>\d+)-(?P<epochs>\d+)$")
    ours = table[parts["epochs"] == str(study.epoch)].assign(way=parts["way"])
    for accuracy in ACCURACIES:
        ours[accuracy] = ours[accuracy].astype(float)
        rows = ours.groupby("way")[accuracy].agg(["mean", "std", "count"]).reindex(WAYS)
        print(f"\n{accuracy}\n{rows.assign(recovered=shares(rows['mean'])).round(4).to_string()}")
    left = pd.to_numeric(ours["noise_rate_left"], errors="coerce").groupby(ours["way"]).mean().reindex(WAYS)
    print(f"\nshare of wrong labels left\n{left.round(4).to_string()}")


def main(argv: Sequence[str] | None = None) -> None:
    """Do the missing runs and print the tables."""
    study = parse(StudySettings, argv, "Measure the gain of label correction.")
    studies.refuse_other(study, growing=("seeds", "output"))
    for seed in range(study.seeds):
        one_seed(study, seed)
        report(study)


if __name__ == "__main__":
    run_command(main)
