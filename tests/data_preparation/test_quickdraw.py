"""The command line end to end: every source, the split, the same bytes for the same seed, and what it refuses."""

import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from project.data_preparation import finalize, quickdraw, shards
from project.data_preparation.finalize import split
from project.data_preparation.options import PreparationSettings
from project.data_preparation.quickdraw import main
from project.data_preparation.sources import source as sources
from project.work.common import UserError
from project.work.dataset import storage
from project.work.labels import noise
from project.work.machine.process import run_command
from project.work.raster import raster

QUICKDRAW = Path(__file__).resolve().parents[3] / "shared" / "data" / "quickdraw"
HEADER = "countrycode,drawing,key_id,recognized,timestamp,word\n"
needs_shared = pytest.mark.skipif(not QUICKDRAW.exists(), reason="needs ../shared/data/quickdraw")


def drawing(row):
    """A simplified line that falls by `row` pixels, so that every row has a picture of its own."""
    return [[[0, 255], [0, row % 256]]]


def kaggle(folder, rows=10, words=("dog", "cat"), draw=drawing, kind="train_simplified"):
    (folder / kind).mkdir(parents=True, exist_ok=True)
    for word in words:
        lines = (f'US,"{json.dumps(draw(row))}",{word}-{row},True,2017-03-02,{word}\n' for row in range(rows))
        (folder / kind / f"{word}.csv").write_text(HEADER + "".join(lines))
    return folder


def ndjson(folder, rows=10, words=("dog", "cat"), draw=drawing):
    folder.mkdir(parents=True, exist_ok=True)
    for word in words:
        base = {"word": word, "countrycode": "US", "recognized": True}
        lines = (json.dumps(base | {"key_id": f"{word}-{row}", "drawing": draw(row)}) + "\n" for row in range(rows))
        (folder / f"{word}.ndjson").write_text("".join(lines))
    return folder


def prepare(folder, output, *flags, per_class=10, name="quickdraw"):
    options = ["--input", folder, "--output", output, "--per-class", per_class, *flags]
    main([str(option) for option in options])
    return storage.read(output / name)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refuses(match, *arguments, **options):
    with pytest.raises(UserError, match=match) as caught:
        prepare(*arguments, **options)
    assert "\n" not in str(caught.value)


def test_the_pictures_are_those_of_the_drawings_and_the_labels_sorted_by_name(tmp_path):
    prepared = prepare(kaggle(tmp_path / "in"), tmp_path / "out")
    assert prepared.names == ["cat", "dog"]
    for part, rows in ((prepared.train, 8), (prepared.test, 2)):
        assert part.labels.tolist() == [0] * rows + [1] * rows
        for image, label, key in zip(part.images, part.labels, part.keys["key_id"], strict=True):
            word, row = key.split("-")
            assert word == prepared.names[label]
            strokes = [np.array(stroke).T for stroke in drawing(int(row))]
            np.testing.assert_array_equal(image, raster.render([strokes])[0])
    assert len({*prepared.train.keys["key_id"], *prepared.test.keys["key_id"]}) == 20
    assert prepared.train.keys["countrycode"].tolist() == ["US"] * 16
    assert prepared.train.keys["recognized"].all()


@pytest.mark.parametrize(
    ("rows", "ratio", "train"), [(10, 0.8, 8), (7, 0.8, 6), (2, 0.5, 1), (2, 0.99, 1), (100, 0.001, 1), (300, 0.8, 240)]
)
def test_split_sizes(rows, ratio, train):
    parts = split(rows, ratio, np.random.default_rng(0))
    assert [len(part) for part in parts] == [train, rows - train]
    assert sorted(np.concatenate(parts)) == list(range(rows))
    assert all((np.diff(part) > 0).all() for part in parts)


def test_the_split_is_random():
    # Each of 10 rows is in training with probability 0.8: 800 of 1,000 times, give or take 12.6 (one deviation).
    generator = np.random.default_rng(0)
    counts = sum(np.bincount(split(10, 0.8, generator)[0], minlength=10) for _ in range(1000))
    assert (abs(counts - 800) < 4 * 12.6).all()


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    folder = kaggle(tmp_path / "in", rows=40)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        prepare(folder, tmp_path / name, "--seed", seed)
    a, b, c = (contents(tmp_path / name / "quickdraw") for name in "abc")
    assert a == b
    assert a["train_keys.csv.gz"] != c["train_keys.csv.gz"]
    assert "image_sample.png" in a


