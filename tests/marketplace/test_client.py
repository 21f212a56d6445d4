"""The client returns the whole market or an error with exit 4, and the key goes nowhere else."""

from __future__ import annotations

import gzip
import io
import json
import ssl
import time
import traceback
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretStr

from planner.errors import (
    ContractBroken,
    IncompleteListing,
    InputError,
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
from planner.marketplace.credentials import Credentials
from planner.marketplace.prime.client import Client
from tests.servers import (
    KEY,
    Exchange,
    Marketplace,
    claims,
    cuts,
    drips_body,
    drips_head,
    drops,
    redirect,
    repeats,
    says,
    shows,
    status,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from planner.marketplace.protocol import ListingName

ROWS: list[Any] = [{"provider": "runpod", "n": n, "price": n / 8} for n in range(250)]


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def fake() -> FakeTime:
    """Return a clock of its own for each test."""
    return FakeTime()


@pytest.fixture
def market() -> Iterator[Marketplace]:
    """Yield a marketplace of 250 disk offers on three pages."""
    with Marketplace(ROWS) as server:
        yield server


def opened(market: Marketplace, fake: FakeTime, key: str = KEY, path: str = "") -> Client:
    """Return a client of a marketplace whose pauses take no time."""
    credentials = Credentials(SecretStr(key), market.url + path)
    return Client(credentials, clock=fake.clock, sleep=fake.sleep)


def listed(market: Marketplace, fake: FakeTime, name: ListingName = "disks") -> list[Any]:
    """Return the rows of one listing."""
    with opened(market, fake) as client:
        return client.listing(name).rows


def shown(error: BaseException) -> str:
    """Return the traceback, every exception of the chain, and the locals of planner's frames."""
    text = io.StringIO()
    traceback.print_exception(error, file=text)
    link: BaseException | None = error
    while link is not None:
        text.write(f"{link} {link!r} {getattr(link, 'hint', '')} {getattr(link, 'data', '')}\n")
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if "/planner/marketplace/" in frame.f_code.co_filename:
                text.write(f"{frame.f_locals!r}\n")
        link = link.__cause__ or link.__context__
    return text.getvalue()


@pytest.mark.parametrize("bare", [False, True])
def test_whole_market(bare: bool, fake: FakeTime) -> None:
    """All 250 offers arrive in order over three pages, in either shape."""
    with Marketplace(ROWS, bare=bare) as market, opened(market, fake) as client:
        before = datetime.now(UTC)
        listing = client.listing("disks")
    assert listing.rows == ROWS
    assert market.pages == ([1, 2, 3, 4, 4, 5] if bare else [1, 2, 3])
    assert listing.fetched_at is not None
    assert before <= listing.fetched_at <= datetime.now(UTC)
    assert listing.source == f"{market.url}/api/v1/availability/disks"
    assert fake.slept == []


@pytest.mark.parametrize("bare", [False, True])
def test_server_that_does_not_page(bare: bool, fake: FakeTime) -> None:
    """A server that ignores paging and answers everything at once is the whole market."""
    with Marketplace(ROWS, bare=bare, paged=False) as market:
        assert listed(market, fake) == ROWS


@pytest.mark.parametrize("name", ["disks", "gpus", "multi-node"])
def test_each_listing_has_its_path(name: ListingName, fake: FakeTime) -> None:
    """The three listings are read from their own paths, under a base URL with /api/v1 too."""
    with (
        Marketplace({name: [{"n": 1}]}) as market,
        opened(market, fake, path="/api/v1/") as client,
    ):
        assert client.listing(name).rows == [{"n": 1}]
        assert market.requests[0].listing == name


def test_request(market: Marketplace, fake: FakeTime) -> None:
    """A request is a GET with the key, our name, no compression and pages of 100."""
    listed(market, fake)
    for request in market.requests:
        assert request.method == "GET"
        assert request.page_size == 100
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.headers["user-agent"].startswith("planner/")
        assert request.headers["accept-encoding"] == "identity"


def test_key_is_not_kept_by_the_http_client(fake: FakeTime, market: Marketplace) -> None:
    """The headers that httpx keeps and shows have no key."""
    with opened(market, fake) as client:
        client.listing("disks")
        assert "authorization" not in client._transport._http.headers


def test_numbers_are_exact_and_odd_rows_kept(fake: FakeTime) -> None:
    """Prices arrive as exact decimals; NaN, text and rows that are no objects as they are."""
    body = b'[{"p": 0.000097000000000000000001}, {"p": NaN}, {"p": "0.1"}, 7, null]'
    with Marketplace([1], bare=True) as market:
        market.fault(says(body))
        rows = listed(market, fake)
    assert rows[0]["p"] == Decimal("0.000097000000000000000001")
    assert rows[1]["p"].is_nan()
    assert rows[2:] == [{"p": "0.1"}, 7, None]


PASSING: list[Callable[[Exchange], None]] = [
    status(500),
    status(502),
    status(503),
    status(408),
    status(425),
    status(429),
    drops,
    cuts,
]


@pytest.mark.parametrize("action", PASSING)
def test_page_that_fails_in_passing(
    action: Callable[[Exchange], None], market: Marketplace, fake: FakeTime
) -> None:
    """A page that fails four times and then answers costs pauses, not the listing."""
    market.fault(action, page=2, times=4)
    assert listed(market, fake) == ROWS
    assert market.pages == [1, 2, 2, 2, 2, 2, 3]
    for pause, longest in zip(fake.slept, (0.5, 1, 2, 4), strict=True):
        assert 0.75 * longest <= pause <= longest


@pytest.mark.parametrize("action", PASSING)
def test_page_that_goes_on_failing(
    action: Callable[[Exchange], None], market: Marketplace, fake: FakeTime
) -> None:
    """A page is asked for five times at most, then its failure is the listing's."""
    market.fault(action, page=2)
    with pytest.raises((Unavailable, RateLimited)) as caught:
        listed(market, fake)
    assert caught.value.exit_code == 4
    assert market.pages == [1] + [2] * 5


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (400, Invalid),
        (401, Unauthorized),
        (402, PaymentRequired),
        (403, Unauthorized),
        (404, NotFound),
        (422, Invalid),
        (304, RequestRefused),
    ],
)
def test_refusals_are_not_repeated(
    code: int, expected: type[MarketError], market: Marketplace, fake: FakeTime
) -> None:
    """What will not pass is asked once."""
    market.fault(status(code), page=2)
    with pytest.raises(expected) as caught:
        listed(market, fake)
    assert caught.value.exit_code == 4
    assert market.pages == [1, 2]
    assert fake.slept == []


