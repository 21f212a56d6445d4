"""Every way a request can fail has one planner error, and none of them shows the key."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

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
from planner.marketplace import failures

URL = "https://api.example/api/v1/availability/disks"
KEY = "pit_0123456789abcdef"
SECRET = SecretStr(KEY)
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def public_exceptions() -> list[type[Exception]]:
    """Return every exception class that httpx makes public."""
    named = (getattr(httpx, name) for name in httpx.__all__)
    return [kind for kind in named if isinstance(kind, type) and issubclass(kind, Exception)]


def made(kind: type[Exception], message: str) -> Exception:
    """Return an exception of httpx with a message; their constructors differ."""
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    return error


def response(status: int, document: Any = None, **headers: str) -> MarketError:
    """Return the failure of an answer."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return failures.from_response(status, named, body, "GET", URL, secret=SECRET, now=NOW)


@pytest.mark.parametrize("kind", public_exceptions(), ids=lambda kind: kind.__name__)
def test_every_public_exception_is_in_the_table(kind: type[Exception]) -> None:
    """An exception that httpx adds must be decided on, not caught by an ancestor's entry."""
    assert kind in failures.EXCEPTIONS
    assert issubclass(kind, failures.ROOTS)


@pytest.mark.parametrize("kind", public_exceptions(), ids=lambda kind: kind.__name__)
def test_exception_becomes_market_error(kind: type[Exception]) -> None:
    """Each carries method and URL, ends with exit 4, and has no key and no control characters."""
    failure = failures.from_exception(made(kind, f"{KEY}\x1b[2J"), "GET", URL, secret=SECRET)
    assert failure.exit_code == 4
    assert failure.data == {"method": "GET", "url": URL}
    assert KEY not in str(failure)
    assert "\x1b" not in str(failure)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (httpx.ConnectError, RequestNotSent),
        (httpx.ConnectTimeout, RequestNotSent),
        (httpx.PoolTimeout, RequestNotSent),
        (httpx.ProxyError, RequestNotSent),
        (httpx.ReadTimeout, Unavailable),
        (httpx.ReadError, Unavailable),
        (httpx.RemoteProtocolError, Unavailable),
        (httpx.DecodingError, ContractBroken),
        (httpx.UnsupportedProtocol, MarketError),
        (httpx.InvalidURL, MarketError),
    ],
)
def test_kind_of_failure(kind: type[Exception], expected: type[MarketError]) -> None:
    """A request that left this machine differs from one that did not."""
    assert type(failures.from_exception(made(kind, ""), "GET", URL)) is expected


def test_unknown_subclass_takes_its_nearest_ancestor() -> None:
    """An exception the table does not name is what its nearest ancestor is."""

    class NewTimeout(httpx.ConnectTimeout):
        pass

    assert isinstance(failures.from_exception(NewTimeout("slow"), "GET", URL), RequestNotSent)


def test_certificate_hint() -> None:
    """A certificate that is refused leads to SSL_CERT_FILE."""
    error = httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    assert "SSL_CERT_FILE" in str(failures.from_exception(error, "GET", URL).hint)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (100, ContractBroken),
        (201, ContractBroken),
        (204, ContractBroken),
        (206, ContractBroken),
        (301, RequestRefused),
        (304, RequestRefused),
        (307, RequestRefused),
        (400, Invalid),
        (401, Unauthorized),
        (402, PaymentRequired),
        (403, Unauthorized),
        (404, NotFound),
        (405, Invalid),
        (408, Unavailable),
        (409, RequestRefused),
        (413, Invalid),
        (415, Invalid),
        (418, RequestRefused),
        (422, Invalid),
        (425, Unavailable),
        (429, RateLimited),
        (451, RequestRefused),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (599, Unavailable),
        (600, ContractBroken),
    ],
)
def test_status(status: int, expected: type[MarketError]) -> None:
    """Each status has its error, with the status in the message and exit 4."""
    failure = response(status)
    assert type(failure) is expected
    assert str(status) in str(failure)
    assert failure.exit_code == 4


