"""Odd pictures are found by what they measure, and what is usual in a set is no oddity."""

import cv2
import made_photos
import numpy as np

from project.work.look import problems
from project.work.look.survey import measures, survey, without_padding


def found(images: np.ndarray, sizes: np.ndarray | None = None) -> dict[str, list[int]]:
    seen = survey([images], np.zeros(len(images), int), 2)
    return {each.name: each.rows.tolist() for each in problems.find(seen, sizes) if not each.usual and len(each.rows)}


def photos(count: int) -> np.ndarray:
    return np.array([made_photos.photo(seed) for seed in range(count)])


def test_planted_oddities_are_found_each_once() -> None:
    images = photos(40)
    images[3] = 180
    images[8] = (images[8] * 0.2).astype(np.uint8)
    images[12] = cv2.GaussianBlur(images[12], (0, 0), 8)
    images[20] = 238 + images[20] // 15
    images[30] = 110 + images[30] // 20
    assert found(images) == {"blank": [3], "dark": [8], "light": [20], "faint": [30], "blurred": [12]}


def test_drawings_are_not_dark_nor_light_nor_blurred() -> None:
    drawings = np.zeros((30, 32, 32), np.uint8)
    for row, image in enumerate(drawings):
        cv2.line(image, (4, row), (28, 31 - row), 255, 1)
    assert found(drawings) == {}
    assert found(255 - drawings) == {}


def test_what_much_of_a_set_has_is_how_the_set_is() -> None:
    images = (photos(40) * 0.2).astype(np.uint8)
    dark = next(each for each in problems.find(survey([images], np.zeros(40, int), 2)) if each.name == "dark")
    assert len(dark.rows) == 40
    assert dark.usual


def test_odd_sizes_and_proportions_are_those_of_the_files() -> None:
    sizes = np.array([(640, 480), (480, 640)] * 15)
    sizes[4], sizes[9], sizes[14] = (3000, 400), (80, 60), (0, 0)
    said = found(photos(30), sizes)
    assert said["shape"] == [4]
    assert said["size"] == [9]


def test_padding_is_no_edge() -> None:
    inner = cv2.GaussianBlur(made_photos.photo(1)[..., 0], (0, 0), 8)
    padded = np.full((96, 160), 20, np.uint8)
    padded[:, 32:128] = inner
    assert np.array_equal(without_padding(padded), inner)
    assert measures(padded)[3] == measures(inner)[3]