def test_retry_after_is_obeyed(market: Marketplace, fake: FakeTime) -> None:
    """The pause is what the server asks for, when it fits the deadline."""
    market.fault(status(429, retry_after="7"), page=2, times=2)
    market.fault(status(503, retry_after="3"), page=3, times=1)
    assert listed(market, fake) == ROWS
    assert fake.slept == [7, 7, 3]


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_beyond_the_deadline(code: int, market: Marketplace, fake: FakeTime) -> None:
    """A wait that does not fit ends the listing at once, saying how long it would be."""
    market.fault(status(code, retry_after="120"), page=2)
    with pytest.raises((Unavailable, RateLimited), match="120 s") as caught:
        listed(market, fake)
    assert "120 s" in str(caught.value.hint)
    assert market.pages == [1, 2]
    assert fake.slept == []


def test_pauses_never_pass_the_deadline(market: Marketplace, fake: FakeTime) -> None:
    """Pauses that add up to more than 40 s are not begun."""
    market.fault(status(429, retry_after="15"))
    with pytest.raises(RateLimited):
        listed(market, fake)
    assert fake.slept == [15, 15]


def test_no_server(fake: FakeTime) -> None:
    """A port where nobody listens is RequestNotSent after five attempts."""
    with Marketplace() as market:
        pass
    with pytest.raises(RequestNotSent) as caught:
        listed(market, fake)
    assert len(fake.slept) == 4
    assert caught.value.exit_code == 4
    assert caught.value.hint


