"""A prepared set becomes three splits in proportion, and batches that hold every picture once, all normalised alike."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small
import torch
from torch import Tensor

from project.work import common
from project.work.common import UserError
from project.work.dataset import storage
from project.work.dataset.base_dataset import Dataset, Split, batch_sizes, load
from project.work.dataset.pictures import Records, Resident
from project.work.dataset.transforms import Augmentation, Normaliser
from project.work.labels.naming import unpacked

CPU = torch.device("cpu")


def save(folder: Path, images: np.ndarray, labels: np.ndarray, names: list[str]) -> str:
    """A prepared set whose test part equals its train part."""
    part = storage.Pictures(images, labels, pd.DataFrame({"key_id": [str(row) for row in range(len(labels))]}))
    storage.write(folder, storage.Prepared(part, part, names))
    return str(folder)


def counting(count: int) -> Split:
    """Pictures of 1x2 pixels that show their own row number, and its complement to 255."""
    rows = torch.arange(count)
    images = torch.stack([rows, 255 - rows], dim=1).to(torch.uint8)
    records = Records(Resident(images.view(count, 1, 2, 1)), rows % 3)
    return Split(records, rows, Normaliser((0.0,), (1 / 255,)), classes=3)


def pixels(part: Split) -> Tensor:
    """Its pictures as they are held, uint8 (n, C, H, W)."""
    return next(part.records.pictures.stream([part.rows]))


def test_the_split_depends_on_its_own_seed_alone(settings: Callable) -> None:
    def valid_rows(**values: int) -> list[int]:
        return load(settings(**values), CPU).valid.rows.tolist()

    assert valid_rows(seed=0) == valid_rows(seed=1)
    assert valid_rows(split_seed=0) != valid_rows(split_seed=1)


def test_train_and_validation_share_no_row_and_miss_none(dataset: Dataset) -> None:
    train, valid = dataset.train.rows.tolist(), dataset.valid.rows.tolist()
    assert (len(train), len(valid), len(dataset.test)) == (108, 12, 40)
    assert sorted(train + valid) == list(range(120))
    assert torch.bincount(dataset.train.labels).tolist() == [27, 27, 27, 27]
    assert torch.bincount(dataset.valid.labels).tolist() == [3, 3, 3, 3]


def test_every_row_keeps_its_picture_label_and_key(dataset: Dataset) -> None:
    truth = small.pictures(30, 1)
    for part in (dataset.train, dataset.valid):
        rows = part.rows.numpy()
        assert np.array_equal(pixels(part)[:, 0].numpy(), truth.images[rows])
        assert np.array_equal(part.labels.numpy(), truth.labels[rows])
    assert unpacked(dataset.train_keys).tolist() == truth.keys["key_id"].tolist()


def test_data_that_are_not_there_are_refused_with_the_nearest_name(
    settings: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common, "INPUT", tmp_path)
    (tmp_path / "sample").mkdir()
    with pytest.raises(UserError, match=r"/smaple is missing: run \./inv prepare first .*; did you mean sample\?$"):
        load(settings(dataset="smaple"), CPU)
    with pytest.raises(UserError, match=r"/other is missing: run \./inv prepare first .* of a prepared set$"):
        load(settings(dataset="other"), CPU)


def test_a_class_with_too_few_rows_is_called_by_its_name(settings: Callable, tmp_path: Path) -> None:
    labels = np.array([0] * 9 + [1] * 9 + [2])
    where = save(tmp_path / "rare", np.zeros((19, 16, 16), np.uint8), labels, ["ant", "bee", "cow"])
    with pytest.raises(UserError, match="/rare: class cow has 1 training rows, at least 2 are needed"):
        load(settings(dataset=where), CPU)


@pytest.mark.parametrize(
    ("count", "size", "sizes"),
    [
        (8, 4, [4, 4]),
        (10, 4, [4, 4, 2]),
        (9, 4, [4, 5]),
        (5, 4, [5]),
        (4, 4, [4]),
        (3, 4, [3]),
        (1, 4, [1]),
        (5, 2, [2, 3]),
    ],
)
def test_a_last_picture_that_would_be_alone_joins_the_batch_before(count: int, size: int, sizes: list[int]) -> None:
    assert batch_sizes(count, size) == sizes
    assert [len(batch) for batch in counting(count).batches(size)] == sizes


def test_batches_without_a_generator_are_in_order() -> None:
    batches = list(counting(5).batches(3))
    assert torch.cat([batch.rows for batch in batches]).tolist() == [0, 1, 2, 3, 4]
    assert batches[1].images.flatten().tolist() == [3, 252, 4, 251]
    assert batches[1].targets.tolist() == [[1, 0, 0], [0, 1, 0]]


def test_shuffled_batches_hold_every_picture_once_with_its_own_label() -> None:
    batches = list(counting(100).batches(32, torch.Generator().manual_seed(3)))
    rows = torch.cat([batch.rows for batch in batches])
    assert rows.tolist() != list(range(100))
    assert sorted(rows.tolist()) == list(range(100))
    assert torch.equal(torch.cat([batch.images[:, 0, 0, 0] for batch in batches]), rows.float())
    assert torch.equal(torch.cat([batch.targets for batch in batches]).argmax(dim=1), rows % 3)


def test_the_order_is_the_generators() -> None:
    def order(seed: int) -> list[int]:
        batches = counting(50).batches(7, torch.Generator().manual_seed(seed))
        return torch.cat([batch.rows for batch in batches]).tolist()

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_pictures_are_augmented_as_pixels_and_normalised_afterwards() -> None:
    brighten = Augmentation(lambda count, _: torch.full((count,), 10.0), lambda images, amounts: images + amounts[0])
    batch = next(counting(2).batches(2, torch.Generator().manual_seed(0), brighten))
    assert sorted(batch.images[:, 0, 0].tolist()) == [[10, 265], [11, 264]]


def test_a_subset_keeps_rows_labels_and_soft_targets_together() -> None:
    soft = torch.rand(6, 3, generator=torch.Generator().manual_seed(0))
    part = counting(6).with_soft_targets(soft).subset(np.array([4, 1]))
    assert part.rows.tolist() == [4, 1]
    assert part.labels.tolist() == [1, 1]
    assert torch.equal(next(part.batches(2)).soft_targets, soft[[4, 1]])


def test_a_normaliser_subtracts_the_mean_and_divides_by_the_deviation_of_each_channel() -> None:
    images = torch.tensor([[0, 255], [51, 102]], dtype=torch.uint8).view(1, 2, 1, 2)
    numbers = Normaliser((0.5, 0.2), (0.5, 0.1))(images)
    assert numbers.flatten().tolist() == pytest.approx([-1, 1, 0, 2], abs=1e-6)


def test_pixels_are_measured_on_the_training_rows_alone(dataset: Dataset) -> None:
    shares = pixels(dataset.train).numpy() / 255
    assert dataset.train.normalise.mean == pytest.approx((shares.mean(),))
    assert dataset.train.normalise.std == pytest.approx((shares.std(),))
    assert dataset.test.normalise == dataset.valid.normalise == dataset.train.normalise
    shown = torch.cat([batch.images for batch in dataset.train.batches(50)])
    assert (float(shown.mean()), float(shown.std())) == pytest.approx((0, 1), abs=1e-4)


def test_a_mean_and_deviation_that_are_given_are_used(settings: Callable) -> None:
    normalise = load(settings(pixel_mean=0.1093, pixel_std=0.2921), CPU).test.normalise
    assert normalise == Normaliser((0.1093,), (0.2921,))


def test_colour_pictures_keep_their_channels(tmp_path: Path, settings: Callable) -> None:
    images = np.zeros((20, 8, 8, 3), np.uint8)
    images[:, :, :4, 0], images[:, 0, 0, 2] = 255, 51
    where = save(tmp_path / "rgb", images, np.arange(20) % 2, ["a", "b"])
    train = load(settings(dataset=where), CPU).train
    first = pixels(train)[0]
    assert (len(train), *train.shape) == (18, 3, 8, 8)
    assert first[0].tolist() == [[255] * 4 + [0] * 4] * 8
    assert first[1].count_nonzero() == 0
    assert first[2].flatten().tolist() == [51] + [0] * 63
    assert train.normalise.mean == pytest.approx((0.5, 0.0, 0.2 / 64))
    assert train.normalise.std[:2] == pytest.approx((0.5, 0.001))  # a channel that is all one level divides by 0.001


def test_image_size_shrinks_pictures_smoothly(tmp_path: Path, settings: Callable) -> None:
    images = np.zeros((20, 16, 16), np.uint8)
    images[:, :, 8:] = 200
    where = save(tmp_path / "halves", images, np.arange(20) % 2, ["a", "b"])
    data = load(settings(dataset=where, image_size=8), CPU)
    row = [0, 0, 0, 25, 175, 200, 200, 200]  # a triangle of two pixels' half width weighs 1, 3, 3, 1
    for part in (data.train, data.valid, data.test):
        assert pixels(part)[0, 0].tolist() == [row] * 8
