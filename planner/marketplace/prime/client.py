"""The client of Prime Intellect's marketplace: complete listings or an error, writes sent once.

A read may be repeated. A write is sent once; its outcome is an answer that was understood,
`RequestNotSent`, `RequestRefused`, or `OutcomeUnknown`.
"""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any, Self, TypeVar

from planner.errors import (
    ContractBroken,
    IncompleteListing,
    MarketError,
    OutcomeUnknown,
    RateLimited,
    RequestNotSent,
    RequestRefused,
    Unavailable,
)
from planner.formats import JsonError
from planner.market.disks import ID, read_disk
from planner.market.snapshot import Snapshot
from planner.marketplace import failures
from planner.marketplace.http import CONNECT_S, DONE, OK, READ_S, Query, Transport
from planner.marketplace.paging import PAGE_SIZE, Page, scan
from planner.marketplace.prime import wire
from planner.marketplace.protocol import LISTING_S, DiskListing, Probe, WalletStatement, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import httpx

    from planner.market.disks import Disk
    from planner.marketplace.credentials import Credentials
    from planner.marketplace.http import Response
    from planner.marketplace.paging import Scan
    from planner.marketplace.protocol import Access, Bill, DiskRequest, GpuListing, ListingName


ATTEMPTS = 5
"""How often one read is tried."""
REREADS = 5
"""How often a listing is read again after a reading that was not complete."""
MAX_BACK_OFF_S = 8.0
MAX_WAIT_S = 30.0
"""The longest pause asked for by the server that a request waits by default."""
MAX_BILL_PAGES = 50
"""Pages of billing rows that are read; the rest is counted."""
REFUSALS = frozenset({400, 401, 402, 403, 404, 405, 409, 413, 415, 422, 429})
"""Statuses that say that a write was not done; after any other failure it may have been."""

_TICK_S = 0.01
_AGAIN = "run the command again; if it lasts, plan from a snapshot with --offers FILE"
_TRANSIENT = (RequestNotSent, Unavailable, RateLimited, ContractBroken)
_PROBES: dict[Access, tuple[str, dict[str, str]]] = {
    "availability_read": ("availability/disks", {"page": "1", "page_size": "1"}),
    "disks_read": ("disks/", {"offset": "0", "limit": "1"}),
    "wallet_read": ("billing/wallet", {"offset": "0", "limit": "1"}),
}

Value = TypeVar("Value")


