"""The first worksheet of a Google spreadsheet, through gspread's client.

Errors become messages that say what to do.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from project.work.machine.patience import Passing, Patience, Unknown
from project.work.reporter.sheet.credentials import ANOTHER, Account, Refused
from project.work.reporter.sheet.rows import Cell
from project.work.settings.groups import SheetSettings

if TYPE_CHECKING:
    from gspread.exceptions import APIError
    from gspread.http_client import HTTPClient

CONNECT = 5.0  # seconds to wait for a connection
RAW: dict[str, Any] = {"valueInputOption": "RAW"}
SPREADSHEET = "application/vnd.google-apps.spreadsheet"
# Addresses of Google's services, and the environment variables (named as gcloud's) that override them.
ENDPOINTS = {
    "https://sheets.googleapis.com/": "CLOUDSDK_API_ENDPOINT_OVERRIDES_SHEETS",
    "https://www.googleapis.com/": "CLOUDSDK_API_ENDPOINT_OVERRIDES_DRIVE",
}
OVER_QUOTA = {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"}
ENABLE = "https://console.cloud.google.com/apis/library/sheets.googleapis.com"


@dataclass(frozen=True)
class SharedSheet:
    """The sheet and the account it is shared with, for messages. name: the sheet's, for a person."""

    name: str
    account: Account


def connect(account: Account, patience: Patience) -> "HTTPClient":
    """A client of the Sheets and Drive APIs. It never retries by itself; Patience does that."""
    from gspread.http_client import HTTPClient

    class Client(HTTPClient):
        def request(self, method: str, endpoint: str, *arguments: Any, **options: Any) -> Any:
            for usual, variable in ENDPOINTS.items():
                if endpoint.startswith(usual) and os.environ.get(variable):
                    endpoint = os.environ[variable].rstrip("/") + "/" + endpoint.removeprefix(usual)
            return super().request(method, endpoint, *arguments, **options)

    client = Client(account.credentials)
    client.set_timeout((min(CONNECT, patience.answer), patience.answer))
    return client


