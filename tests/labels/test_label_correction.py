"""Cleaning by an audit: which rows change and which do not, how far labels are trusted, audits of other data."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from project.work.common import UserError
from project.work.dataset import base_dataset
from project.work.dataset.base_dataset import Dataset
from project.work.labels import label_correction, noise_channel
from project.work.labels.naming import unpacked
from project.work.settings.resolve import combine

COLUMNS = ["row", "key_id", "given_label", "suggested_label", "trust", "flagged"]


@pytest.fixture
def audit(dataset: Dataset, tmp_path: Path) -> Callable[..., str]:
    """Makes an audit.csv of the prepared set: these rows flagged, each with the next class suggested."""

    def make(suspects: np.ndarray, trust: float | np.ndarray = 0.5, **changes: object) -> str:
        labels, rows = dataset.train.records.labels.numpy(), np.arange(120)
        values = (rows, unpacked(dataset.train_keys), labels, (labels + 1) % 4, trust, np.isin(rows, suspects) * 1)
        table = pd.DataFrame(dict(zip(COLUMNS, values, strict=True)) | changes)
        table.to_csv(tmp_path / "audit.csv", index=False)
        return str(tmp_path / "audit.csv")

    return make


def load(settings: Callable, how: str, path: str, **values: object) -> Dataset:
    return base_dataset.load(settings(clean=how, audit_file=path, **values), torch.device("cpu"))


def test_flagged_training_rows_are_dropped_and_validation_stays(settings, dataset, audit) -> None:
    train, valid = dataset.train.rows.numpy(), dataset.valid.rows.numpy()
    cleaned = load(settings, "drop", audit(np.concatenate([train[:7], valid[:3]])))
    assert cleaned.train.rows.tolist() == train[7:].tolist()
    assert cleaned.valid.rows.tolist() == valid.tolist()
    assert cleaned.correction.notes == ["--clean drop: 7 of 108 training rows dropped"]
    assert cleaned.fingerprint != dataset.fingerprint


def test_flagged_training_rows_take_the_suggestion_and_validation_does_not(settings, dataset, audit) -> None:
    train, valid = dataset.train.rows.numpy(), dataset.valid.rows.numpy()
    before = dataset.train.records.labels
    cleaned = load(settings, "relabel", audit(np.concatenate([train[:7], valid[:3]])))
    changed = torch.nonzero(cleaned.train.records.labels != before)[:, 0]
    assert changed.tolist() == train[:7].tolist()
    assert cleaned.train.records.labels[changed].tolist() == ((before[changed] + 1) % 4).tolist()
    assert cleaned.train.rows.tolist() == train.tolist()


def test_trust_is_what_bayes_says() -> None:
    # 0.8 x 0.5 = 0.4 against 0.2 / 2 x 0.5 = 0.05; certain either way; and of two classes 0.9 x 0.1 against 0.1 x 0.9.
    np.testing.assert_allclose(noise_channel.trust(np.array([0.5, 1.0, 0.0]), 0.2, 3), [8 / 9, 1, 0], atol=1e-10)
    np.testing.assert_allclose(noise_channel.trust(np.array([0.1]), 0.1, 2), [0.5])


def test_the_rate_of_the_channel_is_found_from_the_beliefs_alone() -> None:
    """Labels of a model that is right about itself: 10 classes, its class with 0.73, each other with 0.03."""
    generator = np.random.default_rng(0)
    label_is_top, wrong = generator.random(200_000) < 0.73, generator.random(200_000) < 0.2
    top = np.where(wrong, (generator.random(200_000) < 1 / 9) & ~label_is_top, label_is_top)
    assert noise_channel.channel_rate(np.where(top, 0.73, 0.03), 10) == pytest.approx(0.2, abs=0.01)


def test_a_model_that_knows_nothing_leaves_some_trust() -> None:
    rate = noise_channel.channel_rate(np.full(100, 0.005), 10)  # below chance, so that every label seems wrong
    assert rate == noise_channel.MOST_RATE
    assert (noise_channel.trust(np.array([0.0, 0.5, 1.0]), rate, 10) > 0).all()


def test_weights_have_mean_one_and_a_person_is_trusted(settings, dataset, audit, tmp_path) -> None:
    train = dataset.train.rows.numpy()
    trust = np.full(120, 0.9)
    trust[train[:4]] = 1e-6
    labels = dataset.train.records.labels.numpy()
    reviewed = {"row": train[:1], "key_id": unpacked(dataset.train_keys)[train[:1]], "given_label": labels[train[0]]}
    pd.DataFrame(reviewed | {"new_label": labels[train[0]]}).to_csv(tmp_path / "c.csv", index=False)
    path = audit(train[:4], trust)
    weighted = load(settings, "reweight", path, corrections=str(tmp_path / "c.csv"))
    weights = weighted.train.records.weights.numpy()
    assert weights[train].mean() == pytest.approx(1)
    assert (weights[train[1:4]] < 1e-3).all()
    assert weights[train[0]] == weights[train].max()
    batch = next(weighted.train.batches(5))
    assert batch.weights.tolist() == weights[train[:5]].tolist()
    assert batch.part(slice(1, 3), batch.images[1:3]).weights.tolist() == weights[train[1:3]].tolist()


def test_an_audit_that_trusts_nothing_is_refused(settings, audit) -> None:
    with pytest.raises(UserError, match="trusts no label at all"):
        load(settings, "reweight", audit(np.arange(3), 0.0))


def test_what_a_person_has_judged_is_not_cleaned(settings, dataset, audit, tmp_path) -> None:
    train, labels = dataset.train.rows.numpy(), dataset.train.records.labels.numpy()
    judged = {"row": train[:2], "key_id": unpacked(dataset.train_keys)[train[:2]], "given_label": labels[train[:2]]}
    new = [labels[train[0]], (labels[train[1]] + 2) % 4]
    pd.DataFrame(judged | {"new_label": new}).to_csv(tmp_path / "c.csv", index=False)
    cleaned = load(settings, "drop", audit(train[:5]), corrections=str(tmp_path / "c.csv"))
    assert cleaned.train.rows.tolist() == [*train[:2], *train[5:]]
    assert cleaned.train.records.labels[train[:2]].tolist() == new
    again = label_correction.write(tmp_path, cleaned.correction, cleaned.train_keys)
    assert len(again) == 2
    same = base_dataset.load(settings(corrections=str(tmp_path / "corrections.csv")), torch.device("cpu"))
    assert same.fingerprint == cleaned.fingerprint  # what a run wrote gives another run the same


def test_the_noise_that_is_left_is_counted(settings, dataset, audit) -> None:
    from project.work.runner.table import noise_left

    noise = {"noise_type": "pairflip", "noise_rate": 0.25}
    noisy = base_dataset.load(settings(**noise), torch.device("cpu"))
    train = noisy.train.rows.numpy()
    wrong = np.intersect1d(noisy.noise.rows, train)
    assert noise_left(dataset) is None
    assert noise_left(noisy) == pytest.approx(len(wrong) / 108)
    path = audit(wrong[:10], given_label=noisy.noise.noisy)
    assert noise_left(load(settings, "drop", path, **noise)) == pytest.approx((len(wrong) - 10) / 98)


def test_an_audit_is_found_in_its_folder(settings, dataset, audit, tmp_path) -> None:
    audit(dataset.train.rows.numpy()[:3])
    assert len(load(settings, "drop", str(tmp_path)).train) == 105


def test_an_audit_that_flags_nothing_changes_nothing_and_says_so(settings, dataset, audit) -> None:
    cleaned = load(settings, "drop", audit(np.array([], dtype=int)))
    assert len(cleaned.train) == 108
    assert cleaned.correction.notes == [
        "--clean drop: none of 108 training rows is flagged, so the labels stay as they are"
    ]


def test_what_leaves_nothing_to_trust_is_refused(settings, dataset, audit) -> None:
    with pytest.raises(UserError, match="all 108 training rows are flagged"):
        load(settings, "relabel", audit(np.arange(120)))
    bars = np.flatnonzero(dataset.train.records.labels.numpy() == 0)
    with pytest.raises(UserError, match="1 of 4 classes, bar the first, would have no row to train on"):
        load(settings, "drop", audit(bars))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"given_label": 0}, "training rows have another label here than when it was made"),
        ({"suggested_label": 4}, "suggested_label of .* is '4', but labels are 0 to 3"),
        ({"trust": 1.5}, "not a probability in 0..1"),
        ({"trust": ""}, "a trust is not a number"),
        ({"trust": "nan"}, "not a probability in 0..1"),
        ({"flagged": "yes"}, "flagged must be 0 or 1"),
        ({"key_id": "none"}, "119 rows name a key id again"),
    ],
)
def test_a_file_that_is_no_audit_of_these_data_is_refused(settings, audit, changes: dict, fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        load(settings, "drop", audit(np.array([1]), **changes))


def test_an_audit_of_fewer_rows_is_refused(settings, audit) -> None:
    path = audit(np.array([1]))
    pd.read_csv(path).iloc[:50].to_csv(path, index=False)
    with pytest.raises(UserError, match=r"lacks \d+ of 108 training rows"):
        load(settings, "drop", path)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UserError, match="--audit-file: say what to do"):
        combine({"audit_file": "a.csv"})
    with pytest.raises(UserError, match="--clean: wash is not one of none, drop, relabel, reweight"):
        combine({"clean": "wash"})


def test_without_an_audit_it_says_what_to_run(settings) -> None:
    with pytest.raises(UserError, match=r"run \./inv audit first and give --audit-file"):
        base_dataset.load(settings(clean="drop"), torch.device("cpu"))
