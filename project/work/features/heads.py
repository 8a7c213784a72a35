"""What is learnt on features: multinomial logistic regression, and the vote of the nearest pictures.

Both are chosen by how likely they make labels that were held out (the labels as given: the truth is never asked). All
of it is deterministic and runs on the CPU, where a few thousand rows take a second.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize

from project.work.common import derive_seed

STRENGTHS = tuple(10.0 ** (step / 2) for step in range(-10, 5))  # of C, from strong to weak regularisation
COUNTS = (5, 10, 20, 30, 50)  # of neighbours
ENOUGH = 20_000  # rows that C is chosen and directions are found by
DIRECTIONS = 512  # principal components that folds are fitted on
_MOST = 1 << 26  # numbers of features that are held as float32 at once
_BLOCK = 1 << 23  # numbers of logits that are in memory at once
_CURVATURE = 0.15  # of the softmax, roughly: p (1 - p) at p = .2; it only scales the search
_FLAT = 1e-4  # below this share of the loss a step is no progress


@dataclass(frozen=True)
class Linear:
    """Logistic regression on features as they are. weights: float32 (D, K); bias: float32 (K,)."""

    weights: np.ndarray
    bias: np.ndarray

    def logits(self, rows: np.ndarray) -> np.ndarray:
        """Logits, float32 (n, K), of features, float (n, D)."""
        return np.concatenate([block @ self.weights + self.bias for _, block in _blocks(rows, self.weights.shape[0])])


@dataclass(frozen=True)
class Space:
    """Standardised features, or their first principal components. mean, std: float32 (D,); directions: float32 (D, d),
    orthonormal; variances: float32 (d,), what the rows that it was made from have along them."""

    mean: np.ndarray
    std: np.ndarray
    directions: np.ndarray
    variances: np.ndarray

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Places in it, float32 (n, d), of features, float (n, D)."""
        found = [((block - self.mean) / self.std) @ self.directions for _, block in _blocks(rows, len(self.mean))]
        return np.concatenate(found)

    def linear(self, weights: np.ndarray, bias: np.ndarray) -> Linear:
        """For features as they are, what weights (d, K) and bias (K,) are for places in it."""
        whole = (self.directions @ weights) / self.std[:, None]
        return Linear(whole.astype(np.float32), (bias - self.mean @ whole).astype(np.float32))


@dataclass(frozen=True)
class OutOfFold:
    """logits: float32 (n, K), of each row by a head that did not learn from it; choice: C, or the count of neighbours,
    that makes the labels likeliest; tried: mean logarithm of the labels' probability by each."""

    logits: np.ndarray
    choice: float
    tried: dict[float, float]


def space(rows: np.ndarray, most: int) -> Space:
    """The space of some rows, float (n, D), in at most so many directions; of many rows an even sample decides."""
    some = rows[_sample(len(rows))].astype(np.float32)
    mean, std = some.mean(axis=0), some.std(axis=0)
    std = np.where(std > 1e-6, std, 1.0).astype(np.float32)
    some = (some - mean) / std
    width = some.shape[1]
    if most < width:
        # The range finder of Halko, Martinsson and Tropp, 2011, with one power iteration.
        random = np.random.default_rng(derive_seed(0, "directions"))
        found = some.T @ (some @ random.standard_normal((width, most + 20)).astype(np.float32))
        found = np.linalg.qr(some.T @ (some @ np.linalg.qr(found)[0]))[0]
        within = some @ found
        values, turns = np.linalg.eigh(within.T @ within)
        directions = found @ turns
    else:
        values, directions = np.linalg.eigh(some.T @ some)
    order = np.argsort(-values, kind="stable")[:most]
    variances = (values[order].clip(min=0) / len(some)).astype(np.float32)
    return Space(mean, std, np.ascontiguousarray(directions[:, order]), variances)


