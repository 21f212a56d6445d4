"""HTTP on loopback: requests in, answers out, and broken connections on request."""

from __future__ import annotations

import ipaddress
import re
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs

from planner.errors import InputError
from planner.marketplace.sim import admin
from planner.marketplace.sim.wire import Request, SimResponse, bearer
from planner.marketplace.sim.world import to_time
from planner.text import visible

if TYPE_CHECKING:
    from planner.marketplace.sim.service import Service


MAX_BODY = 2**20
_DRIP_S = 0.02
_IDLE_S = 30
_TARGET = re.compile(
    r"(?:https?://[^/?#]*)?(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?", re.DOTALL
)


class Server(ThreadingHTTPServer):
    """A server of one service.

    Parameters
    ----------
    host : str
        A name or address of this machine: anything else is refused.
    port : int
        0 takes any that is free.

    Raises
    ------
    InputError
        When the host is not loopback, or the port cannot be had.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, service: Service, host: str = "127.0.0.1", port: int = 0) -> None:
        self.service = service
        if not _is_loopback(host):
            message = (
                f"{visible(host)[:80]} is not this machine: the simulator listens on loopback only"
            )
            raise InputError(message, hint="use 127.0.0.1")
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            message = f"port {port} cannot be listened on: {getattr(error, 'strerror', error)}"
            raise InputError(message, hint="name another, or 0 for any that is free") from error
        self.base_url = f"http://{host}:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- the base class's
        """Stay silent: clients that hang up are expected."""

    def server_bind(self) -> None:
        """Listen, without asking the network for this machine's name."""
        super(ThreadingHTTPServer, self).server_bind()
        self.server_name, self.server_port = "localhost", int(self.server_address[1])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S
    wbufsize = -1
    disable_nagle_algorithm = True

    @property
    def _service(self) -> Service:
        return cast("Server", self.server).service

    def _serve(self) -> None:
        """Answer one request."""
        body = self._body()
        if isinstance(body, SimResponse):
            self.close_connection = True
            self._send(body)
            return
        request = self._request(body)
        if request.path.startswith(admin.PREFIX) or f"{request.path}/" == admin.PREFIX:
            self._send(admin.answer(self._service, request))
            return
        answer = self._service.answer(request)
        if answer.wait_s:
            self._service.closing.wait(answer.wait_s)
        if answer.manner == "drop":
            self.close_connection = True
        elif answer.manner == "drip":
            self._drip(answer)
        else:
            self._send(answer)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = do_HEAD = do_OPTIONS = _serve  # noqa: N815 -- the base class's

    def _body(self) -> bytes | SimResponse:
        """Return the body, or the answer to one that cannot be read or may not be sent."""
        host = re.sub(r":\d*\Z", "", self.headers.get("Host", ""))
        if self.headers.get("Origin") or not _is_loopback(host):
            return SimResponse(403, {"detail": "Only programs of this machine are answered"})
        if self.headers.get("Transfer-Encoding"):
            return SimResponse(411, {"detail": "Length Required"})
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()):
            return SimResponse(400, {"detail": "The content length is no number"})
        if len(length) > len(str(MAX_BODY)) or int(length) > MAX_BODY:
            return SimResponse(413, {"detail": "Request Entity Too Large"})
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            return SimResponse(400, {"detail": "The body is shorter than its length"})
        return body

    def _request(self, body: bytes) -> Request:
        parts = _TARGET.fullmatch(self.path)
        others = [value for name, value in self.headers.items() if name.lower() != "authorization"]
        return Request(
            method=self.command,
            path=parts["path"] if parts else self.path,
            query=parse_qs(parts["query"] if parts else None, keep_blank_values=True),
            body=body,
            token=bearer(self.headers.get("Authorization", "")),
            other_headers="\n".join(others),
            base_url=cast("Server", self.server).base_url,
        )

    def _head(self, answer: SimResponse, length: int) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(self, answer: SimResponse) -> None:
        content = answer.content
        self._head(answer, len(content))
        if answer.manner == "cut":
            self.close_connection = True
            content = content[: len(content) // 2]
        if self.command != "HEAD":
            self.wfile.write(content)

    def _drip(self, answer: SimResponse) -> None:
        """Send bytes one at a time until the client or the server stops."""
        self.close_connection = True
        self._head(answer, 2**30)
        while not self._service.closing.wait(_DRIP_S):
            self.wfile.write(b" ")
            self.wfile.flush()

    def version_string(self) -> str:
        """Return who answers, for the Server header."""
        return "planner-sim"

    def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002 -- the base class's
        """Return the marketplace's time for the Date header."""
        now = to_time(self._service.world.clock.now_us())
        return format_datetime(now.replace(microsecond=0), usegmt=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's name
        """Stay silent: the audit has it."""
