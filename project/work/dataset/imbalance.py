"""Classes of few pictures: which rows an epoch shows, how much each row counts, and how frequent classes are.

Classes are counted by the labels that are learnt from, after noise and corrections. A sampler is a line in SAMPLERS: a
function from counts to how often each class is wanted.
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from project.work.dataset.base_dataset import Batch, Split

SAMPLERS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "balanced": lambda counts: (counts > 0).astype(float),
    "sqrt": np.sqrt,
}


def quotas(shares: np.ndarray, count: int) -> np.ndarray:
    """How many of so many rows each class gets, int64 (K,), in proportion to its share, by largest remainders.

    shares: float (K,), not negative; among equal remainders the first classes get one more.
    """
    exact = shares / shares.sum() * count
    found = np.floor(exact).astype(np.int64)
    missing = count - int(found.sum())
    found[np.argsort(found - exact, kind="stable")[:missing]] += 1
    return found


def order(labels: Tensor, sampler: str, generator: torch.Generator) -> Tensor:
    """Positions of the rows of an epoch, int64 (n,), shuffled: as many as there are rows, each class by its quota.

    labels: int64 (n,), on the CPU. A row is taken again only after all of its class were: of a class with 10 rows and a
    quota of 25, each is taken twice and 5 of them, drawn without replacement, once more.
    """
    counts = np.bincount(labels.numpy())
    wanted = quotas(SAMPLERS[sampler](counts), len(labels))
    taken = []
    for members, quota in zip(labels.argsort(stable=True).split(counts.tolist()), wanted.tolist(), strict=True):
        if quota:
            rounds, rest = divmod(quota, len(members))
            drawn = members[torch.randperm(len(members), generator=generator)[:rest]]
            taken += [members.repeat(rounds), drawn]
    whole = torch.cat(taken)
    return whole[torch.randperm(len(whole), generator=generator)]


def once(logits: Tensor, batch: Batch) -> tuple[Tensor, Batch]:
    """A batch and its logits without rows that stand in it again: the last time counts."""
    if not len(batch):
        return logits, batch
    order = batch.rows.argsort(stable=True)
    rows = batch.rows[order]
    last = torch.cat([rows[1:] != rows[:-1], torch.ones_like(rows[:1], dtype=torch.bool)])
    at = order[last].sort().values
    return logits[at], batch.part(at, batch.images[at])


def class_weights(counts: np.ndarray, kind: str, beta: float) -> np.ndarray:
    """The weight of a row of each class, float64 (K,), whose mean over all rows is 1. counts: int (K,); kind:

    inverse: 1 / n, so that all classes weigh the same; effective: 1 / the effective number of samples, (1 - beta^n) /
    (1 - beta) (Cui et al., 2019, equation 2). A class without rows weighs 0.
    """
    number = counts.astype(float)
    if kind == "effective":
        number = (1 - beta**number) / (1 - beta)
    weights = np.divide(1.0, number, out=np.zeros(len(counts)), where=counts > 0)
    return weights * (counts.sum() / (weights * counts).sum())


def weighed_by_class(split: Split, kind: str, beta: float) -> Split:
    """The split with each row's weight, if it has one, times that of its class; their mean over the split is 1."""
    records = split.records
    counts = np.bincount(split.labels.cpu().numpy(), minlength=split.classes)
    by_class = torch.from_numpy(class_weights(counts, kind, beta)).float().to(records.labels.device)
    weights = by_class[records.labels]
    if records.weights is not None:
        weights = weights * records.weights
        weights = weights / weights[split.rows.to(weights.device)].mean()
    return dataclasses.replace(split, records=dataclasses.replace(records, weights=weights))


def log_prior(counts: np.ndarray) -> np.ndarray:
    """Logarithm of each class's share of the rows, float64 (K,); a class without rows counts as one row."""
    return np.log(counts.clip(min=1) / counts.clip(min=1).sum())