@dataclass(frozen=True)
class Balance:
    """What makes up for the counts of classes. weights: float (K,), how much a row of each class counts, of mean 1 over
    the rows, or None; prior: float (K,), added to the logits that are learnt and taken away again, or None.

    A strength is chosen by what is learnt: the weighted likelihood of labels, or that of logits with the prior added.
    """

    weights: np.ndarray | None = None
    prior: np.ndarray | None = None

    def likelihood(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """What a strength is chosen by. logits: float (n, K), without the prior; labels: int (n,)."""
        learnt = logits if self.prior is None else logits + self.prior.astype(np.float32)
        return likelihood(learnt, labels, None if self.weights is None else self.weights[labels])


AS_COUNTED = Balance()


def fit(rows: np.ndarray, labels: np.ndarray, classes: int, strength: float, balance: Balance = AS_COUNTED) -> Linear:
    """Logistic regression on all rows, in all directions where memory allows. labels: int (n,); strength: C."""
    made = space(rows, rows.shape[1] if rows.size <= _MOST else DIRECTIONS)
    found = _fitted(made.of(rows), labels, made.variances, classes, strength, balance=balance)
    return made.linear(found.weights, found.bias)


def out_of_fold(
    rows: np.ndarray, labels: np.ndarray, folds: np.ndarray, classes: int, balance: Balance = AS_COUNTED
) -> OutOfFold:
    """Logistic regression for each fold on the rows of the others, its strength chosen by what they say of the labels.

    rows: float (n, D); labels, folds: int (n,), folds 0, 1 ... From strong regularisation to weak until the labels
    become less likely. No label of a fold has a part in its logits but for the one strength of all folds.
    """
    made = space(rows, min(DIRECTIONS, rows.shape[1]))
    places, some = made.of(rows), _sample(len(rows))
    parts = [some[folds[some] != fold] for fold in range(folds.max() + 1)]
    learnt = [(places[part], labels[part]) for part in parts]
    fitted: list[_Fitted | None] = [None] * len(parts)
    tried: dict[float, float] = {}
    choice, logits = STRENGTHS[0], np.empty((0, classes), np.float32)
    for strength in STRENGTHS:
        fitted = [
            _fitted(*each, made.variances, classes, strength, start, balance)
            for each, start in zip(learnt, fitted, strict=True)
        ]
        held_out = _held_out(places[some], folds[some], fitted)
        tried[strength] = balance.likelihood(held_out, labels[some])
        if tried[strength] < max(tried.values()):
            break
        choice, logits = strength, held_out
    if len(some) < len(rows):
        parts = [np.flatnonzero(folds != fold) for fold in range(len(parts))]
        fitted = [
            _fitted(places[part], labels[part], made.variances, classes, choice, balance=balance) for part in parts
        ]
        logits = _held_out(places, folds, fitted)
    return OutOfFold(logits, choice, tried)


def _sample(count: int) -> np.ndarray:
    """Row numbers, evenly spread, of so many rows that choices can be made by; all where there are few."""
    return np.unique(np.linspace(0, count - 1, min(count, ENOUGH)).astype(int))


def _held_out(places: np.ndarray, folds: np.ndarray, fitted: Sequence["_Fitted | None"]) -> np.ndarray:
    """Logits, float32 (n, K), of each row by the head of its fold."""
    found = np.empty((len(places), len(fitted[0].bias)), np.float32)  # type: ignore[union-attr]
    for fold, head in enumerate(fitted):
        assert head is not None
        own = np.flatnonzero(folds == fold)
        found[own] = places[own] @ head.weights + head.bias
    return found


def likelihood(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean logarithm of the labels' probability. logits: float (n, K); labels: int (n,); weights: float (n,)."""
    highest = logits.max(axis=1)
    total = np.log(np.exp(logits - highest[:, None]).sum(axis=1)) + highest
    likely = logits[np.arange(len(labels)), labels] - total
    return float(likely.mean(dtype=float)) if weights is None else float(np.average(likely, weights=weights))


@dataclass(frozen=True)
class _Fitted:
    """weights: float32 (d, K); bias: float32 (K,), in a space."""

    weights: np.ndarray
    bias: np.ndarray


def _fitted(
    places: np.ndarray,
    labels: np.ndarray,
    variances: np.ndarray,
    classes: int,
    strength: float,
    start: _Fitted | None = None,
    balance: Balance = AS_COUNTED,
) -> _Fitted:
    """The regression that minimises half the squared weights plus strength times the sum of the cross entropy.

    Each direction is scaled by its curvature, which makes some ten steps of L-BFGS enough. start: of another strength.
    """
    width = places.shape[1]
    scale = np.sqrt(1 + strength * len(places) * _CURVATURE * np.append(variances, 1)).astype(np.float32)
    first = np.zeros((classes, width + 1))
    if start is not None:
        first = np.concatenate([start.weights.T, start.bias[:, None]], axis=1) * scale
    loss = _Loss(places, labels, classes, strength, scale, balance)
    options = {"maxiter": 200, "ftol": _FLAT, "gtol": 0.0, "maxcor": 10}
    found = minimize(loss, first.ravel().astype(float), jac=True, method="L-BFGS-B", options=options).x
    values = (found.reshape(classes, width + 1) / scale).astype(np.float32)
    return _Fitted(np.ascontiguousarray(values[:, :-1].T), values[:, -1])


class _Loss:
    """The loss of a regression and its gradient; some rows at a time, whose logits are in memory.

    All is laid out by class, (K, n) and (K, d): so a CPU multiplies few classes several times as fast.
    """

    def __init__(
        self,
        places: np.ndarray,
        labels: np.ndarray,
        classes: int,
        strength: float,
        scale: np.ndarray,
        balance: Balance,
    ) -> None:
        self.places, self.labels = torch.from_numpy(places), torch.from_numpy(labels)[None]
        self.scale, self.strength = torch.from_numpy(scale), strength
        self.rows = max(256, _BLOCK // classes)
        self.weights = None if balance.weights is None else torch.from_numpy(balance.weights.astype(np.float32))
        self.prior = 0.0 if balance.prior is None else torch.from_numpy(balance.prior.astype(np.float32))[:, None]

    def __call__(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        values = torch.from_numpy(flat.astype(np.float32)).view(-1, len(self.scale)) / self.scale
        weights, bias = values[:, :-1].contiguous(), values[:, -1:]
        gradient, loss = torch.zeros_like(values), 0.0
        for places, labels in zip(self.places.split(self.rows), self.labels.split(self.rows, dim=1), strict=True):
            likely = torch.addmm(bias + self.prior, weights, places.T).log_softmax(dim=0)
            counted = None if self.weights is None else self.weights[labels]  # how much each row counts, (1, n)
            right = likely.gather(0, labels)
            loss -= float((right if counted is None else right * counted).sum(dtype=torch.float64))
            missed = likely.exp_().scatter_add_(0, labels, torch.full(labels.shape, -1.0))
            missed = missed if counted is None else missed.mul_(counted)
            gradient[:, :-1] += missed @ places
            gradient[:, -1] += missed.sum(dim=1)
        gradient *= self.strength
        gradient[:, :-1] += weights
        loss = self.strength * loss + 0.5 * float((weights * weights).sum(dtype=torch.float64))
        return loss, (gradient / self.scale).numpy().ravel().astype(float)


def neighbours(
    queries: np.ndarray, among: np.ndarray, count: int, apart: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest rows to each query: places int64 (n, count) among the others, nearest first, and cosines float32.

    queries, among: float (n, D) and (m, D), of any length; apart: the folds of both, int (n,) and (m,): a neighbour is
    of another fold (of another row, when these are row numbers). Exact; a block of queries at a time.
    """
    count = min(count, len(among))
    others = _unit(among)
    places, cosines = np.empty((len(queries), count), np.int64), np.empty((len(queries), count), np.float32)
    step = max(1, _BLOCK // max(1, len(among)))
    for start in range(0, len(queries), step):
        at = slice(start, start + step)
        near = _unit(queries[at]) @ others.T
        if apart is not None:
            near[apart[0][at, None] == apart[1][None]] = -2
        best = np.argpartition(-near, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(near, best, axis=1)
        order = np.lexsort((best, -values))
        places[at] = np.take_along_axis(best, order, axis=1)
        cosines[at] = np.take_along_axis(values, order, axis=1)
    return places, cosines


def nearest_out_of_fold(rows: np.ndarray, labels: np.ndarray, folds: np.ndarray, classes: int) -> OutOfFold:
    """The vote of the nearest rows of other folds, whose count is chosen as strength is in `out_of_fold`.

    Near is a high cosine of features from which the mean was taken.
    """
    rows = rows - np.asarray(rows, np.float32).mean(axis=0)
    places, _ = neighbours(rows, rows, min(max(COUNTS), len(rows) - 1), (folds, folds))
    tried = {float(count): likelihood(votes(labels[places[:, :count]], classes), labels) for count in COUNTS}
    choice = max(tried, key=lambda count: tried[count])
    return OutOfFold(votes(labels[places[:, : int(choice)]], classes), choice, tried)


def nearest(learnt: tuple[np.ndarray, np.ndarray, int], rows: np.ndarray, classes: int) -> np.ndarray:
    """Logits, float32 (n, K), of rows by the vote of the nearest that were learnt: features, labels, and how many."""
    others, labels, count = learnt
    mean = np.asarray(others, np.float32).mean(axis=0)
    return votes(labels[neighbours(rows - mean, others - mean, count)[0]], classes)


def votes(labels: np.ndarray, classes: int) -> np.ndarray:
    """Logits, float32 (n, K), of the labels of neighbours, int (n, count): the logarithm of their shares, to which one
    vote is added that all classes share, so that no class has none."""
    counts = np.zeros((len(labels), classes), np.float32)
    np.add.at(counts, (np.arange(len(labels))[:, None], labels), 1)
    return np.log((counts + 1 / classes) / (labels.shape[1] + 1))


def _unit(rows: np.ndarray) -> np.ndarray:
    found = np.asarray(rows, np.float32)
    return found / np.maximum(np.sqrt((found * found).sum(axis=1, keepdims=True)), 1e-12)


def _blocks(rows: np.ndarray, width: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows as float32, so many at a time that they take little memory."""
    step = max(1, _BLOCK // max(1, width))
    for start in range(0, max(1, len(rows)), step):
        at = slice(start, start + step)
        yield at, np.asarray(rows[at], np.float32)
