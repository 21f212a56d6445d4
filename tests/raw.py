"""A raw server for answers that no HTTP library writes: every connection gets the same bytes."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

_DRIP_S = 0.02


class Raw:
    """Reads one request a connection, records its bytes, answers and closes.

    Parameters
    ----------
    reply : bytes
        What is sent; empty closes the connection without an answer.
    drips : bool
        Go on with a byte at a time, without end.
    """

    def __init__(self, reply: bytes = b"", *, drips: bool = False) -> None:
        self._reply, self._drips = reply, drips
        self.requests: list[bytes] = []
        self._closing = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            with connection:
                request = connection.recv(2**16)
                if request:
                    self.requests.append(request)
                connection.sendall(self._reply)
                while self._drips and not self._closing.wait(_DRIP_S):
                    connection.sendall(b" ")
        except OSError:
            return  # a client that hangs up is part of the test


def http(status: int, document: Any = None, **headers: str) -> bytes:
    """Return an answer: bytes as they are, or a JSON document; ``a_b`` becomes header ``a-b``."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    named = {"content-length": str(len(body))}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
