"""The file of out-of-fold logits for some data and fold models: made first when missing, by one run at a time."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from filelock import FileLock

from project.work import run_folder
from project.work.common import Settings
from project.work.dataset import distillation_dataset
from project.work.dataset.base_dataset import Dataset
from project.work.runner import oof
from project.work.runner.parallel import Parallel

if TYPE_CHECKING:
    from project.work.mirror import Mirror


def logits(
    teacher: Settings,
    dataset: Dataset,
    device: torch.device,
    copy: "Mirror",
    parallel: Parallel,
    margins: bool = False,
) -> Path:
    """The path of the file. margins: one without them is made again, from fold models that are finished already."""
    name = f"oof-{oof.fingerprint(teacher, dataset)}"
    folder = parallel.first(lambda: run_folder.output_folder(teacher) / name)
    path = folder / run_folder.LOGITS_FILE
    if parallel.rank == 0:
        folder.mkdir(exist_ok=True)
    with FileLock(folder / ".lock") if parallel.rank == 0 else nullcontext():
        if not parallel.first(lambda: path.exists() and (not margins or distillation_dataset.has_margins(path))):
            print(f"training {teacher.folds} fold models for out-of-fold logits in {folder}", file=sys.stderr)
            made = oof.make(teacher, dataset, device, folder, copy.try_send, parallel)
            if parallel.rank == 0:
                distillation_dataset.write(path, made)
    copy.send(folder)
    return path