def test_a_class_is_sampled_alike_whatever_other_classes_are_taken(tmp_path):
    folder = kaggle(tmp_path / "in", rows=40, words=("ant", "cat", "dog"))
    every = prepare(folder, tmp_path / "a").train
    some = prepare(folder, tmp_path / "b", "--classes", "dog, cat").train
    assert every.keys["key_id"].tolist()[8:] == some.keys["key_id"].tolist()
    assert some.labels.tolist() == [0] * 8 + [1] * 8


def test_first_takes_the_first_rows(tmp_path):
    prepared = prepare(kaggle(tmp_path / "in", rows=40), tmp_path / "out", "--first", per_class=5)
    keys = [*prepared.train.keys["key_id"], *prepared.test.keys["key_id"]]
    assert sorted(keys) == sorted(f"{word}-{row}" for word in ("cat", "dog") for row in range(5))


def test_classes_from_a_file_size_and_raster(tmp_path):
    (tmp_path / "names.txt").write_text("dog\nant\n\n")
    folder = kaggle(tmp_path / "in", words=("ant", "cat", "dog"))
    flags = ("--classes", tmp_path / "names.txt", "--size", 16, "--raster", "upstream", "--train-ratio", 0.5)
    prepared = prepare(folder, tmp_path / "out", *flags)
    assert prepared.names == ["ant", "dog"]
    assert prepared.train.images.shape == prepared.test.images.shape == (10, 16, 16)


def test_kaggle_and_ndjson_simplified_and_raw_give_the_same_pictures(tmp_path):
    # Raw: ten times as large, moved, with a point in the middle and times; its longer side is 255 once simplified.
    def raw(row):
        return [[[30, 1305, 2580], [70, 70 + 5 * row, 70 + 10 * row], [0, 17, 33]]]

    folders = {
        "a": kaggle(tmp_path / "a-in"),
        "b": ndjson(tmp_path / "b-in"),
        "c": kaggle(tmp_path / "c-in", draw=raw, kind="train_raw"),
        "d": ndjson(tmp_path / "d-in", draw=raw),
    }
    sets = {name: prepare(folder, tmp_path / name) for name, folder in folders.items()}
    for prepared in sets.values():
        np.testing.assert_array_equal(prepared.train.images, sets["a"].train.images)
    assert [sets[name].provenance["simplified_here"] for name in "abcd"] == [False, False, True, True]
    assert [sets[name].provenance["source"] for name in "abcd"] == ["kaggle", "ndjson", "kaggle", "ndjson"]


def test_true_words_become_true_labels(tmp_path):
    folder = kaggle(tmp_path / "in", words=("ant", "cat", "dog"), rows=2)
    shown = {"cat-0": "cat", "cat-1": "dog", "dog-0": "ant", "dog-1": "dog", "ant-0": "ant", "ant-1": "ant"}
    (folder / "truth.csv").write_text("key_id,true_word\n" + "".join(f"{k},{w}\n" for k, w in shown.items()))
    prepared = prepare(folder, tmp_path / "out", "--classes", "cat,dog", per_class=2)
    keys = [*prepared.train.keys.itertuples(), *prepared.test.keys.itertuples()]
    assert {row.key_id: row.true_label for row in keys} == {"cat-0": 0, "cat-1": 1, "dog-0": -1, "dog-1": 1}
    listed = pd.read_csv(tmp_path / "out" / "quickdraw" / "noise.csv", keep_default_na=False)
    wrong = [row for row in prepared.train.keys.itertuples() if row.key_id in ("cat-1", "dog-0")]
    assert listed["row"].tolist() == [row.Index for row in wrong]
    assert listed["true_name"].tolist() == [{"cat-1": "dog", "dog-0": ""}[row.key_id] for row in wrong]


def test_provenance_says_where_it_came_from(tmp_path):
    prepared = prepare(kaggle(tmp_path / "in"), tmp_path / "out", "--seed", 3)
    assert prepared.provenance["synthetic"] is False
    assert "CC BY 4.0" in prepared.provenance["license"]
    assert prepared.provenance["options"]["seed"] == 3
    assert prepared.provenance["counts"] == {"cat": {"train": 8, "test": 2}, "dog": {"train": 8, "test": 2}}


