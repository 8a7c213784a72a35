"""Out-of-fold logits become soft targets of the rows they were made for, matched by key, or are refused."""

import dataclasses
import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from project.work.common import UserError
from project.work.dataset.base_dataset import Dataset
from project.work.dataset.distillation_dataset import (
    VALIDATION,
    OofLogits,
    aligned,
    has_margins,
    read,
    with_soft_targets,
    write,
)
from project.work.labels.naming import unpacked


@pytest.fixture
def oof(dataset: Dataset) -> OofLogits:
    """Logits that show their row: row n has n/10 for its first class and 0 for the others."""
    logits = np.zeros((120, 4), np.float32)
    logits[:, 0] = np.arange(120) / 10
    folds = np.arange(120) % 2
    folds[dataset.valid.rows.numpy()] = VALIDATION
    return OofLogits(logits, unpacked(dataset.train_keys), folds, dataset.names)


def refusal(dataset: Dataset, oof: OofLogits) -> str:
    """Why logits are refused."""
    with pytest.raises(UserError) as error:
        with_soft_targets(dataset, oof, 1.0, "logits.npz")
    message = str(error.value)
    assert message.startswith("logits.npz: ")
    return message


def test_a_file_of_logits_is_read_as_it_was_written(tmp_path: Path, oof: OofLogits) -> None:
    write(tmp_path / "logits.npz", oof)
    again = read(tmp_path / "logits.npz")
    assert np.array_equal(again.logits, oof.logits)
    assert np.array_equal(again.folds, oof.folds)
    assert (again.keys.tolist(), again.names) == (oof.keys.tolist(), oof.names)


def test_margins_are_kept_where_there_are_any(tmp_path: Path, oof: OofLogits) -> None:
    write(tmp_path / "without.npz", oof)
    write(tmp_path / "with.npz", dataclasses.replace(oof, margins=np.where(oof.folds < 0, np.nan, 1.5)))
    assert [has_margins(tmp_path / name) for name in ("without.npz", "with.npz")] == [False, True]
    assert read(tmp_path / "without.npz").margins is None
    assert np.array_equal(np.isnan(read(tmp_path / "with.npz").margins), oof.folds < 0)


def test_rows_are_put_in_the_order_of_the_data_with_all_that_belongs_to_them(dataset: Dataset, oof: OofLogits) -> None:
    margins, order = np.arange(120.0), np.random.default_rng(0).permutation(120)
    moved = OofLogits(oof.logits[order], oof.keys[order], oof.folds[order], oof.names, margins[order])
    again = aligned(dataset, moved, "")
    assert again.margins.tolist() == margins.tolist()
    assert np.array_equal(again.logits, oof.logits)
    assert again.keys.tolist() == oof.keys.tolist()


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_a_soft_target_is_the_softmax_of_its_rows_logits(dataset: Dataset, oof: OofLogits, temperature: float) -> None:
    soft = with_soft_targets(dataset, oof, temperature, "").train.records.soft_targets
    for row in dataset.train.rows.tolist():
        power = np.exp(row / 10 / temperature)
        assert soft[row].tolist() == pytest.approx([power / (power + 3)] + [1 / (power + 3)] * 3, rel=1e-5)


def test_rows_are_matched_by_key_whatever_their_order_in_the_file(dataset: Dataset, oof: OofLogits) -> None:
    order = np.random.default_rng(0).permutation(120)
    permuted = OofLogits(oof.logits[order], oof.keys[order], oof.folds[order], oof.names)
    expected = with_soft_targets(dataset, oof, 1.0, "").train.records.soft_targets
    assert torch.equal(with_soft_targets(dataset, permuted, 1.0, "").train.records.soft_targets, expected)


