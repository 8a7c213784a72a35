"""Vertex AI training jobs: submit, follow, cancel, list. The session that sends the requests is passed in.

Imports only the standard library.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from project.work.common import UserError
from project.work.machine.patience import Passing, Unknown
from project.work.settings.flags import setting

ENDED = {"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"}
WAITS = (0.0, 1.0, 2.0, 4.0, 8.0)  # seconds before each attempt at one request
LISTED = 1000  # jobs read, at most; the API cannot sort them
LONGEST_WAIT = 30.0  # seconds, even if a server asks for more
ADVICE = {
    401: "; the key may have been withdrawn: see credential_path in invoke.yaml",
    403: "; the account needs the role Vertex AI User in the project, and the API must be enabled",
    404: "; check gcp_project, region and the job's name",
}


@dataclass(frozen=True)
class CloudSettings:
    """The Google Cloud project and its credentials."""

    gcp_project: str | None = setting(None, "id of the Google Cloud project")
    region: str = setting("us-central1", "where jobs run")
    credential_path: str | None = setting(
        None, "service account key file; application default credentials when not given", value="FILE"
    )
    endpoint: str | None = setting(None, "address of the Vertex AI API; that of the region when not given")


def state(job: dict[str, Any]) -> str:
    """JOB_STATE_RUNNING -> RUNNING."""
    return str(job.get("state", "unknown")).removeprefix("JOB_STATE_")


def console_link(name: str, project: str) -> str:
    """The address of a job's web page."""
    _, _, _, region, _, number = name.split("/")
    return f"https://console.cloud.google.com/ai/platform/locations/{region}/training/{number}?project={project}"


class GoingOn(UserError):
    """A job of that name is running already."""


class Jobs:
    """The custom jobs of a project in a region.

    session: as requests.Session, sending credentials; timeout: seconds for one request; sleep: replaceable in tests.
    """

    def __init__(
        self, session: Any, cloud: CloudSettings, timeout: float = 30.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        endpoint = cloud.endpoint or f"https://{cloud.region}-aiplatform.googleapis.com"
        self.base = f"{endpoint.rstrip('/')}/v1"
        self.parent = f"projects/{cloud.gcp_project}/locations/{cloud.region}"
        self.session, self.timeout, self.sleep = session, timeout, sleep

    def submit(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Start a job exactly once: if a failed request may have worked, its job is looked for before a retry.

        Raises GoingOn when a job of that name is running already.
        """
        name = wanted["displayName"]
        before = self._named(name)
        for job in before:
            if state(job) not in ENDED:
                raise GoingOn(f"{name} is {state(job)} already; follow it with: ./inv follow {job['name']}")
        old = {job["name"] for job in before}

        def begun() -> dict[str, Any] | None:
            try:
                return next((job for job in self._named(name) if job["name"] not in old), None)
            except UserError as error:
                raise UserError(f"{error}; {name} may have been submitted all the same: see ./inv jobs") from error

        return self._ask("POST", f"{self.parent}/customJobs", begun, json=wanted)

    def get(self, name: str) -> dict[str, Any]:
        """The current state of a job."""
        return self._ask("GET", self.full_name(name))

    def recent(self, count: int, filter: str | None = None) -> list[dict[str, Any]]:
        """The newest jobs, newest first."""
        found: list[dict[str, Any]] = []
        query = {"pageSize": "100"} | ({} if filter is None else {"filter": filter})
        while len(found) < LISTED:
            page = self._ask("GET", f"{self.parent}/customJobs", params=query)
            found += page.get("customJobs", [])
            if not page.get("nextPageToken"):
                break
            query["pageToken"] = page["nextPageToken"]
        return sorted(found, key=lambda job: job.get("createTime", ""), reverse=True)[:count]

    def cancel(self, name: str) -> None:
        """Request a job's cancellation; it is CANCELLING for a while, then CANCELLED."""
        self._ask("POST", f"{self.full_name(name)}:cancel", json={})

    def follow(self, name: str, say: Callable[[str], None]) -> dict[str, Any]:
        """Poll a job until it ends, and report each new state; returns the job."""
        last = None
        for wait in _intervals():
            job = self.get(name)
            if state(job) != last:
                last = state(job)
                say(last)
            if last in ENDED:
                return job
            self.sleep(wait)
        raise AssertionError("intervals never end")

    def full_name(self, name: str) -> str:
        """A job's resource name, from its name or its number."""
        if re.fullmatch(r"[0-9]+", name):
            return f"{self.parent}/customJobs/{name}"
        if re.fullmatch(r"projects/[^/]+/locations/[^/]+/customJobs/[^/:?#]+", name):
            return name
        raise UserError(f"{name}: not the name of a job; ./inv jobs lists them (its number will do)")

    def _named(self, name: str) -> list[dict[str, Any]]:
        found = self.recent(LISTED, filter=f'displayName="{name}"')
        return [job for job in found if job.get("displayName") == name]

    def _ask(self, method: str, path: str, begun: Callable[[], Any] = lambda: None, **options: Any) -> dict[str, Any]:
        """One request, repeated after temporary failures. begun: finds the result of an attempt that seemed to fail.

        Five attempts with fixed pauses, without jitter, because one person types the command. google.api_core.retry
        does not count attempts, cannot look for a result between two of them, and ignores Retry-After.
        """
        failure: Passing | None = None
        for wait in WAITS:
            if failure is not None:
                self.sleep(min(max(wait, failure.after), LONGEST_WAIT))
                done = begun() if isinstance(failure, Unknown) else None
                if done is not None:
                    return done
            try:
                return self._once(method, path, **options)
            except Passing as error:
                failure = error
        done = begun() if isinstance(failure, Unknown) else None
        if done is not None:
            return done
        raise UserError(f"Vertex AI: {failure}; tried {len(WAITS)} times")

    def _once(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        from google.auth.exceptions import GoogleAuthError, TransportError
        from requests.exceptions import RequestException

        try:
            response = self.session.request(method, f"{self.base}/{path}", timeout=self.timeout, **options)
        except GoogleAuthError as error:
            if error.retryable or isinstance(error, TransportError):
                raise Passing(f"no access token to be had ({type(error).__name__})") from error
            raise UserError(f"Google does not accept the credentials ({one_line(error)})") from error
        except RequestException as error:
            raise Unknown(f"{self.base} cannot be reached ({type(error).__name__})") from error
        code = response.status_code
        if code == 429 or code >= 500:
            kind = Passing if code == 429 else Unknown
            raise kind(_message(response), _seconds(response.headers.get("Retry-After")))
        if code >= 400:
            raise UserError(f"Vertex AI: {_message(response)}{ADVICE.get(code, '')}")
        try:
            return dict(response.json())
        except (TypeError, ValueError) as error:
            raise Unknown(f"{self.base} answered {code} with something other than JSON") from error


def one_line(error: object) -> str:
    """The first argument of an exception, or a text, without line breaks."""
    text = error.args[0] if isinstance(error, Exception) and error.args else error
    return " ".join(str(text).split())


def _intervals() -> Iterator[float]:
    """Seconds between two polls of a job: short at first, then four a minute."""
    wait = 1.0
    while True:
        yield wait
        wait = min(wait * 1.3, 15.0)


def _message(response: Any) -> str:
    """The API's error message in one line."""
    try:
        error = response.json()["error"]
        return f"{response.status_code} {error.get('status', '')}: {one_line(error['message'])}"
    except (AttributeError, KeyError, TypeError, ValueError):
        return f"{response.status_code} {response.reason}"


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isdigit() else 0.0
