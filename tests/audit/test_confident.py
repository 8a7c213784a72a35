"""Confident learning: the counts by hand, and those of cleanlab."""

import cleanlab.count
import cleanlab.rank
import numpy as np
import pytest

from project.work.audit.find import confident, scores

LABELS = np.array([0, 0, 0, 1, 1])
PROBABILITIES = np.array([[0.8, 0.2], [0.7, 0.3], [0.3, 0.7], [0.6, 0.4], [0.1, 0.9]])


def example(rows: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which a fifth are wrong, and logits that know the true ones more or less."""
    random = np.random.default_rng(seed)
    true = random.integers(0, classes, rows)
    given = np.where(random.random(rows) < 0.2, random.integers(0, classes, rows), true)
    return given, random.normal(size=(rows, classes)) + 2 * np.eye(classes)[true]


def test_thresholds_are_the_mean_belief_in_each_class() -> None:
    believed = scores.self_confidence(LABELS, PROBABILITIES)
    np.testing.assert_allclose(confident.thresholds(LABELS, believed, 3), [0.6, 0.65, 2])


def test_a_row_is_of_the_class_whose_threshold_it_reaches() -> None:
    limits = np.array([0.6, 0.65])
    assert confident.confident_classes(PROBABILITIES, limits).tolist() == [0, 0, 1, 0, 1]
    both = np.array([[0.5, 0.3, 0.2], [0.3, 0.4, 0.3], [0.36, 0.34, 0.3]])
    assert confident.confident_classes(both, np.array([0.35, 0.3, 0.9])).tolist() == [0, 1, 0]
    assert confident.confident_classes(both, np.array([0.9, 0.9, 0.9])).tolist() == [confident.NONE] * 3


def test_joint_shares_and_transition_by_hand() -> None:
    joint = confident.confident_joint(LABELS, np.array([0, 0, 1, 0, 1]), 2)
    assert joint.tolist() == [[2, 1], [1, 1]]
    shares = confident.calibrated(joint, np.array([3, 2]))
    np.testing.assert_allclose(shares, [[0.4, 0.2], [0.2, 0.2]])
    np.testing.assert_allclose(confident.transition(shares), [[2 / 3, 1 / 3], [0.5, 0.5]])
    np.testing.assert_allclose(confident.wrong_by_class(shares), [1 / 3, 0.5])


def test_a_class_without_rows_keeps_its_label() -> None:
    joint = confident.confident_joint(LABELS, np.array([0, 0, 0, 1, 1]), 3)
    shares = confident.calibrated(joint, np.array([3, 2, 0]))
    assert confident.transition(shares).tolist() == np.eye(3).tolist()
    assert confident.wrong_by_class(shares).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("rows", "classes", "seed"), [(300, 2, 0), (2000, 7, 1), (3000, 40, 2)])
def test_the_counts_are_those_of_cleanlab(rows: int, classes: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "ROWS", 500)
    labels, logits = example(rows, classes, seed)
    probabilities = scores.softmax(logits)
    believed = scores.self_confidence(labels, probabilities)
    np.testing.assert_allclose(
        confident.thresholds(labels, believed, classes), cleanlab.count.get_confident_thresholds(labels, probabilities)
    )
    joint = confident.confident_joint(labels, confident.guesses(labels, believed, logits), classes)
    theirs = cleanlab.count.compute_confident_joint(labels, probabilities, calibrate=False)
    assert joint.tolist() == theirs.tolist()
    shares = confident.calibrated(joint, np.bincount(labels, minlength=classes))
    rounded = cleanlab.count.estimate_joint(labels, probabilities, confident_joint=theirs)  # to whole rows
    np.testing.assert_allclose(shares, rounded, atol=1 / rows)
    np.testing.assert_allclose(
        scores.self_confidence(labels, probabilities),
        cleanlab.rank.get_label_quality_scores(labels, probabilities),  # its default
    )


def hostile(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and logits with classes that are never predicted, empty, dominant, or tied with others, as drawn."""
    random = np.random.default_rng(seed)
    rows, classes = int(random.integers(5, 300)), int(random.integers(2, 12))
    shares = random.dirichlet(np.full(classes, random.choice([0.1, 1.0, 10.0])))  # the first: most are of one class
    labels = random.choice(classes, rows, p=shares)
    logits = random.normal(size=(rows, classes)) + random.choice([0, 2, 8]) * np.eye(classes)[labels]
    some = random.random(classes) < 0.3
    faint = (0, -12.5, -13.5, -14, -200)  # exp(-13.5) is 1.4e-6, exp(-200) is nothing in 32 bits
    logits[:, some] += random.choice(faint, int(some.sum()))
    if random.random() < 0.3:
        logits = logits.round()
    if random.random() < 0.1:
        logits[:] = 0
    return labels, logits.astype(random.choice([np.float32, np.float64]))


@pytest.mark.parametrize("start", range(0, 180, 60))
def test_the_counts_are_those_of_cleanlab_whatever_the_classes_are(start: int) -> None:
    seen = {"empty": 0, "faint": 0, "tied": 0}
    for seed in range(start, start + 60):
        labels, logits = hostile(seed)
        classes, probabilities = logits.shape[1], scores.softmax(logits)
        believed = scores.self_confidence(labels, probabilities)
        theirs = cleanlab.count.compute_confident_joint(labels, probabilities, calibrate=False)
        joint = confident.confident_joint(labels, confident.guesses(labels, believed, logits), classes)
        assert joint.tolist() == theirs.tolist(), seed
        limits = cleanlab.count.get_confident_thresholds(labels, probabilities)
        np.testing.assert_allclose(confident.thresholds(labels, believed, classes), limits, rtol=1e-5)
        counts = np.bincount(labels, minlength=classes)
        shares = cleanlab.count.estimate_joint(labels, probabilities, confident_joint=theirs)  # to whole rows
        np.testing.assert_allclose(confident.calibrated(joint, counts), shares, atol=classes / len(labels))
        seen["empty"] += (counts == 0).any()
        seen["faint"] += limits.min() < 3e-6
        seen["tied"] += (np.sort(probabilities, axis=1)[:, -2:] == probabilities.max(axis=1)[:, None]).all(axis=1).any()
    assert min(seen.values()) >= 5, seen


def test_a_class_that_is_never_predicted_takes_no_unsure_row() -> None:
    labels = np.array([0, 0, 1, 1, 2])
    sure = np.array([[0.9, 0.1, 0], [0.6, 0.4, 0], [0.1, 0.9, 0], [0.4, 0.6, 0], [0.5, 0.5, 0]])
    believed = scores.self_confidence(labels, sure)
    guessed = confident.guesses(labels, believed, np.log(np.maximum(sure, 1e-30)).astype(np.float32))
    assert guessed.tolist() == [0, confident.NONE, 1, confident.NONE, confident.NONE]
    assert confident.confident_joint(labels, guessed, 3).tolist() == np.eye(3).tolist()
