"""Kaggle's and Google's folders: rows drawn exactly and uniformly, files read as they are, faults named."""

import csv
import json
import re

import numpy as np
import pandas as pd
import pytest

from project.data_preparation.sources.folders import KaggleFolder, NdjsonFolder, scan
from project.work.common import UserError

HEADER = ["countrycode", "drawing", "key_id", "recognized", "timestamp", "word"]
DRAWING = [[[0, 255], [0, 9]]]


def kaggle(folder, rows=20, word="cat", kind="train_simplified", drawing=DRAWING, recognized=lambda row: True):
    path = folder / kind / f"{word}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for row in range(rows):
            writer.writerow(["NA", json.dumps(drawing), f"{word}{row}", recognized(row), "2017-03-02 23:25:10", word])
    return path


def ndjson(folder, rows=20, word="cat", drawing=DRAWING):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{word}.ndjson"
    base = {"word": word, "countrycode": "NA", "timestamp": "", "recognized": True, "drawing": drawing}
    path.write_text("".join(json.dumps(base | {"key_id": f"{word}{row}"}) + "\n" for row in range(rows)))
    return path


def read(source, *arguments):
    """All that a source gives: the table of keys, and the drawings."""
    pieces = list(source.read(*arguments))
    table = pd.concat([pd.DataFrame(piece.keys) for piece in pieces])
    return table, [drawing for piece in pieces for drawing in piece.drawings]


def keys(source, *arguments):
    return read(source, *arguments)[0]["key_id"].tolist()


def texts(text):
    return [text.line(number) for number in range(len(text))]


def test_lines_are_found_with_any_ending_and_blank_ones_left_out(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"one\n\ntwo\r\n\r\nthree\nx")
    lines = scan(path)
    assert texts(lines.read(np.arange(4))) == [b"one", b"two\r", b"three", b"x"]
    assert lines.numbers.tolist() == [1, 3, 5, 6]


def test_an_early_stop_never_invents_a_line(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"".join(b"%07d\n" % number for number in range(20_000)))
    lines = scan(path, enough=5)
    assert 5 <= len(lines) < 20_000
    assert texts(lines.read(np.array([0, len(lines) - 1]))) == [b"0000000", b"%07d" % (len(lines) - 1)]
    assert len(scan(path)) == len(scan(path, enough=30_000)) == 20_000


def test_the_first_rows(tmp_path):
    kaggle(tmp_path)
    table, drawings = read(KaggleFolder(tmp_path), "cat", 3, None)
    assert table["key_id"].tolist() == ["cat0", "cat1", "cat2"]
    assert table["countrycode"].tolist() == ["NA"] * 3  # Namibia, not a missing value
    assert table["recognized"].tolist() == [True] * 3
    assert [[stroke.T.tolist() for stroke in drawing] for drawing in drawings] == [DRAWING] * 3


@pytest.mark.slow
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_every_row_is_drawn_equally_often(tmp_path, share):
    # 2,000 draws of 5 of 20: each row 500 times in the mean. Chi-square with 19 degrees of freedom: 43.8 at 0.1%;
    # drawing without replacement makes it smaller still, by 15/19. With `recognized`, the even rows: 10 rows, 27.9.
    kaggle(tmp_path, recognized=lambda row: share == 1.0 or row % 2 == 0)
    source = KaggleFolder(tmp_path, recognized=share < 1)
    generator = np.random.default_rng(1)
    counts = np.zeros(20)
    for _ in range(2000 if share == 1.0 else 600):
        drawn = [int(key[3:]) for key in keys(source, "cat", 5, generator)]
        assert drawn == sorted(set(drawn))
        counts[drawn] += 1
    possible = counts if share == 1.0 else counts[::2]
    assert counts.sum() == possible.sum()
    chi_square = ((possible - possible.mean()) ** 2 / possible.mean()).sum()
    assert chi_square < (43.8 if share == 1.0 else 27.9)


def test_recognized_rows_are_found_however_rare(tmp_path):
    kaggle(tmp_path, rows=500, recognized=lambda row: row >= 490)
    source = KaggleFolder(tmp_path, recognized=True)
    assert keys(source, "cat", 10, np.random.default_rng(0)) == [f"cat{row}" for row in range(490, 500)]


def test_truth_beside_the_folder_is_joined_on(tmp_path):
    kaggle(tmp_path, rows=2)
    (tmp_path / "truth.csv").write_text("key_id,true_word\ncat1,dog\ncat0,cat\n")
    assert read(KaggleFolder(tmp_path), "cat", 2, None)[0]["true_word"].tolist() == ["cat", "dog"]


def test_a_truth_file_with_a_gap_is_refused(tmp_path):
    kaggle(tmp_path, rows=2)
    (tmp_path / "truth.csv").write_text("key_id,true_word\ncat1,dog\n")
    with pytest.raises(UserError, match=r"truth.csv has no row for key_id cat0"):
        read(KaggleFolder(tmp_path), "cat", 2, None)
    (tmp_path / "truth.csv").write_text("key,word\ncat1,dog\n")
    with pytest.raises(UserError, match=r"truth.csv: needs the columns key_id,true_word"):
        read(KaggleFolder(tmp_path), "cat", 2, None)


def test_raw_is_read_when_asked_or_alone(tmp_path):
    kaggle(tmp_path / "both")
    kaggle(tmp_path / "both", kind="train_raw", word="dog")
    kaggle(tmp_path / "alone", kind="train_raw", word="dog")
    assert (KaggleFolder(tmp_path / "both").raw, KaggleFolder(tmp_path / "both").words()) == (False, ["cat"])
    assert KaggleFolder(tmp_path / "both", raw=True).words() == ["dog"]
    assert KaggleFolder(tmp_path / "both" / "train_raw").words() == ["dog"]
    assert KaggleFolder(tmp_path / "alone").raw


