"""A picture file becomes a small square as worked out by hand: depth, transparency, orientation, each way to fit."""

import struct

import cv2
import numpy as np
import pytest

from project.work.picture_files.decoding import decode
from project.work.picture_files.pixels import as_channels, fit

WIDE = np.array([[0, 100, 10, 30], [50, 150, 20, 40]], np.uint8)


def rgb(grey):
    return np.repeat(np.asarray(grey, np.uint8)[..., None], 3, axis=2)


def encode(picture, suffix=".png"):
    return cv2.imencode(suffix, np.asarray(picture))[1].tobytes()


def turned(jpeg, orientation):
    """The same JPEG with an EXIF orientation: one entry (tag 0x112, short) in a big-endian TIFF directory."""
    exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def test_stretching_averages_what_becomes_one_pixel():
    np.testing.assert_array_equal(fit(rgb(WIDE), 2, "stretch"), rgb([[50, 20], [100, 30]]))


def test_cropping_keeps_the_middle_square():
    np.testing.assert_array_equal(fit(rgb(WIDE), 2, "crop"), rgb([[100, 10], [150, 20]]))
    np.testing.assert_array_equal(fit(rgb(WIDE.T), 2, "crop"), rgb([[100, 150], [10, 20]]))


def test_padding_fills_up_with_the_median_of_the_border():
    # The border, corners twice: 0 0 10 20 30 30 | 40 40 50 50 100 150, so 35.
    wide = [[35] * 4, *WIDE.tolist(), [35] * 4]
    np.testing.assert_array_equal(fit(rgb(WIDE), 4, "pad"), rgb(wide))
    np.testing.assert_array_equal(fit(rgb(WIDE.T), 4, "pad"), rgb(np.transpose(wide)))


def test_padding_shrinks_in_proportion():
    large = WIDE.repeat(5, axis=0).repeat(5, axis=1)
    np.testing.assert_array_equal(fit(rgb(large), 4, "pad"), fit(rgb(WIDE), 4, "pad"))
    assert fit(rgb(np.zeros((1, 1000))), 8, "pad").shape == (8, 8, 3)


def test_padding_has_the_colour_of_each_channel():
    blue = np.full((8, 2, 3), (10, 20, 200), np.uint8)
    blue[3:5, :] = 0  # a stripe that touches the border on both sides
    assert fit(blue, 8, "pad")[0, 0].tolist() == [10, 20, 200]


@pytest.mark.parametrize("how", ["pad", "crop", "stretch"])
def test_a_small_picture_is_enlarged(how):
    np.testing.assert_array_equal(fit(rgb([[7]]), 3, how), rgb(np.full((3, 3), 7)))


def test_colours_are_in_the_order_red_green_blue():
    assert decode(encode([[[0, 0, 255]]])).tolist() == [[[255, 0, 0]]]  # OpenCV writes blue first


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_become_8(suffix):
    levels = np.array([[0, 0x0100, 0x7F00, 0xFFFF]], np.uint16)
    np.testing.assert_array_equal(decode(encode(levels, suffix)), rgb([[0, 1, 127, 255]]))


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 1), (np.uint16, 257)])
def test_what_is_transparent_shows_white(dtype, scale):
    # Red, clear: white; red, opaque: red; black, 128 of 255: 127 of white; red, 51 of 255: a fifth red.
    pixels = [[[0, 0, 255, 0], [0, 0, 255, 255], [0, 0, 0, 128], [0, 0, 255, 51]]]
    shown = decode(encode(np.array(pixels, dtype) * dtype(scale)))
    assert shown.tolist() == [[[255, 255, 255], [255, 0, 0], [127, 127, 127], [255, 204, 204]]]


def test_a_photo_stands_upright():
    jpeg = encode(np.vstack([np.zeros((16, 16)), np.full((16, 16), 255)]).astype(np.uint8), ".jpg")
    lying = turned(jpeg, 6)  # to be turned clockwise by a quarter: what is below comes to the left
    assert decode(jpeg).shape == (32, 16, 3)
    shown = decode(lying)
    assert shown.shape == (16, 32, 3)
    assert shown[:, :12].min() > 240
    assert shown[:, 20:].max() < 15


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "the file is empty"),
        (b"hello", "not a picture"),
        (encode(np.zeros((32, 32, 3), np.uint8))[:-30], "not a picture"),
        (encode(np.zeros((2, 2, 3), np.float32), ".tif"), "its pixels are float32"),
    ],
)
def test_bytes_that_are_no_picture_are_refused(data, fault):
    with pytest.raises(ValueError, match=fault):
        decode(data)


def test_grey_pictures_have_one_channel_unless_asked_and_one_coloured_pixel_makes_three():
    images = np.stack([rgb(WIDE), rgb(WIDE + 1)])
    np.testing.assert_array_equal(as_channels(images, None), [WIDE, WIDE + 1])
    np.testing.assert_array_equal(as_channels(images, 3), images)
    images[1, 0, 0, 2] += 1
    np.testing.assert_array_equal(as_channels(images, None), images)


def test_colours_become_as_bright_as_they_look():
    # 0.299 red, 0.587 green, 0.114 blue (ITU-R BT.601).
    images = np.array([[[[255, 0, 0], [0, 255, 0]]], [[[0, 0, 255], [255, 255, 255]]]], np.uint8)
    assert as_channels(images, 1).tolist() == [[[76, 150]], [[29, 255]]]
