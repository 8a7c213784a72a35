"""Each run is one row of the sheet, in the right form and place, at the cost of few requests."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from reporting import KEY, result
from stand_ins.google import Google

from project.work.reporter.result import SHEET_COLUMNS
from project.work.reporter.sheet import waiting


def asked(google: Google) -> list[str]:
    """What was asked of Sheets: method and the end of the path."""
    paths = [(request.method, request.path.partition(KEY)[2]) for request in google.said("/v4/")]
    return [f"{method} {path.removeprefix('/values/')}" for method, path in paths]


def test_the_first_run_leaves_a_header_and_its_row(google: Google, make_sheet: Callable, tmp_path: Path) -> None:
    sheet = google.add(key=KEY)
    more = {f"column_{number}": number for number in range(20)}
    said = make_sheet().write(result(tmp_path, "a", **more))
    assert said == f"row in https://docs.google.com/spreadsheets/d/{KEY}"
    assert sheet.header == [*SHEET_COLUMNS, "dataset", "seconds", "finished", *more]
    assert sheet.columns == len(sheet.header)  # a new sheet ends at the 26th
    assert len(sheet.cells) == 2
    assert sheet.rows()[0]["column_19"] == 19


def test_numbers_are_numbers_and_nothing_else_looks_like_one(
    google: Google, make_sheet: Callable, tmp_path: Path
) -> None:
    sheet = google.add(key=KEY)
    values = {
        "lr": np.float32(0.25),
        "epoch": np.int64(14),
        "weight_decay": 1e-05,
        "mixup": np.bool_(True),
        "distillation": False,
        "best_train_accuracy": float("nan"),
        "best_valid_accuracy": float("-inf"),
        "softmax_temperature": None,
        "git_revision": "12e45678",
        "data_digest": "1234e5678901",
        "device": "=1+1",
        "dataset": "007",
    }
    make_sheet().write(result(tmp_path, "123456789012", **values))
    (row,) = sheet.rows()
    found = {name: row[name] for name in ("uuid", *values)}
    assert found == {
        "uuid": "123456789012",
        "lr": 0.25,
        "epoch": 14,
        "weight_decay": 1e-05,
        "mixup": True,
        "distillation": False,
        "best_train_accuracy": None,
        "best_valid_accuracy": None,
        "softmax_temperature": None,
        "git_revision": "12e45678",
        "data_digest": "1234e5678901",
        "device": "=1+1",
        "dataset": "007",
    }
    assert [type(found[name]) for name in ("lr", "epoch", "mixup", "distillation")] == [float, int, bool, bool]


def test_rows_sent_later_from_the_table_are_the_same_as_rows_sent_at_once(
    google: Google, make_sheet: Callable, tmp_path: Path
) -> None:
    sheet = google.add(key=KEY)
    values = {"lr": np.float64(0.1), "mixup": True, "best_test_accuracy": float("nan"), "oof_logits": None}
    make_sheet().write(result(tmp_path, "a", **values))
    at_once = sheet.rows()
    sheet.cells.clear()
    make_sheet().send_all()
    assert sheet.rows() == at_once


def test_a_run_costs_three_requests(google: Google, make_sheet: Callable, tmp_path: Path) -> None:
    google.add(key=KEY)
    make_sheet().write(result(tmp_path, "a"))
    google.requests.clear()
    make_sheet().write(result(tmp_path, "b"))
    assert asked(google) == ["GET ", "GET 'Sheet1'", "POST 'Sheet1'!A1:append"]
    assert google.said("/drive/") == []


def test_a_run_that_reports_again_replaces_its_row_and_leaves_a_persons_cells(
    google: Google, make_sheet: Callable, tmp_path: Path
) -> None:
    sheet = google.add(key=KEY, tab="Bob's runs")
    sheet.cells = [["note", "best_test_accuracy", "uuid"], ["mine", 0.5, "x"], ["see the curve", 0.1, "a"]]
    make_sheet().write(result(tmp_path, "a", finished="11:00", best_test_accuracy=0.75, lr=float("nan")))
    make_sheet().write(result(tmp_path, "b"))
    make_sheet().write(result(tmp_path, "a", finished="12:00", best_test_accuracy=0.8, lr=float("nan")))
    assert sheet.cells[0][:3] == ["note", "best_test_accuracy", "uuid"]
    assert set(SHEET_COLUMNS) < set(sheet.header)
    found = [(row["note"], row["best_test_accuracy"], row["uuid"], row["lr"]) for row in sheet.rows()]
    assert found == [("mine", 0.5, "x", None), ("see the curve", 0.8, "a", None), (None, 1, "b", 1)]


def test_columns_that_are_new_are_added_at_the_end(google: Google, make_sheet: Callable, tmp_path: Path) -> None:
    sheet = google.add(key=KEY)
    make_sheet().write(result(tmp_path, "a"))
    before = list(sheet.header)
    make_sheet().write(result(tmp_path, "b", **{f"later_{number}": number for number in range(10)}))
    assert sheet.header == before + [f"later_{number}" for number in range(10)]
    assert [row["later_9"] for row in sheet.rows()] == [None, 9]


def test_the_sheet_is_found_by_title_or_by_its_address(google: Google, make_sheet: Callable, tmp_path: Path) -> None:
    odd = 'Bob\'s "best" \\ runs'
    sheets = {title: google.add(title) for title in ("Experiment", odd, "Third")}
    google.add("experiment")
    google.add("Experiment", trashed=True)
    google.add("Experiment", shared={"somebody@else.com": "writer"})
    make_sheet(sheet_title="Experiment").write(result(tmp_path, "a"))
    make_sheet(sheet_title=odd).write(result(tmp_path, "b"))
    address = "https://docs.google.com/spreadsheets/d/key-2/edit?usp=sharing#gid=0"
    make_sheet(sheet_key=address).write(result(tmp_path, "c"))
    assert [sheet.uuids() for sheet in sheets.values()] == [["a"], ["b"], ["c"]]


def test_a_row_waits_from_before_the_first_attempt_and_goes_out_with_the_next_run(
    google: Google, make_sheet: Callable, tmp_path: Path
) -> None:
    sheet = google.add(key=KEY)
    for uuid in ("killed", "elsewhere"):  # as a process leaves them that dies while it reports
        folder = result(tmp_path, uuid).folder
        waiting.add(folder, uuid, KEY if uuid == "killed" else '"Other sheet"', "10:00")
    make_sheet().write(result(tmp_path, "next"))
    assert sorted(sheet.uuids()) == ["killed", "next"]
    assert [mark.parent.name for mark in tmp_path.glob(f"*/{waiting.FILE}")] == ["base-elsewhere"]


def test_report_sends_what_the_sheet_lacks_in_one_request(google: Google, make_sheet: Callable, tmp_path: Path) -> None:
    sheet = google.add(key=KEY)
    for number in range(30):
        result(tmp_path, f"run-{number}")
    make_sheet().write(result(tmp_path, "first"))
    result(tmp_path, "first", finished="later")
    google.requests.clear()
    sent = make_sheet().send_all()
    assert (sent.added, sent.updated) == (30, 1)
    assert asked(google) == ["GET ", "GET 'Sheet1'", "PUT 'Sheet1'!A2", "POST 'Sheet1'!A1:append"]
    assert sorted(sheet.uuids()) == sorted(["first", *(f"run-{number}" for number in range(30))])
    again = make_sheet().send_all()
    assert (again.added, again.updated) == (0, 0)
    assert len(sheet.cells) == 32