def test_the_sample_goes_the_same_way_and_is_called_synthetic(tmp_path, capsys):
    main(["--source", "sample", "--per-class", "10", "--output", str(tmp_path)])
    prepared = storage.read(tmp_path / "sample")
    labels = np.concatenate([prepared.train.labels, prepared.test.labels])
    true = np.concatenate([prepared.train.keys["true_label"], prepared.test.keys["true_label"]])
    assert len(prepared.names) >= 20
    assert (true != labels).mean() == pytest.approx(0.1)
    assert prepared.provenance["synthetic"] is True
    keys = prepared.train.keys["key_id"].to_numpy()
    manifest = tmp_path / "sample" / "noise.csv"
    known, unchanged = noise.read_manifest(manifest, prepared.train.labels, keys, prepared.names)
    assert known.tolist() == prepared.train.keys["true_label"].tolist()
    assert unchanged.tolist() == prepared.train.labels.tolist()
    assert "noise.csv" in prepared.provenance["sha256"]
    printed = capsys.readouterr().out
    assert "synthetic" in printed
    assert f"./inv train --dataset {tmp_path / 'sample'}" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]  # what was needed on the way is gone


def test_without_a_source_and_data_it_says_the_three_ways(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sources, "DEFAULT_INPUT", tmp_path / "quickdraw_original")
    with pytest.raises(SystemExit) as stop:
        run_command(lambda: main(["--output", str(tmp_path)]))
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    for way in ("./inv prepare --source sample", "./inv prepare --source bucket", "./inv prepare --input FOLDER"):
        assert way in printed


def test_the_default_folder_is_taken_when_it_is_there(monkeypatch, tmp_path):
    monkeypatch.setattr(sources, "DEFAULT_INPUT", kaggle(tmp_path / "quickdraw_original"))
    main(["--output", str(tmp_path / "out"), "--per-class", "10"])
    assert storage.read(tmp_path / "out" / "quickdraw").names == ["cat", "dog"]


@pytest.mark.parametrize(
    ("draw", "fault"),
    [
        (lambda row: [[[0, 1], [0]]], r"cat.csv line 2: stroke 1 has 2 x but 1 y; correct or delete this line"),
        (lambda row: [], r"cat.csv line 2: the drawing has no strokes"),
        (lambda row: [[[0, 256], [0, 0]]], r"cat.csv line 2: coordinates 0 to 256 leave 0 to 255; .* give --raw"),
        (lambda row: [[[0, 9], [-1, 0]]], r"coordinates -1 to 9"),
    ],
)
def test_a_broken_drawing_is_named_and_an_older_set_kept(tmp_path, draw, fault):
    prepare(kaggle(tmp_path / "in"), tmp_path / "out")
    before = contents(tmp_path / "out" / "quickdraw")
    refuses(fault, kaggle(tmp_path / "in", draw=draw), tmp_path / "out")
    assert contents(tmp_path / "out" / "quickdraw") == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["quickdraw"]


