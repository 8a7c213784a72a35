"""Which class a file is of: what its rows say, names that look the same, files that are none."""

import gzip
import json
import os

import numpy as np
import pytest

from project.data_preparation.sources import folders
from project.data_preparation.sources.folders import KaggleFolder, NdjsonFolder
from project.work.common import UserError

HEADER = "countrycode,drawing,key_id,recognized,timestamp,word\n"


def record(word, key, drawing=None):
    base = {"countrycode": "US", "recognized": True, "key_id": f"k{key}", "drawing": drawing or [[[0, key], [255, 9]]]}
    return json.dumps(base if word is None else base | {"word": word}) + "\n"


def ndjson(path, word, keys):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(record(word, key) for key in keys))
    return path


def csv(folder, name, words):
    path = folder / "train_simplified" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (f'US,"[[[0, {row}], [255, 9]]]",{name}{row},True,t,{word}\n' for row, word in enumerate(words))
    path.write_text(HEADER + "".join(rows), encoding="utf-8")
    return path


def keys(source, word, count, seed=None):
    generator = None if seed is None else np.random.default_rng(seed)
    return [key for rows in source.read(word, count, generator) for key in rows.keys["key_id"].tolist()]


def refuses(match, action):
    with pytest.raises(UserError, match=match) as caught:
        action()
    assert "\n" not in str(caught.value)


def test_the_word_of_the_rows_names_the_class_and_files_of_one_word_are_one(tmp_path):
    ndjson(tmp_path / "full_simplified_cat.ndjson", "cat", range(3))
    ndjson(tmp_path / "cat (1).ndjson", "cat", range(3, 5))
    ndjson(tmp_path / "x.ndjson", "dog", range(5))
    source = NdjsonFolder(tmp_path)
    assert source.words() == ["cat", "dog"]
    assert source.rows("cat", 100) == 5
    assert source.rows("cat", 4) == 4
    assert sorted(keys(source, "cat", 5, seed=0)) == [f"k{key}" for key in range(5)]
    notes = source.notes(["cat", "dog"])
    assert "cat (1).ndjson and full_simplified_cat.ndjson are one class, cat" in notes
    assert "x.ndjson holds drawings of dog, by its column word" in notes


def test_a_file_that_was_fetched_twice_is_taken_once(tmp_path):
    for name in ("cat.csv", "cat (1).csv"):
        csv(tmp_path, "same.csv", ["cat"] * 4).rename(tmp_path / "train_simplified" / name)
    source = KaggleFolder(tmp_path)
    assert source.words() == ["cat"]
    assert source.rows("cat", 100) == 4
    assert source.notes(["cat"]) == ["cat.csv is the same file as cat (1).csv and is left out"]


def test_the_files_name_is_the_class_where_rows_say_no_word(tmp_path):
    for name in ("full_simplified_paint can (2).ndjson", "paint%20can.ndjson", "dog - Copy.ndjson"):
        ndjson(tmp_path / name, None, [len(name)])
    assert NdjsonFolder(tmp_path).words() == ["dog", "paint can"]


def test_words_that_look_the_same_are_one_class_and_capitals_are_told_of(tmp_path):
    for number, word in enumerate(("caf\u00e9", "cafe\u0301", "\uff44og", "dog\u200b", "Dog")):
        csv(tmp_path, f"{number}.csv", [word] * 2)
    source = KaggleFolder(tmp_path)
    assert source.words() == ["Dog", "caf\u00e9", "dog"]
    assert source.rows("caf\u00e9", 9) == source.rows("dog", 9) == 4
    said = " ".join(source.notes(source.words()))
    assert "are one class, caf\u00e9: they look the same" in said
    assert "Dog and dog differ by capitals alone and are 2 classes" in said


def test_a_file_of_several_words_is_never_one_class(tmp_path):
    csv(tmp_path, "all.csv", ["cat", "dog", "cat"])
    refuses(r"all.csv has rows of several words \(cat and dog\): make one file of each", lambda: KaggleFolder(tmp_path))
    csv(tmp_path, "all.csv", ["cat"] * 3000 + ["dog"] * 3000)  # seen by its last row
    refuses("all.csv has rows of several words", lambda: KaggleFolder(tmp_path))
    csv(tmp_path, "all.csv", ["cat"] * 3000 + ["dog"] + ["cat"] * 3000)
    source = KaggleFolder(tmp_path)
    refuses("all.csv line 3002: its word is dog, but the rows before are of cat", lambda: keys(source, "cat", 6001))


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "nothing", "loop"])
def test_what_is_no_plain_file_is_refused_when_its_class_is_taken_and_nothing_waits_for_it(tmp_path, kind):
    csv(tmp_path, "dog.csv", ["dog"] * 3)
    path = tmp_path / "train_simplified" / "cat.csv"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to({"device": "/dev/zero", "nothing": "nowhere", "loop": path}[kind])
    source = KaggleFolder(tmp_path)
    assert source.words() == ["cat", "dog"]
    assert source.rows("dog", 3) == 3
    said = {"pipe": "named pipe", "folder": "folder", "device": "device", "nothing": "link to nothing", "loop": "read"}
    refuses(f"cat.csv .*{said[kind]}", lambda: source.rows("cat", 3))


