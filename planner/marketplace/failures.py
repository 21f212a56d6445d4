"""What can go wrong between here and the marketplace, translated once.

One table from httpx exceptions, one from HTTP statuses. Messages carry the method, the URL and
the server's own message, cleaned and cut; never a header and never the key.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from planner import formats as exact_json
from planner.errors import (
    ContractBroken,
    Invalid,
    MarketError,
    NotFound,
    PaymentRequired,
    RateLimited,
    RequestNotSent,
    RequestRefused,
    Unauthorized,
    Unavailable,
)
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr


MAX_DETAIL = 300
"""Characters of the server's own message that are shown."""

_SECONDS = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*", re.ASCII)
_TRANSIENT = frozenset({408, 425})

# Looked up along the exception's own ancestry, so the most specific entry wins.
EXCEPTIONS: dict[type, tuple[type[MarketError], str]] = {
    httpx.ConnectTimeout: (RequestNotSent, "no connection within the time allowed"),
    httpx.PoolTimeout: (RequestNotSent, "no free connection within the time allowed"),
    httpx.ConnectError: (RequestNotSent, "cannot connect"),
    httpx.ProxyError: (RequestNotSent, "the proxy refused"),
    httpx.ReadTimeout: (Unavailable, "no answer within the time allowed"),
    httpx.WriteTimeout: (Unavailable, "the request could not be sent within the time allowed"),
    httpx.TimeoutException: (Unavailable, "no answer within the time allowed"),
    httpx.ReadError: (Unavailable, "the connection broke while the answer was read"),
    httpx.WriteError: (Unavailable, "the connection broke while the request was sent"),
    httpx.CloseError: (Unavailable, "the connection broke"),
    httpx.NetworkError: (Unavailable, "the connection broke"),
    httpx.RemoteProtocolError: (Unavailable, "the answer was cut off or is not HTTP"),
    httpx.LocalProtocolError: (MarketError, "the request could not be written as HTTP"),
    httpx.ProtocolError: (Unavailable, "the exchange was not HTTP"),
    httpx.UnsupportedProtocol: (MarketError, "the URL's protocol is not supported"),
    httpx.TransportError: (Unavailable, "the exchange failed"),
    httpx.DecodingError: (ContractBroken, "the answer's compression is broken"),
    httpx.TooManyRedirects: (ContractBroken, "the answer redirects without end"),
    httpx.RequestError: (Unavailable, "the exchange failed"),
    httpx.HTTPStatusError: (ContractBroken, "the status was not expected"),
    httpx.HTTPError: (Unavailable, "the exchange failed"),
    httpx.InvalidURL: (MarketError, "the URL is not valid"),
    httpx.CookieConflict: (ContractBroken, "the answer's cookies contradict each other"),
    httpx.StreamConsumed: (Unavailable, "the answer could not be read"),
    httpx.StreamClosed: (Unavailable, "the answer could not be read"),
    httpx.ResponseNotRead: (Unavailable, "the answer could not be read"),
    httpx.RequestNotRead: (MarketError, "the request could not be read"),
    httpx.StreamError: (Unavailable, "the answer could not be read"),
}

ROOTS = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError)
"""What to catch: every public httpx exception is one of these."""

_SCOPES = "the key needs the scopes Availability → read and, to buy, Disks → read and write"
_REFUSALS: dict[int, tuple[type[RequestRefused], str, str | None]] = {
    400: (Invalid, "the marketplace rejected the request as invalid", None),
    401: (
        Unauthorized,
        "the marketplace does not accept this API key",
        f"run `prime login` or set PRIME_API_KEY; {_SCOPES}",
    ),
    402: (
        PaymentRequired,
        "the wallet cannot pay for this",
        "add funds to the wallet of the account or team",
    ),
    403: (
        Unauthorized,
        "the API key lacks the permission",
        f"check the team; {_SCOPES}",
    ),
    404: (NotFound, "not found", "check PRIME_API_BASE_URL"),
    405: (Invalid, "the marketplace does not allow this method", "check PRIME_API_BASE_URL"),
    413: (Invalid, "the request is too large for the marketplace", None),
    415: (Invalid, "the marketplace does not support this content type", None),
    422: (Invalid, "the marketplace rejected the request as invalid", None),
}


