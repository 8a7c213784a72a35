"""The Google account for reporting: a service account's key file, or the machine's account."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project.work.common import UserError, key_files, key_folder
from project.work.files import disk
from project.work.settings.groups import SheetSettings

SCOPES = ["https://www.googleapis.com/auth/spreadsheets", "https://www.googleapis.com/auth/drive.metadata.readonly"]
FIELDS = ("type", "client_email", "private_key", "private_key_id", "client_id")
LARGEST = 1 << 16  # bytes; a key file has 2,400
ANOTHER = "make another (console.cloud.google.com > IAM > Service accounts > Keys > JSON)"


class Refused(Exception):
    """Sending a result needs a change by a person; the text says which."""


@dataclass(frozen=True)
class Account:
    """Credentials of google-auth."""

    credentials: Any

    @property
    def address(self) -> str:
        """The address to share a sheet with."""
        address = getattr(self.credentials, "service_account_email", None)
        return address if address and "@" in address else "this machine's account"


def find_account(settings: SheetSettings) -> Account:
    """The account to use. Raises Refused when there is none, or its key file is broken."""
    files = key_files(settings.credential_path)
    if len(files) > 1:
        names = ", ".join(path.name for path in files)
        raise Refused(f"{key_folder()} has {len(files)} key files ({names}); name one with --credential-path")
    return Account(_read_key_file(files[0]) if files else _attached())


def _read_key_file(path: Path) -> Any:
    """The only place that uses oauth2client. An error in the key itself is not quoted: its text may contain the key."""
    from gspread.utils import convert_credentials
    from oauth2client.service_account import ServiceAccountCredentials

    fields = _checked_fields(path)
    try:
        return convert_credentials(ServiceAccountCredentials.from_json_keyfile_dict(fields, SCOPES))
    except Exception:
        raise Refused(f"{path}: its private_key is not a whole PEM key; {ANOTHER}") from None


def _checked_fields(path: Path) -> dict[str, Any]:
    try:
        data = disk.read_bytes(path, LARGEST)
    except UserError as error:
        why = "No such file or directory" if disk.absent(path) else str(error)
        raise Refused(f"{path}: the key file cannot be read ({why})") from error
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        raise Refused(f"{path}: the key file is not JSON; {ANOTHER}") from None
    kind = fields.get("type") if isinstance(fields, dict) else None
    if kind != "service_account":
        said = kind[:40] if isinstance(kind, str) and kind else "missing"
        raise Refused(f"{path}: not the key file of a service account (its type is {said}); {ANOTHER}")
    missing = [name for name in FIELDS if not isinstance(fields.get(name), str)]
    if missing:
        raise Refused(f"{path}: the key file has no {', '.join(missing)}; {ANOTHER}")
    return fields


def _attached() -> Any:
    import google.auth
    from google.auth.exceptions import GoogleAuthError

    try:
        return google.auth.default(scopes=SCOPES)[0]
    except (GoogleAuthError, OSError, ValueError) as error:
        raise Refused(
            f"no key file in {key_folder()} and no Google account attached to this machine;"
            " put a service account's key file there, or name it with --credential-path"
        ) from error