class RemoteSheet:
    """An open worksheet. columns: the width of its grid."""

    def __init__(self, client: "HTTPClient", settings: SheetSettings, shared: SharedSheet, patience: Patience) -> None:
        self.client, self.shared, self.patience = client, shared, patience
        self.key = self._find(settings)
        self._title, self._id, self.columns = self._ask(self._first_worksheet)

    @property
    def url(self) -> str:
        return f"https://docs.google.com/spreadsheets/d/{self.key}"

    def read(self) -> list[list[str]]:
        """All cells as text, the header first; empty cells and rows at the end are left out."""

        def ask() -> list[list[str]]:
            answer = self.client.values_get(self.key, self._range())
            if "range" not in answer:  # even an empty sheet has one, so this is not a valid answer
                raise ValueError("no range")
            return [[str(value) for value in row] for row in answer.get("values", [])]

        return self._ask(ask)

    def widen(self, columns: int) -> None:
        """Widen the grid: that of a new sheet ends at column Z, and writes beyond it are refused."""
        size = {"sheetId": self._id, "gridProperties": {"columnCount": columns}}
        change = {"updateSheetProperties": {"properties": size, "fields": "gridProperties.columnCount"}}
        self._ask(lambda: self.client.batch_update(self.key, {"requests": [change]}))
        self.columns = columns

    def put(self, row: int, column: int, values: Sequence[Cell]) -> None:
        """Write cells from a row and column on, counted from 1; None leaves a cell as it is. Safe to repeat."""
        from gspread.utils import rowcol_to_a1

        place, body = self._range(rowcol_to_a1(row, column)), {"values": [list(values)]}
        self._ask(lambda: self.client.values_update(self.key, place, RAW, body))

    def append(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Add rows below the last one. Raises Unknown if it is not known whether they were added."""
        # INSERT_ROWS: else two that append at once get the same empty rows, and one of them is lost.
        options, body = RAW | {"insertDataOption": "INSERT_ROWS"}, {"values": list(rows)}

        def ask() -> int:
            return self.client.values_append(self.key, self._range("A1"), options, body)["updates"]["updatedRows"]

        if self._ask(ask, repeatable=False) != len(rows):
            raise Unknown("Google did not confirm the row")

    def _range(self, cells: str | None = None) -> str:
        from gspread.utils import absolute_range_name

        return absolute_range_name(self._title, cells)

    def _ask(self, request: Callable[[], Any], repeatable: bool = True) -> Any:
        def attempt() -> Any:
            try:
                return request()
            except Exception as error:
                raise explain(error, self.shared, repeatable) from error

        return self.patience.insist(attempt)

    def _first_worksheet(self) -> tuple[str, int, int]:
        """The title, id and width of the first worksheet."""
        sheets = [sheet["properties"] for sheet in self.client.fetch_sheet_metadata(self.key)["sheets"]]
        first = next(sheet for sheet in sheets if sheet.get("sheetType", "GRID") == "GRID")  # a chart has no cells
        return first["title"], first.get("sheetId", 0), first.get("gridProperties", {}).get("columnCount", 26)

    def _find(self, settings: SheetSettings) -> str:
        """The spreadsheet's key: given, as such or in its address, or looked up by title."""
        if settings.sheet_key is not None:
            in_address = re.search(r"/d/([\w-]+)", settings.sheet_key)
            return in_address[1] if in_address else settings.sheet_key
        keys = [file["id"] for file in self._ask(lambda: self._titled(settings.sheet_title))]
        address = self.shared.account.address
        if not keys:  # service accounts cannot create sheets: they have no storage
            raise Refused(
                f"no sheet {self.shared.name} is shared with {address}: make it at https://sheets.new (a service"
                f" account cannot), share it with {address} as editor"
            )
        if len(keys) > 1:
            raise Refused(
                f"{len(keys)} sheets {self.shared.name} are shared with {address} ({', '.join(sorted(keys)[:3])}):"
                " choose with --sheet-key (the long word in a sheet's address)"
            )
        return keys[0]

    def _titled(self, title: str) -> list[dict[str, str]]:
        from gspread.urls import DRIVE_FILES_API_V3_URL

        quoted = title.replace("\\", "\\\\").replace('"', '\\"')
        options: dict[str, Any] = {
            "q": f'mimeType="{SPREADSHEET}" and trashed = false and name = "{quoted}"',
            "pageSize": 1000,
            "supportsAllDrives": True,
            "includeItemsFromAllDrives": True,
            "fields": "files(id,name)",
        }
        files = self.client.request("get", DRIVE_FILES_API_V3_URL, params=options).json()["files"]
        return [file for file in files if file["name"] == title]


def explain(error: Exception, shared: SharedSheet, repeatable: bool) -> Exception:
    """The exception for a failed request: Passing, Unknown (unless it is safe to repeat) or Refused."""
    from google.auth.exceptions import RefreshError, TransportError
    from gspread.exceptions import APIError
    from requests.exceptions import RequestException

    in_doubt = Passing if repeatable else Unknown
    if isinstance(error, RefreshError) and not (error.retryable or isinstance(error.__cause__, TransportError)):
        return Refused(
            f"Google does not accept the key of {shared.account.address} ({_said(error.args[0])}): if this machine's"
            f" clock is right the key was deleted: {ANOTHER}"
        )
    if isinstance(error, (RefreshError, TransportError)):  # without a token the request was never sent
        return Passing(f"Google gave no token ({type(error).__name__})")
    if isinstance(error, APIError):
        return _explain_answer(error, shared, in_doubt)
    if isinstance(error, RequestException):
        return in_doubt(f"no answer from Google ({type(error).__name__})")
    if isinstance(error, (ValueError, LookupError, TypeError, AttributeError, StopIteration)):
        return in_doubt("Google's answer could not be read")
    return error


def _explain_answer(error: "APIError", shared: SharedSheet, in_doubt: type[Passing]) -> Exception:
    status = error.response.status_code
    reasons, links = _details(error.error)
    if status == 429 or reasons & OVER_QUOTA:
        return Passing("over Google's quota of requests a minute", _retry_after(error))
    if status == 408 or status >= 500:
        return in_doubt(f"Google is in trouble ({status})", _retry_after(error))
    message = _said(error.error.get("message")) if error.code != -1 else "its answer was not JSON"
    return Refused(_advice(status, message, reasons, links, shared))


def _advice(status: int, message: str, reasons: set[str], links: list[str], shared: SharedSheet) -> str:
    address = shared.account.address
    if "SERVICE_DISABLED" in reasons or "accessNotConfigured" in reasons or "has not been used in project" in message:
        return f"a Google API is off in the project of {address}: enable it at {(links or [ENABLE])[0]}, wait a minute"
    if "ACCESS_TOKEN_SCOPE_INSUFFICIENT" in reasons or "insufficient authentication scopes" in message:
        return f"{address} may not use Sheets from this machine: give it the spreadsheets scope, or use a key file"
    if status in (403, 404):
        return f"share the sheet {shared.name} with {address} as editor"
    if "not supported for this document" in message:
        return f"{shared.name} is an Office file: open it, choose File > Save as Google Sheets, and share that one"
    return f"Google refused the row in {shared.name} ({status}: {message}): fix that"


def _details(error: Any) -> tuple[set[str], list[str]]:
    """The reasons that an error names, in either of Google's formats, and its help links."""
    parts = [part for name in ("errors", "details") for part in (error.get(name) or ()) if isinstance(part, dict)]
    reasons = {str(part["reason"]) for part in parts if "reason" in part}
    links = [part["metadata"]["activationUrl"] for part in parts if "activationUrl" in (part.get("metadata") or {})]
    return reasons, links + re.findall(r"https://console\.\S+", str(error.get("message")))


def _retry_after(error: "APIError") -> float:
    seconds = error.response.headers.get("Retry-After", "")
    return float(seconds) if re.fullmatch(r"\d{1,6}", seconds) else 0.0


def _said(text: object) -> str:
    """Google's message on one line, shortened, without anything that looks like a token."""
    return re.sub(r"ya29\.\S+|Bearer \S+", "...", " ".join(str(text).split()))[:300]
