"""Many runs that report at once all arrive, each once, within Google's quota."""

import heapq
import threading
from collections.abc import Callable
from pathlib import Path

import processes
import pytest
from reporting import KEY, quick, result
from stand_ins.google import Google

from project.work.machine.patience import Passing, Patience
from project.work.reporter.result import SHEET_COLUMNS
from project.work.reporter.sheet import waiting
from project.work.reporter.sheet.sheet import Sheet
from project.work.settings.groups import ReportSettings

WIDE = {f"column_{number}": number for number in range(30)}  # more than a new sheet has room for


class Clock:
    """Time that passes only while all sleep, and then at once: fifty patient runs are tested in seconds."""

    def __init__(self, sleepers: int) -> None:
        self.now = 0.0
        self._awake, self._alarms, self._change = sleepers, [], threading.Condition()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._change:
            if seconds > 0:
                until = self.now + seconds
                heapq.heappush(self._alarms, until)
                self._rest()
                self._change.wait_for(lambda: self.now >= until)

    def leave(self) -> None:
        with self._change:
            self._rest()

    def _rest(self) -> None:
        self._awake -= 1
        if self._awake == 0 and self._alarms:
            self.now = self._alarms[0]
            while self._alarms and self._alarms[0] <= self.now:
                heapq.heappop(self._alarms)
                self._awake += 1
            self._change.notify_all()


class Distant(Patience):
    """Patience as it is by default, with a Google whose answers take 0.4 s."""

    def insist(self, attempt: Callable, on: type[Passing] = Passing) -> object:
        def later() -> object:
            self.sleep(0.4)
            return attempt()

        return super().insist(later, on)


def at_once(count: int, work: Callable[[int], object]) -> list[object]:
    """What each of many threads comes to, all let go at the same moment."""
    gate, outcomes = threading.Barrier(count), [None] * count

    def one(number: int) -> None:
        gate.wait()
        try:
            outcomes[number] = work(number)
        except Exception as error:
            outcomes[number] = str(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.slow
@pytest.mark.parametrize("there_before", [False, True])
def test_fifty_machines_at_once_share_sixty_requests_a_minute(
    google: Google, key_file: Path, tmp_path: Path, there_before: bool
) -> None:
    sheet, settings = google.add(key=KEY), ReportSettings(sheet_key=KEY, credential_path=str(key_file))
    if there_before:
        Sheet(settings, tmp_path, quick()).write(result(tmp_path, "before", **WIDE))
    google.quota, google.clock = 60, Clock(50)
    folders = [tmp_path / str(number) for number in range(50)]
    results = [result(folder, f"run-{folder.name}", **WIDE) for folder in folders]

    def work(job: int) -> str:
        try:
            patience = Distant(clock=google.clock, sleep=google.clock.sleep)
            return Sheet(settings, folders[job], patience).write(results[job])
        finally:
            google.clock.leave()

    assert set(at_once(50, work)) == {f"row in https://docs.google.com/spreadsheets/d/{KEY}"}
    assert sheet.header == [*SHEET_COLUMNS, "dataset", "seconds", "finished", *WIDE]
    expected = [f"run-{number}" for number in range(50)] + ["before"] * there_before
    assert sorted(sheet.uuids()) == sorted(expected)
    assert 60 < google.clock.now < 75  # in the second minute, and none much later


def _report_five(settings: ReportSettings, folder: Path, writer: int) -> None:
    for number in range(5):
        Sheet(settings, folder, quick(seconds=20)).write(result(folder, f"{writer}-{number}"))


@pytest.mark.slow
def test_eight_processes_of_one_folder_with_five_runs_each(google: Google, key_file: Path, tmp_path: Path) -> None:
    sheet = google.add(key=KEY)
    for _ in range(3):  # whatever else goes wrong meanwhile
        google.fail(500, where=":append", carried_out=True, skip=2)
        google.fail("reset", where=":append", skip=1)
    settings = ReportSettings(sheet_key=KEY, credential_path=str(key_file))
    writers = [processes.fork(_report_five, settings, tmp_path, writer) for writer in range(8)]
    assert [processes.finish(writer) for writer in writers] == [0] * 8
    assert sorted(sheet.uuids()) == sorted(f"{writer}-{number}" for writer in range(8) for number in range(5))
    assert list(tmp_path.glob(f"*/{waiting.FILE}")) == []


def test_runs_of_one_folder_send_each_others_rows(google: Google, make_sheet: Callable, tmp_path: Path) -> None:
    sheet = google.add(key=KEY)
    results = [result(tmp_path, f"run-{number}") for number in range(20)]
    at_once(20, lambda number: make_sheet(patience=quick(seconds=20)).write(results[number]))
    assert sorted(sheet.uuids()) == sorted(f"run-{number}" for number in range(20))
    assert len(google.said("/v4/")) < 30  # not three for each


def test_a_run_that_dies_while_google_is_silent_is_sent_by_the_next(
    google: Google, key_file: Path, make_sheet: Callable, tmp_path: Path
) -> None:
    sheet = google.add(key=KEY)
    google.fail("silence", where=":append", carried_out=True)
    settings = ReportSettings(sheet_key=KEY, credential_path=str(key_file))
    victim = processes.fork(_report_slowly, settings, tmp_path)
    while not google.said(":append"):
        victim.join(0.01)
        assert victim.exitcode is None
    victim.kill()
    victim.join()
    make_sheet().write(result(tmp_path, "next"))
    assert sheet.uuids() == ["dead", "next"]
    assert list(tmp_path.glob(f"*/{waiting.FILE}")) == []


def test_what_waits_is_sent_from_the_runs_own_result_and_what_has_none_goes_on_waiting(
    google: Google, make_sheet: Callable, tmp_path: Path
) -> None:
    sheet = google.add(key=KEY)
    for name in ("early", "lost"):
        waiting.add(result(tmp_path, name).folder, name, KEY, "10:00")
    (tmp_path / "results.csv").unlink()
    (tmp_path / "base-lost" / "result.json").unlink()
    make_sheet().write(result(tmp_path, "next"))
    assert sorted(sheet.uuids()) == ["early", "next"]
    assert [path.parent.name for path in tmp_path.glob(f"*/{waiting.FILE}")] == ["base-lost"]


def _report_slowly(settings: ReportSettings, folder: Path) -> None:
    Sheet(settings, folder, quick(answer=60, seconds=60)).write(result(folder, "dead"))