class Client:
    """A `Marketplace` over HTTP, to be used in a ``with`` statement; threads may share it.

    Certificates are always verified (``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` may name other
    authorities), redirects are never followed, the proxies of the environment are used for https
    only, and the key is put on each request and kept nowhere else.

    Parameters
    ----------
    credentials : Credentials
        Key, base URL, team.
    transport : httpx.BaseTransport | None
        The seam: what carries requests instead of the network.
    clock, now, sleep : callable
        Monotonic seconds, UTC, and the pause between attempts.
    timeout_s : float
        Seconds that the answer to a write is waited for, and to a read at most.
    pause_s : float
        The first pause between attempts of a read; it doubles.
    attempts : int
        How often a read is tried where a failure may pass.
    on_listing : callable
        Called with the name and the snapshot of each complete listing of the whole market.
    max_wait_s : float
        The longest pause asked for by the server that is waited for; every request of every thread
        keeps it. A longer one ends the request with `RateLimited`.

    Raises
    ------
    InputError
        When the proxies or certificate files named in the environment cannot be used.

    Examples
    --------
    >>> from pydantic import SecretStr
    >>> from planner.marketplace.credentials import Credentials
    >>> from planner.marketplace.prime.client import Client
    >>> from planner.marketplace.sim.local import Sim
    >>> with Sim() as sim, Client(Credentials(SecretStr(sim.key), sim.base_url)) as client:
    ...     len(client.listing("disks").rows)
    13
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], object] = time.sleep,
        timeout_s: float = 60.0,
        pause_s: float = 0.5,
        max_wait_s: float = MAX_WAIT_S,
        attempts: int = ATTEMPTS,
        on_listing: Callable[[ListingName, Snapshot], object] = lambda *_: None,
    ) -> None:
        self._on_listing, self._attempts = on_listing, attempts
        self._credentials = credentials
        self._clock, self._now, self._sleep = clock, now, sleep
        self._timeout_s, self._pause_s, self._max_wait_s = timeout_s, pause_s, max_wait_s
        self._not_before: float | None = None
        self._date: datetime | None = None
        self._transport = Transport(credentials, transport)

    @property
    def base_url(self) -> str:
        """Return the base URL."""
        return self._credentials.base_url

    @property
    def team_id(self) -> str | None:
        """Return the team that pays, None for the personal account."""
        return self._credentials.team_id

    @property
    def date(self) -> datetime | None:
        """Return the marketplace's time when it last answered; None where unknown."""
        return self._date

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._transport.close()

    # -- offers ---------------------------------------------------------------------------------

    def listing(self, name: ListingName, *, within_s: float = LISTING_S) -> Snapshot:
        """Return one listing of offers, complete.

        A reading that shows a row twice, runs short or contradicts its own total is thrown away
        and made again, five times at most. An empty listing is read twice. For ``multi-node`` an
        answer that is empty twice is accepted, since there may be none to rent; for the others it
        is an error: the market is never empty, and the API is reported (not confirmed) to answer
        so in passing.

        Parameters
        ----------
        name : {"disks", "gpus", "multi-node"}
            Which listing.
        within_s : float
            Seconds for all pages, repetitions and pauses together.

        Raises
        ------
        IncompleteListing
            When no reading was complete in time, or the market answered twice without offers.
        RequestNotSent, Unavailable, RateLimited, ContractBroken
            When a page still failed after five attempts, or waiting would exceed the deadline.
        RequestRefused
            When the marketplace refuses, or redirects.
        """
        url = self._url(f"availability/{name}")
        rows = self._offers(name, {}, within_s)
        if not rows and name != "multi-node":
            message = f"GET {url}: the marketplace answered with no offers, twice"
            raise IncompleteListing(message, url=url, hint=_AGAIN)
        snapshot = Snapshot(rows, source=url, fetched_at=self._now())
        self._on_listing(name, snapshot)
        return snapshot

    def gpus_beside(
        self,
        disk_ids: Sequence[str],
        gpu_type: str,
        *,
        listing: GpuListing = "gpus",
        within_s: float = LISTING_S,
    ) -> Snapshot:
        """Return the GPU offers of a model where disks are: see `Marketplace.gpus_beside`."""
        filters = {"disks": list(disk_ids), "gpu_type": gpu_type}
        rows = self._offers(listing, filters, within_s)
        url = self._url(f"availability/{listing}")
        return Snapshot(rows, source=url, fetched_at=self._now())

    def _offers(self, name: ListingName, filters: Query, within_s: float) -> list[Any]:
        """Return all rows of a listing that pass its filters; an empty one is read twice."""
        path = f"availability/{name}"
        url, deadline = self._url(path), self._clock() + within_s

        def read(number: int, _received: int) -> Page[Any]:
            query = {**filters, "page": str(number), "page_size": str(PAGE_SIZE)}
            try:
                return self._read(path, query, _page(wire.read_offers), deadline)
            except Unavailable:
                if self._clock() < deadline:
                    raise
            message = f"GET {url}: the listing was not complete within {within_s:g} s"
            raise IncompleteListing(message, url=url, hint=_AGAIN)

        rows = self._complete(url, read, deadline)
        if not rows:
            if not self._pause(4 * self._pause_s, deadline):
                message = f"GET {url}: no offers, and no time left to ask again"
                raise IncompleteListing(message, url=url, hint=_AGAIN)
            rows = self._complete(url, read, deadline)
        return rows

    def _complete(
        self, url: str, read: Callable[[int, int], Page[Any]], deadline: float
    ) -> list[Any]:
        """Return all rows, reading again as long as a reading is flawed."""
        for reading in range(1, REREADS + 2):
            result = scan(read)
            if result.flaw is None:
                return result.rows
            if reading > REREADS or not self._pause(self._back_off(reading - 1) / 2, deadline):
                break
        raise _incomplete(url, result, result.flaw, reading)

    # -- disks ----------------------------------------------------------------------------------

    def disks(self, *, readings: int = 1, trust_empty: bool = True) -> DiskListing:
        """Return every disk of the account: see `Marketplace.disks`."""
        url = self._url("disks/")

        def read(_number: int, received: int) -> Page[Disk]:
            query = {"offset": str(received), "limit": str(PAGE_SIZE)}
            return self._read("disks/", query, _page(wire.read_disks))

        agreed: list[Scan[Disk]] = []
        flaw: str | None = None
        for reading in range(1, REREADS + readings + 1):
            if flaw:
                self._sleep(self._pause_s * reading)
            result = scan(read)
            flaw = result.flaw
            if flaw is None and len(set(result.keys)) < len(result.keys):
                flaw = "a disk is listed twice"
            if flaw is not None:
                agreed = []
                continue
            if agreed and set(agreed[-1].keys) != set(result.keys):
                agreed, flaw = [], "two readings showed different disks"
            agreed.append(result)
            if not result.rows and not trust_empty:
                self._sleep(2 * self._pause_s)
                return self.disks(readings=readings)
            if len(agreed) >= readings:
                return DiskListing(tuple(result.rows), result.date, url)
        error = _incomplete(url, result, flaw, reading)
        error.hint = "run again; nothing is sent without it"
        raise error

    def disk(self, disk_id: str) -> Disk:
        """Return one disk: see `Marketplace.disk`."""
        return self._read(_disk_path(disk_id), {}, _disk)

    def create(self, request: DiskRequest) -> Disk:
        """Send one create request, once: see `Marketplace.create`."""
        return self._write("POST", "disks/", wire.create_body(request, self.team_id), _disk)

    def rename(self, disk_id: str, name: str) -> None:
        """Give a disk another name."""
        self._write("PATCH", _disk_path(disk_id), {"name": name}, _nothing)

    def delete(self, disk_id: str) -> None:
        """Delete a disk and all its data."""
        self._write("DELETE", _disk_path(disk_id), None, _nothing)

    # -- wallet and access ----------------------------------------------------------------------

    def wallet(self, *, bills: bool = False) -> WalletStatement:
        """Return the balance, and what was billed where asked for, each row once."""
        page = self._wallet(0, PAGE_SIZE if bills else 1)
        if not bills:
            return WalletStatement(page.balance_usd, (), page.total_bills)
        seen: dict[str, Bill] = {}
        received = 0
        for number in range(1, MAX_BILL_PAGES + 1):
            received += len(page.bills)
            for bill in page.bills:
                seen.setdefault(bill.key, bill)
            is_last = page.total_bills is not None and received >= page.total_bills
            if not page.bills or is_last or number == MAX_BILL_PAGES:
                break
            page = self._wallet(received, PAGE_SIZE)
        return WalletStatement(page.balance_usd, tuple(seen.values()), page.total_bills)

    def _wallet(self, offset: int, limit: int) -> WalletStatement:
        query = {"limit": str(limit), "offset": str(offset), **self._team}
        return self._read("billing/wallet", query, lambda answer: wire.read_wallet(answer.body))

    @property
    def _team(self) -> dict[str, str]:
        return {} if self.team_id is None else {"teamId": self.team_id}

    def probe(self, access: Access) -> Probe:
        """Try once whether the key may read something; failures are returned, not raised."""
        path, query = _PROBES[access]
        if access == "wallet_read":
            query = {**query, **self._team}
        sent_at = self._now()
        response = self._send("GET", path, query=query)
        answered_at = self._now()
        if isinstance(response, MarketError):
            return Probe(None, None, sent_at, answered_at, response)
        failure = None if response.status == OK else self._refusal("GET", path, response)
        return Probe(response.status, response.date, sent_at, answered_at, failure)

    # -- one request ----------------------------------------------------------------------------

    def _url(self, path: str) -> str:
        return f"{self.base_url}/api/v1/{path}"

    def _back_off(self, attempt: int) -> float:
        """Return a pause that doubles, up to a quarter shorter, so that crowds disperse."""
        pause: float = min(MAX_BACK_OFF_S, self._pause_s * 2**attempt)
        return pause * (1 - random.random() / 4)  # noqa: S311 -- not a secret

    def _pause(self, seconds: float, deadline: float | None) -> bool:
        """Wait and return True, or return False at once where the deadline would come first."""
        if deadline is not None and self._clock() + seconds >= deadline:
            return False
        if deadline is None and seconds > self._max_wait_s:
            return False
        self._sleep(seconds)
        return True

    def _held(self, method: str, url: str, deadline: float | None) -> RateLimited | None:
        """Keep the pause that any answer asked for; return a failure where it is too long."""
        if self._not_before is None:
            return None
        left = self._not_before - self._clock()
        most = self._max_wait_s if deadline is None else deadline - self._clock()
        if 0 < left <= most:
            self._sleep(left)
            left = self._not_before - self._clock()
        if left <= _TICK_S:
            return None
        message = f"{method} {url}: the marketplace asks to wait {failures.pause(left)} more"
        return RateLimited(message, method=method, url=url, status=429, retry_after=left)

    def _read(
        self,
        path: str,
        query: Query,
        read: Callable[[Response], Value],
        deadline: float | None = None,
    ) -> Value:
        """Return what a GET answers with, asking again after failures that may pass."""
        for attempt in range(self._attempts):
            outcome = self._exchange("GET", path, read, query=query, deadline=deadline)
            # Raised here, away from handlers and answers: neither the context nor a local variable
            # of the traceback may show what the server echoed.
            if not isinstance(outcome, MarketError):
                return outcome
            failure = outcome
            if not isinstance(failure, _TRANSIENT) or attempt == self._attempts - 1:
                break
            if not self._pause(failure.retry_after or self._back_off(attempt), deadline):
                break
        raise failure

    def _write(
        self, method: str, path: str, body: object, read: Callable[[Response], Value]
    ) -> Value:
        """Send once; an outcome that was not understood is unknown."""
        content = None if body is None else json.dumps(body).encode("ascii")
        outcome = self._exchange(method, path, read, content=content)
        if not isinstance(outcome, MarketError):
            return outcome
        if not isinstance(outcome, RequestNotSent) and not _is_refusal(outcome):
            outcome = OutcomeUnknown(
                f"{outcome}; whether it was done is unknown",
                method=method,
                url=self._url(path),
                retry_after=outcome.retry_after,
                hint="run again: what was done is looked up before anything is sent",
            )
        raise outcome

    def _exchange(
        self,
        method: str,
        path: str,
        read: Callable[[Response], Value],
        *,
        query: Query | None = None,
        content: bytes | None = None,
        deadline: float | None = None,
    ) -> Value | MarketError:
        """Return what one request was answered with, or its failure."""
        response = self._send(method, path, query=query, content=content, deadline=deadline)
        if isinstance(response, MarketError):
            return response
        if response.status not in (DONE if method != "GET" else {OK}):
            return self._refusal(method, path, response)
        try:
            return read(response)
        except JsonError as error:
            return self._broken(method, path, error)

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        content: bytes | None = None,
        deadline: float | None = None,
    ) -> Response | MarketError:
        """Return the answer to one request, whatever its status, or why there is none."""
        url, secret = self._url(path), self._credentials.api_key
        held = self._held(method, url, deadline)
        if held is not None:
            return held
        read_s = min(READ_S, self._timeout_s) if method == "GET" else self._timeout_s
        seconds = read_s + min(CONNECT_S, read_s)
        if deadline is not None:
            seconds = deadline - self._clock()
        try:
            response = self._transport.send(
                method, url, query=query, content=content, seconds=seconds, read_s=read_s
            )
        except TimeoutError:
            return Unavailable(f"{method} {url}: no whole answer in time", method=method, url=url)
        except JsonError as error:
            return self._broken(method, path, error)
        except failures.ROOTS as error:
            failure = failures.from_exception(error, method, url, secret=secret)
            failure.__cause__ = None if failures.repeats(error, secret) else error
            return failure
        self._date = response.date or self._date
        return response

    def _refusal(self, method: str, path: str, response: Response) -> MarketError:
        failure = failures.from_response(
            response.status,
            response.headers,
            response.body,
            method,
            self._url(path),
            secret=self._credentials.api_key,
        )
        if failure.retry_after:
            until = self._clock() + failure.retry_after
            self._not_before = max(self._not_before or until, until)
        return failure

    def _broken(self, method: str, path: str, problem: JsonError) -> ContractBroken:
        url = self._url(path)
        return ContractBroken(f"{method} {url}: the answer is {problem}", method=method, url=url)


