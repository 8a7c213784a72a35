"""Whatever Google does, a row arrives once or waits, no run fails, and no secret is in any text."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reporting import KEY, quick, refused, result
from stand_ins.google import Google

from project.work.reporter.sheet import waiting

pytestmark = pytest.mark.slow

APPEND = "POST /v4/spreadsheets/the-key/values/'Sheet1'!A1:append"
STEPS = {
    "token": "POST /token",
    "title": "GET /drive/v3/files",
    "tab": "GET /v4/spreadsheets/the-key",
    "cells": "GET /v4/spreadsheets/the-key/values/",
    "width": "POST /v4/spreadsheets/the-key:batchUpdate",
    "header": "PUT /v4/",
    "row": APPEND,
}
PASSING = [408, 429, 500, 502, 503, 504, "reset", "silence"]


@pytest.mark.parametrize("how", PASSING)
@pytest.mark.parametrize("carried_out", [False, True])
def test_a_row_whose_fate_is_unknown_is_there_once(
    google: Google, make_sheet: Callable, tmp_path: Path, how: int | str, carried_out: bool
) -> None:
    sheet = google.add(key=KEY)
    google.fail(how, where=APPEND, carried_out=carried_out and how != 429)  # 429 says that nothing was done
    google.fail(how, where=APPEND, carried_out=carried_out and how != 429)
    make_sheet().write(result(tmp_path, "a"))
    make_sheet().write(result(tmp_path, "b"))
    assert sorted(sheet.uuids()) == ["a", "b"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("how", [429, 500, "reset"])
def test_a_failure_that_passes_delays_a_run_at_any_step(
    google: Google, make_sheet: Callable, tmp_path: Path, step: str, how: int | str
) -> None:
    sheet = google.add("Runs", key=KEY)
    google.fail(how, where=STEPS[step], times=2 if step != "token" else 1, carried_out=step == "width")
    make_sheet(sheet_title="Runs").write(result(tmp_path, "a", **{f"column_{number}": 1 for number in range(20)}))
    assert sheet.uuids() == ["a"]
    assert len(sheet.cells) == 2


@pytest.mark.parametrize("body", [b"", b"<html>Sign in to the network</html>", {}, {"updates": {"updatedRows": 9}}, []])
@pytest.mark.parametrize("step", ["cells", "row"])
def test_an_answer_that_makes_no_sense_is_not_believed(
    google: Google, make_sheet: Callable, tmp_path: Path, step: str, body: Any
) -> None:
    sheet = google.add(key=KEY)
    make_sheet().write(result(tmp_path, "a"))
    google.fail(200, where=STEPS[step], body=body, carried_out=step == "row")
    make_sheet().write(result(tmp_path, "b"))
    assert sheet.uuids() == ["a", "b"]


def test_a_service_that_stays_over_quota_is_left_alone_when_the_time_is_up(
    google: Google, make_sheet: Callable, tmp_path: Path
) -> None:
    sheet = google.add(key=KEY)
    google.fail(429, where="/v4/", times=10**6)
    begun = time.monotonic()
    said = refused(make_sheet(patience=quick(seconds=1.0, first=0.1, longest=0.2)), tmp_path, "a")
    assert 0.9 < time.monotonic() - begun < 10
    assert said.startswith("over Google's quota of requests a minute; when that has passed: ./inv report --output=")
    assert 4 <= len(google.said("/v4/")) <= 20
    google.faults.clear()
    assert make_sheet().send_all().added == 1
    assert sheet.uuids() == ["a"]
    assert list(tmp_path.glob(f"*/{waiting.FILE}")) == []


def test_pauses_double_up_to_a_limit_and_differ_between_runs() -> None:
    clock, pauses = [0.0], []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock[0] += seconds

    def attempt() -> None:
        raise waiting_failure

    from project.work.machine.patience import Passing, Patience

    for draw, expected in ((0.5, [1, 2, 4, 8, 16, 16, 16, 2]), (0.0, [0.5, 1, 2, 4, 8, 8, 8, 8, 8, 8, 8, 1.5])):
        clock[0], pauses[:] = 0.0, []
        waiting_failure = Passing("no")
        patience = Patience(65.0, clock=lambda: clock[0], sleep=sleep, draw=lambda draw=draw: draw)
        patience.start()
        with pytest.raises(Passing):
            patience.insist(attempt)
        assert pauses == expected
        assert clock[0] == 65.0  # the last attempt is made when the time is up


def test_a_server_that_asks_for_time_is_given_it(google: Google, make_sheet: Callable, tmp_path: Path) -> None:
    sheet = google.add(key=KEY)
    google.fail(429, where="/values/", headers={"Retry-After": "1"})
    begun = time.monotonic()
    make_sheet().write(result(tmp_path, "a"))
    assert time.monotonic() - begun > 1
    google.fail(503, where="/values/", headers={"Retry-After": "3600"})
    begun = time.monotonic()
    assert "Google is in trouble (503)" in refused(make_sheet(), tmp_path, "b")
    assert time.monotonic() - begun < 10  # an hour is more than there is, so it does not wait at all
    assert sheet.uuids() == ["a"]


def test_an_answer_that_never_ends_holds_no_run(google: Google, make_sheet: Callable, tmp_path: Path) -> None:
    google.add(key=KEY)
    google.fail("drip", where="/values/", times=10**6)
    begun = time.monotonic()
    assert "no whole answer in 1 s" in refused(make_sheet(patience=quick(seconds=0.4, answer=0.3)), tmp_path, "a")
    assert time.monotonic() - begun < 10


def test_nobody_answers(make_sheet: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_SHEETS", "http://127.0.0.1:9")
    said = refused(make_sheet(patience=quick(seconds=0.3)), tmp_path, "a")
    assert said.startswith("no answer from Google (ConnectionError); when that has passed: ./inv report")


def test_no_text_holds_a_secret(
    google: Google, make_sheet: Callable, tmp_path: Path, key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    google.add(key=KEY)
    said = []
    for how in (400, 401, 403, 404, 500, "reset", "silence"):
        google.fail(how, where="/v4/", times=100, body={"error": {"code": how, "message": "no"}})
        said.append(refused(make_sheet(patience=quick(seconds=0.1, answer=0.1)), tmp_path, f"run-{how}"))
        google.faults.clear()
    make_sheet().write(result(tmp_path, "last"))
    private = json.loads(key_file.read_text())["private_key"].splitlines()[1]
    texts = "\n".join([*said, caplog.text, *(request.path for request in google.requests)])
    texts += "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file() and path != key_file)
    assert len(google.tokens) > 7
    assert not [secret for secret in (private, *google.tokens) if secret in texts]
