"""The account: its disks and its wallet, every outcome told apart.

A read may be repeated. A write is sent once; what came of it is one of: an answer that was
understood, `RequestNotSent`, `RequestRefused`, or `OutcomeUnknown`.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from planner import formats as exact_json
from planner.errors import (
    ContractBroken,
    MarketError,
    OutcomeUnknown,
    RateLimited,
    RequestNotSent,
    RequestRefused,
    Unavailable,
)
from planner.market.disks import ID, Disk, read_disk
from planner.marketplace import failures
from planner.marketplace.http import CONNECT_S, DONE, OK, READ_S, Response, Transport
from planner.marketplace.prime.wire import (
    DiskPage,
    WalletStatement,
    read_disk_page,
    read_wallet,
    understood,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from types import TracebackType

    import httpx

    from planner.marketplace.credentials import Credentials


PAGE_SIZE = 100
ATTEMPTS = 4
"""How often one read is asked for."""
MAX_TOLD_S = 30.0
"""The longest pause that a read makes because it was told to."""
REFUSALS = frozenset({400, 401, 402, 403, 404, 405, 409, 413, 415, 422, 429})
"""Statuses that say that a write was not done; any other that is no success says nothing."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Reply(Generic[Value]):
    """An answer that was understood.

    Attributes
    ----------
    value : Disk, DiskPage, WalletStatement or dict
        What it says.
    date : datetime | None
        When the server says it answered.
    """

    value: Value
    date: datetime | None


