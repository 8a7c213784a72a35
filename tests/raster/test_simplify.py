"""Simplifying strokes: worked out by hand, and against the pairs of raw and simplified that Google made."""

from pathlib import Path

import numpy as np
import orjson
import pytest

from project.data_preparation.parsing.strokes import parse
from project.work.raster.raster import pack, reduce_points, resample, simplify

QUICKDRAW = Path(__file__).resolve().parents[3] / "shared" / "data" / "quickdraw"


def test_resample_notes_a_point_every_pixel_and_the_last():
    # 5 long by Pythagoras; then 2.5 more: 7.5 in all, so marks at 0 to 7 and the end.
    points = resample(np.array([[0.0, 0], [3, 4], [3, 6.5]]))
    np.testing.assert_allclose(points[:6], [[0.6 * mark, 0.8 * mark] for mark in range(6)], atol=1e-12)
    np.testing.assert_allclose(points[6:], [[3, 5], [3, 6], [3, 6.5]], atol=1e-12)


def test_reduce_keeps_what_lies_farther_than_the_tolerance():
    # (5, 2) lies exactly 2 from the chord: it goes. (5, 2.1) stays, and (2, 0) lies 0.77 from the new chord: it goes.
    straight = np.array([[0.0, 0], [2, 0], [5, 2], [10, 0]])
    bent = np.array([[0.0, 0], [2, 0], [5, 2.1], [10, 0]])
    assert reduce_points(straight, 2.0).tolist() == [[0, 0], [10, 0]]
    assert reduce_points(bent, 2.0).tolist() == [[0, 0], [5, 2.1], [10, 0]]


def test_reduce_of_a_closed_stroke_measures_from_its_start():
    loop = np.array([[0.0, 0], [0, 10], [10, 10], [10, 0], [0, 0]])
    assert reduce_points(loop, 2.0).tolist() == loop.tolist()


def test_simplify_by_hand():
    # The corner (10, 20) moves to 0; the longer side, 100 wide, becomes 255, so 40 high becomes 102.
    strokes = [np.array([[10, 20], [60, 20], [110, 20]]), np.array([[110, 60], [110, 40]])]
    ((first, second),) = simplify(pack([strokes]))
    assert first.tolist() == [[0, 0], [255, 0]]
    assert second.tolist() == [[255, 102], [255, 51]]


def test_simplify_gives_a_dot_two_points():
    ((dot, line),) = simplify(pack([[np.array([[5, 5]]), np.array([[0, 0], [10, 0]])]]))
    assert dot.tolist() == [[128, 128], [128, 128]]  # 127.5 rounds to even
    assert line.tolist() == [[0, 0], [255, 0]]


def test_simplify_of_one_point_stays_at_the_corner():
    assert [stroke.tolist() for stroke in simplify(pack([[np.array([[7, 9]])]]))[0]] == [[[0, 0], [0, 0]]]


@pytest.mark.skipif(not (QUICKDRAW / "raw_ndjson").exists(), reason="needs ../shared/data/quickdraw")
def test_every_real_raw_drawing_simplifies_to_exactly_what_google_published():
    pairs = 0
    for path in sorted((QUICKDRAW / "raw_ndjson").glob("*.ndjson")):
        lines = (QUICKDRAW / "simplified_ndjson" / path.name).read_bytes().splitlines()
        published = {record["key_id"]: record["drawing"] for record in map(orjson.loads, lines)}
        records = list(map(orjson.loads, path.read_bytes().splitlines()))
        simplified = simplify(pack([parse(orjson.dumps(record["drawing"])) for record in records]))
        for record, drawing in zip(records, simplified, strict=True):
            assert [stroke.T.tolist() for stroke in drawing] == published[record["key_id"]]
            pairs += 1
    assert pairs == 357
