"""What every stand-in shares: a real HTTP server on this machine that records requests and fails on command."""

import json
import socket
import struct
import threading
import traceback
import urllib.parse
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, TypeVar

S = TypeVar("S", bound="StandIn")


@dataclass(frozen=True)
class Request:
    """One request as it arrived. path: decoded, without the query; headers: names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"null")

    @property
    def form(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    """What goes back; a body that is not bytes is sent as JSON."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Fault:
    """A failure that waits for its requests.

    how: a status, "reset" (the connection breaks), "silence" (no answer until the client gives up) or "drip" (an answer
    that comes byte by byte and never ends).
    carried_out: the request takes effect first. where: part of "METHOD path". skip: how many such requests pass before.
    """

    how: int | Literal["reset", "silence", "drip"]
    where: str = ""
    times: int = 1
    carried_out: bool = False
    skip: int = 0
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class StandIn(ABC):
    """Plays a service: subclass it and override `answer`, which one request at a time enters. Use it as a context."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.bugs: list[str] = []
        self.lock = threading.RLock()
        self._closed = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.stand_in = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @abstractmethod
    def answer(self, request: Request) -> Answer:
        """What the service does and says; only one thread at a time is in here."""

    def fail(self, how: int | str, **options: Any) -> None:
        """Let the next request (or `times` requests, or those to `where`) fail; see Fault."""
        with self.lock:
            self.faults.append(Fault(how, **options))

    def said(self, where: str) -> list[Request]:
        """The requests so far whose "METHOD path" contains a text."""
        with self.lock:
            return [request for request in self.requests if where in f"{request.method} {request.path}"]

    def __enter__(self: S) -> S:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
        assert not self.bugs, "\n".join(self.bugs)

    def _receive(self, request: Request) -> tuple[Answer, Fault | None]:
        with self.lock:
            self.requests.append(request)
            fault = self._next_fault(f"{request.method} {request.path}")
            happens = fault is None or fault.carried_out
            answer = self._carry_out(request) if happens else Answer()
        if fault is not None and isinstance(fault.how, int):
            answer = Answer(fault.how, fault.body, fault.headers)
        return answer, fault

    def _carry_out(self, request: Request) -> Answer:
        try:
            return self.answer(request)
        except Exception:
            self.bugs.append(traceback.format_exc())
            return Answer(500, {"bug in the stand-in": self.bugs[-1]})

    def _next_fault(self, line: str) -> Fault | None:
        for fault in self.faults:
            if fault.where in line and fault.skip > 0:
                fault.skip -= 1
            elif fault.where in line:
                fault.times -= 1
                if fault.times == 0:
                    self.faults.remove(fault)
                return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    stand_in: StandIn

    def handle_error(self, *details: object) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle_request(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        request = Request(
            self.command,
            urllib.parse.unquote(url.path),
            dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(int(self.headers.get("content-length") or 0)),
        )
        answer, fault = self.server.stand_in._receive(request)
        if fault is not None and fault.how == "silence":
            self.server.stand_in._closed.wait(30)
        if fault is not None and fault.how == "drip":
            self.drip()
        if fault is not None and not isinstance(fault.how, int):
            return self.hang_up()
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.data)))
        self.end_headers()
        self.wfile.write(answer.data)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_request

    def drip(self) -> None:
        """Send a byte now and then, so that no client that waits for the next one ever gives up."""
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        while not self.server.stand_in._closed.wait(0.05):
            self.wfile.write(b" ")

    def hang_up(self) -> None:
        """Reset the connection, as a machine that dies does; closing it in order would say that all is well."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()

    def log_message(self, *details: object) -> None:
        """Tests read `requests` instead."""