class Account:
    """Disks and wallet of one key, to be used in a ``with`` statement; may be shared by threads.

    Parameters
    ----------
    credentials : Credentials
        Key, base URL, team.
    transport : httpx.BaseTransport | None
        The seam: what carries requests instead of the network.
    sleep : callable
        The pause between attempts of a read.
    timeout_s : float
        Seconds that the answer to a write is waited for, and to a read at most.
    pause_s : float
        The first pause between attempts of a read; it doubles.

    Raises
    ------
    InputError
        When the proxies or certificate files named in the environment cannot be used.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] = time.sleep,
        timeout_s: float = 60.0,
        pause_s: float = 0.5,
    ) -> None:
        self.credentials = credentials
        self._sleep = sleep
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._transport = Transport(credentials, transport, fresh=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._transport.close()

    def create(self, body: dict[str, Any]) -> Reply[dict[str, Any]]:
        """Send one create request, once, and return the object it was answered with.

        Raises
        ------
        RequestNotSent
            When nothing left this machine.
        RequestRefused
            When the marketplace said that it did not create the disk.
        OutcomeUnknown
            In every other case.
        """
        return self._write("POST", "disks/", body)

    def rename(self, disk_id: str, name: str) -> None:
        """Give a disk another name.

        Raises
        ------
        RequestNotSent, RequestRefused, OutcomeUnknown
            As `create`.
        """
        self._write("PATCH", _disk_path(disk_id), {"name": name})

    def delete(self, disk_id: str) -> None:
        """Delete a disk and all its data.

        Raises
        ------
        RequestNotSent, RequestRefused, OutcomeUnknown
            As `create`.
        """
        self._write("DELETE", _disk_path(disk_id), None)

    def disk(self, disk_id: str) -> Reply[Disk]:
        """Return one disk.

        Raises
        ------
        NotFound
            When the account has no such disk.
        MarketError
            When it cannot be read.
        """
        document = self._read(_disk_path(disk_id), {})
        return Reply(read_disk(document.value), document.date)

    def disks(self, offset: int) -> Reply[DiskPage]:
        """Return one page of the account's disks.

        Raises
        ------
        MarketError
            When it cannot be read.
        """
        document = self._read("disks/", {"offset": str(offset), "limit": str(PAGE_SIZE)})
        url, page = self._url("disks/"), None
        try:
            page = read_disk_page(document.value)
        except exact_json.JsonError as error:
            problem = str(error)
        if page is None:
            raise ContractBroken(f"GET {url}: the answer is {problem}", url=url)
        return Reply(page, document.date)

    def wallet(self, offset: int = 0, limit: int = 1) -> Reply[WalletStatement]:
        """Return the wallet of the account, or of the team, with a page of what was billed.

        Parameters
        ----------
        offset, limit : int
            Which billing rows; at most 100 of them.

        Raises
        ------
        MarketError
            When it cannot be read.
        """
        query = {"limit": str(limit), "offset": str(offset)}
        if self.credentials.team_id is not None:
            query["teamId"] = self.credentials.team_id
        document = self._read("billing/wallet", query)
        url, wallet = self._url("billing/wallet"), None
        try:
            wallet = read_wallet(document.value)
        except exact_json.JsonError as error:
            problem = str(error)
        if wallet is None:
            raise ContractBroken(f"GET {url}: the answer is {problem}", url=url)
        return Reply(wallet, document.date)

    def _url(self, path: str) -> str:
        return f"{self.credentials.base_url}/api/v1/{path}"

    def _read(self, path: str, query: dict[str, str]) -> Reply[dict[str, Any]]:
        """Return the object a GET answers with, asking again after failures that may pass."""
        for attempt in range(ATTEMPTS - 1):
            found = self._exchange("GET", path, query=query)
            if not isinstance(found, RequestNotSent | Unavailable | RateLimited | ContractBroken):
                break
            told = min(found.retry_after or 0.0, MAX_TOLD_S)
            self._sleep(max(told, self._pause_s * 2**attempt * (1 - random.random() / 4)))  # noqa: S311 -- not a secret
        else:
            found = self._exchange("GET", path, query=query)
        if isinstance(found, MarketError):
            raise found
        return found

    def _write(self, method: str, path: str, body: object) -> Reply[dict[str, Any]]:
        """Send once; what was not understood is unknown."""
        content = None if body is None else json.dumps(body).encode("ascii")
        found = self._exchange(method, path, content=content)
        if isinstance(found, Reply):
            return found
        if not isinstance(found, RequestNotSent) and not _is_refusal(found):
            url = self._url(path)
            found = OutcomeUnknown(
                f"{found}; whether it was done is unknown",
                method=method,
                url=url,
                retry_after=found.retry_after,
                hint="run again: what was done is looked up before anything is sent",
            )
        raise found

    def _exchange(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> Reply[dict[str, Any]] | MarketError:
        """Return what one request was answered with, or its failure."""
        url, secret = self._url(path), self.credentials.api_key
        read_s = min(READ_S, self._timeout_s) if method == "GET" else self._timeout_s
        whole_s = read_s + min(CONNECT_S, read_s)
        problem: exact_json.JsonError | None = None
        try:
            answer = self._transport.send(
                method, url, query=query, content=content, seconds=whole_s, read_s=read_s
            )
            if answer.status in (DONE if method != "GET" else {OK}):
                return self._reply(method, answer)
        except TimeoutError:
            return Unavailable(f"{method} {url}: no whole answer in time", method=method, url=url)
        except exact_json.JsonError as error:
            problem = error
        except failures.ROOTS as error:
            failure = failures.from_exception(error, method, url, secret=secret)
            failure.__cause__ = None if failures.repeats(error, secret) else error
            return failure
        if problem is not None:
            message = f"{method} {url}: the answer is {problem}"
            return ContractBroken(message, method=method, url=url)
        return failures.from_response(
            answer.status, answer.headers, answer.body, method, url, secret=secret
        )

    @staticmethod
    def _reply(method: str, answer: Response) -> Reply[dict[str, Any]]:
        date = failures.http_date(answer.headers.get("date", ""))
        if method in {"PATCH", "DELETE"}:
            return Reply({}, date)  # whatever it says, a GET decides
        return Reply(understood(answer.body), date)


def _is_refusal(found: MarketError) -> bool:
    if not isinstance(found, RequestRefused):
        return False
    return found.status in REFUSALS or 300 <= found.status <= 399  # noqa: PLR2004 -- HTTP


def _disk_path(disk_id: str) -> str:
    if not ID.fullmatch(disk_id):
        raise ValueError("not an id of a disk")
    return f"disks/{disk_id}"
