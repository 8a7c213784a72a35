"""Training and ./inv report as a person starts them: the run succeeds whatever Google does, and says what to do."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import processes
import pytest
from reporting import KEY, result
from stand_ins.account import EMAIL
from stand_ins.google import Google
from stand_ins.slack import CHANNEL, TOKEN, Slack

from project.work.common import ROOT
from project.work.reporter.reporter import write_result
from project.work.reporter.result import Result
from project.work.reporter.sheet import waiting
from project.work.reporter.table.result_table import ResultTable

pytestmark = pytest.mark.slow

ONE_EPOCH = ("--epoch=1", "--batch-size=32", "--device=cpu")


def report(*words: object, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "project/work/reporter/sheet/resend.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | environment)


def test_a_run_succeeds_while_google_is_down_and_its_row_is_sent_later(
    google: Google, key_file: Path, prepared: Path, tmp_path: Path
) -> None:
    sheet = google.add("Experiment")
    google.fail(503, where="/v4/", times=10**6)
    place, log = (f"--output={tmp_path}", f"--credential-path={key_file}"), tmp_path / "log"
    words = (f"--dataset={prepared}", "--uuid=a", "--report-patience=0.2", *ONE_EPOCH, *place)
    first = processes.fork_main(log, *words)
    assert processes.finish(first) == 0
    warning = [line for line in log.read_text().splitlines() if line.startswith("warning: ")]
    command = f"./inv report {' '.join(place)}"
    assert warning == [f"warning: Google is in trouble (503); when that has passed: {command}"]
    assert f'the row for the sheet "Experiment" waits in {tmp_path / "results.csv"}' in log.read_text()
    google.faults.clear()
    sent = report(*command.split()[2:])
    url = "https://docs.google.com/spreadsheets/d/key-0"
    assert sent.stdout == f"{url}: 1 rows added, 0 brought up to date, 0 were there\n"
    assert (sent.returncode, sent.stderr) == (0, "")
    (row,) = sheet.rows()
    assert (row["uuid"], row["epoch"], row["mixup"], row["method"]) == ("a", 1, False, "base")
    assert 0 < row["best_test_accuracy"] <= 1
    assert len(sheet.header) > 40


def test_a_run_that_is_resumed_reports_where_it_was_told_to_and_once(
    google: Google, key_file: Path, prepared: Path, tmp_path: Path
) -> None:
    sheet, log = google.add(key=KEY), tmp_path / "log"
    words = [f"--dataset={prepared}", f"--output={tmp_path}", f"--sheet-key={KEY}", f"--credential-path={key_file}"]
    assert processes.finish(processes.fork_main(log, "--uuid=a", *ONE_EPOCH, *words)) == 0
    (before,) = sheet.rows()
    assert processes.finish(processes.fork_main(log, "--resume=a", f"--output={tmp_path}")) == 0
    (after,) = sheet.rows()
    assert log.read_text().count(f"row in https://docs.google.com/spreadsheets/d/{KEY}") == 2
    assert after["best_test_accuracy"] == before["best_test_accuracy"]


def test_a_run_tells_slack_and_keeps_the_token_to_itself(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    with Slack() as slack:
        for name, value in {"BOT_TOKEN": TOKEN, "CHANNEL": CHANNEL, "API_URL": f"{slack.url}/api"}.items():
            monkeypatch.setenv(f"SLACK_{name}", value)
        words = (f"--dataset={prepared}", f"--output={tmp_path}", "--uuid=a", *ONE_EPOCH)
        assert processes.finish(processes.fork_main(log, *words)) == 0
    (message,) = slack.messages
    assert re.fullmatch(rf"\*base-a\*: [\d.]+% top-1 on the test split of {prepared}, \d+ s", message["text"])
    assert message["picture"] == (tmp_path / "base-a" / "curve.png").read_bytes()
    assert TOKEN not in log.read_text()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_without_a_key_file_nothing_of_google_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from project.work.settings.groups import Settings; "
        "from project.work.reporter.reporter import destinations; "
        "found = destinations(Settings(), pathlib.Path(sys.argv[1])); print(len(found), "
        "sorted(set(sys.modules) & {'gspread', 'oauth2client', 'google.auth', 'requests', 'urllib3', 'torch'}))"
    )
    said = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert said.stdout == "3 []\n"


def test_report_without_a_sheet_set_up_says_how(tmp_path: Path) -> None:
    result(tmp_path, "a")
    said = report("--output", tmp_path)
    assert said.returncode == 2
    assert said.stderr.startswith("error: no spreadsheet is set up: put a service account's key file into ")
    assert "results.csv is missing: no run has finished here yet" in report("--output", tmp_path / "none").stderr


def test_report_says_what_a_person_has_to_do(google: Google, key_file: Path, tmp_path: Path) -> None:
    result(tmp_path, "a")
    said = report("--output", tmp_path, "--credential-path", key_file)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith(f'error: no sheet "Experiment" is shared with {EMAIL}: make it at https://sheets.new')
    assert said.stderr.count("\n") == 1


@pytest.mark.parametrize("shared", [True, False])
def test_a_machines_own_account_needs_no_key_file(google: Google, tmp_path: Path, shared: bool) -> None:
    sheet = google.add(key=KEY, shared={EMAIL: "writer"} if shared else {})
    result(tmp_path, "a")
    machine: dict[str, Any] = {"GCE_METADATA_HOST": google.host, "GCE_METADATA_IP": google.host}
    nothing = {"CLOUDSDK_CONFIG": str(tmp_path), "GOOGLE_APPLICATION_CREDENTIALS": ""}
    said = report("--output", tmp_path, "--sheet-key", KEY, **machine, **nothing)
    if shared:
        assert sheet.uuids() == ["a"]
    else:
        assert said.stderr.startswith(f"error: share the sheet {KEY} with {EMAIL} as editor, then ./inv report")


def test_a_key_file_is_ignored_by_git() -> None:
    path = "project/work/reporter/some-project-1a2b3c.json"
    assert subprocess.run(["git", "-C", str(ROOT), "check-ignore", "--quiet", path]).returncode == 0


def test_what_waits_is_no_longer_marked_once_it_is_sent(google: Google, key_file: Path, tmp_path: Path) -> None:
    google.add("Experiment")
    waiting.add(result(tmp_path, "a").folder, "a", '"Experiment"', "10:00")
    assert report("--output", tmp_path, "--credential-path", key_file).returncode == 0
    assert list(tmp_path.glob(f"*/{waiting.FILE}")) == []


def test_a_run_killed_between_its_result_and_its_row_gets_both_rows(
    google: Google, key_file: Path, tmp_path: Path
) -> None:
    sheet = google.add("Experiment")
    result(tmp_path, "first")
    for name, finished in (("third", "12:00"), ("second", "11:00")):
        folder = tmp_path / f"base-{name}"
        folder.mkdir()
        write_result(Result(result(tmp_path / "elsewhere", name, finished=finished, lr=0.1).row, folder))
    (tmp_path / "base-odd").mkdir()
    (tmp_path / "base-odd" / "result.json").write_text('{"uuid": "odd"}')  # no row that a run could have left
    said = report("--output", tmp_path, "--credential-path", key_file)
    assert said.returncode == 0, said.stderr
    table = tmp_path / "results.csv"
    assert said.stdout.splitlines()[:2] == [
        f"base-{name}: its row was missing in {table}; added from result.json" for name in ("second", "third")
    ]
    assert sheet.uuids() == ["first", "second", "third"]
    assert ResultTable(tmp_path).read()[["uuid", "lr"]].to_numpy().tolist() == [
        ["first", "1"],
        ["second", "0.1"],
        ["third", "0.1"],
    ]
    before = table.read_bytes()
    assert "missing" not in report("--output", tmp_path, "--credential-path", key_file).stdout
    assert table.read_bytes() == before
