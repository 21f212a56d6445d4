"""The client returns the whole market or an error with exit 4; a write is sent once."""

from __future__ import annotations

import gzip
import io
import ssl
import time
import traceback
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
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
    OutcomeUnknown,
    PaymentRequired,
    RateLimited,
    RequestNotSent,
    RequestRefused,
    Unauthorized,
    Unavailable,
)
from planner.marketplace.credentials import Credentials
from planner.marketplace.prime.client import ATTEMPTS, Client
from planner.marketplace.protocol import DiskRequest
from planner.marketplace.sim.local import Sim
from tests.marketplace.simulated import FakeTime, answers, asked, body, opened, pages
from tests.raw import Raw, http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from planner.marketplace.protocol import ListingName
    from planner.marketplace.sim.wire import Dialect

KEY = "pit_made-up-key-0123456789"
ROWS: list[Any] = [{"provider": "runpod", "n": n, "price": n / 8} for n in range(250)]
DIALECTS: tuple[Dialect, ...] = ("openapi", "guide")
OFFERS = "GET /availability/disks"
DISK = "aaaaaaaaaaaa"


@pytest.fixture
def fake() -> FakeTime:
    """Return a clock of its own for each test."""
    return FakeTime()


@pytest.fixture
def sim() -> Iterator[Sim]:
    """Yield a marketplace of 250 disk offers on three pages."""
    with simulated() as sim:
        yield sim


@contextmanager
def simulated(rows: list[Any] = ROWS, **more: Any) -> Iterator[Sim]:
    sim = Sim(rows, [], clock_speed=0, **more)
    try:
        yield sim
    finally:
        sim.stop()


def listed(sim: Sim, fake: FakeTime, name: ListingName = "disks") -> list[Any]:
    """Return the rows of one listing."""
    with opened(sim, fake) as client:
        return client.listing(name).rows


def raw_client(server: Raw, key: str = KEY) -> Client:
    return Client(Credentials(SecretStr(key), server.url), sleep=lambda _: None)


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


@pytest.mark.parametrize("dialect", DIALECTS)
def test_whole_market(dialect: Dialect, fake: FakeTime) -> None:
    """All 250 offers arrive in order over three pages, in either shape."""
    with simulated(dialect=dialect) as sim:
        before = datetime.now(UTC)
        with opened(sim, fake) as client:
            listing = client.listing("disks")
        assert listing.rows == ROWS
        assert pages(sim) == ([1, 2, 3] if dialect == "openapi" else [1, 2, 3, 4, 4, 5])
        assert listing.fetched_at is not None
        assert before <= listing.fetched_at <= datetime.now(UTC)
        assert listing.source == f"{sim.base_url}/api/v1/availability/disks"
        assert fake.slept == []


@pytest.mark.parametrize("document", [ROWS, {"items": ROWS, "totalCount": 250}])
def test_server_that_does_not_page(document: Any, sim: Sim, fake: FakeTime) -> None:
    """A server that ignores paging and answers everything at once is the whole market."""
    sim.fault(f"{OFFERS}:{body(document)}")
    assert listed(sim, fake) == ROWS


@pytest.mark.parametrize("name", ["disks", "gpus", "multi-node"])
def test_each_listing_has_its_path(name: ListingName, fake: FakeTime) -> None:
    """The three listings are read from their own paths, under a base URL with /api/v1 too."""
    rows = [{"offer": name}]
    with Sim(rows, rows, rows) as sim, opened(sim, fake, path="/api/v1/") as client:
        assert [row["offer"] for row in client.listing(name).rows] == [name]
        assert asked(sim)[0]["path"] == f"/api/v1/availability/{name}"


def test_request() -> None:
    """A request is a GET with the key, our name, no compression and pages of 100."""
    with (
        Raw(http(200, {"items": [1], "totalCount": 1})) as server,
        raw_client(server) as client,
    ):
        client.listing("disks")
        assert "authorization" not in client._transport._http.headers
    (request,) = server.requests
    lines = request.decode().lower().split("\r\n")
    assert lines[0] == "get /api/v1/availability/disks?page=1&page_size=100 http/1.1"
    assert f"authorization: bearer {KEY}" in lines
    assert "accept-encoding: identity" in lines
    assert any(line.startswith("user-agent: planner/") for line in lines)


