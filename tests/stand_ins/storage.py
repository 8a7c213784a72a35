"""Cloud Storage on this machine: gcp-storage-emulator behind a stand-in that records requests and fails on command.

That emulator and not fake-gcs-server: pure Python, so it runs wherever the tests do; nothing here needs the generation
preconditions that only the other one honours.
"""

import http.client
import re
import socket
import urllib.parse
from collections.abc import Callable

from gcp_storage_emulator.server import create_server
from stand_ins.server import Answer, Request, StandIn

PER_HOP = {"connection", "content-length", "transfer-encoding", "date", "server"}


class StorageStandIn(StandIn):
    """Passes requests on to the emulator; `before` sees each first."""

    def __init__(self, bucket: str) -> None:
        super().__init__()
        self.before: Callable[[Request], None] = lambda request: None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._emulator = create_server("127.0.0.1", self._port, in_memory=True, default_bucket=bucket)

    def __enter__(self) -> "StorageStandIn":
        self._emulator.start()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._emulator.stop()

    def uploads(self, name: str) -> list[Request]:
        """The uploads begun so far of objects whose name ends so."""
        return [request for request in self.said("POST /upload") if uploaded(request).endswith(name)]

    def answer(self, request: Request) -> Answer:
        self.before(request)
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        try:
            connection.request(request.method, _target(request), request.body, request.headers)
            response = connection.getresponse()
            headers = {name: value for name, value in response.getheaders() if name.lower() not in PER_HOP}
            return Answer(response.status, response.read(), headers)
        finally:
            connection.close()


def uploaded(request: Request) -> str:
    """The object that a request begins to upload, whether it comes in one piece or in several; empty if none."""
    name = re.search(rb'"name": ?"([^"]*)"', request.body[:2000])
    return name[1].decode() if "/upload/" in request.path and name is not None else ""


def _target(request: Request) -> str:
    """Path and query as the client sent them: an object's name is one part of the path, slashes and all."""
    collection, name = re.fullmatch(r"(.*?/b/[^/]+/o)/(.+)|.*", request.path).groups()
    path = request.path if name is None else f"{collection}/{urllib.parse.quote(name, safe='')}"
    return path + (f"?{urllib.parse.urlencode(request.query)}" if request.query else "")
