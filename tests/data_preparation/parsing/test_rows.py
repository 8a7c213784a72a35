"""Lines read fast are lines read carefully: on real forms, odd forms, and thousands of damaged ones."""

import json
from functools import partial

import numpy as np
import pytest

from project.data_preparation.parsing import rows
from project.data_preparation.parsing.rows import BrokenLine, read_csv, read_json, text_of
from project.data_preparation.parsing.strokes import BrokenDrawing, parse, read

HEADER = ["countrycode", "drawing", "key_id", "recognized", "timestamp", "word"]
DRAWING = "[[[0, 12, 255], [3, 4, 5]], [[7], [8.25]]]"
TIMED = "[[[0,12,255],[3,4.5,5],[0,17,1233]],[[7, 8],[-1, 250],[10, 20.0]]]"
LONG = json.dumps([[list(range(90)), list(range(100, 190))], [[7], [8.25]]])  # longer than what is seen at once
CSV = f'US,"{DRAWING}",5000123,True,2017-03-02 23:25:10.07453,cat'.encode()
LONG_CSV = CSV.replace(DRAWING.encode(), LONG.encode())
JSON = json.dumps(
    {"word": "cat", "countrycode": "US", "timestamp": "2017", "recognized": False, "key_id": "5000123", "n": 1.5e3}
    | {"drawing": json.loads(DRAWING)}
).encode()
STRANGE = b"true null NaN Infinity -Infinity 1e999 -0 01 +1 1. .5 0x1F [1] [] 1.2.3 4.5e+15 \t \f \xc2\xa0 \0".split(
    b" "
)
FORMATS = {
    "long csv": (LONG_CSV, lambda text: read_csv(text, HEADER), lambda line: rows._csv_record(line, HEADER)),
    "csv": (CSV, lambda text: read_csv(text, HEADER), lambda line: rows._csv_record(line, HEADER)),
    "json": (JSON, read_json, rows._json_record),
}


def row(found, number):
    """A row as the careful readers give it."""
    return {name: column[number] for name, column in found.keys.items()} | {"drawing": found.drawings.line(number)}


def outcome(action):
    try:
        return action()
    except ValueError as error:
        return str(error)


def damaged(line, generator):
    """A line with up to three of its bytes changed, doubled or left out, or with what is no number put in."""
    line = bytearray(line)
    for _ in range(generator.integers(1, 4)):
        at, kind = generator.integers(len(line)), generator.integers(4)
        if kind == 0:
            line[at] = generator.choice(np.frombuffer(b'",:[]{}0 9.-\\e\xc3tU', np.uint8))
        elif kind == 1:
            line[at:at] = line[at : at + 1]
        elif kind == 2:
            line[at : at + 1] = STRANGE[generator.integers(len(STRANGE))]
        else:
            del line[at]
    return bytes(line)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_a_plain_line_is_read_fast(form, monkeypatch):
    line, quick, careful = FORMATS[form]
    expected = careful(line)
    monkeypatch.setattr(rows, "_read_carefully", lambda *_: pytest.fail("read carefully"))
    for ending in (b"", b"\r"):
        found = row(quick(text_of([line + ending])), 0)
        assert {name: found[name] for name in ("key_id", "countrycode", "recognized")} == {
            name: expected[name] for name in ("key_id", "countrycode", "recognized")
        }
        assert json.loads(found["drawing"]) == json.loads(expected["drawing"])


@pytest.mark.parametrize(
    "line",
    [
        CSV.replace(b"US", b'"US"'),
        CSV.replace(b"US", b'"U""S"'),
        CSV.replace(b"US", "\u00e9".encode()),
        CSV.replace(b"True", b"TRUE"),
        CSV.replace(b"US", b""),
        CSV.replace(b",cat", b',"a, ""b"""'),
    ],
)
def test_odd_lines_of_csv_are_read_all_the_same(line):
    found = read_csv(text_of([CSV, line, CSV]), HEADER)
    for number, expected in enumerate((CSV, line, CSV)):
        assert row(found, number) == rows._csv_record(expected, HEADER)


@pytest.mark.parametrize(
    "line",
    [
        JSON.replace(b'"US"', b"null"),
        JSON.replace(b'"5000123"', b"5000123"),
        JSON.replace(b'"US"', b'"\\u0055S"'),
        JSON.replace(b'"cat"', '"\u732b"'.encode()),
        JSON.replace(b'"cat"', b'{"a": [1, "]"]}'),
        JSON.replace(b'"n": 1500.0', b'"drawing": [], "key_id": "1"'),
        b"  " + JSON + b" \t",
    ],
)
def test_odd_lines_of_ndjson_are_read_all_the_same(line):
    found = read_json(text_of([JSON, line, JSON]))
    for number, text in enumerate((JSON, line, JSON)):
        expected = rows._json_record(text)
        assert {**row(found, number), "drawing": None} == {**expected, "drawing": None}
        assert json.loads(row(found, number)["drawing"]) == json.loads(expected["drawing"])


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_line_is_read_or_refused_as_the_careful_reader_does(form):
    line, quick, careful = FORMATS[form]
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(4000):
        text = damaged(line, generator)
        expected = outcome(lambda text=text: careful(text))
        found = outcome(lambda text=text: row(quick(text_of([text])), 0))
        if isinstance(expected, str):
            # The fast reader does not check the form of fields that nobody reads: they may be damaged.
            refused += isinstance(found, str)
            assert form == "json" or found == expected
            continue
        assert {**found, "drawing": None} == {**expected, "drawing": None}, text
        texts = found["drawing"], expected["drawing"]
        assert outcome(partial(drawn, texts[0])) == outcome(partial(plain, texts[1])), text
    assert refused > 100


