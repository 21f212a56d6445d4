"""Writes are sent once and every outcome is told apart; reads are repeated."""

from __future__ import annotations

import traceback
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from planner.errors import (
    ContractBroken,
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

KEY = "pit_made-up-key-0123456789"
REQUEST = DiskRequest("x", 1, "runpod", None, None, None)
DISK = "aaaaaaaaaaaa"


class Server(httpx.BaseTransport):
    """Answers everything with one response or error, and remembers what arrived."""

    def __init__(self, outcome: httpx.Response | Exception) -> None:
        self.outcome = outcome
        self.seen: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.seen.append(request)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        made = self.outcome
        return httpx.Response(made.status_code, content=made.content, headers=made.headers)


def opened(server: Server, **more: Any) -> Client:
    credentials = Credentials(SecretStr(KEY), "https://market.test", more.pop("team_id", None))
    return Client(credentials, transport=server, sleep=lambda _: None, **more)


def says(status: int, document: Any = None, **headers: str) -> httpx.Response:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    if isinstance(document, bytes):
        return httpx.Response(status, content=document, headers=named)
    return httpx.Response(status, json={} if document is None else document, headers=named)


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_create_that_is_answered(status: int) -> None:
    """One POST to the documented path, the key in its header."""
    server = Server(says(status, {"id": DISK}))
    with opened(server) as account:
        assert account.create(REQUEST).id == DISK
    (request,) = server.seen
    assert (request.method, str(request.url)) == ("POST", "https://market.test/api/v1/disks/")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"


WRITES: list[tuple[httpx.Response | Exception, type[MarketError]]] = [
    (httpx.ConnectError("no"), RequestNotSent),
    (httpx.ConnectTimeout("no"), RequestNotSent),
    (httpx.PoolTimeout("no"), RequestNotSent),
    (httpx.ReadTimeout("no"), OutcomeUnknown),
    (httpx.WriteTimeout("no"), OutcomeUnknown),
    (httpx.ReadError("no"), OutcomeUnknown),
    (httpx.WriteError("no"), OutcomeUnknown),
    (httpx.RemoteProtocolError("no"), OutcomeUnknown),
    (says(401), Unauthorized),
    (says(403), Unauthorized),
    (says(402), PaymentRequired),
    (says(404), NotFound),
    (says(409), RequestRefused),
    (says(429), RateLimited),
    (says(307, location="https://other.test/"), RequestRefused),
    *((says(status), Invalid) for status in (400, 405, 413, 415, 422)),
    *((says(status), OutcomeUnknown) for status in (408, 425, 500, 502, 503, 504)),
    *((says(status), OutcomeUnknown) for status in (203, 204, 206, 406, 418, 423, 451, 499, 599)),
    *(
        (says(201, body), OutcomeUnknown)
        for body in (b"", b"[]", b"{", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"x" * (17 * 2**20))
    ),
    (says(201, b"{}", content_encoding="br"), OutcomeUnknown),
]


@pytest.mark.parametrize(("outcome", "kind"), WRITES)
def test_every_other_outcome(outcome: httpx.Response | Exception, kind: type[MarketError]) -> None:
    """Sent once, whatever comes; named for what it is; and without the key."""
    server = Server(outcome)
    with opened(server) as account, pytest.raises(MarketError) as caught:
        account.create(REQUEST)
    assert type(caught.value) is kind
    assert len(server.seen) == 1
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert caught.value.exit_code == (6 if kind is OutcomeUnknown else 4)


def test_what_a_refusal_says() -> None:
    """Fields in both documented shapes, how long to wait, where a redirect leads."""
    both = (
        {"errors": [{"param": "disk.size", "details": "too large"}]},
        {"detail": [{"loc": ["body", "disk", "size"], "msg": "too large"}]},
    )
    for document, field in zip(both, ("disk.size", "body.disk.size"), strict=True):
        with opened(Server(says(422, document))) as account, pytest.raises(Invalid) as invalid:
            account.create(REQUEST)
        assert invalid.value.fields == (field,)
        assert invalid.value.data["fields"] == [field]
    for status, kind in ((429, RateLimited), (503, OutcomeUnknown)):
        server = Server(says(status, retry_after="7"))
        with opened(server) as account, pytest.raises(kind) as told:
            account.create(REQUEST)
        assert told.value.retry_after == 7
    with (
        opened(Server(says(307, location="https://other.test/x"))) as account,
        pytest.raises(RequestRefused, match=r"other\.test"),
    ):
        account.create(REQUEST)


def test_hostile_words_and_an_echoed_key() -> None:
    """What the server says is shown as text, and the key is masked."""
    document = {"detail": f"\x1b[2J your key {KEY} is bad"}
    with opened(Server(says(422, document))) as account, pytest.raises(Invalid) as caught:
        account.create(REQUEST)
    assert "\x1b" not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_read_is_repeated(status: int) -> None:
    """A few times, and then the failure is raised."""
    server = Server(says(status))
    with opened(server) as account, pytest.raises((Unavailable, RateLimited)):
        account.disk(DISK)
    assert len(server.seen) == ATTEMPTS


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Unauthorized), (404, NotFound), (307, RequestRefused)]
)
def test_a_refused_read_is_not(status: int, kind: type[MarketError]) -> None:
    """A refusal does not pass with time."""
    server = Server(says(status, location="https://other.test/"))
    with opened(server) as account, pytest.raises(kind):
        account.disks()
    assert len(server.seen) == 1


def test_a_page_that_is_none() -> None:
    """An object without disks is not an empty account."""
    with opened(Server(says(200, {"items": []}))) as account, pytest.raises(ContractBroken):
        account.disks()


@pytest.mark.parametrize("text", ["../x", "short", "a" * 65, "aaaaaaaa?x=1"])
def test_no_other_id_enters_a_url(text: str) -> None:
    """A defect of ours, found before anything is sent."""
    server = Server(says(200))
    with opened(server) as account:
        for call in (account.disk, account.delete, lambda bad: account.rename(bad, "x")):
            with pytest.raises(ValueError, match="not an id"):
                call(text)
    assert server.seen == []


def test_delete_rename_and_wallet() -> None:
    """Their paths, methods and bodies; the wallet is the team's where there is one."""
    server = Server(says(200, {"balance_usd": 5, "currency": "USD"}))
    with opened(server, team_id="team-1") as account:
        account.delete(DISK)
        account.rename(DISK, "new")
        assert account.wallet().balance_usd == 5
    sent = [(one.method, one.url.path, one.content) for one in server.seen]
    assert sent[0] == ("DELETE", f"/api/v1/disks/{DISK}", b"")
    assert sent[1] == ("PATCH", f"/api/v1/disks/{DISK}", b'{"name": "new"}')
    assert server.seen[2].url.params["teamId"] == "team-1"


def test_a_write_that_nobody_waits_for_is_unknown() -> None:
    """The whole answer is bounded in time."""
    import time

    class Slow(Server):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            time.sleep(0.5)
            return super().handle_request(request)

    with (
        opened(Slow(says(201)), timeout_s=0.1) as account,
        pytest.raises(OutcomeUnknown, match="in time"),
    ):
        account.create(REQUEST)
    time.sleep(0.5)
