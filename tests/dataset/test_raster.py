"""Facts about the pictures: pixels worked out by hand, and real pictures that the predecessor drew."""

import gzip
from pathlib import Path

import cv2
import numpy as np
import orjson
import pytest

from project.data_preparation.options import RASTERS
from project.work.dataset.raster import METHODS, render
from project.work.declaration import UserError

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
    picture = render([[ACROSS]])[0]
    assert (picture[16] == 128).all()
    assert np.delete(picture, 16, axis=0).max() == 0


def test_a_line_across_by_area():
    # Row 15 holds rows 120 to 127, of which 125, 126, 127 are ink: 3/8 of 255; row 16 holds 128 to 131: 4/8.
    picture = render([[ACROSS]], method="area")[0]
    assert (picture[15] == 96).all()
    assert (picture[16] == 128).all()
    assert np.delete(picture, [15, 16], axis=0).max() == 0


def test_full_size_upstream_is_the_canvas():
    picture = render([[ACROSS]], size=256)[0]
    assert (picture[125:132] == 255).all()
    assert int((picture > 0).sum()) == 7 * 256


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
    np.testing.assert_array_equal(render(drawings), expected)


def test_a_stroke_of_one_point_is_a_dot_like_two_equal_points():
    one, two = np.array([[100, 60]]), np.array([[100, 60], [100, 60]])
    np.testing.assert_array_equal(render([[one]], 256), [per_segment([two])])
    assert render([[one]], 256).any()


def test_real_numbers_are_rounded_and_ink_beyond_the_canvas_is_cut():
    np.testing.assert_array_equal(render([[ACROSS + 0.4]]), render([[ACROSS]]))
    assert (render([[np.array([[-100, 128], [400, 128]])]]) == render([[ACROSS]])).all()


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
    with pytest.raises(UserError, match="choose one of upstream, area"):
        render([[ACROSS]], 32, "oil")


def test_the_settings_offer_exactly_these_methods():
    assert tuple(METHODS) == RASTERS


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
    pictures = render([[np.array(stroke).T for stroke in record["drawing"]] for record in records])
    found = set()
    for record, picture in zip(records, pictures, strict=True):
        found.update(rows.get((record["word"], picture.tobytes()), []))
    whole = {"calculator", "cat", "eye", "guitar", "headphones", "paintbrush", "television"}  # 300 drawings at hand
    labels = [names[label] for label in archive["labels"]]
    in_whole = {row for row, name in enumerate(labels) if name in whole}
    assert in_whole <= found  # every picture whose drawing is at hand is found again
    assert len(found) >= 1200