def test_numbers_are_exact_and_odd_rows_kept(sim: Sim, fake: FakeTime) -> None:
    """Prices arrive as exact decimals; NaN, text and rows that are no objects as they are."""
    text = b'[{"p": 0.000097000000000000000001}, {"p": NaN}, {"p": "0.1"}, 7, null]'
    sim.fault(f"{OFFERS}:{body(text)}")
    rows = listed(sim, fake)
    assert rows[0]["p"] == Decimal("0.000097000000000000000001")
    assert rows[1]["p"].is_nan()
    assert rows[2:] == [{"p": "0.1"}, 7, None]


PASSING = [
    *(f"status={code}" for code in (500, 502, 503, 408, 425, 429)),
    *("drop-before", "truncate", "garbage"),
]


@pytest.mark.parametrize("fault", PASSING)
def test_page_that_fails_in_passing(fault: str, sim: Sim, fake: FakeTime) -> None:
    """A page that fails four times and then answers costs pauses, not the listing."""
    sim.fault(f"{OFFERS}#2-5:{fault}")
    assert listed(sim, fake) == ROWS
    assert pages(sim) == [1, 2, 2, 2, 2, 2, 3]
    for pause, longest in zip(fake.slept, (0.5, 1, 2, 4), strict=True):
        assert 0.75 * longest <= pause <= longest


@pytest.mark.parametrize("fault", PASSING)
def test_page_that_goes_on_failing(fault: str, sim: Sim, fake: FakeTime) -> None:
    """A page is asked for five times at most, then its failure is the listing's."""
    sim.fault(f"{OFFERS}#2-:{fault}")
    with pytest.raises((Unavailable, RateLimited, ContractBroken)) as caught:
        listed(sim, fake)
    assert caught.value.exit_code == 4
    assert pages(sim) == [1] + [2] * ATTEMPTS


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
    code: int, expected: type[MarketError], sim: Sim, fake: FakeTime
) -> None:
    """A refusal will not pass, so it is asked for once, by offers and by disks."""
    sim.fault(f"* /*#2-:status={code}")
    with opened(sim, fake) as client:
        with pytest.raises(expected) as caught:
            client.listing("disks")
        assert pages(sim) == [1, 2]
        with pytest.raises(expected):
            client.disks()
    assert len(sim.audit()) == 3
    assert caught.value.exit_code == 4
    assert fake.slept == []


def test_retry_after_is_obeyed(sim: Sim, fake: FakeTime) -> None:
    """The pause is what the server asks for, when it fits the deadline."""
    sim.fault(f"{OFFERS}#2-3:429=7")
    assert listed(sim, fake) == ROWS
    assert fake.slept == [7, 7]


def test_retry_after_beyond_the_deadline(sim: Sim, fake: FakeTime) -> None:
    """A wait that does not fit ends the listing at once, saying how long it would be."""
    sim.fault(f"{OFFERS}#2-:429=120")
    with pytest.raises(RateLimited, match="120 s") as caught:
        listed(sim, fake)
    assert "120 s" in str(caught.value.hint)
    assert pages(sim) == [1, 2]
    assert fake.slept == []


def test_pauses_never_pass_the_deadline(sim: Sim, fake: FakeTime) -> None:
    """Pauses that add up to more than 40 s are not begun."""
    sim.fault(f"{OFFERS}:429=15")
    with pytest.raises(RateLimited):
        listed(sim, fake)
    assert fake.slept == [15, 15]


