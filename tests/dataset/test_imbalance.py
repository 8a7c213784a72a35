"""Samplers, class weights and priors, worked out by hand."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from project.work.dataset import imbalance
from project.work.dataset.base_dataset import Batch, Dataset

LABELS = torch.tensor([0] * 8 + [1] * 2 + [2] * 2)


def drawn(sampler: str, seed: int = 0, labels: torch.Tensor = LABELS) -> torch.Tensor:
    return imbalance.order(labels, sampler, torch.Generator().manual_seed(seed))


def test_quotas_by_largest_remainders() -> None:
    # 10 rows by 1 : 1 : 1 are 3.33 each; the one that is left goes to the first. By 2 : 1 : 0: 6.67, 3.33, 0.
    assert imbalance.quotas(np.array([1.0, 1, 1]), 10).tolist() == [4, 3, 3]
    assert imbalance.quotas(np.array([2.0, 1, 0]), 10).tolist() == [7, 3, 0]


def test_balanced_shows_each_class_equally_often_and_repeats_only_where_it_must() -> None:
    order = drawn("balanced")
    assert len(order) == 12
    assert torch.bincount(LABELS[order]).tolist() == [4, 4, 4]
    times = torch.bincount(order, minlength=12).tolist()
    assert sorted(times[:8]) == [0, 0, 0, 0, 1, 1, 1, 1]  # half of the large class, none twice
    assert times[8:] == [2, 2, 2, 2]


def test_sqrt_lies_between() -> None:
    # Roots 2.83, 1.41, 1.41 of 5.66: 6, 3, 3 of 12 rows.
    order = drawn("sqrt")
    assert torch.bincount(LABELS[order]).tolist() == [6, 3, 3]
    assert sorted(torch.bincount(order, minlength=12).tolist()[8:10]) == [1, 2]


def test_an_order_is_that_of_its_generator_and_shuffled() -> None:
    assert torch.equal(drawn("balanced", 1), drawn("balanced", 1))
    assert not torch.equal(drawn("balanced", 1), drawn("balanced", 2))
    assert drawn("balanced").tolist() != sorted(drawn("balanced").tolist())


def test_a_class_without_rows_is_not_drawn() -> None:
    labels = torch.tensor([0, 0, 2, 2, 2, 2])
    assert torch.bincount(labels[drawn("balanced", labels=labels)]).tolist() == [3, 0, 3]


def test_inverse_weights_by_hand() -> None:
    # 1/8, 1/2, 1/4 times 14 rows / 3 classes: each class weighs 14/3 in all.
    weights = imbalance.class_weights(np.array([8, 2, 4]), "inverse", 0.999)
    assert weights == pytest.approx([14 / 24, 14 / 6, 14 / 12])


def test_effective_weights_by_hand() -> None:
    # beta 1/2: effective numbers (1 - 1/2^n) / (1/2) of 1, 2 rows are 1 and 1.5; 1 and 2/3 scaled to a mean of 1.
    weights = imbalance.class_weights(np.array([1, 2]), "effective", 0.5)
    assert weights == pytest.approx([9 / 7, 6 / 7])
    counts = np.array([30, 400])
    assert imbalance.class_weights(counts, "effective", 0.0) == pytest.approx([1, 1])
    near_one = imbalance.class_weights(counts, "effective", 1 - 1e-9)
    assert near_one == pytest.approx(imbalance.class_weights(counts, "inverse", 0), rel=1e-4)
    # (1 - .999^400) / (1 - .999^30)
    thousand = imbalance.class_weights(counts, "effective", 0.999)
    assert thousand[0] / thousand[1] == pytest.approx((1 - 0.999**400) / (1 - 0.999**30))


def test_a_class_without_rows_weighs_nothing() -> None:
    assert imbalance.class_weights(np.array([2, 0, 2]), "inverse", 0).tolist() == [1, 0, 1]


def test_the_prior_by_hand() -> None:
    assert imbalance.log_prior(np.array([6, 2])) == pytest.approx([math.log(0.75), math.log(0.25)])
    assert np.isfinite(imbalance.log_prior(np.array([6, 0]))).all()


def test_weights_of_rows_are_multiplied_by_those_of_their_class(dataset: Dataset) -> None:
    rows = dataset.train.rows
    some = dataset.train.subset(np.flatnonzero((dataset.train.labels != 1) | (torch.arange(108) % 3 == 0)))
    counts = torch.bincount(some.labels)
    weighed = imbalance.weighed_by_class(some, "inverse", 0.999)
    found = weighed.records.weights[weighed.rows]
    assert float(found.mean()) == pytest.approx(1, abs=1e-5)
    assert float(found[some.labels == 0][0] / found[some.labels == 1][0]) == pytest.approx(counts[1] / counts[0])
    trusted = torch.full((120,), 2.0)
    trusted[rows[0]] = 0  # NaN for rows that are not trained on changes nothing
    trusted[dataset.valid.rows] = math.nan
    some = dataclasses.replace(some, records=dataclasses.replace(some.records, weights=trusted))
    found = imbalance.weighed_by_class(some, "inverse", 0.999).records.weights[some.rows]
    assert float(found.mean()) == pytest.approx(1, abs=1e-5)


def test_of_a_row_that_is_shown_twice_the_last_time_counts() -> None:
    rows = torch.tensor([5, 3, 5, 9, 3, 5])
    logits = torch.arange(6.0)[:, None].expand(6, 2)
    left, batch = imbalance.once(logits, Batch(torch.zeros(6, 1, 1, 1), torch.eye(2)[[0, 1] * 3], rows))
    assert batch.rows.tolist() == [9, 3, 5]
    assert left[:, 0].tolist() == [3, 4, 5]
    assert len(imbalance.once(logits[:0], batch.part(slice(0, 0), batch.images[:0]))[1]) == 0
