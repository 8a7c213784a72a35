"""What a run remembers of every training row from epoch to epoch: margins, predictions."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from project.work.labels.by_key import unpacked
from project.work.machine.distributed import Distributed


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of the given label less the highest other logit, float (B,): negative where another class is preferred.

    logits: float (B, K), K >= 2; labels: int64 (B,). Averaged over training this is the area under the margin, low
    for labels that contradict the pictures like them (Pleiss et al., 2020).
    """
    best = logits.topk(2, dim=1)
    given = logits.gather(1, labels[:, None])[:, 0]
    other = torch.where(best.indices[:, 0] == labels, best.values[:, 1], best.values[:, 0])
    return given - other


def means(sums: Tensor) -> np.ndarray:
    """Mean margin of every row, float32 (N,), of sums and counts float (N, 2); not a number where the count is 0."""
    return torch.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], torch.nan).cpu().numpy()


def table(means: np.ndarray, keys: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """The rows that were trained on, the most suspicious first: row, key_id, label, margin."""
    rows = np.flatnonzero(np.isfinite(means))
    rows = rows[np.argsort(means[rows], kind="stable")]
    columns = {"row": rows, "key_id": unpacked(keys[rows]), "label": labels[rows], "margin": means[rows].round(5)}
    return pd.DataFrame(columns)


class RowMemory:
    """values: float (N, ...), one entry a row of the training file.

    Each process changes the rows of its own share; after `end_epoch` all of them know what any has changed, as long as
    a row is changed by one process an epoch.
    """

    def __init__(self, rows: int, *shape: int, device: torch.device) -> None:
        self.values = torch.zeros(rows, *shape, device=device)
        self._before: Tensor | None = None

    def end_epoch(self, distributed: Distributed) -> None:
        """Bring the changes of all processes together."""
        if distributed.size == 1:
            return
        before = torch.zeros_like(self.values) if self._before is None else self._before
        self.values.copy_(before + distributed.total(self.values - before))
        self._before = self.values.clone()

    def state_dict(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {"values": self.values}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from a checkpoint."""
        self.values.copy_(state["values"])
        self._before = self.values.clone()
