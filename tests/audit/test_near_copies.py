"""Near copies are found among pictures, and drawings of one thing are none."""

import cv2
import made_photos
import numpy as np
import pytest

from project.work.audit.find import near_copies


def photos(count: int) -> np.ndarray:
    return np.array([made_photos.photo(seed, 64, seed % 3) for seed in range(count)])


def cropped(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image[3:61, 4:62], (64, 64))


def compressed(image: np.ndarray) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)


CHANGES = {
    "crop": cropped,
    "JPEG": compressed,
    "darker": lambda image: (image * 0.7).astype(np.uint8),
    "mirror": lambda image: image[:, ::-1].copy(),
    "crop and JPEG": lambda image: compressed(cropped(image)),
}


def found(images: np.ndarray, **options: object) -> near_copies.NearCopies:
    tints = np.array([near_copies.tint(image) for image in images]) if images.ndim == 4 else None
    return near_copies.find(near_copies.thumbnail(images), tints, **options)


def test_each_change_is_found_and_nothing_else() -> None:
    images = photos(60)
    made = np.array([change(images[row]) for row, change in enumerate(CHANGES.values())])
    pairs = found(np.concatenate([images, made]))
    assert sorted(map(tuple, pairs.pairs.tolist())) == [(row, 60 + row) for row in range(len(CHANGES))]
    mirrored = [name for row, name in enumerate(CHANGES) if pairs.mirrored[pairs.pairs[:, 0].tolist().index(row)]]
    assert mirrored == ["mirror"]


def test_the_same_shape_in_another_colour_is_no_copy() -> None:
    images = photos(30)
    other = images[0].copy()
    cv2.circle(images[0], (32, 32), 14, (220, 60, 60), -1)  # as bright as the green one
    cv2.circle(other, (32, 32), 14, (30, 150, 70), -1)
    assert np.array_equal(found(np.concatenate([images, other[None]])).pairs, np.empty((0, 2)))


def test_drawings_of_one_thing_are_no_copies_and_a_copy_among_them_is() -> None:
    random, images = np.random.default_rng(0), []
    letter = np.array([[12, 14], [50, 12], [30, 30], [52, 50], [14, 52], [20, 32], [8, 24]])
    for _ in range(200):  # people write one letter, each in their own way
        image = np.zeros((64, 64), np.uint8)
        points = letter + random.normal(0, 3, letter.shape)
        cv2.polylines(image, [points.round().astype(np.int32)], False, 255, 3, cv2.LINE_AA)
        images.append(image)
    images.append(cv2.resize(images[7][2:62, 2:62], (64, 64)))
    pairs = found(np.array(images)).pairs.tolist()
    assert [7, 200] in pairs
    assert len(pairs) <= 4


def test_copies_that_are_exact_are_left_to_others() -> None:
    images = photos(20)
    left_out = np.arange(21) == 20
    assert len(found(np.concatenate([images, images[:1]]), left_out=left_out).pairs) == 0


def test_blank_pictures_are_like_nothing() -> None:
    assert len(found(np.concatenate([photos(10), np.full((8, 64, 64, 3), 200, np.uint8)])).pairs) == 0


def test_groups_join_what_pairs_join() -> None:
    pairs = near_copies.NearCopies(np.array([[0, 3], [3, 5], [1, 2]]), np.ones(3), np.zeros(3, bool))
    groups = pairs.groups(7)
    assert groups[0] == groups[3] == groups[5]
    assert groups[1] == groups[2] != groups[0]
    assert groups[[4, 6]].tolist() == [-1, -1]


def test_a_set_too_large_to_compare_whole_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    images = photos(300)
    made = np.array([cropped(image) for image in images[:40]])
    whole = found(np.concatenate([images, made]))
    monkeypatch.setattr(near_copies, "_CELL", 80)
    parts = found(np.concatenate([images, made]))
    wanted = {(row, 300 + row) for row in range(40)}
    assert len(wanted & set(map(tuple, whole.pairs.tolist()))) >= 38
    assert len(wanted & set(map(tuple, parts.pairs.tolist()))) >= 36


def test_none_one_and_two_pictures() -> None:
    for count in (0, 1, 2):
        assert len(near_copies.find(np.zeros((count, 32, 32), np.uint8)).pairs) == 0
    assert found(np.array([made_photos.photo(1)] * 2)).pairs.tolist() == [[0, 1]]
