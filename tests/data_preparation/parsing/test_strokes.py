"""Reading and simplifying strokes: worked out by hand, and against the pairs of raw and simplified that Google made."""

from pathlib import Path

import numpy as np
import orjson
import pytest

from project.data_preparation.parsing.strokes import BrokenDrawing, has_times, parse, read
from project.work.raster.raster import pack, reduce_points, resample, simplify

QUICKDRAW = Path(__file__).resolve().parents[4] / "shared" / "data" / "quickdraw"


def drawn(*texts):
    """The drawings of texts, read from one buffer as sources read them."""
    ends = np.cumsum([len(text) for text in texts])
    data = np.frombuffer(bytearray("".join(texts).encode()), dtype=np.uint8)
    return read(data, np.append(0, ends[:-1]), ends)


def test_parse_leaves_times_out():
    first, second = parse(b"[[[1, 2, 3], [4, 5, 6], [0, 17, 33]], [[7.5], [8]]]")
    assert first.tolist() == [[1, 4], [2, 5], [3, 6]]
    assert second.tolist() == [[7.5, 8]]


def test_only_raw_drawings_have_times():
    assert has_times("[[[1], [2], [0]]]")
    assert not has_times("[[[1], [2]]]")
    assert not has_times("no drawing")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[[1, 2], [3", "not JSON"),
        ("", "not JSON"),
        ("[]", "no strokes"),
        ("7", "no strokes"),
        ("[[[1, 2], [3, 4]], [[1, 2, 3], [4, 5]]]", "stroke 2 has 3 x but 2 y"),
        ("[[[], []]]", "stroke 1 has no points"),
        ("[[[1, 2]]]", "stroke 1 is not a pair"),
        ("[[1, 2]]", "stroke 1 is not a pair"),
        ('[[["a", "b"], [1, 2]]]', "stroke 1 has coordinates that are not numbers"),
        ("[[[1, null], [1, 2]]]", "not numbers"),
        ("[[[true, false], [true, true]]]", "not numbers"),
        ("[[[true, 2], [1, 2]]]", "not numbers"),
        ("[[[1, 2], [2.5, false]]]", "not numbers"),
        ("[[[1, 2], [1, NaN]]]", "not JSON"),
        ("[[[1, 2], [1, -Infinity]]]", "not JSON"),
        ("[[[1, 2], [1, +2]]]", "not JSON"),
        ("[[[1, 2], [1, .5]]]", "not JSON"),
        ("[[[1, 2], [1, 0x1F]]]", "not JSON"),
        ("[[[1, 2], [1,\u00a02]]]", "not JSON"),
        ("[[[1, [2]], [1, 2]]]", "not numbers"),
        ("[[[1, 2], [1, 02]]]", "not JSON"),
        ("[[[1, 2], [1, 2.]]]", "not JSON"),
        ("[[[1, 2,], [1, 2]]]", "not JSON"),
        ("[[[1, 2], [1, 2]]", "not JSON"),
        ("[[[1, 2], [1, 2]]]]", "not JSON"),
        ("[[[1, 2], [1, 1e300]]]", "beyond a billion"),
    ],
)
def test_a_broken_drawing_is_refused_with_its_fault(text, fault):
    good = "[[[1, 2], [3, 4]]]"
    with pytest.raises(BrokenDrawing, match=fault) as caught:
        drawn(good, text, good)
    assert caught.value.number == 1


@pytest.mark.parametrize(
    "text",
    [
        "[[[1,2],[3,4]],[[5],[6]]]",
        " [ [ [ 1 , 2 ] , [ 3 , -4.5 ] , [ 0 , 17 ] ] ] ",
        "[[[0.1, 123456789.987654321], [0.30000000000000004, 7]]]",
        "[[[1e2, 2], [3, 4E-1]]]",  # not the plain form
        "[[[1.2345678901234567890123, 2], [3, 4]]]",
        "[[[1, 2], [3, 4], [[5], 6], null]]",
    ],
)
def test_reading_fast_is_reading_carefully(text):
    plain = "[[[9], [9]]]"
    for number, drawing in enumerate(drawn(plain, text, plain, text)):
        expected = parse(text if number % 2 else plain)
        assert [stroke.tolist() for stroke in drawing] == [stroke.tolist() for stroke in expected]


@pytest.mark.parametrize("count", [1, 20, 40, 41, 42, 100])  # 62 to 66 characters, and many more
@pytest.mark.parametrize(
    "fault",
    ["", "[", "]", "x", "1..2,", ",", " 8", "-", ",.5", ",08", ",-08", ",8.", ",1.2.3", ",8-8", ",8,,8", ",+8", ",NaN"],
)
def test_times_are_passed_over(count, fault):
    # Nobody reads them, yet they have to be numbers as JSON has them.
    times = ",".join(["7"] * count) + fault
    text = f"[[[1,2],[3,4],[{times}]],[[5],[6],[{times}]]]"
    if fault == "":
        expected = [[[1, 3], [2, 4]], [[5, 6]]]
        assert [stroke.tolist() for stroke in drawn(text)[0]] == expected
    else:
        with pytest.raises(BrokenDrawing, match="the drawing is not JSON"):
            drawn(text)


@pytest.mark.parametrize("number", ["0", "-0", "10", "-7", "0.5", "17.0", "17.25", "-0.125", "1e3", "1E-2", "7 "])
def test_times_may_be_any_numbers(number):
    for text in (f"[[[1,2],[3,4],[{number}]]]", f"[[[1,2],[3,4],[{','.join([number] * 40)}]]]"):
        assert [stroke.tolist() for stroke in drawn(text)[0]] == [[[1, 3], [2, 4]]]


def test_a_drawing_of_more_points_than_anyone_draws_is_refused():
    many = ",".join(["1"] * 100_001)
    with pytest.raises(BrokenDrawing, match="the drawing has 100,001 points, more than 100,000"):
        drawn("[[[1],[2]]]", f"[[[{many}],[{many}]]]")


def test_decimal_numbers_are_rounded_once():
    # Up to 18 digits at any place of the point: what Python itself makes of them, to the bit.
    generator = np.random.default_rng(0)
    digits = ["".join(map(str, generator.integers(0, 10, generator.integers(2, 19)))) for _ in range(20_000)]
    places = [generator.integers(1, len(text)) for text in digits]
    numbers = [f"{text[:at].lstrip('0') or '0'}.{text[at:]}" for text, at in zip(digits, places, strict=True)]
    numbers = [number for number in numbers if float(number) < 1e9]
    ((stroke,),) = drawn(f"[[[{','.join(numbers)}], [{','.join(numbers)}]]]")
    assert stroke[:, 0].tolist() == stroke[:, 1].tolist() == [float(number) for number in numbers]


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
        simplified = simplify(drawn(*(orjson.dumps(record["drawing"]).decode() for record in records)))
        for record, drawing in zip(records, simplified, strict=True):
            assert [stroke.T.tolist() for stroke in drawing] == published[record["key_id"]]
            pairs += 1
    assert pairs == 357
