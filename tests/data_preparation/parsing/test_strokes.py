"""Reading strokes from text: the plain form and all others, and what is said of broken ones."""

import numpy as np
import pytest

from project.data_preparation.parsing.strokes import BrokenDrawing, has_times, parse, read


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
