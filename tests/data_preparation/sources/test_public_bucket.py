"""The public bucket, against a local server that speaks Cloud Storage, counts what it sends and can fail."""

import json
import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest

from project.data_preparation.quickdraw import main
from project.data_preparation.sources.bucket import WINDOWS, Bucket, place_windows
from project.work.common import UserError
from project.work.dataset import storage


def ndjson(rows, extra=lambda row: 300, recognized=lambda row: True):
    """Rows with key ids 0, 1, 2 ..., each lengthened by so many bytes."""
    base = {"word": "cat", "countrycode": "US", "drawing": [[[0, 255], [0, 9]]]}
    lines = (base | {"key_id": str(row), "recognized": recognized(row), "pad": "." * extra(row)} for row in range(rows))
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


class Handler(BaseHTTPRequestHandler):
    """Lists objects and serves byte ranges of them, as the JSON API does."""

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        if "quickdraw_dataset/o" not in url.path:
            return self.answer(404, b"{}")  # the client asks for the bucket itself in passing and minds no refusal
        self.server.requests.append(url.path)
        if self.server.faults:
            return self.answer(self.server.faults.pop(), b"{}")
        if url.path == "/storage/v1/b/quickdraw_dataset/o":
            names = [name for name in self.server.objects if name.startswith(query["prefix"][0])]
            items = [{"name": name, "size": str(len(self.server.objects[name]))} for name in names]
            return self.answer(200, json.dumps({"items": items}).encode())
        name = urllib.parse.unquote(url.path.removeprefix("/download/storage/v1/b/quickdraw_dataset/o/"))
        data = self.server.objects.get(name)
        if data is None or name in self.server.gone:
            return self.answer(404, b"{}")
        start, end = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["range"]).groups())
        part = data[start : end + 1]
        self.server.sent += len(part)
        return self.answer(206, part, {"Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(data)}"})

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in dict(headers, **{"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.objects, server.gone, server.faults, server.requests, server.sent = {}, set(), [], [], 0
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


def read(bucket, *arguments):
    return pd.concat([pd.DataFrame(piece.keys) for piece in bucket.read(*arguments)])


class LocalBucket(Bucket):
    """The bucket without the network, for what takes thousands of reads."""

    def __init__(self, data, **options):
        super().__init__(**options)
        self.data, self._sizes = data, {"cat": len(data)}

    def _fetch(self, word, start, stop):
        return self.data[start:stop]


class Fixed:
    """A generator that draws what it is told."""

    def __init__(self, value):
        self.value = value

    def integers(self, size):
        return self.value


def test_a_row_is_covered_by_as_many_windows_however_long_it_is():
    # Over all starts of the windows each row is met exactly WINDOWS x width times: the probability is the same for all.
    data = ndjson(12, extra=lambda row: 5 if row % 3 else 200)
    bucket, width = LocalBucket(data), 37
    met = np.zeros(12, int)
    for first in range(len(data)):
        for start, stop in place_windows(len(data), width, Fixed(first)):
            for _, line in bucket._lines("cat", start, stop):
                met[int(json.loads(line)["key_id"])] += 1
    assert (met == WINDOWS * width).all()


def test_lines_are_whole_and_said_to_stand_where_they_stand():
    data = ndjson(40, extra=lambda row: 9000 if row == 7 else 50)  # longer than what is read past a window
    lines = list(LocalBucket(data)._lines("cat", 0, len(data)))
    assert [line for _, line in lines] == data.splitlines()
    first = dict(list(LocalBucket(data)._lines("cat", lines[7][0], lines[7][0] + 1)))
    assert first == {lines[7][0]: data.splitlines()[7]}


@pytest.mark.slow
def test_long_and_short_rows_are_drawn_equally_often():
    # Half of 4,000 rows is ten times as long. Of 300 x 40 draws half are long, give or take 0.0046 (one deviation).
    long = np.random.default_rng(5).permutation(4000) < 2000
    bucket = LocalBucket(ndjson(4000, extra=lambda row: 1000 if long[row] else 0))
    tables = [read(bucket, "cat", 40, np.random.default_rng(seed)) for seed in range(300)]
    drawn = np.concatenate([table["key_id"].astype(int) for table in tables])
    assert all(table["key_id"].is_unique and len(table) == 40 for table in tables)
    assert long[drawn].mean() == pytest.approx(0.5, abs=0.015)


def test_a_sample_reads_only_what_it_needs(server):
    server.objects["full/simplified/cat.ndjson"] = ndjson(20_000)
    table = read(Bucket(), "cat", 100, np.random.default_rng(0))
    assert len(table) == 100
    assert table["key_id"].is_unique
    assert table["key_id"].astype(int).is_monotonic_increasing
    assert server.sent < 0.03 * len(server.objects["full/simplified/cat.ndjson"])


@pytest.mark.slow
def test_from_the_bucket_to_a_prepared_set(server, tmp_path):
    for word in ("cat", "dog"):
        server.objects[f"full/simplified/{word}.ndjson"] = ndjson(200)
        server.objects[f"full/raw/{word}.ndjson"] = ndjson(200)
    for name, flags in (("simplified", []), ("raw", ["--raw"])):
        main(["--source", "bucket", "--per-class", "20", "--output", str(tmp_path), "--dataset", name, *flags])
    prepared, raw = storage.read(tmp_path / "simplified"), storage.read(tmp_path / "raw")
    assert prepared.names == ["cat", "dog"]
    assert prepared.train.images.shape == (32, 32, 32)
    assert prepared.provenance["source"] == "bucket"
    assert raw.provenance["simplified_here"]
    assert raw.train.images.any()


def test_an_unknown_class_is_refused_before_anything_is_read(server, tmp_path):
    server.objects["full/simplified/cat.ndjson"] = ndjson(200)
    with pytest.raises(UserError, match="no class cta in this source; did you mean cat"):
        main(["--source", "bucket", "--classes", "cta,cat", "--output", str(tmp_path)])
    assert server.sent == 0


def test_the_first_rows_are_read_from_the_head(server):
    server.objects["full/simplified/cat.ndjson"] = ndjson(20_000)
    assert read(Bucket(), "cat", 50, None)["key_id"].tolist() == [str(row) for row in range(50)]
    assert server.sent < 0.01 * len(server.objects["full/simplified/cat.ndjson"])


def test_the_same_seed_draws_the_same_rows(server):
    server.objects["full/simplified/cat.ndjson"] = ndjson(3000)
    first, again, other = (read(Bucket(), "cat", 30, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_recognized_rows_are_searched_for_until_there_are_enough(server):
    server.objects["full/simplified/cat.ndjson"] = ndjson(3000, recognized=lambda row: row % 20 == 0)
    table = read(Bucket(recognized=True), "cat", 100, np.random.default_rng(0))
    assert (table["key_id"].astype(int) % 20 == 0).all()
    assert table["recognized"].all()


def test_words_are_the_objects_of_the_kind_asked_for(server):
    for name in ("full/simplified/dog.ndjson", "full/simplified/cat.ndjson", "full/raw/The Eiffel Tower.ndjson"):
        server.objects[name] = ndjson(3)
    assert Bucket().words() == ["cat", "dog"]
    assert Bucket(raw=True).words() == ["The Eiffel Tower"]
    assert len(read(Bucket(raw=True), "The Eiffel Tower", 2, None)) == 2


def test_a_failure_in_passing_is_tried_again(server):
    server.objects["full/simplified/cat.ndjson"] = ndjson(10)
    server.faults = [503]
    assert Bucket().words() == ["cat"]
    assert len(server.requests) == 2
    server.faults = [503]
    assert len(read(Bucket(), "cat", 5, None)) == 5


def test_a_class_that_vanished(server):
    server.objects["full/simplified/cat.ndjson"] = ndjson(10)
    server.gone = {"full/simplified/cat.ndjson"}
    with pytest.raises(UserError, match=r"gs://quickdraw_dataset/full/simplified/cat.ndjson is not there"):
        read(Bucket(), "cat", 2, None)


def test_fewer_rows_than_asked(server):
    server.objects["full/simplified/cat.ndjson"] = ndjson(10)
    for generator in (None, np.random.default_rng(0)):
        with pytest.raises(UserError, match=r"cat.ndjson has 10 drawings, but 11 are asked for: lower --per-class"):
            read(Bucket(), "cat", 11, generator)


def test_a_broken_row_is_named_by_its_place(server):
    data = ndjson(3)
    server.objects["full/simplified/cat.ndjson"] = data + b"{broken\n"
    with pytest.raises(UserError, match=f"cat.ndjson byte {len(data)}: not JSON"):
        read(Bucket(), "cat", 4, None)


def test_broken_rows_are_left_out_when_asked(server):
    data = ndjson(30).splitlines(keepends=True)
    data[3], data[7] = b"{broken\n", data[7].replace(b"[0, 255]", b"[true, 255]")
    server.objects["full/simplified/cat.ndjson"] = b"".join(data)
    for generator in (None, np.random.default_rng(0)):
        (rows,) = Bucket(skip_broken=True).read("cat", 28, generator)
        assert rows.keys["key_id"].tolist() == [str(row) for row in range(30) if row not in (3, 7)]
        at = [len(b"".join(data[:row])) for row in (3, 7)]
        assert [left.line for left in rows.left_out] == [f"byte {place}" for place in at]


def test_no_network(monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    with pytest.raises(
        UserError, match=r"cannot be reached .ConnectionError.: check the network, or use --source sample"
    ):
        Bucket(patience=0.5).words()
