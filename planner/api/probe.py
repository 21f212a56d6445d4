"""One GET, to see how the marketplace answers: status, the server's clock, how long it took.

A read of ``Account`` says what was asked for or raises; a refusal says nothing of the clock there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner.api import failures
from planner.api.transport import CONNECT_S, OK, READ_S, Transport
from planner.errors import MarketError, Unavailable
from planner.exact_json import JsonError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import httpx

    from planner.api.credentials import Credentials


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