def from_exception(
    error: Exception, method: str, url: str, *, secret: SecretStr | None = None
) -> MarketError:
    """Return the failure that an httpx exception stands for.

    Parameters
    ----------
    error : Exception
        What the transport raised: one of `ROOTS`.
    secret : SecretStr | None
        The key; masked should the exception repeat it.
    """
    failure, what = next(EXCEPTIONS[kind] for kind in type(error).__mro__ if kind in EXCEPTIONS)
    detail = _shown(str(error), secret)
    message = f"{method} {url}: {what}" + (f" ({detail})" if detail else "")
    if failure is Unavailable:
        return Unavailable(message, method=method, url=url)
    return failure(message, method=method, url=url, hint=_connect_hint(error))


def from_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    method: str,
    url: str,
    *,
    secret: SecretStr | None = None,
    now: datetime | None = None,
) -> MarketError:
    """Return the failure that an answer other than 200 stands for.

    Parameters
    ----------
    headers : Mapping of str to str
        The answer's headers, looked up in lower case: ``location``, ``retry-after``, ``date``.
    body : bytes
        The answer; the documented error shapes are quoted, anything else is left out.
    secret : SecretStr | None
        The key; masked should the answer repeat it.
    now : datetime | None
        What a ``Retry-After`` date is measured from when the answer has no ``Date``.
    """
    detail = _server_message(body, secret)
    suffix = f": {detail}" if detail else ""
    request: dict[str, Any] = {"method": method, "url": url}
    if status == 429 or status in _TRANSIENT or 500 <= status <= 599:  # noqa: PLR2004 -- HTTP
        return _for_now(status, suffix, retry_after(headers, now), request)
    if 300 <= status <= 399:  # noqa: PLR2004 -- HTTP
        return _redirect(status, headers.get("location", ""), secret, request)
    if status in _REFUSALS:
        refusal, what, hint = _REFUSALS[status]
        refused = refusal(
            f"{method} {url}: {what} ({status}){suffix}", status=status, hint=hint, **request
        )
        if isinstance(refused, Invalid):
            refused.fields = _fields(body, secret)
        return refused
    if 400 <= status <= 499:  # noqa: PLR2004 -- HTTP
        message = f"{method} {url}: the marketplace refused ({status}){suffix}"
        return RequestRefused(message, status=status, **request)
    return ContractBroken(f"{method} {url}: answered {status}, not 200{suffix}", **request)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds a server asks to wait, at least 0; None where that is missing.

    Both forms of RFC 9110 are read, seconds and date; a date is measured from the answer's own
    ``Date``, so that a clock that is wrong here does not matter. Nonsense is ignored.
    """
    text = headers.get("retry-after", "")
    if match := _SECONDS.fullmatch(text):
        return float(match[1])
    then = http_date(text)
    if then is None:
        return None
    since = http_date(headers.get("date", "")) or now or datetime.now(UTC)
    return max(0.0, (then - since).total_seconds())


def repeats(error: BaseException | None, secret: SecretStr | None) -> bool:
    """Return whether an exception, or one it was raised from, would show the secret."""
    key = secret.get_secret_value() if secret else ""
    while error is not None:
        if key and (key in str(error) or key in repr(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _for_now(
    status: int, suffix: str, wait_s: float | None, request: dict[str, Any]
) -> RateLimited | Unavailable:
    """Return a refusal that may pass with time."""
    what = "the marketplace limits requests" if status == 429 else "the marketplace is unavailable"  # noqa: PLR2004 -- HTTP
    when = "" if wait_s is None else f"; it asks to wait {pause(wait_s)}"
    message = f"{request['method']} {request['url']}: {what} ({status}{when}){suffix}"
    hint = f"run again in {pause(wait_s) if wait_s else 'a minute'}"
    if status == 429:  # noqa: PLR2004 -- HTTP
        return RateLimited(message, status=status, hint=hint, retry_after=wait_s, **request)
    return Unavailable(message, hint=hint, retry_after=wait_s, **request)


def pause(seconds: float) -> str:
    """Return a pause as people say it, rounded up.

    >>> pause(90), pause(601), pause(86400)
    ('90 s', '11 minutes', '24 hours')
    """
    if seconds <= 120:  # noqa: PLR2004 -- two minutes
        return f"{math.ceil(seconds)} s"
    size, unit = (60, "minutes") if seconds < 2 * 3600 else (3600, "hours")
    return f"{math.ceil(seconds / size):,} {unit}"


def _redirect(
    status: int, location: str, secret: SecretStr | None, request: dict[str, Any]
) -> RequestRefused:
    """Return the refusal to follow: another host, or another port, must never get the key."""
    try:
        host = urlsplit(location).netloc.rpartition("@")[2]
    except ValueError:
        host = "an invalid URL"
    where = _shown(host, secret) or ("the same host" if location else "nowhere")
    message = (
        f"{request['method']} {request['url']}: redirected ({status}) to {where}; "
        "redirects are not followed, so that the API key goes nowhere else"
    )
    return RequestRefused(message, status=status, hint="check PRIME_API_BASE_URL", **request)


def _connect_hint(error: BaseException) -> str | None:
    if isinstance(error, httpx.ConnectError) and "CERTIFICATE" in str(error):
        return "set SSL_CERT_FILE to the CA bundle of this network; certificates stay checked"
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return "check the network, proxy settings and PRIME_API_BASE_URL; or pass --offers FILE"
    return None


def _document(body: bytes) -> dict[str, Any]:
    """Return the JSON object of an error; an empty one for anything else."""
    try:
        document = exact_json.parse(body)
    except exact_json.JsonError:
        return {}
    return document if isinstance(document, dict) else {}


def _server_message(body: bytes, secret: SecretStr | None) -> str:
    """Return the message in a documented error shape, empty for any other."""
    document = _document(body)
    detail = document.get("detail")
    if isinstance(detail, str):
        return _shown(detail, secret)
    pairs = [*_pairs(document.get("errors"), "param", "details"), *_pairs(detail, "loc", "msg")]
    return _shown("; ".join(pairs), secret)


def _fields(body: bytes, secret: SecretStr | None) -> tuple[str, ...]:
    """Return the fields that a refusal names, in either documented shape."""
    document = _document(body)
    entries = [*_listed(document.get("errors")), *_listed(document.get("detail"))]
    named = (_joined(entry.get("param") or entry.get("loc")) for entry in entries[:10])
    return tuple(_shown(name, secret) for name in named if name)


def _listed(entries: Any) -> list[dict[str, Any]]:  # noqa: ANN401 -- any JSON value
    rows = entries if isinstance(entries, list) else []
    return [row for row in rows if isinstance(row, dict)]


def _pairs(entries: Any, place: str, text: str) -> list[str]:  # noqa: ANN401 -- any JSON value
    """Return ``place: text`` of each entry that is an object."""
    return [
        ": ".join(filter(None, (_joined(entry.get(place)), _joined(entry.get(text)))))
        for entry in _listed(entries)[:10]
    ]


def _joined(value: Any) -> str:  # noqa: ANN401 -- any JSON value
    """Return a text, or a path such as ``["body", "size"]``, as text."""
    parts = value if isinstance(value, list) else [value]
    return ".".join(str(part) for part in parts if isinstance(part, str | int))


def _shown(text: str, secret: SecretStr | None) -> str:
    """Return text from outside: the key masked before it could be cut in two, then cleaned."""
    masked = text.replace(secret.get_secret_value(), "***") if secret else text
    shown = visible(masked)
    return shown if len(shown) <= MAX_DETAIL else shown[:MAX_DETAIL] + "…"


def http_date(text: str) -> datetime | None:
    """Return an HTTP date, None where it is invalid."""
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