FLAWED: dict[str, tuple[Callable[[Exchange], None], int]] = {
    "repeats an earlier page": (repeats(1), 2),
    "repeats one row": (shows([*ROWS[101:200], ROWS[0]]), 2),
    "runs short": (shows([]), 3),
    "more than claimed": (shows([{"extra": n} for n in range(60)]), 3),
    "total changes": (claims(251), 2),
}


@pytest.mark.parametrize("name", FLAWED)
def test_flawed_reading_is_made_again(name: str, market: Marketplace, fake: FakeTime) -> None:
    """A reading that is not whole five times, and whole then, is the market."""
    action, page = FLAWED[name]
    market.fault(action, page=page, times=5)
    assert listed(market, fake) == ROWS
    assert market.pages.count(1) == 6


@pytest.mark.parametrize("name", FLAWED)
def test_listing_that_stays_flawed(name: str, market: Marketplace, fake: FakeTime) -> None:
    """After five repetitions it is an error that says what was seen and what to do."""
    action, page = FLAWED[name]
    market.fault(action, page=page)
    with pytest.raises(IncompleteListing, match=f"of 250 claimed read, then page {page}") as caught:
        listed(market, fake)
    assert caught.value.exit_code == 4
    assert "again" in str(caught.value.hint)
    assert market.pages.count(1) == 6


def test_total_that_is_too_large(market: Marketplace, fake: FakeTime) -> None:
    """Rows that end before the claimed total are never taken for the market."""
    market.fault(claims(1000))
    with pytest.raises(IncompleteListing, match="250 rows of 1000 claimed"):
        listed(market, fake)


def test_row_that_moved_between_pages(market: Marketplace, fake: FakeTime) -> None:
    """Without totals too, a row that is seen on two pages spoils the reading."""
    market.bare = True
    market.fault(shows(ROWS[99:199]), page=2, times=1)
    assert listed(market, fake) == ROWS
    assert market.pages == [1, 2, 1, 2, 3, 4, 4, 5]


def test_bare_page_empty_in_passing(market: Marketplace, fake: FakeTime) -> None:
    """A page of a bare list that is empty once, or short before another, is not the end."""
    market.bare = True
    market.fault(says(b"[]"), page=2, times=1)
    assert listed(market, fake) == ROWS
    market.fault(shows(ROWS[100:150]), page=2, times=1)
    assert listed(market, fake) == ROWS


@pytest.mark.parametrize("bare", [False, True])
def test_empty_in_passing(bare: bool, market: Marketplace, fake: FakeTime) -> None:
    """An empty answer is asked for again two seconds later, and that answer counts."""
    market.bare = bare
    market.fault(says(b"[]" if bare else b'{"items": [], "totalCount": 0}'), times=1)
    assert listed(market, fake) == ROWS
    assert fake.slept == [2.0]


@pytest.mark.parametrize("name", ["disks", "gpus"])
def test_empty_twice(name: ListingName, fake: FakeTime) -> None:
    """A market without offers is an error of its own, asked for twice."""
    with Marketplace() as market:
        with pytest.raises(IncompleteListing, match="no offers, twice") as caught:
            listed(market, fake, name)
        assert market.pages == [1, 1]
    assert caught.value.exit_code == 4


def test_no_multi_node_offers(fake: FakeTime) -> None:
    """For multi-node, twice empty is believed."""
    with Marketplace() as market:
        assert listed(market, fake, "multi-node") == []
        assert market.pages == [1, 1]


@pytest.mark.parametrize("name", ["disks", "multi-node"])
def test_empty_without_time_to_ask_again(name: ListingName, fake: FakeTime) -> None:
    """An empty answer without a second opinion is never believed."""
    with Marketplace() as market:
        credentials = Credentials(SecretStr(KEY), market.url)
        client = Client(credentials, clock=fake.clock, sleep=fake.sleep)
        with client, pytest.raises(IncompleteListing, match="no time left"):
            client.listing(name, within_s=1.5)


