"""Reads strokes from text: `[[[x, x, ...], [y, y, ...]], ...]`, with or without times; no I/O.

Compiled code reads the plain form, thousands of drawings at once. `parse` reads every other form and reports what is
wrong with a broken drawing.
"""

import numpy as np
import orjson

from project.data_preparation.parsing.fields import (
    CLOSE_LIST,
    COMMA,
    MINUS,
    NINE,
    OPEN_LIST,
    POINT,
    SPACE,
    STRIDE,
    ZERO,
)
from project.work.raster.raster import Drawings, compiled, join, pack

HUGE = 1e9  # no canvas is this large; squares of such coordinates do not overflow
MOST_POINTS = 100_000  # of a drawing; 20 seconds of drawing give some 2,000
_ZERO = np.uint8(ZERO)
DIGITS = 18  # decimal digits that fit an int64; powers of ten up to 22 are exact in a double
POWERS = np.array([float(10**power) for power in range(DIGITS + 1)])
EXACT = 1 << 53  # integers up to here are exact doubles, so that their quotient is rounded only once
SPLITTER = 134217729.0  # 2^27 + 1
LEAST_POINT, LEAST_STROKE = 4, 9  # characters: "1,1," and "[[1],[1]]"


class BrokenDrawing(ValueError):
    """A broken drawing; the text says what is wrong. number: its index among the drawings read."""

    def __init__(self, number: int, fault: str) -> None:
        super().__init__(fault)
        self.number = number