def test_a_set_of_another_source_is_replaced_only_where_a_person_names_it(tmp_path, capsys):
    prepare(kaggle(tmp_path / "a"), tmp_path / "out")
    refuses(
        "quickdraw is another set, 20 pictures of 2 classes from kaggle: ", ndjson(tmp_path / "b"), tmp_path / "out"
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["quickdraw"]
    prepare(ndjson(tmp_path / "b"), tmp_path / "out", "--dataset", "quickdraw")
    assert "replaced  the set of that name, 20 pictures of 2 classes from kaggle\n" in capsys.readouterr().out
    (tmp_path / "out" / "quickdraw" / "provenance.json").write_text("[1, 2]")
    refuses("quickdraw is another set, from an unknown source", ndjson(tmp_path / "b"), tmp_path / "out")


def test_what_cannot_be_prepared_is_refused_before_any_picture_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(raster, "render", lambda *_: pytest.fail("work was begun"))
    folder, out = kaggle(tmp_path / "in", rows=10, words=("ant", "cat", "dog")), tmp_path / "out"
    refuses("nowhere is missing", tmp_path / "nowhere", out)
    refuses(
        r"ant has 10 drawings, fewer than --per-class 11 \(3 classes .*\): try --per-class 10",
        folder,
        out,
        per_class=11,
    )
    refuses("at least 2 classes, but there is 1 .cat.", folder, out, "--classes", "cat")
    refuses("--classes is empty: name at least 2 classes", folder, out, "--classes", "")
    refuses("--classes is empty", folder, out, "--classes", " , ")
    refuses("--input is empty: give the folder of the drawings", "", out)
    refuses("--output is empty: give the folder that is to hold the set", folder, "")
    refuses("no class dgo in this source; did you mean dog", folder, out, "--classes", "cat,dgo")
    refuses("--raw|train_raw", folder, out, "--raw")
    refuses("--dataset a/b: give a plain name", folder, out, "--dataset", "a/b")
    (folder / "train_simplified" / "dog.csv").write_text("")
    refuses("dog.csv is empty", folder, out)
    (folder / "train_simplified" / "dog.csv").write_text("a,b\n1,2\n")
    refuses("dog.csv has no columns key_id", folder, out)
    (folder / "train_simplified" / "dog.csv").write_text(HEADER)
    refuses("dog has 0 drawings.*leave the class out", folder, out)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    "flags",
    [
        ("--train-ratio", "1"),
        ("--train-ratio", "nan"),
        ("--size", "0"),
        ("--size", "257"),
        ("--per-class", "1"),
        ("--seed", "-1"),
        ("--raster", "oil"),
        ("--source", "disk"),
        ("--size", "big"),
    ],
)
def test_impossible_settings_are_refused(tmp_path, flags):
    refuses(flags[0], tmp_path, tmp_path, *flags)


def test_the_default_settings_are_the_predecessors():
    settings = PreparationSettings()
    assert (settings.per_class, settings.size, settings.train_ratio) == (300, 32, 0.8)


@pytest.fixture
def small_shards(monkeypatch):
    """Every class a shard of its own, however few drawings it has."""
    monkeypatch.setattr(shards, "ROWS", 1)


def count_drawn(monkeypatch):
    """The labels of classes as they are drawn from here on."""
    drawn = []
    real = quickdraw.draw_shard
    monkeypatch.setattr(quickdraw, "draw_shard", lambda *arguments: (drawn.extend(arguments[-1]), real(*arguments)))
    return drawn


def test_an_interruption_keeps_the_older_set_and_what_was_drawn(tmp_path, monkeypatch, small_shards):
    folder, out = kaggle(tmp_path / "in", words=("ant", "cat", "dog")), tmp_path / "out"
    expected = contents(prepared_folder(folder, tmp_path / "other", "--seed", 1))
    prepare(folder, out)
    before = contents(out / "quickdraw")
    real = quickdraw.draw_shard

    def interrupt(*arguments):
        if 2 in arguments[-1]:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(quickdraw, "draw_shard", interrupt)
        refuses("stopped; .*quickdraw is as it was, and the same command goes on", folder, out, "--seed", 1)
    assert contents(out / "quickdraw") == before
    drawn = count_drawn(monkeypatch)
    assert contents(prepared_folder(folder, out, "--seed", 1)) == expected
    assert drawn == [2]
    assert [path.name for path in out.iterdir()] == ["quickdraw"]


def prepared_folder(folder, output, *flags):
    prepare(folder, output, *flags)
    return output / "quickdraw"