def drawn(text):
    data = text_of([text])
    try:
        return [stroke.tolist() for stroke in read(data.data, data.starts, data.ends)[0]]
    except BrokenDrawing as error:
        raise ValueError(str(error)) from error


def plain(text):
    strokes = parse(text)
    if np.abs(np.concatenate(strokes)).max() > 1e9:
        raise ValueError("the drawing has coordinates beyond a billion")
    return [stroke.tolist() for stroke in strokes]


@pytest.mark.slow
@pytest.mark.parametrize("drawing", [DRAWING, LONG, TIMED])
def test_a_damaged_drawing_is_read_or_refused_as_the_careful_reader_does(drawing):
    generator = np.random.default_rng(1)
    read_well = 0
    for _ in range(6000):
        text = damaged(drawing.encode(), generator)
        expected = outcome(lambda text=text: plain(text))
        assert outcome(lambda text=text: drawn(text)) == expected, text
        read_well += not isinstance(expected, str)
    assert read_well > 500


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("", "key_id is empty"),
        ("  ", "key_id is empty"),
        ("4.5e+15", r"key_id 4.5e\+15 is a rounded number"),
        ("4.50364E+15", "rounded number"),
        ("4500000000000000.0", "rounded number"),
        ("4,5E+15", "rounded number"),
        (" 5000123", "has blanks around it"),
        ("5000123 ", "has blanks around it"),
        ("5000123\u200b", "characters that cannot be seen"),
        ("7" * 201, "key_id has 201 characters"),
    ],
)
def test_keys_that_name_no_drawing_are_refused(key, fault):
    csv, ndjson = CSV.replace(b"5000123", f'"{key}"'.encode()), JSON.replace(b"5000123", key.encode())
    for action in (lambda: read_csv(text_of([CSV, csv]), HEADER), lambda: read_json(text_of([JSON, ndjson]))):
        with pytest.raises(BrokenLine, match=fault) as caught:
            action()
        assert caught.value.number == 1


@pytest.mark.parametrize("key", ["51e10", "cat-0", "1-2", "a b", "0017", "5000123", "9" * 200])
def test_other_keys_are_kept_as_they_are(key):
    for found in (
        read_csv(text_of([CSV.replace(b"5000123", key.encode())]), HEADER),
        read_json(text_of([JSON.replace(b"5000123", key.encode())])),
    ):
        assert found.keys["key_id"].tolist() == [key]


def test_keys_of_other_kinds_and_odd_truth_values_are_refused():
    for old, new, fault in (
        (b'"5000123"', b"4.5e15", "rounded number"),
        (b'"5000123"', b"null", "key_id is neither text nor a whole number"),
        (b"false", b"True", "not JSON"),
        (b"false", b"0", "recognized is 0"),
    ):
        with pytest.raises(BrokenLine, match=fault):
            read_json(text_of([JSON.replace(old, new)]))
    with pytest.raises(BrokenLine, match="holds a NUL character"):
        read_csv(text_of([CSV.replace(b"5000123", b"5000123\0")]), HEADER)


def test_a_row_of_another_word_is_refused():
    for read_lines, line in ((partial(read_csv, header=HEADER), CSV), (read_json, JSON)):
        assert read_lines(text_of([line]), word="cat").keys["key_id"].tolist() == ["5000123"]
        same = line.replace(b"cat", "cat\u200b".encode())
        assert read_lines(text_of([same]), word="cat").keys["key_id"].tolist() == ["5000123"]
        with pytest.raises(BrokenLine, match="its word is dog, but the rows before are of cat"):
            read_lines(text_of([line, line.replace(b"cat", b"dog")]), word="cat")


def test_one_long_field_does_not_make_every_row_as_wide():
    long = CSV.replace(b"US", b"U" * 5_000_000)
    found = read_csv(text_of([CSV] * 500 + [long]), HEADER)
    assert found.keys["countrycode"].dtype == object
    assert len(found.keys["countrycode"][500]) == 5_000_000


def test_the_first_broken_line_is_named():
    with pytest.raises(BrokenLine, match="columns") as caught:
        read_csv(text_of([CSV, b"US,x", CSV, b"US"]), HEADER)
    assert caught.value.number == 1