def read(text: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> Drawings:
    """Read drawings from a text, uint8, from starts to ends, int64 (N,).

    `parse` reads drawings that are not in the plain form. Raises BrokenDrawing.
    """
    *arrays, good = read_drawings(text, starts, ends)
    quick = Drawings(*arrays)
    parts, done = [], 0
    for number in np.flatnonzero(~good).tolist():
        parts += [quick.part(done, number), pack([_parse(text[starts[number] : ends[number]].tobytes(), number)])]
        done = number + 1
    drawings = join([*parts, quick.part(done, len(quick))]) if parts else quick
    huge = drawings.outside(-HUGE, HUGE)
    if huge is not None:
        raise BrokenDrawing(huge, "the drawing has coordinates beyond a billion")
    if len(drawings.points) > MOST_POINTS:
        counts = np.diff(drawings.strokes[drawings.drawings])
        if counts.max() > MOST_POINTS:
            number = int(counts.argmax())
            raise BrokenDrawing(number, f"the drawing has {counts[number]:,} points, more than {MOST_POINTS:,}")
    return drawings


def _parse(text: bytes, number: int) -> list[np.ndarray]:
    try:
        return parse(text)
    except ValueError as error:
        raise BrokenDrawing(number, str(error)) from error


def parse(text: str | bytes) -> list[np.ndarray]:
    """Read `[[xs, ys], ...]` or raw `[[xs, ys, times], ...]`; times are left out.

    Returns one array (points, 2) of x, y a stroke, whole or real numbers as written.
    Raises ValueError that says which stroke is broken and how.
    """
    try:
        drawing = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the drawing is not JSON ({error})") from error
    if not isinstance(drawing, list) or not drawing:
        raise ValueError("the drawing has no strokes")
    return [_stroke(stroke, number) for number, stroke in enumerate(drawing, start=1)]


def _stroke(stroke: object, number: int) -> np.ndarray:
    if not isinstance(stroke, list) or len(stroke) < 2 or not all(isinstance(axis, list) for axis in stroke[:2]):
        raise ValueError(f"stroke {number} is not a pair of lists [xs, ys]")
    xs, ys = stroke[:2]
    if len(xs) != len(ys):
        raise ValueError(f"stroke {number} has {len(xs)} x but {len(ys)} y")
    if not xs:
        raise ValueError(f"stroke {number} has no points")
    if not {*map(type, xs), *map(type, ys)} <= {int, float}:  # a bool is not a number, though numpy accepts it
        raise ValueError(f"stroke {number} has coordinates that are not numbers")
    points = np.array((xs, ys))
    if points.dtype.kind not in "iuf":
        points = points.astype(np.float64)
    return points.T


def has_times(text: str | bytes) -> bool:
    """Whether a drawing has times, as only raw drawings do; False for a drawing that `parse` refuses."""
    try:
        drawing = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return isinstance(drawing, list) and any(isinstance(stroke, list) and len(stroke) > 2 for stroke in drawing)


@compiled
def read_drawings(
    text: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Read drawings; times are left out.

    text: uint8; starts, ends: int64 (N,), of the drawings in it. Returns points, strokes and drawings as in Drawings,
    and bool (N,), whether each had the plain form; others are left empty.
    """
    size = np.sum(ends - starts)
    points = np.empty((size // LEAST_POINT + 1, 2), np.float64)
    strokes = np.zeros(size // LEAST_STROKE + 2, np.int64)
    drawings = np.zeros(len(starts) + 1, np.int64)
    good = np.zeros(len(starts), np.bool_)
    stroke = 0
    for number in range(len(starts)):
        count = _drawing(text, starts[number], ends[number], points, strokes, stroke)
        good[number] = count > 0
        stroke += count
        drawings[number + 1] = stroke
    return points[: strokes[stroke]], strokes[: stroke + 1], drawings, good


@compiled
def _drawing(text: np.ndarray, at: int, end: int, points: np.ndarray, strokes: np.ndarray, first: int) -> int:
    """Read one drawing after stroke number `first`; returns its number of strokes, 0 when it is not plain."""
    count = 0
    at = _expect(text, at, end, OPEN_LIST)
    while at >= 0:
        begin = strokes[first + count]
        at, xs = _axis(text, _expect(text, at, end, OPEN_LIST), end, points, begin, 0)
        at, ys = _axis(text, _expect(text, at, end, COMMA), end, points, begin, 1)
        if at < 0 or xs != ys:
            return 0
        after = _expect(text, at, end, COMMA)
        while after >= 0:
            at = _pass_over(text, after, end)
            after = _expect(text, at, end, COMMA)
        at = _expect(text, at, end, CLOSE_LIST)
        if at < 0:
            return 0
        count += 1
        strokes[first + count] = begin + xs
        after = _expect(text, at, end, COMMA)
        if after < 0:
            at = _expect(text, at, end, CLOSE_LIST)
            return count if at >= 0 and _blank(text, at, end) == end else 0
        at = after
    return 0


@compiled
def _axis(text: np.ndarray, at: int, end: int, points: np.ndarray, begin: int, axis: int) -> tuple[int, int]:
    """Read a list of numbers into a column of points; returns the position after it (-1: not a list) and the count."""
    at = _expect(text, at, end, OPEN_LIST)
    if at < 0:
        return -1, 0
    for row in range(begin, len(points)):
        at = _blank(text, at, end)
        negative = at < end and text[np.uint64(at)] == MINUS
        first = at + negative
        at, value = _digits(text, first, end, 0)
        if at == first or (at > first + 1 and text[np.uint64(first)] == ZERO) or at - first > DIGITS:
            return -1, 0
        number = float(value)
        if at < end and text[np.uint64(at)] == POINT:
            point = at
            at, value = _digits(text, point + 1, end, value)
            if at == point + 1 or at - first > DIGITS + 1:
                return -1, 0
            number = _quotient(value, POWERS[at - point - 1])
        points[row, axis] = -number if negative else number
        at = _blank(text, at, end)
        if at < end and text[np.uint64(at)] == CLOSE_LIST:
            return at + 1, row + 1 - begin
        if at >= end or text[np.uint64(at)] != COMMA:
            return -1, 0
        at += 1
    return -1, 0


@compiled
def _pass_over(text: np.ndarray, at: int, end: int) -> int:
    """The position after a list of numbers, without reading them; -1 if there is no list."""
    begin = at = _expect(text, at, end, OPEN_LIST)
    if at < 0:
        return -1
    while at + STRIDE + 2 <= end and _all_of_numbers(text, at):
        at += STRIDE
    while at + 2 < end and _of_number(text, at):
        at += 1
    if at < end and text[np.uint64(at)] == CLOSE_LIST:
        return at + 1
    return _any_numbers(text, begin, end)


@compiled
def _any_numbers(text: np.ndarray, at: int, end: int) -> int:
    """The position after the rest of a list of numbers without exponents, by single characters; -1 if there is none."""
    while True:
        at = _blank(text, at, end)
        first = at + (at < end and text[np.uint64(at)] == MINUS)
        at, _ = _digits(text, first, end, 0)
        if at == first or (at > first + 1 and text[np.uint64(first)] == ZERO):
            return -1
        if at < end and text[np.uint64(at)] == POINT:
            point = at
            at, _ = _digits(text, point + 1, end, 0)
            if at == point + 1:
                return -1
        at = _blank(text, at, end)
        if at >= end or text[np.uint64(at)] != COMMA:
            return _expect(text, at, end, CLOSE_LIST)
        at += 1


@compiled
def _all_of_numbers(text: np.ndarray, at: int) -> bool:
    """Whether the next STRIDE characters belong to a list of numbers. It has no branches, so that it is vectorised."""
    every = True
    for ahead in range(STRIDE):
        every &= _of_number(text, at + ahead)
    return every


@compiled
def _of_number(text: np.ndarray, at: int) -> bool:
    """Whether a character is valid in a list of numbers, by its neighbours and the next one.

    Only fractions of one digit are recognised.
    """
    before, code = text[np.uint64(at - 1)], text[np.uint64(at)]
    after, beyond = text[np.uint64(at + 1)], text[np.uint64(at + 2)]
    digit, counted, goes_on = _digit(code), _digit(before), _digit(after)
    zeros = (code == ZERO) & (not counted) & goes_on  # 01
    begins = goes_on | (after == MINUS)
    last = (beyond == COMMA) | (beyond == CLOSE_LIST)
    return (
        (digit & (not zeros))
        | ((code == COMMA) & counted & (begins | (after == SPACE)))
        | ((code == SPACE) & (before == COMMA) & begins)
        | ((code == MINUS) & (not counted) & (before != POINT) & goes_on)
        | ((code == POINT) & counted & goes_on & last)
    )


@compiled
def _digit(code: int) -> bool:
    return (code >= ZERO) & (code <= NINE)


@compiled
def _digits(text: np.ndarray, at: int, end: int, value: int) -> tuple[int, int]:
    """Continue reading a number's digits; returns the position after them and the number."""
    while at < end:
        digit = np.uint8(text[np.uint64(at)] - _ZERO)  # characters before "0" wrap around to values above 9
        if digit > 9:
            break
        value = value * 10 + np.int64(digit)
        at += 1
    return at, value


@compiled
def _quotient(value: int, power: float) -> float:
    """value / power, rounded once: the remainder of the rounded quotient is exact (Dekker, 1971) and added to it."""
    if value < EXACT:
        return value / power
    high = float(value)
    low = float(value - np.int64(high))
    quotient = high / power
    product = quotient * power
    top, base = SPLITTER * quotient, SPLITTER * power
    top, base = top - (top - quotient), base - (base - power)
    rest, remainder = quotient - top, power - base
    error = ((top * base - product) + top * remainder + rest * base) + rest * remainder
    return quotient + ((high - product) - error + low) / power


@compiled
def _expect(text: np.ndarray, at: int, end: int, wanted: int) -> int:
    """The position after a wanted character, with blanks before it skipped; -1 for another character."""
    if at < 0:
        return -1
    at = _blank(text, at, end)
    return at + 1 if at < end and text[np.uint64(at)] == wanted else -1


@compiled
def _blank(text: np.ndarray, at: int, end: int) -> int:
    while at < end and text[np.uint64(at)] == SPACE:
        at += 1
    return at