def test_a_raw_drawing_longer_than_the_csv_readers_limit(tmp_path):
    long = [[list(range(30_000)), list(range(30_000)), list(range(30_000))]]
    kaggle(tmp_path, rows=1, kind="train_raw", drawing=long)
    [[stroke]] = read(KaggleFolder(tmp_path), "cat", 1, None)[1]
    assert stroke.T.tolist() == long[0][:2]


def test_blank_lines_before_the_first_drawing_are_passed_over(tmp_path):
    path = ndjson(tmp_path / "some")
    path.write_text("\n\n" + path.read_text())
    assert NdjsonFolder(tmp_path / "some").rows("cat", 100) == 20
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "cat.ndjson").write_text("\n\n")
    refuses("cat.ndjson has no drawing", lambda: NdjsonFolder(tmp_path / "none"))


def test_ndjson_knows_raw_by_its_times(tmp_path):
    ndjson(tmp_path / "plain")
    ndjson(tmp_path / "timed", drawing=[[[0, 9], [3, 4], [0, 17]]])
    ndjson(tmp_path / "both" / "simplified")
    ndjson(tmp_path / "both" / "raw", word="dog", drawing=[[[0, 9], [3, 4], [0, 17]]])
    assert not NdjsonFolder(tmp_path / "plain").raw
    assert NdjsonFolder(tmp_path / "timed").raw
    assert NdjsonFolder(tmp_path / "both").words() == ["cat"]
    assert NdjsonFolder(tmp_path / "both", raw=True).words() == ["dog"]
    table, drawings = read(NdjsonFolder(tmp_path / "plain"), "cat", 2, None)
    assert table["key_id"].tolist() == ["cat0", "cat1"]
    assert [stroke.T.tolist() for stroke in drawings[0]] == DRAWING


def refuses(match, action):
    with pytest.raises(UserError, match=match):
        action()


def test_folders_that_are_not_there(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (KaggleFolder, NdjsonFolder):
        refuses("nowhere is missing: give the folder", lambda folder=folder: folder(tmp_path / "nowhere"))
        refuses("file is a file", lambda folder=folder: folder(tmp_path / "file"))
    refuses("has no train_simplified", lambda: KaggleFolder(tmp_path))
    refuses("has no train_raw", lambda: KaggleFolder(kaggle(tmp_path).parent.parent, raw=True))
    refuses(r"has no \*\.ndjson", lambda: NdjsonFolder(tmp_path))


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)  # the super-user may read everything
    refuses("cannot be read: fix its permissions", lambda: KaggleFolder(kaggle(tmp_path).parent.parent))


def test_a_file_that_cannot_be_read(tmp_path):
    path = kaggle(tmp_path)
    source = KaggleFolder(tmp_path)
    path.unlink()
    path.symlink_to(path)  # a loop, which even the super-user cannot open
    refuses(r"cat.csv cannot be read", lambda: source.rows("cat", 1))


def test_an_empty_file(tmp_path):
    kaggle(tmp_path).write_bytes(b"")
    refuses(r"cat.csv is empty: fetch it again", lambda: KaggleFolder(tmp_path).rows("cat", 1))


@pytest.mark.parametrize("text", ["countrycode,word\nUS,cat\n", "\n\n", '\xff\xfe"'])
def test_a_header_without_the_columns(tmp_path, text):
    kaggle(tmp_path).write_bytes(text.encode("latin-1"))
    refuses(r"cat.csv has no columns key_id.*first line must name", lambda: KaggleFolder(tmp_path).rows("cat", 1))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("US,x,1,True", "4 columns, but the header has 6"),
        ('US,"[[[0],[0]]],1,True,t,cat', "2 columns, but the header has 6"),
        ("US,x,1,maybe,t,cat", "recognized is 'maybe'"),
        ("\xff,x,1,True,t,cat", "decode"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, fault):
    path = kaggle(tmp_path, rows=2)
    path.write_bytes(path.read_bytes() + line.encode("latin-1"))
    refuses(
        f"cat.csv line 4: .*{re.escape(fault)}.*; correct or", lambda: read(KaggleFolder(tmp_path), "cat", 3, None)
    )


@pytest.mark.parametrize(
    ("line", "fault"), [("{", "not JSON"), ("[]", "no key_id, countrycode"), ('{"key_id": 1}', "no countrycode")]
)
def test_a_broken_line_of_ndjson_is_named(tmp_path, line, fault):
    path = ndjson(tmp_path, rows=2)
    path.write_text(path.read_text() + line)
    refuses(f"cat.ndjson line 3: {fault}", lambda: read(NdjsonFolder(tmp_path), "cat", 3, None))


def test_fewer_rows_than_asked(tmp_path):
    kaggle(tmp_path, rows=20, recognized=lambda row: row < 4)
    assert KaggleFolder(tmp_path).rows("cat", 300) == 20
    assert KaggleFolder(tmp_path).rows("cat", 7) == 7
    generator = np.random.default_rng(0)
    refuses("has 20 drawings, but 21 are asked", lambda: read(KaggleFolder(tmp_path), "cat", 21, generator))
    source = KaggleFolder(tmp_path, recognized=True)
    refuses("has 4 recognised drawings, but 5", lambda: read(source, "cat", 5, generator))