def test_no_server() -> None:
    """A port where nothing listens is RequestNotSent, for a read after five attempts."""
    fake = FakeTime()
    with Raw() as server:
        pass
    credentials = Credentials(SecretStr(KEY), server.url)
    with Client(credentials, clock=fake.clock, sleep=fake.sleep) as client:
        with pytest.raises(RequestNotSent) as caught:
            client.listing("disks")
        assert len(fake.slept) == ATTEMPTS - 1
        with pytest.raises(RequestNotSent):
            client.create(REQUEST)
        assert len(fake.slept) == ATTEMPTS - 1
    assert caught.value.exit_code == 4
    assert caught.value.hint


def counted(rows: list[Any], total: int = 250) -> str:
    return body({"items": rows, "totalCount": total})


FLAWED = {
    "repeats an earlier page": (counted(ROWS[:100]), 2),
    "repeats one row": (counted([*ROWS[101:200], ROWS[0]]), 2),
    "runs short": (counted([]), 3),
    "more than claimed": (counted([{"extra": n} for n in range(60)]), 3),
    "total changes": (counted(ROWS[100:200], 251), 2),
}


@pytest.mark.sweep
@pytest.mark.parametrize("name", FLAWED)
def test_flawed_reading_is_made_again(name: str, sim: Sim, fake: FakeTime) -> None:
    """A reading that is not whole five times, and whole then, is the market."""
    fault, page = FLAWED[name]
    for reading in range(1, 6):
        sim.fault(f"{OFFERS}#{page * reading}:{fault}")
    assert listed(sim, fake) == ROWS
    assert pages(sim).count(1) == 6


@pytest.mark.sweep
@pytest.mark.parametrize("name", FLAWED)
def test_listing_that_stays_flawed(name: str, sim: Sim, fake: FakeTime) -> None:
    """After five repetitions it is an error that says what was seen and what to do."""
    fault, page = FLAWED[name]
    for reading in range(1, 7):
        sim.fault(f"{OFFERS}#{page * reading}:{fault}")
    with pytest.raises(IncompleteListing, match=f"of 250 claimed read, then page {page}") as caught:
        listed(sim, fake)
    assert caught.value.exit_code == 4
    assert "again" in str(caught.value.hint)
    assert pages(sim).count(1) == 6


@pytest.mark.parametrize("kind", ["list-omit", "list-short-total", "list-shift", "list-dup"])
def test_the_simulator_s_own_flaws_are_seen(kind: str, sim: Sim, fake: FakeTime) -> None:
    """What is wrong with one page of three never makes a market."""
    sim.fault(f"{OFFERS}#2:{kind}")
    assert listed(sim, fake) == ROWS
    assert pages(sim).count(1) == 2


def test_row_that_moved_between_pages(fake: FakeTime) -> None:
    """Without totals too, a row that is seen on two pages spoils the reading."""
    with simulated(dialect="guide") as sim:
        sim.fault(f"{OFFERS}#2:{body(ROWS[99:199])}")
        assert listed(sim, fake) == ROWS
        assert pages(sim) == [1, 2, 1, 2, 3, 4, 4, 5]


@pytest.mark.parametrize("rows", [[], ROWS[100:150]])
def test_bare_page_empty_in_passing(rows: list[Any], fake: FakeTime) -> None:
    """A page of a bare list that is empty once, or short before another, is not the end."""
    with simulated(dialect="guide") as sim:
        sim.fault(f"{OFFERS}#2:{body(rows)}")
        assert listed(sim, fake) == ROWS


@pytest.mark.parametrize("dialect", DIALECTS)
def test_empty_in_passing(dialect: Dialect, fake: FakeTime) -> None:
    """An empty answer is asked for again two seconds later, and that answer counts."""
    with simulated(dialect=dialect) as sim:
        sim.fault(f"{OFFERS}#1:list-empty")
        assert listed(sim, fake) == ROWS
        assert fake.slept == [2.0]


@pytest.mark.parametrize("name", ["disks", "gpus"])
def test_empty_twice(name: ListingName, fake: FakeTime) -> None:
    """A market without offers is an error of its own, asked for twice."""
    with simulated([]) as sim:
        with pytest.raises(IncompleteListing, match="no offers, twice") as caught:
            listed(sim, fake, name)
        assert pages(sim) == [1, 1]
        assert caught.value.exit_code == 4


