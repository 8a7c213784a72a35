"""Facts about the pictures: pixels worked out by hand, and real pictures that the predecessor drew."""

import gzip
from pathlib import Path

import cv2
import numpy as np
import orjson
import pytest

from project.data_preparation.options import RASTERS
from project.work.common import UserError
from project.work.raster.raster import METHODS, join, pack, render

QUICKDRAW = Path(__file__).resolve().parents[3] / "shared" / "data" / "quickdraw"
ACROSS = np.array([[0, 128], [255, 128]])


def per_segment(strokes):
    canvas = np.zeros((256, 256), np.uint8)
    for stroke in strokes:
        for start, end in zip(stroke[:-1].tolist(), stroke[1:].tolist(), strict=True):
            cv2.line(canvas, start, end, 255, 6)
    return canvas


def scribble(generator, strokes=6, points=12):
    return [generator.integers(0, 256, (points, 2)) for _ in range(strokes)]


def test_a_line_across_by_upstream():
    # Width 6 inks rows 125 to 131. Row 16 of 32 is the mean of rows 131 (ink) and 132 (none); row 15 of 123 and 124.
    picture = render([[ACROSS]], method="upstream")[0]
    assert (picture[16] == 128).all()
    assert np.delete(picture, 16, axis=0).max() == 0


def test_a_line_across_by_distance():
    # Row 128 of the canvas lies at (128 + 0.5) / 8 - 0.5 = 15.5625 of 32, and the line is 7 / 8 wide: it covers
    # 15.125 to 16. Row 15 reaches to 15.5, so 0.375 of it are ink; row 16 begins there, so 0.5: 96 and 128 of 255.
    picture = render([[ACROSS]])[0]
    assert (picture[15] == 96).all()
    assert (picture[16] == 128).all()
    assert np.delete(picture, [15, 16], axis=0).max() == 0


def test_full_size_is_the_canvas():
    for method in METHODS:
        picture = render([[ACROSS]], 256, method)[0]
        assert (picture[125:132] == 255).all()
        assert int((picture > 0).sum()) == 7 * 256


def test_a_slanted_line_by_distance_is_the_mean_of_the_pixels_under_it():
    # The predecessor's canvas, drawn 16 times as fine as the picture, and averaged: the exact share of ink, nearly.
    stroke = np.array([[20, 30], [230, 100], [60, 240]])
    fine = cv2.polylines(np.zeros((4096, 4096), np.uint8), [stroke * 16 + 8], False, 255, 7 * 16)
    exact = cv2.resize(fine, (32, 32), interpolation=cv2.INTER_AREA)
    difference = np.abs(render([[stroke]])[0].astype(int) - exact)
    assert difference.mean() < 1.5
    assert np.percentile(difference[exact > 0], 95) < 25


@pytest.mark.parametrize("method", METHODS)
def test_the_ink_of_a_line_is_seven_pixels_wide(method):
    # 7 of 256 rows are ink, wherever the line lies; `upstream` only sees a part of them.
    heights = range(40, 216)
    ink = np.mean([render([[ACROSS * [1, 0] + [0, y]]], 32, method).mean() / 255 for y in heights])
    assert ink == pytest.approx(7 / 256, rel=0.03)


def test_polylines_draws_what_one_line_a_segment_draws():
    generator = np.random.default_rng(0)
    drawings = [scribble(generator) for _ in range(200)]
    expected = np.stack([cv2.resize(per_segment(drawing), (32, 32)) for drawing in drawings])
    np.testing.assert_array_equal(render(drawings, method="upstream"), expected)


def test_a_stroke_of_one_point_is_a_dot_like_two_equal_points():
    one, two = np.array([[100, 60]]), np.array([[100, 60], [100, 60]])
    np.testing.assert_array_equal(render([[one]], 256, "upstream"), [per_segment([two])])
    for method in METHODS:
        np.testing.assert_array_equal(render([[one]], 32, method), render([[two]], 32, method))
        assert render([[one]], 256, method).any()


def test_real_numbers_are_rounded_by_upstream_alone():
    by_method = {method: [render([[ACROSS + off]], 32, method) for off in (0, 0.4)] for method in METHODS}
    assert (by_method["upstream"][0] == by_method["upstream"][1]).all()
    assert (by_method["distance"][0] != by_method["distance"][1]).any()


