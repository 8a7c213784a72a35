"""Slack as a local server: an incoming webhook, and the three steps of an upload by a bot."""

import json
from typing import Any

from stand_ins.server import Answer, Request, StandIn

TOKEN = "xoxb-1234-secret"
WEBHOOK = "/services/T000/B000/webhooksecret"
CHANNEL = "C012AB3CD"


class Slack(StandIn):
    """messages: what the channel shows; each is a text and, when there is a picture, its bytes and title."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}

    def answer(self, request: Request) -> Answer:
        if request.path == WEBHOOK:
            self.messages.append({"text": request.json["text"]})
            return Answer(200, b"ok")
        if request.path.startswith("/services/"):
            return Answer(404, b"no_service")
        if request.path.startswith("/upload/"):
            assert "authorization" not in request.headers  # that address is a secret of its own
            self.files[request.path.removeprefix("/upload/")] = request.body
            return Answer(200, b"OK - 1")
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return Answer(200, {"ok": False, "error": "invalid_auth"})
        return self._method(request.path.removeprefix("/api/"), request.form)

    def _method(self, name: str, form: dict[str, str]) -> Answer:
        if name == "files.getUploadURLExternal":
            number = f"F{len(self.files)}"
            self.files[number] = b"0" * int(form["length"])
            return Answer(200, {"ok": True, "upload_url": f"{self.url}/upload/{number}", "file_id": number})
        if form.get("channel_id", form.get("channel")) != CHANNEL:
            return Answer(200, {"ok": False, "error": "channel_not_found"})
        if name == "chat.postMessage":
            self.messages.append({"text": form["text"]})
            return Answer(200, {"ok": True})
        (file,) = json.loads(form["files"])
        picture = self.files[file["id"]]
        self.messages.append({"text": form["initial_comment"], "picture": picture, "title": file["title"]})
        return Answer(200, {"ok": True, "files": [file]})