def test_an_interruption_before_anything_is_drawn_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(quickdraw, "draw_shard", interrupt)
    refuses("stopped; .*the same command starts again", kaggle(tmp_path / "in"), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_preparation_goes_on_without_drawing_anything_twice(tmp_path, monkeypatch, processes):
    # 3 classes of 1,300 drawings are a shard: ten shards.
    words = [f"class{number:02}" for number in range(30)]
    folder, out = kaggle(tmp_path / "in", rows=1300, words=words), tmp_path / "out"
    flags = ["--input", folder, "--output", out, "--per-class", 1300, "--size", 64, "--raster", "upstream"]
    command = [sys.executable, quickdraw.__file__, *map(str, flags), "--processes", str(processes)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    marks = out / ".quickdraw.partial" / "shards"
    while len(list(marks.glob("*.shard"))) < 3:
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.wait()
    time.sleep(1)  # the processes that it had started end by themselves
    done = {int(path.stem) for path in marks.glob("*.shard")}
    assert 3 <= len(done) < 10
    changed = folder / "train_simplified" / f"{words[min(done)]}.csv"
    os.utime(changed, (1, 1))  # as if it had been fetched again
    drawn = count_drawn(monkeypatch)
    main([*map(str, flags), "--processes", "1"])
    left = set(range(0, 30, 3)) - done | {min(done)}
    assert sorted(drawn) == sorted(first + more for first in left for more in range(3))
    prepared = storage.read(out / "quickdraw")
    assert prepared.train.keys["key_id"].str.split("-").str[0].tolist() == np.repeat(words, 1040).tolist()
    assert not list((out / "quickdraw").glob(".*"))  # of the files that were begun when the process was killed


@pytest.mark.parametrize("left", [0, 20, 2000])
def test_a_piece_that_the_disk_did_not_keep_whole_is_drawn_again(tmp_path, monkeypatch, small_shards, left):
    folder, out = kaggle(tmp_path / "in", rows=40, words=("ant", "cat")), tmp_path / "out"
    expected = contents(prepared_folder(folder, tmp_path / "other"))
    with monkeypatch.context() as patch:
        patch.setattr(finalize.Assembly, "_in_order", lambda self, finished: (list(finished), 1 / 0))
        with pytest.raises(ZeroDivisionError):
            prepare(folder, out)
    shard = out / ".quickdraw.partial" / "shards" / "1.shard"
    os.truncate(shard, left)
    drawn = count_drawn(monkeypatch)
    assert contents(prepared_folder(folder, out)) == expected
    assert drawn == [1]


def test_a_piece_of_other_content_is_drawn_again(tmp_path, monkeypatch, small_shards):
    folder, out = kaggle(tmp_path / "in", rows=40, words=("ant", "bee", "cat", "dog")), tmp_path / "out"
    monkeypatch.setattr(storage, "RESIDENT", 0)  # the pictures lie in files to map
    expected = contents(prepared_folder(folder, tmp_path / "other"))
    with monkeypatch.context() as patch:
        patch.setattr(finalize.Assembly, "_in_order", lambda self, finished: (list(finished), 1 / 0))
        with pytest.raises(ZeroDivisionError):
            prepare(folder, out)
    scratch = out / ".quickdraw.partial"
    shard = scratch / "shards" / "0.shard"
    data = shard.read_bytes()
    shard.write_bytes(data[:-30] + b"\xff" * 30)  # as large as before
    (scratch / "shards" / "1.shard").write_bytes(b"[1]\n\xff")
    with open(scratch / "ready" / "train_images.npy", "r+b") as file:
        file.seek(-5, 2)  # of the last class
        file.write(b"wrong")
    drawn = count_drawn(monkeypatch)
    assert contents(prepared_folder(folder, out)) == expected
    assert drawn == [0, 1, 3]
    (out / ".quickdraw.partial").mkdir()
    (out / ".quickdraw.partial" / "plan.json").write_bytes(b"\xff\xfe")
    assert contents(prepared_folder(folder, out)) == expected


def test_two_processes_make_the_same_bytes_as_one(tmp_path, small_shards):
    folder = kaggle(tmp_path / "in", rows=40, words=("ant", "cat", "dog"))
    one, two = (prepared_folder(folder, tmp_path / count, "--processes", count) for count in "12")
    assert contents(one) == contents(two)


def test_a_broken_line_found_by_another_process_is_named(tmp_path):
    folder = kaggle(tmp_path / "in", rows=40, draw=lambda row: [])
    refuses(r"line 2: the drawing has no strokes", folder, tmp_path / "out", "--first", "--processes", "2")


def test_two_preparations_of_one_set_do_not_mix(tmp_path):
    folder, out = kaggle(tmp_path / "in"), tmp_path / "out"
    (out / ".quickdraw.partial").mkdir(parents=True)
    with FileLock(out / ".quickdraw.partial" / ".lock"):
        refuses("quickdraw: another preparation of it is going on", folder, out)


def test_a_disk_that_is_too_small_is_known_before_anything_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=20_000))
    refuses("20,480 bytes are needed and 20,000 are free", kaggle(tmp_path / "in"), tmp_path / "out")