def test_hidden_files_are_not_meant_and_capitals_of_the_suffix_do_not_matter(tmp_path):
    csv(tmp_path, "cat.csv", ["cat"] * 2)
    csv(tmp_path, "DOG.CSV", ["dog"] * 2)
    (tmp_path / "train_simplified" / "._cat.csv").write_bytes(b"\0\5\x16\7")
    assert KaggleFolder(tmp_path).words() == ["cat", "dog"]


def test_an_endless_line_is_refused_without_reading_on(tmp_path):
    ndjson(tmp_path / "dog.ndjson", "dog", range(3))
    path = ndjson(tmp_path / "cat.ndjson", "cat", range(2))
    os.truncate(path, 20 << 30)  # a hole, as large as 20 GB
    source = NdjsonFolder(tmp_path)
    for action in (lambda: source.rows("cat", 5), lambda: keys(source, "cat", 3, seed=0)):
        refuses(r"cat.ndjson.* more than 8,388,608 bytes, as no drawing has", action)
    assert keys(source, "cat", 2) == ["k0", "k1"]


def test_too_many_lines_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "MOST_LINES", 1000)
    path = tmp_path / "text"
    path.write_bytes(b"\n" * 1001)
    refuses("more than 1,000 lines", lambda: folders.scan(path))


def test_files_of_other_forms_are_named(tmp_path):
    path = csv(tmp_path, "cat.csv", ["cat"] * 2)
    text = path.read_text()
    for data, said in (
        (gzip.compress(text.encode()), "it is gzipped: unpack it"),
        (text.encode("utf-16"), "it is UTF-16: save it as UTF-8"),
        (text.replace(",", ";").encode(), "separated by commas"),
        (HEADER.replace("word", "key_id").encode(), "two columns key_id"),
    ):
        path.write_bytes(data)
        refuses(said, lambda: KaggleFolder(tmp_path).rows("cat", 2))
    (tmp_path / "cat.ndjson").write_bytes(gzip.compress(record("cat", 1).encode()))
    refuses("cat.ndjson is gzipped: unpack it", lambda: NdjsonFolder(tmp_path))


def test_the_mark_of_byte_order_and_carriage_returns_are_no_part_of_the_text(tmp_path):
    path = csv(tmp_path, "cat.csv", ["cat"] * 2)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert keys(KaggleFolder(tmp_path), "cat", 2) == ["cat.csv0", "cat.csv1"]
    (tmp_path / "cat.ndjson").write_bytes(b"\xef\xbb\xbf" + (record("cat", 1) + record("cat", 2)).encode())
    assert keys(NdjsonFolder(tmp_path), "cat", 2) == ["k1", "k2"]


def test_broken_rows_are_left_out_and_every_good_one_is_drawn_equally_often(tmp_path):
    # 20 rows, of which 0, 5, 10 and 15 are broken; 5 of 16 in 160 draws: each 50 times in the mean. Chi-square with
    # 15 degrees of freedom: 37.7 at 0.1%.
    path = ndjson(tmp_path / "cat.ndjson", "cat", range(20))
    written = path.read_text().splitlines()
    broken = {0: "{", 5: record("cat", 5, [[[0, True], [1, 2]]]), 10: record("dog", 10), 15: record("cat", 4)}
    path.write_text("".join(broken.get(row, line).rstrip("\n") + "\n" for row, line in enumerate(written)))
    source = NdjsonFolder(tmp_path, skip_broken=True)
    counts, generator = np.zeros(20), np.random.default_rng(0)
    for _ in range(160):
        drawn = list(source.read("cat", 5, generator))
        numbers = [int(key[1:]) for rows in drawn for key in rows.keys["key_id"]]
        assert len(set(numbers)) == 5
        counts[numbers] += 1
    assert set(np.flatnonzero(counts == 0)) == {0, 5, 10, 15}
    good = counts[counts > 0]
    assert ((good - good.mean()) ** 2 / good.mean()).sum() < 37.7
    (rows,) = source.read("cat", 16, None)
    assert [(left.file, left.line) for left in rows.left_out] == [
        (str(path), f"line {row + 1}") for row in (0, 5, 10, 15)
    ]
    faults = ("not JSON", "coordinates that are not numbers", "its word is dog", "key_id k4 is that of")
    assert all(said in left.fault for said, left in zip(faults, rows.left_out, strict=True))
    refuses(r"has 16 drawings \(4 are broken, line 1 of .*\), but 17 are asked for", lambda: keys(source, "cat", 17))
    refuses(r"cat.ndjson line 1: not JSON.*--skip-broken", lambda: keys(NdjsonFolder(tmp_path), "cat", 3))


def test_a_word_that_is_no_text_names_no_class(tmp_path):
    (tmp_path / "cat.ndjson").write_text("".join(record(["dog"], key) for key in range(3)))
    ndjson(tmp_path / "dog.ndjson", "dog", range(3))
    assert NdjsonFolder(tmp_path).words() == ["cat", "dog"]