def test_validation_and_test_get_no_soft_targets(dataset: Dataset, oof: OofLogits) -> None:
    data = with_soft_targets(dataset, oof, 1.0, "")
    assert data.valid.records.soft_targets is None
    assert data.test.records.soft_targets is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda oof: {"names": ["bar", "beam", "block", "circle"]}, "made for 4 classes that are not the 4 of this"),
        (lambda oof: {"names": oof.names[:3]}, "made for 3 classes"),
        (lambda oof: {"keys": np.array([*oof.keys[:-1], "unknown"])}, "1 of 120 training keys have no logits"),
        (
            lambda oof: {"keys": oof.keys[:60], "logits": oof.logits[:60], "folds": oof.folds[:60]},
            "60 of 120 training keys have no logits",
        ),
        (lambda oof: {"logits": oof.logits[:, :3]}, "logits (120, 3) for 120 keys and 4 classes"),
        (lambda oof: {"folds": oof.folds[:-1]}, "logits (120, 4) for 120 keys"),
        (lambda oof: {"margins": np.zeros(7, np.float32)}, "logits (120, 4) for 120 keys"),
        (lambda oof: {"logits": np.where(oof.logits == 5, np.nan, oof.logits)}, "holds logits that are not finite"),
        (lambda oof: {"logits": np.where(oof.logits == 5, np.inf, oof.logits)}, "holds logits that are not finite"),
        (lambda oof: {"folds": np.zeros(120, np.int64)}, "made for another validation split"),
        (lambda oof: {"folds": np.roll(oof.folds, 1)}, "made for another validation split"),
    ],
)
def test_logits_that_do_not_fit_the_data_are_refused_with_the_reason(
    dataset: Dataset, oof: OofLogits, change: Callable[[OofLogits], dict], reason: str
) -> None:
    assert reason in refusal(dataset, dataclasses.replace(oof, **change(oof)))


def test_logits_for_more_rows_than_there_are_are_refused(dataset: Dataset, oof: OofLogits) -> None:
    more = OofLogits(
        np.tile(oof.logits, (2, 1)), np.array([*oof.keys, *map(str, range(120))]), np.tile(oof.folds, 2), oof.names
    )
    assert "the file has 240 rows" in refusal(dataset, more)


class Mischief:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable, tuple]:
        return Path.touch, (self.path,)


def test_a_pickle_inside_is_refused_and_does_not_run(tmp_path: Path, oof: OofLogits) -> None:
    trace, path = tmp_path / "trace", tmp_path / "logits.npz"
    keys = np.array([Mischief(trace)] * 120, dtype=object)
    np.savez(path, logits=oof.logits, keys=keys, folds=oof.folds, names=np.array(oof.names))
    with pytest.raises(UserError, match="not a file of OOF logits"):
        read(path)
    path.write_bytes(pickle.dumps(Mischief(trace)))
    with pytest.raises(UserError, match="not a file of OOF logits"):
        read(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("logits", np.array([["a"] * 4] * 120)),
        ("logits", np.zeros(120)),
        ("folds", np.zeros(120)),
        ("keys", np.arange(120)),
        ("names", np.array("bar")),
    ],
)
def test_an_array_of_another_kind_is_refused_by_its_name(
    tmp_path: Path, oof: OofLogits, name: str, value: np.ndarray
) -> None:
    arrays = {"logits": oof.logits, "keys": oof.keys, "folds": oof.folds, "names": np.array(oof.names)}
    np.savez(tmp_path / "logits.npz", **(arrays | {name: value}))
    with pytest.raises(UserError, match=rf"logits.npz: {name} are "):
        read(tmp_path / "logits.npz")


def test_files_that_hold_no_logits_are_refused(tmp_path: Path, oof: OofLogits) -> None:
    whole = io.BytesIO()
    np.savez(whole, logits=oof.logits)
    array = io.BytesIO()
    np.save(array, oof.logits)
    for data in (whole.getvalue(), whole.getvalue()[:500], array.getvalue(), b"", b"text"):
        (tmp_path / "logits.npz").write_bytes(data)
        with pytest.raises(UserError, match="not a file of OOF logits"):
            read(tmp_path / "logits.npz")
    with pytest.raises(UserError, match=r"is missing: run \./inv oof"):
        read(tmp_path / "none.npz")
