"""Hard rows: pictures that are confidently predicted wrong are shown more often, unless their labels are suspicious."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from project.work.dataset.base_dataset import Batch
from project.work.labels import label_correction
from project.work.runner.base_runner import BaseRunner
from project.work.runner.history import History

CONFIDENT = 0.5  # probability of another class from which on a wrong prediction is a confident one


def with_repeats(hard: Tensor, times: int, generator: torch.Generator) -> Tensor:
    """Positions of the rows of an epoch, int64 (n,): drawn without replacement from all rows and `times` more of those
    that are hard, bool (n,). So an epoch stays as long, and rows that are not hard are left out of it in turn."""
    positions = torch.arange(len(hard))
    whole = torch.cat([positions, positions[hard].repeat(times)])
    return whole[torch.randperm(len(whole), generator=generator)[: len(hard)]]


class HardRunner(BaseRunner):
    """Repeats rows that were confidently predicted wrong when they were last shown, but none that the audit flags.

    A wrong label is confidently predicted wrong too, and to repeat it is to learn it by heart: that is why an audit
    (of models that did not learn from the row) must say which labels are suspicious.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.add_memory("hard", 1)
        self.flagged = self._flagged()
        self.repeated = self.spared = 0  # rows, in the last epoch

    def _flagged(self) -> Tensor:
        """Which rows of all that are learnt from the audit flags: bool, on the CPU. Raises UserError."""
        dataset, file = self.dataset, self.settings.audit_file
        assert file is not None, "--hard without an audit is refused before"
        labels, rows = dataset.train.records.labels.cpu().numpy(), dataset.train.rows
        flagged = torch.zeros(len(self.learnt.records.labels), dtype=torch.bool)
        if dataset.correction is not None:  # what was reviewed or relabelled since is not as it was audited
            reviewed = torch.from_numpy(dataset.correction.done.rows)
            rows = rows[~torch.isin(rows, reviewed)]
        audit = label_correction.audit_of(Path(file), rows.numpy(), labels, dataset.train_keys, dataset.names)
        flagged[rows] = torch.from_numpy(audit.flagged)
        return flagged

    @torch.no_grad()
    def observe(self, logits: Tensor, batch: Batch) -> None:
        super().observe(logits, batch)
        highest, predicted = logits.softmax(dim=1).max(dim=1)
        wrong = predicted != self.learnt.records.labels[batch.rows]
        self.memories["hard"].values[batch.rows] = torch.where(wrong, highest, 0)[:, None]

    def order(self) -> Tensor | None:
        rows = self.learnt.rows
        hard = self.memories["hard"].values[:, 0].cpu()[rows] >= CONFIDENT
        flagged = self.flagged[rows]
        self.repeated, self.spared = int((hard & ~flagged).sum()), int((hard & flagged).sum())
        return with_repeats(hard & ~flagged, self.settings.hard, self.generator) if self.repeated else super().order()

    def fit(self, after_epoch: Callable[[], None] = lambda: None) -> History:
        done = len(self.history.rows)
        history = super().fit(after_epoch)
        if self.distributed.rank == 0 and len(history.rows) > done:
            print(
                f"--hard {self.settings.hard}: in the last epoch {self.repeated} confidently wrong rows were repeated;"
                f" {self.spared} more were spared, as {self.settings.audit_file} flags them"
            )
        return history
