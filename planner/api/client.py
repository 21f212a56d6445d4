"""The one client of the marketplace: whole listings or an error, in bounded time."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self

from planner import exact_json
from planner.api import failures
from planner.api.listing import PAGE_SIZE, Listing, Page, Scan, read_page, scan
from planner.api.transport import OK, Transport
from planner.errors import (
    ContractBroken,
    IncompleteListing,
    MarketError,
    RateLimited,
    RequestNotSent,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    import httpx

    from planner.api.credentials import Credentials

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
    >>> from planner.api import Client, Credentials
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

    def listing(self, path: ListingName) -> Listing:
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
        return Listing(rows, datetime.now(UTC), url)

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
