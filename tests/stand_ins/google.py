"""Google Sheets and Drive as a local server: spreadsheets that are shared or not, grids that end, quotas a minute."""

import json
import math
import re
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stand_ins.account import EMAIL, GoogleStandIn, error
from stand_ins.server import Answer, Request

FORBIDDEN = error(403, "The caller does not have permission", "PERMISSION_DENIED")
ABSENT = error(404, "Requested entity was not found.", "NOT_FOUND")
OFFICE = error(400, "This operation is not supported for this document", "FAILED_PRECONDITION")
OFF = "Google Sheets API has not been used in project 42 before or it is disabled. Enable it by visiting {} then retry."
SWITCH = "https://console.developers.google.com/apis/api/sheets.googleapis.com/overview?project=42"


@dataclass
class Spreadsheet:
    """One spreadsheet with one worksheet. cells: row by row, None is empty; shared: address -> "writer" or "reader"."""

    title: str
    tab: str = "Sheet1"
    columns: int = 26
    shared: dict[str, str] = field(default_factory=lambda: {EMAIL: "writer"})
    cells: list[list[Any]] = field(default_factory=list)
    office: bool = False
    trashed: bool = False

    @property
    def header(self) -> list[Any]:
        return self.cells[0] if self.cells else []

    def rows(self) -> list[dict[str, Any]]:
        """The rows below the header by its names; an empty cell is None."""
        lines = [line + [None] * (len(self.header) - len(line)) for line in self.cells[1:]]
        return [dict(zip(self.header, line, strict=True)) for line in lines]

    def uuids(self) -> list[Any]:
        return [row["uuid"] for row in self.rows()]

    def write(self, row: int, column: int, values: list[Any]) -> None:
        while len(self.cells) < row:
            self.cells.append([])
        line = self.cells[row - 1]
        line.extend([None] * (column - 1 + len(values) - len(line)))
        for place, value in enumerate(values, start=column - 1):
            if value is not None:
                line[place] = None if value == "" else value


class Google(GoogleStandIn):
    """Sheets, Drive and the token endpoint.

    quota: reads, and as many writes, that an account has in any 60 seconds of the clock; refused ones do not count.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sheets: dict[str, Spreadsheet] = {}
        self.off = False
        self.quota = math.inf
        self.clock: Callable[[], float] = time.monotonic
        self._used: dict[tuple[str, bool], list[float]] = defaultdict(list)

    def add(self, title: str = "Experiment", key: str = "", **options: Any) -> Spreadsheet:
        """A new spreadsheet."""
        sheet = Spreadsheet(title, **options)
        self.sheets[key or f"key-{len(self.sheets)}"] = sheet
        return sheet

    def serve(self, request: Request, account: str) -> Answer:
        if self.off:
            return error(403, OFF.format(SWITCH), "PERMISSION_DENIED", "SERVICE_DISABLED", activationUrl=SWITCH)
        if request.path == "/drive/v3/files":
            return self._list(request.query["q"], account)
        if self._over_quota(request, account):
            said = "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute per user'"
            return error(429, said, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED")
        match = re.fullmatch(r"/v4/spreadsheets/([^/:]+)(.*)", request.path)
        if match is None or match[1] not in self.sheets:
            return ABSENT
        sheet = self.sheets[match[1]]
        role = sheet.shared.get(account)
        if role is None or (role == "reader" and request.method != "GET"):
            return FORBIDDEN
        return OFFICE if sheet.office else self._do(sheet, match[1], match[2], request)

    def _over_quota(self, request: Request, account: str) -> bool:
        used = self._used[account, request.method == "GET"]
        used[:] = [moment for moment in used if moment > self.clock() - 60]
        if len(used) >= self.quota:
            return True
        used.append(self.clock())
        return False

    def _list(self, query: str, account: str) -> Answer:
        text = r'"((?:[^"\\]|\\.)*)"'
        form = rf"mimeType\s*=\s*{text} and trashed = false and name = {text}"
        match = re.fullmatch(form, query)
        if match is None:
            return error(400, "Invalid Value", "INVALID_ARGUMENT")
        title = re.sub(r"\\(.)", r"\1", match[2])
        found = [
            {"id": key, "name": sheet.title}
            for key, sheet in self.sheets.items()
            if account in sheet.shared and sheet.title.lower() == title.lower() and not sheet.trashed
        ]
        return Answer(200, {"files": found})

    def _do(self, sheet: Spreadsheet, key: str, what: str, request: Request) -> Answer:
        if request.method == "GET" and what == "":
            grid = {"rowCount": 1000, "columnCount": sheet.columns}
            properties = {"sheetId": 7, "title": sheet.tab, "index": 0, "gridProperties": grid}
            whole = {"spreadsheetId": key, "properties": {"title": sheet.title}}
            return Answer(200, whole | {"sheets": [{"properties": properties}]})
        try:
            body = json.loads(request.body or b"null", parse_constant=lambda name: 1 / 0)
        except ZeroDivisionError:
            return error(400, "Invalid JSON payload received. Unexpected token.", "INVALID_ARGUMENT")
        if what == ":batchUpdate":
            (change,) = body["requests"]
            assert change["updateSheetProperties"]["fields"] == "gridProperties.columnCount"
            sheet.columns = change["updateSheetProperties"]["properties"]["gridProperties"]["columnCount"]
            return Answer(200, {"replies": [{}]})
        title = "'" + sheet.tab.replace("'", "''") + "'"
        match = re.fullmatch(rf"/values/{re.escape(title)}(?:!([A-Z]+)(\d+))?(:append)?", what)
        if match is None:
            return error(400, f"Unable to parse range: {what.removeprefix('/values/')}", "INVALID_ARGUMENT")
        return self._values(sheet, request, match, body)

    def _values(self, sheet: Spreadsheet, request: Request, match: re.Match, body: Any) -> Answer:
        if request.method == "GET":
            values = [_trim([_shown(value) for value in line]) for line in sheet.cells]
            return Answer(200, {"range": "A1:Z1000", "values": values} if values else {"range": "A1:Z1000"})
        assert request.query["valueInputOption"] == "RAW"
        if match[3]:
            assert request.query["insertDataOption"] == "INSERT_ROWS"
            for values in body["values"]:
                sheet.columns = max(sheet.columns, len(values))
                sheet.write(len(sheet.cells) + 1, 1, values)
            return Answer(200, {"updates": {"updatedRows": len(body["values"])}})
        (values,) = body["values"]
        first = _number(match[1])
        if first + len(values) - 1 > sheet.columns:
            said = f"Range ({sheet.tab}!{match[1]}{match[2]}) exceeds grid limits. Max columns: {sheet.columns}"
            return error(400, said, "INVALID_ARGUMENT")
        sheet.write(int(match[2]), first, values)
        return Answer(200, {"updatedRows": 1})


def _shown(value: Any) -> str:
    """A cell as FORMATTED_VALUE gives it."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).upper()
    return str(value)


def _trim(line: list[str]) -> list[str]:
    while line and line[-1] == "":
        line = line[:-1]
    return line


def _number(letters: str) -> int:
    total = 0
    for letter in letters:
        total = 26 * total + ord(letter) - ord("A") + 1
    return total
