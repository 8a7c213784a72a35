"""The audit stage: trains fold models, scores every label, and writes the audit's folder."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from project.work import run_folder
from project.work.audit import report
from project.work.audit.find import copies, findings, votes
from project.work.audit.find.findings import Evidence, Findings
from project.work.audit.page import earlier, page
from project.work.common import UserError
from project.work.dataset import distillation_dataset, remote_data
from project.work.dataset.base_dataset import Dataset
from project.work.dataset.distillation_dataset import DROPPED, OofLogits
from project.work.features import extract, stage
from project.work.files import arrays, disk
from project.work.labels import noise
from project.work.labels.naming import unpacked
from project.work.machine.distributed import RunContext
from project.work.networks.backbones import Backbone
from project.work.runner.distillation_runner import DEFAULT_FOLDS
from project.work.runner.table import method_name
from project.work.settings import resolve
from project.work.settings.groups import Settings
from project.work.teacher import oof, teachers

FORMAT = 3  # of the files; part of the fingerprint, so that an audit by an older version is not reused
ROWS, CLASSES, TRANSITION, FACTS = "audit.csv", "classes.csv", "transition.csv", "audit.json"


@dataclass(frozen=True)
class Audit:
    """An audit of a data set with given settings: its fold models and its folder.

    backbone: the network whose features stand in for fold models, where they are still to be made.
    """

    settings: Settings
    dataset: Dataset
    backbone: Backbone | None = None

    @property
    def teacher(self) -> Settings:
        """The settings of its fold models."""
        return oof.audit_settings(self.settings)

    @property
    def fingerprint(self) -> str:
        """A short name for all that decides the audit: the fold models, the features, or a given file of logits."""
        if self.settings.features:
            folds = self.settings.folds or DEFAULT_FOLDS, self.settings.split_seed
            name = f"{extract.place(self.settings).name} {folds} {self.dataset.fingerprint}"
        elif self.settings.oof_logits is None:
            name = oof.fingerprint(self.teacher, self.dataset)
        else:
            name = f"{self.dataset.fingerprint} {arrays.file_digest(Path(self._given_logits()))}"
        return hashlib.sha256(f"{FORMAT} {name}".encode()).hexdigest()[:12]

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        how = "" if self.settings.flag_by == "channel" else f"-{self.settings.flag_by}"
        return run_folder.output_folder(self.settings) / f"audit-{self.fingerprint}{how}"

    def logits(self, context: RunContext) -> tuple[OofLogits | None, Path]:
        """Logits in the order of the rows (in process 0 alone), and their file. They are made first when missing."""
        distributed = context.distributed
        if self.settings.features:
            return self._of_features(context)
        if self.settings.oof_logits is None:
            kind, usable = teachers.OUT_OF_FOLD, distillation_dataset.has_margins
            path = teachers.logits_file(kind, context.using(self.teacher), self.dataset, usable)
        else:
            path = distributed.first(self._given_logits)
        made = None
        if distributed.is_first:
            made = distillation_dataset.aligned(self.dataset, distillation_dataset.read(path), str(path))
            absent = int((self._kept & (made.folds == DROPPED)).sum())
            if absent > 0:
                raise UserError(f"{path}: {absent} rows of this data set were left out when it was made; make new ones")
        return made, path

    def _of_features(self, context: RunContext) -> tuple[OofLogits, Path]:
        """Logits of regressions on features, which are kept in the audit's folder."""
        made, path = stage.oof_logits(context, self.dataset, self.backbone), self.folder / run_folder.LOGITS_FILE
        path.parent.mkdir(exist_ok=True)
        distillation_dataset.write(path, made)
        return made, path

    @property
    def method(self) -> str:
        """What gave the logits, in words."""
        if self.settings.features:
            return f"logistic regression on features of {self.settings.model}"
        return method_name(self.teacher) if self.settings.oof_logits is None else "logits made elsewhere"

    def votes(self, context: RunContext) -> np.ndarray | None:
        """See `votes.against`; None without --vote."""
        if not self.settings.vote:
            return None
        name = f"vote-{oof.fingerprint(self.teacher, self.dataset)}"
        folder = context.distributed.first(lambda: run_folder.output_folder(self.settings) / name)
        return votes.against(context.using(self.teacher), self.dataset, folder)

    def evidence(self, logits: OofLogits, voted: np.ndarray | None) -> Evidence:
        """The evidence of all rows that corrections have not dropped."""
        records, truth = self.dataset.train.records, self.dataset.truth
        rows = np.flatnonzero(self._kept)
        some = slice(None) if len(rows) == len(logits.folds) else rows  # no copy where all rows are kept
        valid = np.isin(rows, self.dataset.valid.rows.cpu().numpy())
        labels, alike = records.labels.cpu().numpy()[some], copies.find(records.pictures).of(some)
        margins, votes, true = (None if each is None else each[some] for each in (logits.margins, voted, truth))
        by_probability = self.settings.features
        return Evidence(rows, labels, logits.logits[some], valid, alike, margins, votes, true, by_probability)

    @property
    def _kept(self) -> np.ndarray:
        correction = self.dataset.correction
        return np.ones(len(self.dataset.train_keys), dtype=bool) if correction is None else correction.kept

    def _given_logits(self) -> Path:
        return remote_data.local_copy(self.settings.oof_logits, run_folder.output_folder(self.settings))


