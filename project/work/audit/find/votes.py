"""The vote on each label: each model learns from one fold alone and predicts the other rows."""

from pathlib import Path

import numpy as np

from project.work.dataset.base_dataset import Dataset
from project.work.machine.distributed import RunContext
from project.work.teacher import oof
from project.work.teacher.fold_models import FoldModels


def against(context: RunContext, dataset: Dataset, folder: Path) -> np.ndarray:
    """The number of models that disagree with each label, int (N,), among those that did not learn from it.

    These are all models but one, and all models for a validation row. Each model resumes in its own folder.
    context: with the settings of the fold models.
    """
    distributed = context.distributed
    distributed.first(lambda: folder.mkdir(exist_ok=True))
    labels = dataset.train.records.labels.cpu().numpy()
    votes, valid = np.zeros(len(labels), dtype=np.int64), dataset.valid.rows.cpu().numpy()
    with distributed.locked(folder / ".lock"):
        parts = oof.parts(context.settings, dataset)
        models = FoldModels(context, dataset, folder, parts, voting=True)
        for prediction in models.predictions(None):
            votes[prediction.rows] += prediction.held_out != labels[prediction.rows]
            votes[valid] += prediction.valid != labels[valid]
    return votes
