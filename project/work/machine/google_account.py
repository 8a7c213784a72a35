"""Google credentials: a service account's key file or application default credentials."""

from pathlib import Path
from typing import Any

from project.work.common import UserError
from project.work.files import disk

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
LARGEST = 1 << 20  # bytes of a key file
ADVICE = (
    "set credential_path in invoke.yaml to a service account's key file, or run: gcloud auth application-default login"
)


def credentials(path: str | None = None) -> Any:
    """Credentials from a key file, or application default credentials. Raises UserError."""
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.oauth2.service_account import Credentials

    wrong = None if path is None else disk.fault(Path(path), LARGEST)
    if path is not None and wrong is not None:
        raise UserError(f"credential_path {path}: {'no such file' if disk.absent(Path(path)) else wrong}; {ADVICE}")
    try:
        if path is None:
            return google.auth.default(scopes=SCOPES)[0]
        return Credentials.from_service_account_file(path, scopes=SCOPES)
    except (GoogleAuthError, OSError, ValueError, RecursionError):  # their text may quote the key
        what = "no Google credentials were found"
        what = what if path is None else f"credential_path {path}: not a service account's key file"
        raise UserError(f"{what}; {ADVICE}") from None


def session(path: str | None = None) -> Any:
    """A requests session with these credentials."""
    from google.auth.transport.requests import AuthorizedSession

    return AuthorizedSession(credentials(path))