def test_no_multi_node_offers(sim: Sim, fake: FakeTime) -> None:
    """For multi-node, twice empty is believed."""
    assert listed(sim, fake, "multi-node") == []
    assert pages(sim) == [1, 1]


@pytest.mark.parametrize("name", ["disks", "multi-node"])
def test_empty_without_time_to_ask_again(name: ListingName, fake: FakeTime) -> None:
    """An empty answer without a second opinion is never believed."""
    with (
        simulated([]) as sim,
        opened(sim, fake) as client,
        pytest.raises(IncompleteListing, match="no time left"),
    ):
        client.listing(name, within_s=1.5)


BROKEN = {
    "not JSON": "garbage",
    "empty": "empty-body",
    "not UTF-8": body(b'["\xff"]'),
    "nested": "deep",
    "key twice": "dupkeys",
    "text": body("items"),
    "no total": body({"items": []}),
    "total is text": body({"items": [], "totalCount": "0"}),
    "total is negative": body({"items": [], "totalCount": -1}),
    "total is a fraction": body({"items": [], "totalCount": 0.0}),
    "items is an object": body({"items": {}, "totalCount": 0}),
    "too long": "huge",
    "another success": "status-after=204",
}


@pytest.mark.sweep
@pytest.mark.parametrize("name", BROKEN)
def test_answer_that_breaks_the_contract(name: str, sim: Sim, fake: FakeTime) -> None:
    """An answer that is not what the API documents is ContractBroken, after five attempts."""
    sim.fault(f"{OFFERS}:{BROKEN[name]}")
    with pytest.raises(ContractBroken) as caught:
        listed(sim, fake)
    assert caught.value.exit_code == 4
    assert pages(sim) == [1] * ATTEMPTS


@pytest.mark.slow
def test_compressed_answers() -> None:
    """An answer in gzip is read though not asked for; its bound is that of the decoded bytes."""
    small = gzip.compress(b'{"items": [7], "totalCount": 1}')
    with (
        Raw(http(200, small, content_encoding="gzip")) as server,
        raw_client(server) as client,
    ):
        assert client.listing("disks").rows == [7]
    bomb = gzip.compress(b" " * (17 * 2**20))
    with (
        Raw(http(200, bomb, content_encoding="gzip")) as server,
        raw_client(server) as client,
        pytest.raises(ContractBroken, match="16 MiB"),
    ):
        client.listing("disks")


@pytest.mark.sweep
@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip"])
def test_other_compressions(encoding: str) -> None:
    """What could multiply without bound is not unpacked, nor is what does not decode."""
    with (
        Raw(http(200, b"not gzip", content_encoding=encoding)) as server,
        raw_client(server) as client,
        pytest.raises(ContractBroken, match="compress"),
    ):
        client.listing("disks")


@pytest.mark.slow
def test_long_error_body(sim: Sim, fake: FakeTime) -> None:
    """An endless error page does not hide its status."""
    sim.fault(f"{OFFERS}:huge+status-after=404")
    with pytest.raises(NotFound):
        listed(sim, fake)


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200 OK\r\nX-Drip: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n["]
)
def test_server_that_drips(start: bytes) -> None:
    """A server that sends a byte now and then is left at the deadline, in wall time."""
    started = time.monotonic()
    with (
        Raw(start, drips=True) as server,
        raw_client(server) as client,
        pytest.raises(IncompleteListing, match=r"not complete within 0\.4 s"),
    ):
        client.listing("disks", within_s=0.4)
    assert time.monotonic() - started < 10


def test_slow_pages(sim: Sim) -> None:
    """Pages that add up to more than the time allowed are no listing."""
    seconds = count(0, 25)
    credentials = Credentials(SecretStr(sim.key), sim.base_url)
    with (
        Client(credentials, transport=sim.transport(), clock=lambda: next(seconds)) as client,
        pytest.raises(IncompleteListing, match="within 40 s"),
    ):
        client.listing("disks")
    assert pages(sim) == [1]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirect_is_refused(code: int) -> None:
    """A redirect to another port is refused, names it, and the other port hears nothing."""
    with (
        Raw() as thief,
        Raw(http(code, location=f"{thief.url}/api/v1/availability/disks")) as server,
        raw_client(server) as client,
        pytest.raises(RequestRefused, match=f"127.0.0.1:{thief.port}") as caught,
    ):
        client.listing("disks")
    assert thief.requests == []
    assert caught.value.exit_code == 4
    assert len(server.requests) == 1