@pytest.mark.parametrize("method", METHODS)
def test_ink_beyond_the_canvas_is_cut(method):
    beyond, within = np.array([[-100, 128], [400, 128]]), np.array([[-8, 128], [264, 128]])
    np.testing.assert_array_equal(render([[beyond]], 32, method), render([[within]], 32, method))


def test_packed_drawings_are_the_drawings():
    generator = np.random.default_rng(0)
    drawings = [scribble(generator, strokes, 3) for strokes in (1, 4, 2)]
    packed = pack(drawings)
    assert [[stroke.tolist() for stroke in drawing] for drawing in packed] == [
        [stroke.tolist() for stroke in drawing] for drawing in drawings
    ]
    rejoined = join([packed.part(0, 1), packed.part(1, 1), packed.part(1, 3)])
    for whole, again in zip(vars(packed).values(), vars(rejoined).values(), strict=True):
        np.testing.assert_array_equal(whole, again)
    assert packed.outside(0, 255) is None
    assert packed.outside(0, max(stroke.max() for stroke in drawings[0])) in (None, 1, 2)


@pytest.mark.parametrize("method", METHODS)
def test_pictures_come_in_the_order_that_is_asked_for(method):
    generator = np.random.default_rng(0)
    drawings, order = [scribble(generator) for _ in range(5)], np.array([3, 0, 4, 1, 2])
    np.testing.assert_array_equal(render(drawings, 32, method, order), render(drawings, 32, method)[order])


@pytest.mark.parametrize("size", [8, 28, 32, 33, 100, 256])
@pytest.mark.parametrize("method", METHODS)
def test_every_size_keeps_the_drawing_where_it_was(method, size):
    # A blot of 48 px about a quarter of the width and three quarters of the height: its centre stays there.
    rows = np.arange(168, 217, 6)
    blot = np.array([[x, y] for y in rows for x in (40, 88)])
    picture = render([[blot]], size, method)[0].astype(float)
    assert picture.shape == (size, size)
    tolerance = 0.5 / size if method == "upstream" else 0.004  # upstream sees only pixels at some columns and rows
    centres = (np.arange(size) + 0.5) / size
    assert picture.sum(axis=0) @ centres / picture.sum() == pytest.approx(64 / 256, abs=tolerance)
    assert picture.sum(axis=1) @ centres / picture.sum() == pytest.approx(192 / 256, abs=tolerance)


def test_no_drawings_make_no_pictures():
    assert render([], 16).shape == (0, 16, 16)


def test_nonsense_is_refused():
    with pytest.raises(UserError, match="size 7 is outside 8 to 256"):
        render([[ACROSS]], 7)
    with pytest.raises(UserError, match="choose one of distance, upstream"):
        render([[ACROSS]], 32, "oil")


def test_the_settings_offer_exactly_these_methods():
    assert tuple(METHODS) == RASTERS


@pytest.mark.slow
@pytest.mark.skipif(not (QUICKDRAW / "images_170x60.npz").exists(), reason="needs ../shared/data/quickdraw")
def test_real_pictures_of_the_predecessor_are_found_again_bit_for_bit():
    archive = np.load(QUICKDRAW / "images_170x60.npz")
    names, rows = archive["names"].tolist(), {}
    for row, picture in enumerate(archive["images"]):
        rows.setdefault((names[archive["labels"][row]], picture.tobytes()), []).append(row)
    lines = gzip.decompress((QUICKDRAW / "simplified_344x25.ndjson.gz").read_bytes()).splitlines()
    for path in (QUICKDRAW / "simplified_ndjson").glob("*.ndjson"):
        lines += path.read_bytes().splitlines()[:300]  # the predecessor took the first 300 rows of each class
    records = [record for record in map(orjson.loads, lines) if record["word"] in names]
    pictures = render([[np.array(stroke).T for stroke in record["drawing"]] for record in records], 32, "upstream")
    found = set()
    for record, picture in zip(records, pictures, strict=True):
        found.update(rows.get((record["word"], picture.tobytes()), []))
    whole = {"calculator", "cat", "eye", "guitar", "headphones", "paintbrush", "television"}  # 300 drawings at hand
    labels = [names[label] for label in archive["labels"]]
    in_whole = {row for row, name in enumerate(labels) if name in whole}
    assert in_whole <= found  # every picture whose drawing is at hand is found again
    assert len(found) >= 1200
