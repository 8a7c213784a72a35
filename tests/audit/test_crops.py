"""Parts of other pictures are found among those that features call alike, and other pictures of one thing are not."""

import cv2
import made_photos
import numpy as np

from project.work.audit.find import crops, near_copies

SIDE = 96


def found(images: np.ndarray, points: np.ndarray, left_out: np.ndarray | None = None) -> near_copies.NearCopies:
    thumbnails, tints = near_copies.thumbnail(images), np.array([near_copies.tint(image) for image in images])
    none = np.zeros(len(images), bool) if left_out is None else left_out
    return crops.with_crops(near_copies.find(thumbnails, tints), points, thumbnails, none, images.__getitem__)


def part(image: np.ndarray, top: int, left: int, size: int) -> np.ndarray:
    return cv2.resize(image[top : top + size, left : left + size], (SIDE, SIDE))


def alike(count: int, sources: list[int]) -> np.ndarray:
    """Features in which each row after the first `count` is near the row it was made from."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(count, 32))
    return np.concatenate([rows, rows[sources] + random.normal(0, 0.3, (len(sources), 32))])


def test_a_part_of_a_picture_is_found_mirrored_or_not() -> None:
    images = np.array([made_photos.photo(seed, SIDE, seed % 3) for seed in range(20)])
    made = np.array([part(images[3], 10, 25, 60), part(images[7], 30, 5, 64)[:, ::-1]])
    pairs = found(np.concatenate([images, made]), alike(20, [3, 7]))
    assert sorted(map(tuple, pairs.pairs.tolist())) == [(3, 20), (7, 21)]
    assert pairs.mirrored[pairs.pairs[:, 0].tolist().index(7)]
    assert pairs.likeness.min() >= crops.DETAIL


def test_what_features_call_alike_is_no_copy_by_that() -> None:
    images = np.array([made_photos.photo(seed, SIDE, 0) for seed in range(20)])
    assert len(found(images, alike(10, list(range(10)))).pairs) == 0


def test_a_part_in_another_hue_and_a_row_that_is_left_out_are_no_copies() -> None:
    images = np.array([made_photos.photo(seed, SIDE, seed % 3) for seed in range(20)])
    made = np.array([part(images[3], 10, 25, 60)[..., ::-1], part(images[7], 30, 5, 64)])
    left_out = np.arange(22) == 21
    assert len(found(np.concatenate([images, made]), alike(20, [3, 7]), left_out).pairs) == 0


def test_a_picture_that_shows_nothing_is_part_of_none() -> None:
    images = np.array([made_photos.photo(seed, SIDE, seed % 3) for seed in range(8)])
    images[:2] = images[:2].mean(axis=3, keepdims=True)  # of one hue with these two
    images[4], images[5] = 200, images[1] // 100 + 180  # blank, and nearly so
    assert len(found(images, alike(4, [0, 1, 2, 3])).pairs) == 0