@pytest.mark.parametrize("status", [401, 403])
def test_scope_hint(status: int) -> None:
    """A refused key leads to the scope it needs."""
    assert "Availability → read" in str(response(status).hint)


@pytest.mark.parametrize(
    ("location", "where"),
    [
        ("http://127.0.0.1:9/steal", "127.0.0.1:9"),
        (f"https://user:{KEY}@evil.example/", "evil.example"),
        ("//evil.example/x", "evil.example"),
        ("/api/v1/availability/disks/", "the same host"),
        ("", "nowhere"),
        ("http://[bad", "an invalid URL"),
        (f"https://{KEY}.example", "***.example"),
    ],
)
def test_redirect_names_its_target(location: str, where: str) -> None:
    """A redirect is refused, saying where it led."""
    failure = response(307, location=location)
    assert where in str(failure)
    assert KEY not in str(failure)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:59:00 GMT", 0.0),
        ("Thu, 01 Jan 2026 13:00:30 +0100", 30.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e400", None),
        ("9" * 5000, None),
        ("Thu, 99 Jan 2026 12:00:30 GMT", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after(text: str, seconds: float | None, status: int) -> None:
    """Seconds and HTTP dates are read, at least 0; nonsense is ignored."""
    failure = response(status, retry_after=text)
    assert isinstance(failure, RateLimited | Unavailable)
    assert failure.retry_after == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "1 s"), (120, "120 s"), (121, "3 minutes"), (7199, "120 minutes"), (86400, "24 hours")],
)
def test_a_long_pause_is_in_hours(seconds: float, text: str) -> None:
    """Rounded up: whoever waits so long is not early."""
    assert failures.pause(seconds) == text


def test_retry_after_date_is_measured_from_the_answer() -> None:
    """A clock that is wrong here does not change how long a server asks to wait."""
    failure = response(
        429,
        date="Wed, 07 Jan 2026 00:00:00 GMT",
        retry_after="Wed, 07 Jan 2026 00:00:09 GMT",
    )
    assert isinstance(failure, RateLimited)
    assert failure.retry_after == 9
    assert "wait 9 s" in str(failure)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"errors": [{"param": "page", "details": "too large"}]}, "page: too large"),
        ({"errors": [{"details": "one"}, {"details": "two"}]}, "one; two"),
        ({"detail": [{"loc": ["query", "page", 0], "msg": "wrong"}]}, "query.page.0: wrong"),
        ({"detail": "no such thing"}, "no such thing"),
        ({"detail": "red\x1b[31m\r\n\u202e"}, "red\\x1b[31m\\r\\n\\u202e"),
        ({"detail": f"key {KEY} is not known"}, "key *** is not known"),
    ],
)
def test_the_server_s_message_is_shown(document: object, message: str) -> None:
    """The documented error shapes are quoted, cleaned, the key masked."""
    failure = response(422, document)
    assert str(failure).endswith(message)
    assert KEY not in str(failure)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>secret</html>",
        b"\xff",
        b"[" * 100_000,
        b"[1]",
        b'{"errors": 5, "detail": null}',
        b'{"errors": ["x", null, {"param": {}, "details": []}]}',
        b'{"detail": {"a": 1}}',
        b"",
    ],
)
def test_other_bodies_are_left_out(body: bytes) -> None:
    """A body of no documented shape adds nothing and breaks nothing."""
    assert str(response(404, body)).rstrip(": ").endswith("(404)")


def test_server_words_are_cut_after_masking() -> None:
    """A long text is cut at 300 characters, and a key across the cut is masked first."""
    failure = response(422, {"detail": "x" * 290 + KEY + "y" * 10_000})
    assert len(str(failure)) < 500
    assert "xxx***yyy" in str(failure)
    assert KEY[:8] not in str(failure)


def test_repeats_looks_down_the_chain() -> None:
    """A secret is detected in the text of an exception and of its causes."""
    outer = ValueError("outer")
    outer.__cause__ = ValueError("inner")
    outer.__cause__.__context__ = ValueError(f"innermost {KEY}")
    assert failures.repeats(outer, SECRET)
    assert not failures.repeats(ValueError("clean"), SECRET)
    assert not failures.repeats(outer, None)
