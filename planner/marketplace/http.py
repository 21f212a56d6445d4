"""One request, bounded in time and size, with the key on the request and nowhere else."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

import httpx

from planner.errors import InputError
from planner.formats import JsonError
from planner.marketplace.failures import http_date
from planner.present.progress import working

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime

    from pydantic import SecretStr

    from planner.marketplace.credentials import Credentials


OK = 200
DONE = frozenset({200, 201, 202})
"""Statuses whose answer is read whole."""
CONNECT_S = 10.0
READ_S = 30.0
MAX_ANSWER_BYTES = 16 * 2**20
MAX_ERROR_BYTES = 64 * 2**10
"""What is read of any other answer."""

_ENCODINGS = frozenset({"", "identity", "gzip", "deflate"})


@dataclass(frozen=True)
class Response:
    """The answer to one request.

    Attributes
    ----------
    body : bytes
        Decoded; whole where the status is one of `DONE`.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def date(self) -> datetime | None:
        """Return the server's time, None where it is missing."""
        return http_date(self.headers.get("date", ""))


Query = Mapping[str, str | Sequence[str]]
"""Parameters of a request; one that has several values is repeated."""


class Transport:
    """An httpx client that verifies certificates and follows no redirect.

    Each connection is used once: on one that is kept, a request may be lost to a server that is
    just closing it, and whether it arrived is then unknown.

    Parameters
    ----------
    credentials : Credentials
        The key, and whether the base URL is this machine.
    inner : httpx.BaseTransport | None
        What carries requests instead of the network.

    Raises
    ------
    InputError
        When the proxies or certificate files named in the environment cannot be used.
    """

    def __init__(self, credentials: Credentials, inner: httpx.BaseTransport | None = None) -> None:
        self._auth = _Bearer(credentials.api_key)
        self._http = open_client(inner, is_local=credentials.is_local)

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def send(
        self,
        method: str,
        url: str,
        *,
        query: Query | None = None,
        content: bytes | None = None,
        seconds: float,
        read_s: float = READ_S,
    ) -> Response:
        """Return the answer to a request, within so many seconds whatever the server does.

        httpx bounds the wait for each read, not their sum: a server that sends a byte now
        and then, a slow name server or a slow handshake would hold a command for hours. A thread
        that may be abandoned is bounded by nothing but the clock.

        Raises
        ------
        TimeoutError
            When the time is over.
        JsonError
            When the answer is too long, or compressed in an encoding that was not requested.
        httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError
            When the exchange fails.
        """
        answer: Future[Response] = Future()
        abandoned = threading.Event()
        request = self._http.build_request(
            method,
            url,
            params=dict(query or {}),
            content=content,
            headers={"Content-Type": "application/json"} if content is not None else None,
            timeout=httpx.Timeout(read_s, connect=CONNECT_S),
            extensions={"trace": _Late(abandoned)},
        )

        def fetch() -> None:
            try:
                answer.set_result(self._fetch(request, abandoned))
            except BaseException as error:  # noqa: BLE001 -- raised again where it is waited for
                answer.set_exception(error)

        if seconds <= 0:
            raise TimeoutError
        threading.Thread(target=fetch, name="planner-request", daemon=True).start()
        try:
            with working(f"Waiting for {request.url.host}"):
                return answer.result(timeout=seconds)
        finally:
            abandoned.set()

    def _fetch(self, request: httpx.Request, abandoned: threading.Event) -> Response:
        response = self._http.send(request, auth=self._auth, stream=True)
        try:
            return Response(response.status_code, response.headers, _body(response, abandoned))
        finally:
            response.close()


class _Late:
    """Stop a request that was given up before its first byte leaves."""

    def __init__(self, abandoned: threading.Event) -> None:
        self._abandoned = abandoned

    def __call__(self, name: str, _info: object) -> None:
        if name.endswith("send_request_headers.started") and self._abandoned.is_set():
            raise httpx.ConnectTimeout("too late to be sent")


def _body(response: httpx.Response, abandoned: threading.Event) -> bytes:
    """Return the decoded body; what is not one of `DONE` may be cut short."""
    if response.headers.get("content-encoding", "").strip().lower() not in _ENCODINGS:
        raise JsonError("compressed in an encoding that was not requested")
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if abandoned.is_set() or (response.status_code not in DONE and len(body) > MAX_ERROR_BYTES):
            break
        if len(body) > MAX_ANSWER_BYTES:
            raise JsonError(f"longer than {MAX_ANSWER_BYTES // 2**20} MiB")
    return bytes(body)


class _Bearer(httpx.Auth):
    """Put the key on one request; client headers would keep it and show it."""

    def __init__(self, api_key: SecretStr) -> None:
        self._api_key = api_key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._api_key.get_secret_value()}"
        yield request


def open_client(inner: httpx.BaseTransport | None, *, is_local: bool) -> httpx.Client:
    """Return an httpx client; certificates are verified whatever the environment holds."""
    problem = "the proxies named in the environment cannot be used"
    try:
        return httpx.Client(
            transport=inner,
            verify=True,
            follow_redirects=False,
            # http is allowed to this machine only, and a proxy is another machine.
            trust_env=not is_local,
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={
                "User-Agent": f"planner/{_version()}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            },
        )
    except OSError:
        problem = "the certificates named by SSL_CERT_FILE or SSL_CERT_DIR cannot be read"
    except (ValueError, ImportError, httpx.InvalidURL):
        # Raised below, without the message of the cause, which may show a proxy's password.
        pass
    raise InputError(problem, hint="correct the environment variables, or unset them")


def _version() -> str:
    try:
        return metadata.version("disk-planner")
    except metadata.PackageNotFoundError:
        return "unknown"