def test_a_set_too_large_for_memory_is_left_as_a_file_to_map(tmp_path, monkeypatch):
    folder = kaggle(tmp_path / "in", rows=40)
    small = prepare(folder, tmp_path / "a", per_class=40).train
    monkeypatch.setattr(storage, "RESIDENT", 20_000)  # test has 16 x 1,024 bytes of pictures, train 64 x 1,024
    large = prepare(folder, tmp_path / "b", per_class=40).train
    assert isinstance(large.images, np.memmap)
    np.testing.assert_array_equal(large.images, small.images)
    assert large.keys.equals(small.keys)
    files = {path.name for path in (tmp_path / "b" / "quickdraw").iterdir()}
    assert {"train_images.npy", "test_images.pkl.gz"} < files
    monkeypatch.undo()
    prepare(folder, tmp_path / "b", per_class=40)  # a smaller one takes its place whole
    assert not (tmp_path / "b" / "quickdraw" / "train_images.npy").exists()


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_keeps_the_older_set(tmp_path):
    # A limit on the size of a file stands in for the disk: the write fails half-way, as on a disk that fills up.
    folder = kaggle(tmp_path / "in", rows=60)
    prepare(folder, tmp_path / "out")
    before = contents(tmp_path / "out" / "quickdraw")
    script = Path(quickdraw.__file__)
    command = [sys.executable, script, "--input", folder, "--output", tmp_path / "out", "--per-class", "60"]
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))  # noqa: E731
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, cwd="/")
    assert done.returncode == 2
    assert re.fullmatch("error: .*File too large; .*quickdraw is as it was.*", done.stderr.splitlines()[-1])
    assert "Traceback" not in done.stderr
    assert contents(tmp_path / "out" / "quickdraw") == before


@needs_shared
def test_real_drawings_through_every_folder_give_the_same_pictures(tmp_path):
    flags = ("--first", "--classes", "cat,paint can")
    sets = {
        "kaggle": prepare(QUICKDRAW, tmp_path / "a", "--source", "kaggle", *flags),
        "ndjson": prepare(QUICKDRAW / "simplified_ndjson", tmp_path / "b", *flags),
        "raw": prepare(QUICKDRAW / "raw_ndjson", tmp_path / "c", *flags),
    }
    np.testing.assert_array_equal(sets["kaggle"].train.images, sets["ndjson"].train.images)
    assert sets["kaggle"].train.keys["key_id"].tolist() == sets["ndjson"].train.keys["key_id"].tolist()
    assert sets["raw"].provenance["simplified_here"]
    assert 0.05 < sets["raw"].train.images.mean() / 255 < 0.2


def broken(folder):
    """Three classes of 12 drawings, of which cat has two that cannot be read and dog has one."""
    kaggle(folder, rows=12, words=("ant", "cat", "dog"))
    for word, rows in (("cat", (0, 5)), ("dog", (11,))):
        path = folder / "train_simplified" / f"{word}.csv"
        lines = path.read_text().splitlines(keepends=True)
        for row in rows:
            lines[1 + row] = lines[1 + row].replace("[[[0, 255]", "[[[true, 255]")
        path.write_text("".join(lines))
    return folder


def test_broken_drawings_are_left_out_when_asked_and_listed(tmp_path, capsys, monkeypatch, small_shards):
    folder, out = broken(tmp_path / "in"), tmp_path / "out"
    refuses(r"cat.csv line \d+: stroke 1 has coordinates that are not numbers; .*--skip-broken", folder, out)
    prepared = prepare(folder, out, "--skip-broken")
    assert prepared.provenance["counts"] == {word: {"train": 8, "test": 2} for word in ("ant", "cat", "dog")}
    assert prepared.provenance["left_out"] == {"broken": 3}
    listed = pd.read_csv(out / "quickdraw" / "left_out.csv")
    assert [(Path(file).name, line) for file, line in zip(listed["file"], listed["line"], strict=True)] == [
        ("cat.csv", "line 2"), ("cat.csv", "line 7"), ("dog.csv", "line 13")
    ]  # fmt: skip
    assert "left out  3 broken drawings, listed in left_out.csv: " in capsys.readouterr().out
    expected = contents(out / "quickdraw")
    with monkeypatch.context() as patch:
        patch.setattr(finalize.Assembly, "_in_order", lambda self, finished: (list(finished), 1 / 0))
        with pytest.raises(ZeroDivisionError):
            prepare(folder, tmp_path / "again", "--skip-broken", "--processes", 2)
    assert contents(prepared_folder(folder, tmp_path / "again", "--skip-broken")) == expected
    prepare(kaggle(tmp_path / "in", rows=12, words=("ant", "cat", "dog")), out)
    assert not (out / "quickdraw" / "left_out.csv").exists()
    refuses(
        r"cat.csv has 10 drawings \(2 are broken, .*\), but 11 are asked for: lower --per-class",
        broken(tmp_path / "in"), out, "--skip-broken", per_class=11,
    )  # fmt: skip