BROKEN = {
    "not JSON": b"<html>busy</html>",
    "empty": b"",
    "not UTF-8": b'["\xff"]',
    "nested": b"[" * 100_000,
    "key twice": b'{"items": [], "items": [], "totalCount": 0}',
    "text": b'"items"',
    "no total": b'{"items": []}',
    "total is text": b'{"items": [], "totalCount": "0"}',
    "total is negative": b'{"items": [], "totalCount": -1}',
    "total is a fraction": b'{"items": [], "totalCount": 0.0}',
    "items is an object": b'{"items": {}, "totalCount": 0}',
    "too long": b"[" + b" " * (16 * 2**20) + b"]",
}


@pytest.mark.parametrize("name", BROKEN)
def test_answer_that_breaks_the_contract(name: str, market: Marketplace, fake: FakeTime) -> None:
    """An answer that is not what the API documents is ContractBroken, after five attempts."""
    market.fault(says(BROKEN[name]))
    with pytest.raises(ContractBroken) as caught:
        listed(market, fake)
    assert caught.value.exit_code == 4
    assert market.pages == [1] * 5


def test_compressed_answers(market: Marketplace, fake: FakeTime) -> None:
    """An answer in gzip is read though not asked for; its bound is that of the decoded bytes."""
    small = gzip.compress(json.dumps({"items": ROWS, "totalCount": 250}).encode())
    market.fault(says(small, content_encoding="gzip"), times=1)
    assert listed(market, fake) == ROWS
    bomb = gzip.compress(b" " * (17 * 2**20))
    market.fault(says(bomb, content_encoding="gzip"))
    with pytest.raises(ContractBroken, match="16 MiB"):
        listed(market, fake)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
def test_other_compressions(encoding: str, market: Marketplace, fake: FakeTime) -> None:
    """What could multiply without bound is not unpacked."""
    market.fault(says(b"x", content_encoding=encoding))
    with pytest.raises(ContractBroken, match="compressed"):
        listed(market, fake)


def test_broken_compression(market: Marketplace, fake: FakeTime) -> None:
    """Bytes that do not decode break the contract."""
    market.fault(says(b"not gzip", content_encoding="gzip"))
    with pytest.raises(ContractBroken):
        listed(market, fake)


def test_long_error_body(market: Marketplace, fake: FakeTime) -> None:
    """An endless error page does not hide its status."""
    market.fault(status(404, "x" * (17 * 2**20)))
    with pytest.raises(NotFound):
        listed(market, fake)


@pytest.mark.parametrize("drips", [drips_head, drips_body])
@pytest.mark.parametrize("page", [1, 2])
def test_server_that_drips(
    drips: Callable[[Exchange], None], page: int, market: Marketplace
) -> None:
    """A server that sends a byte now and then is left at the deadline, in wall time."""
    market.fault(drips, page=page)
    started = time.monotonic()
    with (
        Client(Credentials(SecretStr(KEY), market.url)) as client,
        pytest.raises(IncompleteListing, match=r"not complete within 0\.4 s") as caught,
    ):
        client.listing("disks", within_s=0.4)
    assert time.monotonic() - started < 3
    assert caught.value.exit_code == 4


def test_deadline_spans_all_pages(market: Marketplace, fake: FakeTime) -> None:
    """Pages that each answer in time do not extend the listing's own time."""

    def slow(_: Exchange) -> None:
        fake.now += 25

    market.fault(slow)
    with pytest.raises(IncompleteListing, match="within 40 s"):
        listed(market, fake)
    assert market.pages == [1, 2]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirect_is_refused(code: int, market: Marketplace, fake: FakeTime) -> None:
    """A redirect to another port is refused, names it, and the other port hears nothing."""
    with Marketplace(ROWS) as thief:
        market.fault(redirect(f"{thief.url}/api/v1/availability/disks", code), page=2)
        with pytest.raises(RequestRefused, match=f"127.0.0.1:{thief.port}") as caught:
            listed(market, fake)
        assert thief.requests == []
    assert caught.value.exit_code == 4
    assert market.pages == [1, 2]


def test_redirect_to_nonsense(market: Marketplace, fake: FakeTime) -> None:
    """A redirect to what is no URL is an error with exit 4 like any other."""
    market.fault(redirect("http://[bad"))
    with pytest.raises(MarketError) as caught:
        listed(market, fake)
    assert caught.value.exit_code == 4


