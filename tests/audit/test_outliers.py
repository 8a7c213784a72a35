"""Outliers are far from all others, and copies of one another do not hide them."""

import numpy as np

from project.work.audit.find import outliers


def test_the_distance_is_that_to_the_nth_nearest_other() -> None:
    points = np.array([[0.0], [1.0], [3.0], [7.0]])
    assert outliers.distances(points, 1).tolist() == [1.0, 1.0, 2.0, 4.0]
    assert outliers.distances(points, 2).tolist() == [3.0, 2.0, 3.0, 6.0]


def test_odd_ones_are_found_the_farthest_first_even_where_they_are_copied() -> None:
    points = np.random.default_rng(0).normal(size=(500, 8))
    points[[10, 11, 12]] = 30.0
    points[200] = -60.0
    assert outliers.find(points).tolist()[0] == 200
    assert set(outliers.find(points).tolist()) == {10, 11, 12, 200}


def test_what_is_left_out_is_never_one() -> None:
    points = np.random.default_rng(0).normal(size=(500, 8))
    points[200] = 60.0
    assert outliers.find(points, np.arange(500) == 200).tolist() == []


def test_few_points_have_no_outliers() -> None:
    assert outliers.find(np.array([[0.0], [100.0]])).tolist() == []
    assert outliers.find(np.empty((0, 4))).tolist() == []


def test_a_larger_set_is_compared_with_a_sample(monkeypatch) -> None:
    monkeypatch.setattr(outliers, "AMONG", 100)
    points = np.random.default_rng(0).normal(size=(1000, 4))
    points[501] = 50.0
    assert outliers.find(points).tolist() == [501]
