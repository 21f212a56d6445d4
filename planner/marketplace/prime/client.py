"""The one client of the marketplace: whole listings or an error, in bounded time."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self

from planner import formats as exact_json
from planner.errors import (
    ContractBroken,
    IncompleteListing,
    MarketError,
    RateLimited,
    RequestNotSent,
    Unavailable,
)
from planner.formats import JsonError
from planner.market.snapshot import Snapshot
from planner.marketplace import failures
from planner.marketplace.http import CONNECT_S, OK, READ_S, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    import httpx

    from planner.marketplace.credentials import Credentials


PAGE_SIZE = 100
MAX_PAGES = 1000


@dataclass(frozen=True)
class Page:
    """One answer of an availability endpoint.

    Attributes
    ----------
    rows : list
        The rows as sent.
    total : int | None
        How many rows the whole listing is said to have; None where the answer is a bare list.
    """

    rows: list[Any]
    total: int | None


@dataclass(frozen=True)
class Scan:
    """One reading of all pages.

    Attributes
    ----------
    rows : list
        What was read.
    total : int | None
        How many rows the first page claimed.
    flaw : str | None
        Why the rows cannot be the whole listing; None where they are.
    """

    rows: list[Any]
    total: int | None
    flaw: str | None


def read_page(document: Any) -> Page:  # noqa: ANN401 -- whatever JSON says
    """Return the page a JSON answer holds, in either documented shape.

    Raises
    ------
    JsonError
        When it is neither a list nor ``{items, totalCount}`` with a list and a whole number.
    """
    if isinstance(document, list):
        return Page(document, None)
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        raise exact_json.JsonError("neither a list nor an object with a list of items")
    total = document.get("totalCount")
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        raise exact_json.JsonError("a list of items whose totalCount is not a whole number")
    return Page(document["items"], total)


def scan(read: Callable[[int], Page]) -> Scan:
    """Read pages until the listing is complete or known not to be.

    With a total, pages are read until that many rows are in hand. Without one, until a page is
    empty, twice, and the one after it too: the API is reported to be empty in passing. Or until
    the second page repeats the first, which is how a server that does not page answers; a first
    page of exactly `PAGE_SIZE` rows is no such proof, for a server that pages and is stuck looks
    the same.

    Parameters
    ----------
    read : callable
        Return the page of a number, from 1.
    """
    first = read(1)
    rows: list[Any] = []
    seen: set[str] = set()
    for number in range(1, MAX_PAGES + 1):
        page = read(number) if number > 1 else first
        identities = {exact_json.identity(row) for row in page.rows}
        if number == 2 and len(first.rows) != PAGE_SIZE and _is_same(first, page):  # noqa: PLR2004 -- the second
            return Scan(rows, None, None)
        flaw = _flaw(first, page, repeated=not seen.isdisjoint(identities), read=len(rows))
        if first.total is None and page.rows and len(rows) < (number - 1) * len(first.rows):
            flaw = flaw or "follows a page that is shorter than the first"
        if flaw:
            return Scan(rows, first.total, f"page {number} {flaw}")
        rows += page.rows
        seen |= identities
        if len(rows) == first.total:
            return Scan(rows, first.total, None)
        if first.total is None and not page.rows:
            more = rows and (read(number).rows or read(number + 1).rows)
            return Scan(rows, None, f"page {number} was empty in passing" if more else None)
    return Scan(rows, first.total, f"there is no end to it after {MAX_PAGES} pages")


def _flaw(first: Page, page: Page, *, repeated: bool, read: int) -> str | None:
    """Return what shows that a page does not belong to one complete reading."""
    if page.total != first.total:
        return f"claims {_claim(page.total)} where the first claimed {_claim(first.total)}"
    if repeated:
        return "repeats a row of an earlier page"
    if page.total is None:
        return None
    if read + len(page.rows) > page.total:
        return "has more rows than the listing claims"
    return "is empty" if not page.rows and read < page.total else None


def _claim(total: int | None) -> str:
    return "no total" if total is None else f"{total} rows"


def _is_same(first: Page, page: Page) -> bool:
    """Return whether two bare lists hold the same rows, in any order."""
    if first.total is not None or page.total is not None or len(first.rows) != len(page.rows):
        return False
    return Counter(map(exact_json.identity, first.rows)) == Counter(
        map(exact_json.identity, page.rows)
    )


ATTEMPTS = 5
"""How often one page is asked for."""
REREADS = 5
"""How often a listing is read again after a reading that was not whole."""
SECOND_OPINION_S = 2.0
"""The pause before an empty listing is asked for again: the API is reported to be empty for
seconds at a time."""
MAX_BACK_OFF_S = 8.0

_AGAIN = "run the command again; if it lasts, plan from a snapshot with --offers FILE"

ListingName = Literal["disks", "gpus", "multi-node"]


class Client:
    """A connection to the marketplace, to be used in a ``with`` statement.

    Certificates are always verified (``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` may name other
    authorities), redirects are never followed, the proxies of the environment are used for https
    only, and the key is put on each request and kept nowhere else. May be shared by threads.

    Parameters
    ----------
    credentials : Credentials
        Key and base URL.
    transport : httpx.BaseTransport | None
        The seam: what carries requests instead of the network.
    clock, sleep : callable
        Monotonic seconds, and the pause between attempts.
    deadline_s : float
        Seconds that one listing may take, all pages, repetitions and pauses together.

    Raises
    ------
    InputError
        When the proxies or certificate files named in the environment cannot be used.

    Examples
    --------
    >>> import httpx
    >>> from pydantic import SecretStr
    >>> from planner.marketplace.credentials import Credentials
    >>> from planner.marketplace.prime.client import Client
    >>> answer = {"items": [{"provider": "runpod"}], "totalCount": 1}
    >>> offline = httpx.MockTransport(lambda request: httpx.Response(200, json=answer))
    >>> with Client(Credentials(SecretStr("made-up")), transport=offline) as client:
    ...     client.listing("disks").rows
    [{'provider': 'runpod'}]
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        deadline_s: float = 40.0,
    ) -> None:
        self._credentials = credentials
        self._clock = clock
        self._sleep = sleep
        self._deadline_s = deadline_s
        self._transport = Transport(credentials, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._transport.close()

    def listing(self, path: ListingName) -> Snapshot:
        """Return one availability listing, complete.

        A reading that shows a row twice, runs short or contradicts its own total is thrown away
        and made again, five times at most. An empty listing is asked for twice. For
        ``multi-node``, twice empty is believed, since there may honestly be none to rent; for the
        others it is an error: the market is never empty, and the API is reported (not confirmed)
        to answer so in passing.

        Parameters
        ----------
        path : {"disks", "gpus", "multi-node"}
            Which listing.

        Raises
        ------
        IncompleteListing
            When no reading was whole, or the market answered twice that it has no offers.
        RequestNotSent, Unavailable, RateLimited
            When a page still failed after five attempts, or waiting would exceed the deadline.
        RequestRefused
            When the marketplace refuses, or redirects.
        ContractBroken
            When an answer is too large or not what the API documents.
        """
        url = f"{self._credentials.base_url}/api/v1/availability/{path}"
        deadline = self._clock() + self._deadline_s
        rows = self._whole(url, deadline)
        if not rows:
            if not self._pause(SECOND_OPINION_S, deadline):
                message = f"GET {url}: no offers, and no time left to ask again"
                raise IncompleteListing(message, url=url, hint=_AGAIN)
            rows = self._whole(url, deadline)
        if not rows and path != "multi-node":
            message = f"GET {url}: the marketplace answered with no offers, twice"
            raise IncompleteListing(message, url=url, hint=_AGAIN)
        return Snapshot(rows, source=url, fetched_at=datetime.now(UTC))

    def _whole(self, url: str, deadline: float) -> list[Any]:
        """Return all rows, reading again as long as a reading is flawed."""

        def read(number: int) -> Page:
            return self._page(url, number, deadline)

        for reading in range(REREADS + 1):
            try:
                result = scan(read)
            except exact_json.JsonError as error:
                raise ContractBroken(f"GET {url}: the answer is {error}", url=url) from None
            if result.flaw is None:
                return result.rows
            if reading == REREADS or not self._pause(_back_off(reading) / 2, deadline):
                break
        raise IncompleteListing(_account(url, result, reading + 1), url=url, hint=_AGAIN)

    def _page(self, url: str, number: int, deadline: float) -> Page:
        """Return one page, asking again after failures that may pass."""
        query = {"page": str(number), "page_size": str(PAGE_SIZE)}
        for attempt in range(ATTEMPTS - 1):
            try:
                return self._get(url, query, deadline)
            except (RequestNotSent, Unavailable, RateLimited) as failure:
                told = getattr(failure, "retry_after", None)
                if not self._pause(told or _back_off(attempt), deadline):
                    raise
        return self._get(url, query, deadline)

    def _pause(self, seconds: float, deadline: float) -> bool:
        """Wait and return True, or return False at once where the deadline would come first."""
        if self._clock() + seconds >= deadline:
            return False
        self._sleep(seconds)
        return True

    def _get(self, url: str, query: dict[str, str], deadline: float) -> Page:
        """Return the page that one GET answers with, or raise its failure."""
        outcome = self._outcome(url, query, deadline)
        # Raised here, away from handlers and answers: neither the context nor a local variable
        # of the traceback may show what the server echoed.
        if isinstance(outcome, MarketError):
            raise outcome
        return outcome

    def _outcome(self, url: str, query: dict[str, str], deadline: float) -> Page | MarketError:
        """Return the page that one GET answers with, or its failure."""
        secret = self._credentials.api_key
        try:
            answer = self._transport.get(url, query, deadline - self._clock())
            if answer.status == OK:
                return read_page(exact_json.parse(answer.body))
            return failures.from_response(
                answer.status, answer.headers, answer.body, "GET", url, secret=secret
            )
        except TimeoutError:
            message = f"GET {url}: the listing was not complete within {self._deadline_s:g} s"
            return IncompleteListing(message, url=url, hint=_AGAIN)
        except exact_json.JsonError as error:
            return ContractBroken(f"GET {url}: the answer is {error}", url=url)
        except failures.ROOTS as error:
            failure = failures.from_exception(error, "GET", url, secret=secret)
            failure.__cause__ = None if failures.repeats(error, secret) else error
            return failure


def _back_off(attempt: int) -> float:
    """Return a pause of 0.5, 1, 2, 4 … 8 s, up to a quarter shorter, so that crowds disperse."""
    pause: float = min(MAX_BACK_OFF_S, 0.5 * 2**attempt)
    return pause * (1 - random.random() / 4)  # noqa: S311 -- not a secret


def _account(url: str, result: Scan, readings: int) -> str:
    """Return what was seen of a listing that could not be read whole."""
    claimed = "" if result.total is None else f" of {result.total} claimed"
    return (
        f"GET {url}: the listing could not be read whole in {readings} readings: "
        f"{len(result.rows)} rows{claimed} read, then {result.flaw}"
    )


@dataclass(frozen=True)
class Probe:
    """What came of one GET.

    Attributes
    ----------
    status : int | None
        The HTTP status; None where there was no whole answer.
    date : datetime | None
        When the server says it answered.
    sent_at, answered_at : datetime
        Before the request and after the answer, by our clock.
    failure : MarketError | None
        Why it is no success.
    """

    status: int | None
    date: datetime | None
    sent_at: datetime
    answered_at: datetime
    failure: MarketError | None

    @property
    def skew_s(self) -> float | None:
        """Return how far our clock is ahead of the server's at least; None where it is not known.

        The server counts whole seconds, and answered at some time between the two of ours.
        """
        if self.date is None:
            return None
        ahead = (self.sent_at - self.date).total_seconds() - 1
        behind = (self.answered_at - self.date).total_seconds()
        return ahead if ahead > 0 else min(0.0, behind)


def probe(
    credentials: Credentials,
    path: str,
    query: Mapping[str, str],
    *,
    now: Callable[[], datetime],
    transport: httpx.BaseTransport | None = None,
) -> Probe:
    """Ask once for a path below ``/api/v1/``, and return what came of it, failures included.

    Raises
    ------
    InputError
        When the proxies or certificate files named in the environment cannot be used.
    """
    url = f"{credentials.base_url}/api/v1/{path}"
    carrier = Transport(credentials, transport, fresh=True)
    sent_at = now()
    try:
        found = _asked(carrier, credentials, url, query)
    finally:
        carrier.close()
    return Probe(found[0], found[1], sent_at, now(), found[2])


def _asked(
    carrier: Transport, credentials: Credentials, url: str, query: Mapping[str, str]
) -> tuple[int | None, datetime | None, MarketError | None]:
    secret = credentials.api_key
    failure: MarketError | None = None
    try:
        answer = carrier.get(url, query, CONNECT_S + READ_S)
    except TimeoutError:
        return None, None, Unavailable(f"GET {url}: no whole answer in time", url=url)
    except JsonError as error:
        return None, None, MarketError(f"GET {url}: the answer is {error}", url=url)
    except failures.ROOTS as error:
        return None, None, failures.from_exception(error, "GET", url, secret=secret)
    if answer.status != OK:
        failure = failures.from_response(
            answer.status, answer.headers, answer.body, "GET", url, secret=secret
        )
    return answer.status, failures.http_date(answer.headers.get("date", "")), failure
