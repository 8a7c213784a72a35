"""Heads on features: the regression that scikit-learn fits, folds that do not see their labels, and neighbours."""

import numpy as np
import pytest

from project.work.features import heads


def clusters(rows: int, classes: int = 3, width: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features that overlap, float16 (rows, width), and their classes."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    centres = random.standard_normal((classes, width))
    return (centres[labels] + 1.5 * random.standard_normal((rows, width))).astype(np.float16), labels


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("strength", [0.001, 0.1])
def test_it_is_the_regression_of_scikit_learn(strength: float, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.linear_model import LogisticRegression

    rows, labels = clusters(300)
    monkeypatch.setattr(heads, "_FLAT", 1e-9)
    found = heads.fit(rows, labels, 3, strength)
    values = rows.astype(np.float64)
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    known = LogisticRegression(C=strength, tol=1e-8, max_iter=1000).fit(scaled, labels)
    assert np.abs(probabilities(found.logits(rows)) - known.predict_proba(scaled)).max() < 2e-3


def test_labels_of_a_fold_have_no_part_in_its_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "STRENGTHS", (0.01,))
    rows, labels = clusters(200)
    folds = np.arange(200) // 40
    before = heads.out_of_fold(rows, labels, folds, 3).logits
    other = np.where(folds == 2, (labels + 1) % 3, labels)
    after = heads.out_of_fold(rows, other, folds, 3).logits
    assert np.array_equal(before[folds == 2], after[folds == 2])
    assert not np.allclose(before[folds == 1], after[folds == 1])


def test_strength_is_the_one_that_makes_held_out_labels_likeliest() -> None:
    rows, labels = clusters(300)
    folds, noisy = np.random.default_rng(1).permutation(300) % 5, np.random.default_rng(2).integers(0, 3, 300)
    clean, noise = heads.out_of_fold(rows, labels, folds, 3), heads.out_of_fold(rows, noisy, folds, 3)
    for found, given in ((clean, labels), (noise, noisy)):
        assert found.tried[found.choice] == max(found.tried.values())
        assert heads.likelihood(found.logits, given) == pytest.approx(found.tried[found.choice], abs=1e-6)
    assert noise.choice < clean.choice  # nothing is to be learnt of labels drawn at random
    assert (clean.logits.argmax(axis=1) == labels).mean() > 0.9


def test_many_rows_are_fitted_on_all_of_them_by_the_strength_of_some(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = clusters(400)
    folds = np.random.default_rng(1).permutation(400) % 4
    whole = heads.out_of_fold(rows, labels, folds, 3)
    monkeypatch.setattr(heads, "ENOUGH", 200)
    some = heads.out_of_fold(rows, labels, folds, 3)
    assert some.logits.shape == (400, 3)
    assert (some.logits.argmax(axis=1) == whole.logits.argmax(axis=1)).mean() > 0.95


def test_few_directions_say_nearly_what_all_say() -> None:
    random = np.random.default_rng(0)
    rows, _ = clusters(300, width=8)
    wide = np.concatenate([rows, 0.01 * random.standard_normal((300, 60))], axis=1)
    wide[:, 8:] += 3 * rows[:, random.integers(0, 8, 60)].astype(float)  # wide, but of eight directions
    part, whole = heads.space(wide, 10), heads.space(wide, 68)
    assert np.allclose(part.variances[:8], whole.variances[:8], rtol=1e-3)
    assert np.allclose(part.directions.T @ part.directions, np.eye(10), atol=1e-4)


def test_neighbours_are_those_of_the_highest_cosine_in_other_folds() -> None:
    rows, _ = clusters(50)
    folds = np.arange(50) % 5
    places, cosines = heads.neighbours(rows, rows, 4, (folds, folds))
    whole = rows.astype(np.float64)
    whole /= np.linalg.norm(whole, axis=1, keepdims=True)
    known = whole @ whole.T
    known[folds[:, None] == folds] = -2
    assert np.array_equal(places, np.argsort(-known, axis=1)[:, :4])
    assert np.allclose(cosines, np.take_along_axis(known, places, axis=1), atol=1e-5)


def test_a_vote_counts_neighbours_and_leaves_no_class_without_a_chance() -> None:
    found = probabilities(heads.votes(np.array([[0, 0, 0, 1]]), 3))
    assert np.allclose(found, [[(3 + 1 / 3) / 5, (1 + 1 / 3) / 5, (1 / 3) / 5]])


def test_nearest_pictures_find_classes() -> None:
    rows, labels = clusters(300)
    found = heads.nearest_out_of_fold(rows, labels, np.arange(300) % 5, 3)
    assert (found.logits.argmax(axis=1) == labels).mean() > 0.9
    assert found.tried[found.choice] == max(found.tried.values())


def test_class_weights_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.linear_model import LogisticRegression

    from project.work.dataset.imbalance import class_weights

    rows, labels = clusters(300)
    kept = (labels != 2) | (np.arange(300) < 45)
    rows, labels = rows[kept], labels[kept]
    monkeypatch.setattr(heads, "_FLAT", 1e-9)
    balance = heads.Balance(weights=class_weights(np.bincount(labels), "inverse", 0))
    found = heads.fit(rows, labels, 3, 0.01, balance)
    values = rows.astype(np.float64)
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    known = LogisticRegression(C=0.01, class_weight="balanced", tol=1e-8, max_iter=1000).fit(scaled, labels)
    assert np.abs(probabilities(found.logits(rows)) - known.predict_proba(scaled)).max() < 2e-3


def test_a_prior_is_learnt_beside_the_features_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one strength the logits without the prior are those of a plain fit, moved by it as far as bias is free."""
    rows, labels = clusters(300)
    monkeypatch.setattr(heads, "_FLAT", 1e-9)
    prior = np.log(np.array([0.7, 0.2, 0.1]))
    plain, adjusted = (heads.fit(rows, labels, 3, 1e4, heads.Balance(prior=each)) for each in (None, prior))
    learnt = adjusted.logits(rows) + prior
    assert np.abs(probabilities(learnt) - probabilities(plain.logits(rows))).max() < 0.02
    balance = heads.Balance(prior=prior)
    assert balance.likelihood(np.zeros((2, 3)), np.array([0, 2])) == pytest.approx((prior[0] + prior[2]) / 2)


def test_a_weighted_likelihood_by_hand() -> None:
    logits = np.log(np.array([[0.5, 0.5], [0.25, 0.75]]))
    weights = heads.Balance(weights=np.array([3.0, 1.0]))
    assert weights.likelihood(logits, np.array([0, 1])) == pytest.approx((3 * np.log(0.5) + np.log(0.75)) / 4)