def test_no_proxy_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, market: Marketplace, fake: FakeTime
) -> None:
    """A proxy named in the environment does not see requests to this machine, nor the key."""
    with Marketplace(ROWS) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        assert listed(market, fake) == ROWS
        assert proxy.requests == []


def test_proxy_for_https(monkeypatch: pytest.MonkeyPatch, fake: FakeTime) -> None:
    """A proxy named in the environment carries https as a tunnel and gets no key."""
    with Marketplace() as proxy:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        credentials = Credentials(SecretStr(KEY), "https://api.example.invalid")
        with (
            Client(credentials, clock=fake.clock, sleep=fake.sleep) as client,
            pytest.raises(RequestNotSent, match="proxy"),
        ):
            client.listing("disks")
        assert proxy.requests == []


@pytest.mark.parametrize("proxy", ["nonsense://user:hunter2@host", "http://user:hunter2@host:port"])
def test_unusable_proxy(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """A proxy URL that cannot be used is wrong input, and its password is not shown."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(InputError, match="prox") as caught:
        Client(Credentials(SecretStr(KEY)))
    assert "hunter2" not in shown(caught.value)


def test_unusable_certificate_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A certificate file that holds none is wrong input, never less verification."""
    authorities = tmp_path / "ca.pem"
    authorities.write_text("nothing")
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
    with pytest.raises(InputError, match="SSL_CERT_FILE"):
        Client(Credentials(SecretStr(KEY)))


@pytest.mark.parametrize("url", ["https://api.example", "http://127.0.0.1:9"])
def test_certificates_are_verified(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Nothing switches verification off."""
    monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")
    with Client(Credentials(SecretStr(KEY), url)) as client:
        pool: Any = client._transport._http._transport
        context = pool._pool._ssl_context
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.check_hostname


def test_netrc_is_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, market: Marketplace, fake: FakeTime
) -> None:
    """A netrc entry for the host does not replace the key."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert listed(market, fake) == ROWS


LEAKS: dict[str, Callable[[Exchange], None]] = {
    "wrong key": status(401, {"detail": f"Invalid API key {KEY}"}),
    "invalid": status(422, {"errors": [{"param": KEY, "details": f"Bearer {KEY}"}]}),
    "unavailable": status(503, {"detail": KEY}),
    "not JSON": says(f"<html>{KEY}</html>".encode()),
    "not UTF-8": says(KEY.encode() + b"\xff"),
    "a key twice": says(f'{{"{KEY}": 1, "{KEY}": 2}}'.encode()),
    "redirect": redirect(f"https://{KEY}.example/{KEY}"),
    "bad redirect": redirect(f"http://[{KEY}"),
    "broken header": status(200, [], **{f"x{KEY} y": KEY}),
    "wrong length": status(200, [], content_length=KEY),
    "wrong encoding": says(b"x", content_encoding=KEY),
    "dropped": drops,
}


@pytest.mark.parametrize("name", LEAKS)
def test_key_is_in_no_traceback(name: str, market: Marketplace, fake: FakeTime) -> None:
    """Whatever the server echoes, no exception in the chain shows the key."""
    market.fault(LEAKS[name])
    with pytest.raises(MarketError) as caught:
        listed(market, fake)
    assert KEY not in shown(caught.value)


def test_wrong_key(market: Marketplace, fake: FakeTime) -> None:
    """A key that is not accepted is Unauthorized, with the scope it needs, and not shown."""
    with opened(market, fake, key="pit_wrong-key") as client:
        with pytest.raises(Unauthorized, match="Invalid API key") as caught:
            client.listing("disks")
        assert "pit_wrong-key" not in shown(caught.value) + repr(client)
    assert "Availability → read" in str(caught.value.hint)


def test_defects_of_a_transport_are_not_hidden(fake: FakeTime) -> None:
    """An exception that is none of httpx's is not dressed up as a market's failure."""

    def broken(_: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError

    credentials = Credentials(SecretStr(KEY))
    transport = httpx.MockTransport(broken)
    with (
        Client(credentials, transport=transport, clock=fake.clock, sleep=fake.sleep) as client,
        pytest.raises(ZeroDivisionError),
    ):
        client.listing("disks")