def test_redirect_to_nonsense(sim: Sim, fake: FakeTime) -> None:
    """A redirect to what is no URL is an error with exit 4 like any other."""
    sim.fault(f"{OFFERS}:redirect=http://[bad")
    with pytest.raises(MarketError) as caught:
        listed(sim, fake)
    assert caught.value.exit_code == 4


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Raw]:
    """Yield what every proxy variable of the environment names."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Raw(http(502)) as server:
        for scheme in ("HTTP", "HTTPS", "ALL"):
            monkeypatch.setenv(f"{scheme}_PROXY", server.url)
            monkeypatch.setenv(f"{scheme.lower()}_proxy", server.url)
        yield server


def test_no_proxy_for_this_machine(proxy: Raw) -> None:
    """A proxy named in the environment does not see requests to this machine, nor the key."""
    with Sim(ROWS) as sim, Client(Credentials(SecretStr(sim.key), sim.base_url)) as client:
        assert client.listing("disks").rows == ROWS
    assert proxy.requests == []


def test_proxy_for_https(proxy: Raw) -> None:
    """A proxy named in the environment carries https as a tunnel and gets no key."""
    credentials = Credentials(SecretStr(KEY), "https://api.example.invalid")
    with (
        Client(credentials, sleep=lambda _: None) as client,
        pytest.raises(RequestNotSent, match="proxy"),
    ):
        client.listing("disks")
    assert proxy.requests
    for request in proxy.requests:
        assert request.startswith(b"CONNECT api.example.invalid:443")
        assert KEY.encode() not in request


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


def test_netrc_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A netrc entry for the host does not replace the key."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    with Sim(ROWS) as sim, Client(Credentials(SecretStr(sim.key), sim.base_url)) as client:
        assert client.listing("disks").rows == ROWS


LEAKS = {
    "wrong key": http(401, {"detail": f"Invalid API key {KEY}"}),
    "invalid": http(422, {"errors": [{"param": KEY, "details": f"Bearer {KEY}"}]}),
    "unavailable": http(503, {"detail": KEY}),
    "not JSON": http(200, f"<html>{KEY}</html>".encode()),
    "not UTF-8": http(200, KEY.encode() + b"\xff"),
    "a key twice": http(200, f'{{"{KEY}": 1, "{KEY}": 2}}'.encode()),
    "redirect": http(307, location=f"https://{KEY}.example/{KEY}"),
    "bad redirect": http(307, location=f"http://[{KEY}"),
    "broken header": http(200, [], **{f"x{KEY} y": KEY}),
    "wrong length": http(200, [], content_length=KEY),
    "wrong encoding": http(200, b"x", content_encoding=KEY),
    "not HTTP": KEY.encode(),
    "dropped": b"",
}


@pytest.mark.sweep
@pytest.mark.parametrize("name", LEAKS)
def test_key_is_in_no_traceback(name: str) -> None:
    """Whatever the server echoes, no exception in the chain shows the key."""
    with Raw(LEAKS[name]) as server, raw_client(server) as client:
        calls: tuple[Callable[[], object], ...] = (
            lambda: client.listing("disks"),
            lambda: client.disk(DISK),
            lambda: client.create(REQUEST),
        )
        for call in calls:
            with pytest.raises(MarketError) as caught:
                call()
            assert KEY not in shown(caught.value)


def test_wrong_key(sim: Sim, fake: FakeTime) -> None:
    """A key that is not accepted is Unauthorized, with the scope it needs, and not shown."""
    with opened(sim, fake, key="pit_wrong-key") as client:
        with pytest.raises(Unauthorized, match="Invalid API key") as caught:
            client.listing("disks")
        assert "pit_wrong-key" not in shown(caught.value) + repr(client)
    assert "Availability → read" in str(caught.value.hint)


def test_defects_of_a_transport_are_not_hidden(fake: FakeTime) -> None:
    """An exception that is none of httpx's is not dressed up as a market's failure."""

    class Broken(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            raise ZeroDivisionError(request.method)

    credentials = Credentials(SecretStr(KEY))
    with (
        Client(credentials, transport=Broken(), clock=fake.clock, sleep=fake.sleep) as client,
        pytest.raises(ZeroDivisionError),
    ):
        client.listing("disks")


REQUEST = DiskRequest("x", 1, "runpod", None, "US-1", "US")
SOLD = {
    "provider": "runpod",
    "dataCenter": "US-1",
    "country": "US",
    "spec": {"pricePerUnit": 0.0001, "maxCount": 100},
    "stockStatus": "High",
}


@pytest.fixture
def shop() -> Iterator[Sim]:
    """Yield a marketplace that sells what `REQUEST` asks for."""
    with simulated([SOLD]) as sim:
        yield sim


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_create_that_is_answered(status: int, shop: Sim, fake: FakeTime) -> None:
    """One POST to the documented path, and the disk as the answer describes it."""
    shop.fault(f"POST /disks/:status-after={status}")
    with opened(shop, fake, team_id="team-1") as client:
        disk = client.create(REQUEST)
    assert (disk.name, disk.size_gb, disk.provider) == ("x", 1, "runpod")
    (request,) = shop.audit()
    assert (request["method"], request["path"]) == ("POST", "/api/v1/disks/")
    assert request["body"] == {
        "disk": {"size": 1, "name": "x", "country": "US", "dataCenterId": "US-1"},
        "provider": {"type": "runpod"},
        "team": {"teamId": "team-1"},
    }
    assert request["created"] == [disk.id]


WRITES: list[tuple[str, type[MarketError]]] = [
    ("hang-after=99", OutcomeUnknown),
    ("drop-before", OutcomeUnknown),
    ("drop-after", OutcomeUnknown),
    ("truncate", OutcomeUnknown),
    ("401", Unauthorized),
    ("403", Unauthorized),
    ("402", PaymentRequired),
    ("404", NotFound),
    ("409", RequestRefused),
    ("429=7", RateLimited),
    ("redirect=https://other.test/x", RequestRefused),
    *((f"status={status}", Invalid) for status in (400, 405, 413, 415, 422)),
    *(
        (f"status={status}", OutcomeUnknown)
        for status in (408, 425, 500, 502, 503, 504, 203, 204, 206, 406, 418, 423, 451, 499, 599)
    ),
    *((kind, OutcomeUnknown) for kind in ("empty-body", "nan", "dupkeys", "huge", "garbage")),
    *((body(text), OutcomeUnknown) for text in (b"[]", b"{")),
    ("hostile-error", Invalid),
]


@pytest.mark.parametrize(("fault", "kind"), WRITES)
def test_every_other_outcome(
    fault: str, kind: type[MarketError], shop: Sim, fake: FakeTime
) -> None:
    """Sent once, whatever comes; named for what it is; and without the key."""
    shop.fault(f"POST /disks/:{fault}")
    with opened(shop, fake) as client, pytest.raises(MarketError) as caught:
        client.create(REQUEST)
    assert type(caught.value) is kind
    assert len(shop.audit()) == 1
    assert shop.key not in shown(caught.value)
    assert "\x1b" not in str(caught.value)
    assert caught.value.exit_code == (6 if kind is OutcomeUnknown else 4)
    assert fake.slept == []


def test_a_refusal_has_data(shop: Sim, fake: FakeTime) -> None:
    """Fields, how long to wait, where a redirect leads."""
    with opened(shop, fake) as client:
        with pytest.raises(Invalid) as invalid:
            client.create(DiskRequest("x", 999, "runpod", None, "US-1", "US"))
        assert invalid.value.fields == ("body.disk.size",)
        assert invalid.value.data["fields"] == ["body.disk.size"]
        shop.fault("POST /disks/#1:429=7")
        with pytest.raises(RateLimited) as limited:
            client.create(REQUEST)
        assert limited.value.retry_after == 7
        shop.fault("POST /disks/#1:redirect=https://other.test/x")
        with pytest.raises(RequestRefused, match=r"other\.test"):
            client.create(REQUEST)


@pytest.mark.parametrize("code", [500, 503, 429, 408])
def test_a_read_is_repeated(code: int, sim: Sim, fake: FakeTime) -> None:
    """A few times, and then the failure is raised."""
    sim.fault(f"GET /disks/*:status={code}")
    with opened(sim, fake) as client, pytest.raises((Unavailable, RateLimited)):
        client.disk(DISK)
    assert len(sim.audit()) == ATTEMPTS


@pytest.mark.parametrize("text", ["../x", "short", "a" * 65, "aaaaaaaa?x=1"])
def test_no_other_id_enters_a_url(text: str, sim: Sim) -> None:
    """A defect of ours, caught before anything is sent."""
    with opened(sim) as client:
        for call in (client.disk, client.delete, lambda bad: client.rename(bad, "x")):
            with pytest.raises(ValueError, match="not an id"):
                call(text)
    assert sim.audit() == []


def test_delete_rename_and_wallet(sim: Sim) -> None:
    """Their paths, methods and bodies; the wallet is the team's where there is one."""
    disk = sim.add_disk(name="old")["id"]
    with opened(sim, team_id="team-1") as client:
        client.rename(disk, "new")
        client.delete(disk)
        assert client.wallet().balance_usd == 1000
    sent = [(one["method"], one["path"], one["body"]) for one in sim.audit()]
    assert sent[0] == ("PATCH", f"/api/v1/disks/{disk}", {"name": "new"})
    assert sent[1] == ("DELETE", f"/api/v1/disks/{disk}", None)
    assert sim.audit()[2]["query"]["teamId"] == ["team-1"]
    assert sim.live() == []


