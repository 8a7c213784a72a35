"""The vote on each label: models that each learnt from one fold alone say what they take the other rows for."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from project.work.common import Settings
from project.work.dataset.base_dataset import Dataset
from project.work.runner import oof
from project.work.runner.fold_models import FoldModels
from project.work.runner.parallel import Parallel


def against(
    teacher: Settings,
    dataset: Dataset,
    device: torch.device,
    folder: Path,
    keep: Callable[[Path], None],
    parallel: Parallel,
) -> np.ndarray:
    """How many models disagree with each label, int (N,): of those that did not learn from it.

    That is all of them but one, and all for a row of validation. Each model goes on in its own folder.
    """
    if parallel.rank == 0:
        folder.mkdir(exist_ok=True)
    labels = dataset.train.records.labels.cpu().numpy()
    votes, valid = np.zeros(len(labels), dtype=np.int64), dataset.valid.rows.cpu().numpy()
    with FileLock(folder / ".lock") if parallel.rank == 0 else nullcontext():
        parts = oof.parts(teacher, dataset)
        models = FoldModels(teacher, dataset, device, folder, keep, parallel, parts, voting=True)
        for prediction in models.predictions(None):
            votes[prediction.rows] += prediction.held_out != labels[prediction.rows]
            votes[valid] += prediction.valid != labels[valid]
    return votes
