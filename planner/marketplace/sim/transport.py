"""The simulator without sockets: an httpx transport that answers in this process."""

from __future__ import annotations

from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import httpx

from planner.marketplace.sim.wire import Request, bearer
from planner.marketplace.sim.world import to_time

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from planner.marketplace.sim.service import Service
    from planner.marketplace.sim.wire import SimResponse


_DRIP_S = 0.02


class SimTransport(httpx.BaseTransport):
    """Carry requests to one service; what a server does to a connection becomes httpx's errors.

    A wait beyond the request's read timeout is a `httpx.ReadTimeout` at once.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer to a request, or raise what the network would."""
        authorization = request.headers.get("authorization", "")
        others = [value for name, value in request.headers.items() if name != "authorization"]
        answer = self._service.answer(
            Request(
                method=request.method,
                path=request.url.path,
                query=parse_qs(request.url.query.decode("ascii"), keep_blank_values=True),
                body=request.read(),
                token=bearer(authorization),
                other_headers="\n".join(others),
                base_url=str(request.url.copy_with(path="/", query=None)).rstrip("/"),
            )
        )
        if answer.wait_s >= request.extensions.get("timeout", {}).get("read", float("inf")):
            raise httpx.ReadTimeout("no answer in time", request=request)
        self._service.closing.wait(answer.wait_s)
        if answer.manner == "drop":
            raise httpx.RemoteProtocolError("closed without an answer", request=request)
        now = to_time(self._service.world.clock.now_us()).replace(microsecond=0)
        headers = {"Date": format_datetime(now, usegmt=True), **answer.headers}
        if answer.manner == "whole":
            return httpx.Response(answer.status, headers=headers, content=answer.content)
        return httpx.Response(
            answer.status, headers=headers, stream=_Broken(answer, self._service.closing)
        )


class _Broken(httpx.SyncByteStream):
    """A body that is cut off in the middle, or comes a byte at a time without end."""

    def __init__(self, answer: SimResponse, closing: threading.Event) -> None:
        self._answer, self._closing = answer, closing

    def __iter__(self) -> Iterator[bytes]:
        if self._answer.manner == "cut":
            content = self._answer.content
            yield content[: len(content) // 2]
            raise httpx.RemoteProtocolError("closed in the middle of the answer")
        while not self._closing.wait(_DRIP_S):
            yield b" "
