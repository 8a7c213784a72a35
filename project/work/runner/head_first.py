"""Head first: the head of a pretrained network is fitted to its features, before all of the network is trained.

Linear probing, then fine-tuning (Kumar et al., 2022): the gradients of a random head would spoil the pretrained layers
below it before it has learnt anything. The features are kept where `./inv features` keeps them.
"""

import copy
import sys
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from project.work import common, model
from project.work.dataset.base_dataset import Dataset, Split, fold_numbers
from project.work.features import extract, heads
from project.work.features.heads import Linear
from project.work.machine.distributed import RunContext
from project.work.networks.backbones import Backbone

FOLDS = 5  # by which the strength of the regression is chosen, fewer where a class has fewer rows


def fit(context: RunContext, dataset: Dataset, networks: Sequence[nn.Sequential]) -> None:
    """Give each network a head that is fitted to the training rows. Validation rows have no part in it: they select the
    epoch.

    networks: with the same pretrained weights. Several share the rows, so that each has a head of its own: networks
    that teach each other must not begin alike. Raises UserError.
    """
    fitted = context.distributed.first(lambda: _fitted(context, dataset, networks[0], len(networks)))
    for network, head in zip(networks, fitted, strict=True):
        layer = model.final_layer(network)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(head.weights.T))
            layer.bias.copy_(torch.from_numpy(head.bias))


def _fitted(context: RunContext, dataset: Dataset, network: nn.Sequential, count: int) -> list[Linear]:
    """So many heads, each fitted to its share of the training rows."""
    train = _believed(dataset.train)
    rows, labels = train.rows.cpu().numpy(), train.labels.cpu().numpy()
    groups = None if dataset.groups is None else dataset.groups[rows]
    features = extract.training_rows(context, dataset, backbone(network, dataset, context.settings.model))
    found = []
    for part in _parts(labels, count, context.settings.seed):
        some = features[rows[part]]
        strength = _strength(some, labels[part], None if groups is None else groups[part], dataset, context)
        found.append(heads.fit(some, labels[part], len(dataset.names), strength))
    return found


def _believed(train: Split) -> Split:
    """Without the rows that --clean reweight counts for less than half of the surest: the regression has no weights."""
    weights = train.records.weights
    if weights is None:
        return train
    mine = weights[train.rows.to(weights.device)].cpu()
    return train.subset(np.flatnonzero((mine >= mine.max() / 2).numpy()))


def backbone(network: nn.Sequential, dataset: Dataset, name: str) -> Backbone:
    """A copy of a network without its last layer, for pictures as the data set gives them."""
    below, last = copy.deepcopy(network).eval(), model.final_layer(network)
    place = next(path for path, module in network.named_modules() if module is last)
    parent, _, child = place.rpartition(".")
    setattr(below.get_submodule(parent), child, nn.Identity())
    side = dataset.train.shape[1]
    return Backbone(name, below, dataset.train.normalise, side, last.in_features, "", "this run")


def _parts(labels: np.ndarray, count: int, seed: int) -> list[np.ndarray]:
    """The places of all rows in so many parts, which have equally many of each class."""
    order = np.random.default_rng(common.derive_seed(seed, "heads")).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    return [np.sort(order[start::count]) for start in range(count)]


def _strength(
    rows: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, dataset: Dataset, context: RunContext
) -> float:
    """The strength by which labels are likeliest out of fold. Classes with a single row have no part in the choice."""
    counts = np.bincount(labels, minlength=len(dataset.names))
    some = np.flatnonzero(counts[labels] > 1)
    rarest = int(counts[counts > 1].min())
    settings, together = context.settings, None if groups is None else groups[some]
    folds = fold_numbers(
        labels[some], min(FOLDS, rarest), settings.split_seed, settings.dataset, dataset.names, together
    )
    chosen = heads.out_of_fold(rows[some], labels[some], folds, len(dataset.names))
    right = (chosen.logits.argmax(axis=1) == labels[some]).mean()
    print(f"head first: fitted to {len(rows):,} rows of {rows.shape[1]:,} features; {right:.1%} of the labels are"
          f" predicted out of fold, C {chosen.choice:.2g}", file=sys.stderr)  # fmt: skip
    return chosen.choice
