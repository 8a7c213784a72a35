"""How far each training label stands out while it is learnt: what every run knows of its labels at no extra cost."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from project.work.labels.by_key import unpacked


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
