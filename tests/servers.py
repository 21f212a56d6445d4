"""A marketplace on 127.0.0.1 that speaks the availability API and misbehaves on request.

::

    with Marketplace(rows) as market:
        market.fault(status(503), page=2, times=1)
        ...                                  # talk to market.url
        assert market.requests[0].page == 1

A fault changes one answer: it is a function of the `Exchange`, run before the answer is sent.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, Self, cast
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

KEY = "pit_made-up-key-0123456789"
PREFIX = "/api/v1/availability/"
ALWAYS = 10**9
DRIP_S = 0.02


@dataclass(frozen=True)
class Request:
    """One request that arrived; header names are in lower case."""

    method: str
    listing: str
    page: int
    page_size: int
    headers: Mapping[str, str]


ACCOUNT = "/api/v1/disks/"
"""How a request for the account's disks is recorded; the account has none."""


@dataclass
class Exchange:
    """One answer about to be sent."""

    market: Marketplace
    request: Request
    document: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    manner: Literal["whole", "drop", "cut", "drip-head", "drip-body"] = "whole"

    @property
    def content(self) -> bytes:
        """Return the bytes of the answer."""
        return json.dumps(self.document).encode() if self.body is None else self.body


@dataclass
class _Script:
    action: Callable[[Exchange], None]
    page: int | None
    listing: str | None
    times: int


class Marketplace:
    """A server for given rows.

    Parameters
    ----------
    rows : sequence, or mapping of listing to sequence
        The rows of ``disks``, or of each listing by name; a listing without rows is empty.
    bare : bool
        Answer with a list rather than ``{items, totalCount}``.
    paged : bool
        Honour ``page`` and ``page_size``; otherwise every answer holds all rows.
    key : str
        The key that is accepted; anything else is answered with 401.
    """

    def __init__(
        self,
        rows: Sequence[Any] | Mapping[str, Sequence[Any]] = (),
        *,
        bare: bool = False,
        paged: bool = True,
        key: str = KEY,
    ) -> None:
        by_name = rows if isinstance(rows, dict) else {"disks": rows}
        self.rows: dict[str, list[Any]] = {name: list(listed) for name, listed in by_name.items()}
        self.bare, self.paged, self.key = bare, paged, key
        self.requests: list[Request] = []
        self._scripts: list[_Script] = []
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Return the base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pages(self) -> list[int]:
        """Return the pages asked for, in order."""
        return [request.page for request in self.requests]

    def fault(
        self,
        action: Callable[[Exchange], None],
        *,
        page: int | None = None,
        listing: str | None = None,
        times: int = ALWAYS,
    ) -> None:
        """Change the next answers for a page (any by default) of a listing (any by default)."""
        self._scripts.append(_Script(action, page, listing, times))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def page(self, listing: str, page: int, page_size: int) -> Any:
        """Return the document of a page, without faults."""
        if listing == ACCOUNT:
            return {"data": [], "total_count": 0}
        rows = self.rows.get(listing, [])
        start = (page - 1) * page_size
        shown = rows[start : start + page_size] if self.paged else rows
        return shown if self.bare else {"items": shown, "totalCount": len(rows)}

    def exchange(self, request: Request) -> Exchange:
        """Record a request and return its answer, faults applied."""
        with self._lock:
            self.requests.append(request)
            page = self.page(request.listing, request.page, request.page_size)
            result = Exchange(self, request, page)
            if request.headers.get("authorization") != f"Bearer {self.key}":
                result.status, result.document = 401, {"detail": "Invalid API key"}
                return result
            for script in self._scripts:
                at = (script.page, script.listing)
                if script.times and all(
                    wanted in {None, given}
                    for wanted, given in zip(at, (request.page, request.listing), strict=True)
                ):
                    script.times -= 1
                    script.action(result)
                    break
            return result


def status(code: int, document: Any = None, **headers: str) -> Callable[[Exchange], None]:
    """Answer with a status; ``retry_after="1"`` becomes the header ``retry-after``."""

    def act(exchange: Exchange) -> None:
        exchange.status, exchange.document = code, document
        exchange.headers |= {name.replace("_", "-"): value for name, value in headers.items()}

    return act


def redirect(url: str, code: int = 307) -> Callable[[Exchange], None]:
    """Answer with a redirect."""
    return status(code, location=url)


def says(body: bytes, **headers: str) -> Callable[[Exchange], None]:
    """Answer 200 with these bytes."""

    def act(exchange: Exchange) -> None:
        exchange.body = body
        exchange.headers |= {name.replace("_", "-"): value for name, value in headers.items()}

    return act


def shows(rows: Sequence[Any]) -> Callable[[Exchange], None]:
    """Answer with these rows in place of the page's own."""

    def act(exchange: Exchange) -> None:
        if exchange.market.bare:
            exchange.document = list(rows)
        else:
            exchange.document = {**exchange.document, "items": list(rows)}

    return act


def repeats(page: int) -> Callable[[Exchange], None]:
    """Answer with another page's rows."""

    def act(exchange: Exchange) -> None:
        request = exchange.request
        exchange.document = exchange.market.page(request.listing, page, request.page_size)

    return act


def claims(total: Any) -> Callable[[Exchange], None]:
    """Answer with another ``totalCount``."""

    def act(exchange: Exchange) -> None:
        exchange.document = {**exchange.document, "totalCount": total}

    return act


def drops(exchange: Exchange) -> None:
    """Close the connection without an answer."""
    exchange.manner = "drop"


def cuts(exchange: Exchange) -> None:
    """Close the connection in the middle of the body."""
    exchange.manner = "cut"


def drips_head(exchange: Exchange) -> None:
    """Send header bytes one at a time, without end."""
    exchange.manner = "drip-head"


def drips_body(exchange: Exchange) -> None:
    """Send body bytes one at a time, without end."""
    exchange.manner = "drip-body"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, market: Marketplace) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.market = market

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up is part of the test."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5
    wbufsize = -1
    connection: socket.socket

    def do_GET(self) -> None:
        market = cast("_Server", self.server).market
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        request = Request(
            method=self.command,
            listing=parts.path.removeprefix(PREFIX),
            page=int(query.get("page", ["1"])[0]),
            page_size=int(query.get("page_size", ["100"])[0]),
            headers={name.lower(): value for name, value in self.headers.items()},
        )
        exchange = market.exchange(request)
        if exchange.manner == "drop":
            self.close_connection = True
        elif exchange.manner == "drip-head":
            self._drip(market, b"HTTP/1.1 200 OK\r\nX-Drip: ")
        elif exchange.manner == "drip-body":
            self._drip(market, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
        else:
            self._answer(exchange)

    def _answer(self, exchange: Exchange) -> None:
        content = exchange.content
        self.send_response(exchange.status)
        for name, value in exchange.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if exchange.manner == "cut":
            self.close_connection = True
            content = content[: len(content) // 2]
        self.wfile.write(content)

    def _drip(self, market: Marketplace, start: bytes) -> None:
        self.close_connection = True
        self.wfile.write(start)
        while not market.closing.wait(DRIP_S):
            self.wfile.write(b" ")
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's name
        """Keep test output quiet."""
