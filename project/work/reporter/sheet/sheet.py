"""The spreadsheet: one row a run. Each uuid is there once, however often it is sent."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from filelock import AcquireReturnProxy, FileLock, Timeout

from project.work.common import OUTPUT, UserError, flag
from project.work.machine.patience import Passing, Patience, Unknown
from project.work.reporter.result import Postponed, Result
from project.work.reporter.sheet import rows as sheet_rows
from project.work.reporter.sheet import waiting
from project.work.reporter.sheet.credentials import Refused, find_account
from project.work.reporter.sheet.remote_sheet import RemoteSheet, SharedSheet, connect
from project.work.reporter.table.cells import as_text
from project.work.reporter.table.result_table import FILE as TABLE
from project.work.reporter.table.result_table import ResultTable
from project.work.settings.groups import SheetSettings

LOCK = "sheet.lock"
BATCH = 500  # rows a request; Google recommends bodies below 2 MB


@dataclass(frozen=True)
class Sent:
    """The result of sending, in rows."""

    url: str
    added: int
    updated: int


class Sheet:
    """A Google spreadsheet. Rows that cannot be sent stay in results.csv of the output folder and are sent later."""

    def __init__(self, settings: SheetSettings, output: Path, patience: Patience | None = None) -> None:
        self.settings, self.output = settings, output
        self.patience = patience or Patience(settings.report_patience)

    @property
    def name(self) -> str:
        """The sheet's name for a person."""
        if self.settings.sheet_key is not None:
            return self.settings.sheet_key
        return f'"{self.settings.sheet_title}"'

    def write(self, result: Result) -> str:
        """Add or replace the run's row, and also send the waiting rows of other runs."""
        row = as_text(result.row)
        mark = waiting.add(result.folder, row["uuid"], self.name, row.get("finished", ""))
        try:
            return self.patience.bound(lambda: self._write(row, mark))
        except Exception as error:  # the row is safe in the table, so nothing here may fail the run
            place = f"the row for the sheet {self.name} waits in {self.output / TABLE}"
            raise Postponed(self.advice(error), place) from error

    def send_all(self) -> Sent:
        """Send all rows of results.csv that the sheet lacks or has in an older state. Raises Refused or Passing."""
        return self.patience.bound(self._send_all)

    def advice(self, error: Exception) -> str:
        """One line: what went wrong, and what to do."""
        given = {field.name: (getattr(self.settings, field.name), field.default) for field in fields(SheetSettings)}
        del given["report_patience"]
        flags = [f"{flag(name)}={value}" for name, (value, default) in given.items() if value != default]
        place = [] if self.output == OUTPUT else [f"--output={self.output}"]
        command = shlex.join(["./inv", "report", *place, *flags])
        if isinstance(error, (Refused, UserError)):
            return f"{error}, then {command}"
        kind = "" if isinstance(error, Passing) else f"{type(error).__name__}: "
        return f"{kind}{' '.join(str(error).split())}; when that has passed: {command}"

    def _send_all(self) -> Sent:
        self.patience.start()
        with self._lock():
            marks = waiting.find(self.output, self.name)
            sent = self._send(ResultTable(self.output).read().to_dict("records"))
            waiting.remove(marks)
        return sent

    def _write(self, row: Mapping[str, str], mark: Path) -> str:
        self.patience.start()
        with self._lock():
            marks = waiting.find(self.output, self.name)
            if not mark.exists():
                return f"row in the sheet {self.name}, sent with another run's"
            others = waiting.rows(waits for waits in marks if waits.uuid != row["uuid"])
            sent = self._send([row, *others.values()])
            waiting.remove(waits for waits in marks if waits.uuid in others or waits.uuid == row["uuid"])
        return f"row in {sent.url}"

    def _lock(self) -> AcquireReturnProxy:
        """One process of an output folder sends at a time, for all that wait. This saves requests and avoids races."""
        try:
            return FileLock(self.output / LOCK).acquire(timeout=self.patience.left)
        except Timeout:
            raise Passing("another run is still trying to reach Google") from None

    def _send(self, rows: Sequence[Mapping[str, str]]) -> Sent:
        account = find_account(self.settings)
        shared = SharedSheet(self.name, account)
        sheet = RemoteSheet(connect(account, self.patience), self.settings, shared, self.patience)
        if sheet.columns < len(rows[0] if rows else ()):
            self.patience.stagger()  # a new sheet: if many jobs find it at once, the first one writes the header
        done = Sent(sheet.url, 0, 0)
        for start in range(0, len(rows), BATCH):
            plans: list[sheet_rows.Plan] = []
            self.patience.insist(partial(bring, sheet, rows[start : start + BATCH], plans), Unknown)
            done = Sent(sheet.url, done.added + len(plans[0].appended), done.updated + len(plans[0].updates))
        return done


def bring(sheet: RemoteSheet, rows: Sequence[Mapping[str, str]], plans: list[sheet_rows.Plan]) -> None:
    """Read the sheet, then write what it lacks. Call it again if it is unknown what was written.

    plans: each call appends its plan.
    """
    plan = sheet_rows.plan(sheet.read(), rows)
    plans.append(plan)
    if plan.new_columns:
        if sheet.columns < len(plan.header):
            sheet.widen(len(plan.header))
        sheet.put(1, len(plan.header) - len(plan.new_columns) + 1, plan.new_columns)
    for number, cells in plan.updates.items():
        sheet.put(number, 1, cells)
    if plan.appended:
        sheet.append(plan.appended)