def _page(read: Callable[[bytes], Page[Value]]) -> Callable[[Response], Page[Value]]:
    """Return what reads a page of an answer, with the answer's date."""

    def dated(response: Response) -> Page[Value]:
        page = read(response.body)
        return Page(page.rows, page.keys, page.total, response.date)

    return dated


def _disk(response: Response) -> Disk:
    return read_disk(wire.read_object(response.body))


def _nothing(_: Response) -> None:
    """Ignore the answer to a PATCH or DELETE: a GET decides."""


def _incomplete(url: str, result: Scan[Any], flaw: str | None, readings: int) -> IncompleteListing:
    claimed = "" if result.total is None else f" of {result.total} claimed"
    return IncompleteListing(
        f"GET {url}: the listing could not be read whole in {readings} readings: "
        f"{len(result.rows)} rows{claimed} read, then {flaw}",
        url=url,
        hint=_AGAIN,
    )


def _is_refusal(failure: MarketError) -> bool:
    if not isinstance(failure, RequestRefused):
        return False
    return failure.status in REFUSALS or 300 <= failure.status <= 399  # noqa: PLR2004 -- HTTP


def _disk_path(disk_id: str) -> str:
    if not ID.fullmatch(disk_id):
        raise ValueError("not an id of a disk")
    return f"disks/{disk_id}"
