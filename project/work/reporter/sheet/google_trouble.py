"""What goes wrong between a run and its sheet, in words that say what to do."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from project.work.machine.patience import Passing
from project.work.reporter.sheet.credentials import ANOTHER, Account, Refused

if TYPE_CHECKING:
    from gspread.exceptions import APIError

OVER_QUOTA = {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"}
ENABLE = "https://console.cloud.google.com/apis/library/sheets.googleapis.com"


class Unknown(Passing):
    """A failure that leaves open whether the request was carried out: look before asking again."""


@dataclass(frozen=True)
class Place:
    """The sheet a message speaks of. name: as a person knows it."""

    name: str
    account: Account


def explain(error: Exception, place: Place, repeatable: bool) -> Exception:
    """What a failed request amounts to: Passing, Unknown (unless it is harmless to repeat) or Refused."""
    from google.auth.exceptions import RefreshError, TransportError
    from gspread.exceptions import APIError
    from requests.exceptions import RequestException

    in_doubt = Passing if repeatable else Unknown
    if isinstance(error, RefreshError) and not (error.retryable or isinstance(error.__cause__, TransportError)):
        return Refused(
            f"Google does not accept the key of {place.account.address} ({_said(error.args[0])}): if this machine's"
            f" clock is right the key was deleted: {ANOTHER}"
        )
    if isinstance(error, (RefreshError, TransportError)):  # no token yet, so the request itself was never sent
        return Passing(f"Google gave no token ({type(error).__name__})")
    if isinstance(error, APIError):
        return _explain_answer(error, place, in_doubt)
    if isinstance(error, RequestException):
        return in_doubt(f"no answer from Google ({type(error).__name__})")
    if isinstance(error, (ValueError, LookupError, TypeError, AttributeError, StopIteration)):
        return in_doubt("Google's answer could not be read")
    return error


def _explain_answer(error: "APIError", place: Place, in_doubt: type[Passing]) -> Exception:
    status = error.response.status_code
    reasons, links = _details(error.error)
    if status == 429 or reasons & OVER_QUOTA:
        return Passing("over Google's quota of requests a minute", _retry_after(error))
    if status == 408 or status >= 500:
        return in_doubt(f"Google is in trouble ({status})", _retry_after(error))
    message = _said(error.error.get("message")) if error.code != -1 else "its answer was no JSON"
    return Refused(_advice(status, message, reasons, links, place))


def _advice(status: int, message: str, reasons: set[str], links: list[str], place: Place) -> str:
    address = place.account.address
    if "SERVICE_DISABLED" in reasons or "accessNotConfigured" in reasons or "has not been used in project" in message:
        return f"a Google API is off in the project of {address}: enable it at {(links or [ENABLE])[0]}, wait a minute"
    if "ACCESS_TOKEN_SCOPE_INSUFFICIENT" in reasons or "insufficient authentication scopes" in message:
        return f"{address} may not use Sheets from this machine: give it the spreadsheets scope, or use a key file"
    if status in (403, 404):
        return f"share the sheet {place.name} with {address} as editor"
    if "not supported for this document" in message:
        return f"{place.name} is an Office file: open it, choose File > Save as Google Sheets, and share that one"
    return f"Google refused the row in {place.name} ({status}: {message}): mend that"


def _details(error: Any) -> tuple[set[str], list[str]]:
    """The reasons an error names, in either of Google's forms, and the links where it can be mended."""
    parts = [part for name in ("errors", "details") for part in (error.get(name) or ()) if isinstance(part, dict)]
    reasons = {str(part["reason"]) for part in parts if "reason" in part}
    links = [part["metadata"]["activationUrl"] for part in parts if "activationUrl" in (part.get("metadata") or {})]
    return reasons, links + re.findall(r"https://console\.\S+", str(error.get("message")))


def _retry_after(error: "APIError") -> float:
    seconds = error.response.headers.get("Retry-After", "")
    return float(seconds) if re.fullmatch(r"\d{1,6}", seconds) else 0.0


def _said(text: object) -> str:
    """What Google said, on one line, short, without anything that looks like a token."""
    return re.sub(r"ya29\.\S+|Bearer \S+", "...", " ".join(str(text).split()))[:300]