@pytest.mark.slow
def test_bills_that_repeat_come_to_an_end(sim: Sim) -> None:
    """A server that shows the same page for ever is read a bounded number of times, rows once."""
    row = {"id": "b1", "amount_usd": 1, "resource_type": "disks", "resource_id": "x"}
    wallet = {"balance_usd": 1, "total_billings": 10**6, "recent_billings": [row]}
    answers(sim, "GET /billing/wallet", wallet)
    with opened(sim) as client:
        found = client.wallet(bills=True)
    assert len(sim.audit()) == 50
    assert (len(found.bills), found.unread_bills) == (1, 10**6 - 1)


def test_a_write_is_bounded_in_time(shop: Sim) -> None:
    """The whole answer is waited for no longer than the time allowed."""
    shop.fault("POST /disks/:drip")
    with opened(shop, timeout_s=0.1) as client, pytest.raises(OutcomeUnknown, match="in time"):
        client.create(REQUEST)


def test_a_probe_of_what_is_allowed(sim: Sim) -> None:
    """A success has no failure, and the server's time."""
    with opened(sim, now=lambda: sim.now) as client:
        probe = client.probe("disks_read")
    assert (probe.status, probe.failure, probe.skew_s) == (200, None, 0)


def test_a_probe_that_is_refused_still_has_the_time(sim: Sim) -> None:
    """That is what the probe is for."""
    with opened(sim, key="sim-read", now=lambda: sim.now) as client:
        probe = client.probe("disks_read")
    assert probe.status == 403
    assert isinstance(probe.failure, Unauthorized)
    assert probe.skew_s == 0


def test_no_answer_is_a_failure_without_status(sim: Sim) -> None:
    """Nothing is raised."""
    sim.fault("GET /*:drop-before")
    with opened(sim) as client:
        probe = client.probe("wallet_read")
    assert (probe.status, probe.date, probe.skew_s) == (None, None, None)
    assert isinstance(probe.failure, Unavailable)