def audited(settings: Settings) -> Settings:
    """The settings of the audit behind --clean: no cleaning and no teachers. If the recipe is the default one and no
    other method is on, the audit takes the robust recipe."""
    found = dataclasses.replace(settings, stage="audit", clean="none", distillation=False, nts=False)
    return found if settings.recipe != "default" else resolve.robust(found)


def audit_file(context: RunContext, dataset: Dataset) -> Path:
    """The audit.csv of a data set for these settings; made first when missing."""
    first = context.distributed.first
    path = first(lambda: Audit(context.settings, dataset).folder) / ROWS
    if not first(path.exists):
        run(context, dataset)
    return first(lambda: path)  # the others wait until the first has written it


def run(context: RunContext, dataset: Dataset, backbone: Backbone | None = None) -> None:
    """Audit a data set: train what is missing, write the audit's folder and print the summary.

    backbone: see `Audit`.
    """
    settings = context.settings
    audit = Audit(settings, dataset, backbone)
    logits, path = audit.logits(context)
    voted = audit.votes(context)
    if not context.distributed.is_first:
        return
    found = findings.find(audit.evidence(logits, voted), settings.flag_by, settings.split_seed)
    facts = {
        "dataset": settings.dataset,
        "fingerprint": audit.fingerprint,
        "folds": len(np.unique(logits.folds[logits.folds >= 0])),
        "method": audit.method,
        "logits": str(path),
        "flag_by": settings.flag_by,
        "noise_type": settings.noise_type,
        "noise_rate_asked": settings.noise_rate,
    }
    folder = audit.folder
    print(write(folder, found, unpacked(dataset.train_keys), dataset.names, report.facts(found) | facts))
    if dataset.noise is not None:
        noise.write(folder, dataset.noise, settings, dataset.train_keys, dataset.names)
    if dataset.correction is not None:  # by a person only: an audit comes before any cleaning
        earlier.write(folder, dataset.correction.done, dataset.train_keys, dataset.names)
    shown = page.write_page(folder, dataset.train.records.pictures, dataset.names)
    context.send(folder)
    print(f"review page: {shown}\naudit folder {folder}")


def write(folder: Path, found: Findings, keys: np.ndarray, names: list[str], facts: dict[str, Any]) -> str:
    """Write the files of an audit; returns its summary. keys: text (N,); names: of the classes."""
    folder.mkdir(exist_ok=True)
    rows, classes = report.rows(found, keys, names), report.classes(found, names)
    with disk.replacing(folder / ROWS) as file:
        rows.to_csv(file, index=False)
    disk.replace_file(folder / CLASSES, classes.to_csv(index=False).encode())
    disk.replace_file(folder / TRANSITION, report.transition(found, names).to_csv().encode())
    disk.replace_file(folder / FACTS, (json.dumps(facts, indent=2) + "\n").encode())
    return report.summary(facts, rows, classes)
