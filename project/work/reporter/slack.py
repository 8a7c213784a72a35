"""Slack: a message a run through an incoming webhook, or one with the curve's picture through a bot.

The webhook's address and the bot's token are secrets. They come from the environment, and no message quotes them or an
error that might contain them. The standard library's client is used because it logs nothing.
"""

import html
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

from project.work.machine.patience import Passing, Patience
from project.work.reporter.outcome import CURVE_FILE
from project.work.reporter.result import Destination, Postponed, Result

API = "https://slack.com/api/"
VARIABLES = ("SLACK_BOT_TOKEN", "SLACK_CHANNEL", "SLACK_WEBHOOK_URL")
LARGEST = 1 << 20  # bytes of an answer
NOT_SENT = "no message in Slack"
BROKEN = (  # a connection, or an answer
    *(Passing, OSError, HTTPException),
    *(ValueError, LookupError, TypeError, AttributeError, RecursionError),
)
TOKEN = "set SLACK_BOT_TOKEN to the bot token (xoxb-...) of an app that is installed"
CHANNEL = "set SLACK_CHANNEL to the channel's ID (such as C012AB3CD) and invite the app to it"
ADVICE = {
    **dict.fromkeys(["invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"], TOKEN),
    **dict.fromkeys(["channel_not_found", "not_in_channel", "is_archived", "channel_is_archived"], CHANNEL),
    "missing_scope": "give the app the scopes files:write and chat:write, and install it again",
    **dict.fromkeys(["no_service", "no_team", "invalid_token", "404"], "make another webhook for SLACK_WEBHOOK_URL"),
}


def from_environment(environment: Mapping[str, str]) -> list[Destination]:
    """The bot if a token is set, else the webhook if one is set, else nothing."""
    token, channel, webhook = (
        environment.get(name, "").strip() for name in VARIABLES
    )
    if token and (channel or not webhook):
        return [SlackBot(token, channel, environment.get("SLACK_API_URL") or API)]
    return [SlackWebhook(webhook)] if webhook else []


def message(result: Result) -> str:
    """The message about a run, in Slack's markup."""
    row = result.row
    name, dataset = (html.escape(str(text), quote=False) for text in (result.folder.name, row["dataset"]))
    return f"*{name}*: {row['best_test_accuracy']:.1%} top-1 on the test split of {dataset}, {row['seconds']:.0f} s"


class Refusal(Exception):
    """Slack's error code."""


class SlackWebhook:
    """An incoming webhook: needs only its address, and carries only text."""

    once = True

    def __init__(self, address: str, patience: Patience | None = None) -> None:
        self._address, self._patience = address, patience or usual_patience()

    def write(self, result: Result) -> str:
        """Post the message."""
        body = json.dumps({"text": message(result)}).encode()
        headers = {"Content-Type": "application/json"}
        with _explained():
            self._patience.start()
            self._patience.bound(lambda: _post(self._address, body, headers, self._patience))
        return "message in Slack"


class SlackBot:
    """A bot that uploads the curve's picture with the message; without a picture it sends the message alone."""

    once = True

    def __init__(self, token: str, channel: str, api: str = API, patience: Patience | None = None) -> None:
        self._token, self._channel = token, channel
        self._api, self._patience = api.rstrip("/") + "/", patience or usual_patience()

    def write(self, result: Result) -> str:
        """Upload the picture in Slack's three steps: ask where to, send it there, publish it in the channel."""
        if not self._channel:
            raise Postponed(f"Slack: {CHANNEL}", NOT_SENT)
        with _explained():
            self._patience.start()
            self._patience.bound(lambda: self._send(result.folder / CURVE_FILE, message(result)))
        return f"message in Slack channel {self._channel}"

    def _send(self, picture: Path, text: str) -> None:
        if not picture.exists():
            self._call("chat.postMessage", channel=self._channel, text=text)
            return
        data, name = picture.read_bytes(), f"{picture.parent.name}.png"
        place = self._call("files.getUploadURLExternal", filename=name, length=str(len(data)))
        _post(place["upload_url"], data, {"Content-Type": "application/octet-stream"}, self._patience)
        files = json.dumps([{"id": place["file_id"], "title": name}])
        self._call("files.completeUploadExternal", files=files, channel_id=self._channel, initial_comment=text)

    def _call(self, method: str, **fields: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/x-www-form-urlencoded"}
        answer = json.loads(_post(self._api + method, urllib.parse.urlencode(fields).encode(), headers, self._patience))
        if not answer.get("ok"):
            raise Refusal(answer.get("error"))
        return answer


def usual_patience() -> Patience:
    """Slack takes about one message a second. A message is not worth waiting a minute."""
    return Patience(seconds=20, answer=10)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn any failure into one line without a secret: it quotes only Slack's error codes and types of errors."""
    try:
        yield
    except Refusal as error:
        word = str(error.args[0])
        word = word if re.fullmatch(r"[a-z0-9_]{1,40}", word) else "for no reason it gives"
        advice = ADVICE.get(word, "the run is not affected")
        raise Postponed(f"Slack refused the message ({word}): {advice}", NOT_SENT) from None
    except BROKEN as error:
        why = str(error) if isinstance(error, Passing) else type(getattr(error, "reason", error)).__name__
        raise Postponed(f"Slack did not take the message ({why}); the run is not affected", NOT_SENT) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, which would send the token to another address."""

    def redirect_request(self, *details: object) -> None:
        return None


def _post(address: str, body: bytes, headers: Mapping[str, str], patience: Patience) -> bytes:
    """POST; repeated only while Slack refuses it because of its rate limit."""
    if not address.startswith(("https://", "http://")):
        raise Refusal("not_a_web_address")

    def attempt() -> bytes:
        request = urllib.request.Request(address, body, dict(headers))
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=patience.answer) as answer:
                return answer.read(LARGEST)
        except urllib.error.HTTPError as error:
            if error.code == 429:
                after = error.headers.get("Retry-After", "")
                raise Passing("it is asked too often", float(after) if after.isdecimal() else 1.0) from None
            word = error.read(100).decode(errors="replace").strip()
            raise Refusal(word if re.fullmatch(r"[a-z_]+", word) else str(error.code)) from None

    return patience.insist(attempt)