def test_copies_are_counted_and_named(tmp_path, capsys):
    # Of each class rows 0 and 20 are one drawing; dog's are cat's too.
    folder = kaggle(tmp_path / "in", rows=21, draw=lambda row: drawing(row % 20 * 10))
    prepare(folder, tmp_path / "out", per_class=21)
    (said,) = re.findall("copies .*", capsys.readouterr().out)
    assert re.search(r"pictures equal to an earlier one: 1 of the same class \(cat-2?0 and cat-2?0\)", said)
    assert re.search(r", 21 of another class \(cat-\d+ and dog-\d+\)", said)
    prepare(kaggle(tmp_path / "in", words=("cat", "dog"), draw=drawing), tmp_path / "out", "--classes", "cat,dog")
    assert "of the same class" not in capsys.readouterr().out


def test_a_key_that_a_class_has_twice_is_refused_and_one_of_two_classes_is_made_two(tmp_path, capsys):
    folder = kaggle(tmp_path / "in", words=("cat", "dog"))
    cat, dog = (folder / "train_simplified" / f"{word}.csv" for word in ("cat", "dog"))
    dog.write_text(dog.read_text().replace("dog-3,", "cat-3,").replace("dog-4,", "cat-4,"))
    for flags in ((), ("--processes", 2)):
        prepared = prepare(folder, tmp_path / "out", *flags)
        keys = [*prepared.train.keys["key_id"], *prepared.test.keys["key_id"]]
        assert len(set(keys)) == 20
        assert {key for key in keys if "/" in key} == {"cat/cat-3", "cat/cat-4", "dog/cat-3", "dog/cat-4"}
        assert "key ids   2 are those of drawings of several classes" in capsys.readouterr().out
    cat.write_text(cat.read_text().replace("cat-7,", "cat-2,"))
    refuses(
        r"cat: key_id cat-2 is in .*cat.csv line 4 and in .*cat.csv line 9, .*--skip-broken", folder, tmp_path / "out"
    )


LISTS = [
    b"\xef\xbb\xbfcat\r\ndog\r\n",
    "cat\ndog\n".encode("utf-16"),
    b"# two of them\n\ncat,\ndog,,\n\n",
    b"dog\ncat\ndog\n",
    b'"cat"\n"dog"\n',
    b"dog,cat",
]


@pytest.mark.parametrize("text", LISTS)
def test_lists_of_classes_as_people_save_them(tmp_path, text):
    (tmp_path / "names").write_bytes(text)
    folder = kaggle(tmp_path / "in", words=("ant", "cat", "dog"))
    assert prepare(folder, tmp_path / "out", "--classes", tmp_path / "names").names == ["cat", "dog"]


def test_names_that_look_the_same_are_one_in_a_list_and_commas_may_be_part_of_one(tmp_path, capsys):
    folder = ndjson(tmp_path / "in", words=("cat", "salt, pepper", "Cat"))
    (tmp_path / "names").write_text("\uff43at\nsalt, pepper\ncat\nCat\n", encoding="utf-8")
    assert prepare(folder, tmp_path / "out", "--classes", tmp_path / "names").names == ["Cat", "cat", "salt, pepper"]
    said = capsys.readouterr().err
    assert "'cat', '\\uff43at' are one class, cat" in said
    assert said.count("Cat and cat differ by capitals alone and are 2 classes") == 1


def test_a_list_of_classes_that_is_no_plain_file_is_refused(tmp_path):
    folder = kaggle(tmp_path / "in")
    os.mkfifo(tmp_path / "pipe")
    refuses("pipe is a named pipe", folder, tmp_path / "out", "--classes", tmp_path / "pipe")
    refuses("in is a folder", folder, tmp_path / "out", "--classes", folder)
    refuses("there is no class ~x", folder, tmp_path / "out", "--classes", "~x," + "x" * 5000)
