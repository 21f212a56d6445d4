"""Keys, redirects, malformed requests, many at once, what is recorded and what survives."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

from planner.errors import InputError
from planner.marketplace.sim.local import Sim
from tests.marketplace.sim.plain_http import API, DISKS, Answer, ask, create, offer, wanted

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "pit_a-real-key-that-should-not-be-here"


def market(**over: Any) -> Sim:
    return Sim([offer()], [], **{"clock_speed": 0, **over})


@pytest.mark.parametrize(
    ("key", "availability", "disks", "wallet"),
    [
        ("sim-key", 200, 200, 200),
        ("sim-read", 200, 403, 403),
        ("sim-no-wallet", 200, 200, 403),
        ("nonsense", 401, 401, 401),
        (None, 401, 401, 401),
    ],
)
def test_a_key_opens_what_its_scopes_say(
    key: str | None, availability: int, disks: int, wallet: int
) -> None:
    """401 for a key that is not known, 403 for one whose scope is missing."""
    paths = [f"{API}/availability/disks", DISKS, f"{API}/billing/wallet"]
    with market() as sim:
        seen = [ask(sim, "GET", path, key=key).status for path in paths]
        assert seen == [availability, disks, wallet]
        assert ask(sim, "POST", DISKS, wanted(), key=key).status == disks
        assert len(sim.disks()) == (disks == 200)


@pytest.mark.parametrize(
    ("method", "path", "target"),
    [
        ("GET", f"{API}/disks?limit=3&offset=1", f"{DISKS}?limit=3&offset=1"),
        ("POST", f"{API}/disks", DISKS),
        ("GET", f"{API}/availability/disks/?regions=a&regions=b", None),
        ("GET", f"{API}/billing/wallet/", f"{API}/billing/wallet"),
    ],
)
def test_the_other_spelling_of_a_path_redirects(method: str, path: str, target: str | None) -> None:
    """With or without its slash: a 307 to the documented one, nothing done."""
    with market() as sim:
        answer = ask(sim, method, path, wanted() if method == "POST" else None)
        assert answer.status == 307
        expected = target or f"{API}/availability/disks?regions=a&regions=b"
        assert answer.headers["location"] == sim.base_url + expected
        assert sim.disks() == []


def test_what_is_not_there_is_told_so() -> None:
    """Unknown paths are 404, methods that a path does not have 405."""
    with market() as sim:
        assert ask(sim, "GET", "/").status == 404
        assert ask(sim, "GET", f"{API}/clusters/").status == 404
        assert ask(sim, "PUT", DISKS).status == 405
        assert ask(sim, "DELETE", DISKS).status == 405
        assert ask(sim, "POST", f"{API}/billing/wallet").status == 405
        assert ask(sim, "HEAD", f"{API}/availability/disks").status == 405


def test_the_date_is_the_clocks() -> None:
    """What a client reads in the Date header moves with the marketplace's time."""
    with market(now=datetime(2030, 1, 1, tzinfo=UTC)) as sim:
        sim.advance(hours=1.5)
        date = parsedate_to_datetime(ask(sim, "GET", DISKS).headers["date"])
        assert date == datetime(2030, 1, 1, 1, 30, tzinfo=UTC) == sim.now


def test_a_clock_that_runs_runs_at_its_speed() -> None:
    """A thousand seconds to one, never back."""
    with market(clock_speed=1000.0) as sim:
        before = sim.now
        ask(sim, "GET", DISKS)
        assert (sim.now - before).total_seconds() > 0
        disk_id = create(sim).json["id"]
        while ask(sim, "GET", DISKS + disk_id).json["status"] != "ACTIVE":
            pass


RAW = (
    b"",
    b"\r\n\r\n",
    b"nonsense\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"BREW /api/v1/disks/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET //evil HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /api/v1/disks/%00%ff\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: [\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer\r\n\r\n",
    b"POST /api/v1/disks/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/v1/disks/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
    b"POST /api/v1/disks/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
    b"POST /api/v1/disks/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 300 + b"\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
)


@pytest.mark.parametrize("raw", RAW)
def test_a_malformed_request_harms_no_other(raw: bytes) -> None:
    """Whatever arrives, nothing is done, no thread fails, and the next request is answered."""
    failed: list[object] = []
    with market() as sim:
        sim._server.handle_error = lambda *_: failed.append(sys.exc_info()[1])  # type: ignore[method-assign]
        with socket.create_connection(("127.0.0.1", sim._server.server_address[1]), 5) as line:
            line.sendall(raw)
            with contextlib.suppress(OSError):  # the server may have closed it already
                line.shutdown(socket.SHUT_WR)
                while line.recv(65536):
                    pass
        assert create(sim).status == 200
        assert len(sim.disks()) == 1
        assert [error for error in failed if not isinstance(error, ConnectionError)] == []


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Host": "10.0.0.1"}, {"Origin": "https://evil.example"}]
)
def test_no_web_page_gets_in(headers: dict[str, str]) -> None:
    """A browser that was led here, by name or from a page, is refused, beside the API too."""
    with market() as sim:
        assert ask(sim, "GET", DISKS, headers=headers).status == 403
        assert ask(sim, "POST", "/sim/clock", {"hours": 1}, headers=headers).status == 403


def test_it_listens_on_loopback_only() -> None:
    """Another address is refused, and so is a port that is taken."""
    for host in ("0.0.0.0", "::", "example.com", "10.0.0.1", ""):  # noqa: S104 -- refused
        with pytest.raises(InputError, match="not this machine"):
            market(host=host)
    with market() as sim, pytest.raises(InputError, match="cannot be listened on"):
        market(port=int(sim.base_url.rpartition(":")[2]))


@pytest.mark.slow
def test_many_requests_at_once_are_each_done_once() -> None:
    """One lock: as many disks as answers, no id twice, numbers without a gap, money to the cent."""
    with market(provisioning_s=0) as sim, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: create(sim, f"d{n}", 100), range(120)))
        assert {answer.status for answer in answers} == {200}
        assert len({answer.json["id"] for answer in answers}) == 120 == len(sim.disks())
        ids = [disk["id"] for disk in sim.disks()]
        done = list(pool.map(lambda one: ask(sim, "DELETE", DISKS + one).status, [*ids, *ids]))
        assert sorted(done) == [200] * 120 + [404] * 120
        assert [entry["n"] for entry in sim.audit()] == list(range(1, 361))
        assert sim.live() == []


def test_the_audit_says_what_happened(tmp_path: Path) -> None:
    """One entry a request, the same in memory and in the file, and disks know their requests."""
    path = tmp_path / "audit.jsonl"
    with market(audit_path=path, faults=["GET /disks/#2:drop-after"]) as sim:
        made = create(sim).json["id"]
        ask(sim, "PATCH", DISKS + made, {"name": "b"})
        ask(sim, "GET", f"{DISKS}?limit=5")
        with pytest.raises(http.client.RemoteDisconnected):
            ask(sim, "GET", DISKS)
        ask(sim, "POST", DISKS, b"\xff{not json")
        ask(sim, "DELETE", DISKS + made, key="nonsense")
        ask(sim, "DELETE", DISKS + made)
        entries = sim.audit()
        assert [json.loads(line) for line in path.read_text().splitlines()] == entries
        assert [entry["status"] for entry in entries] == [200, 200, 200, None, 422, 401, 200]
        assert entries[0]["body"] == wanted()
        assert entries[0]["created"] == [made]
        assert entries[2]["query"] == {"limit": ["5"]}
        assert entries[3]["fault"] == ["drop-after"]
        assert entries[4]["body"] == "\\xff{not json"
        assert [entry["key"] for entry in entries[4:]] == ["right", "wrong", "right"]
        assert sim.disks()[0]["requests"] == {"created": [1], "renamed": [2], "deleted": [7]}


def test_no_key_is_ever_written_down(tmp_path: Path) -> None:
    """Known or not, in its header or where it should not be: masked, and the latter is noted."""
    state, audit = tmp_path / "state", tmp_path / "audit"
    with market(state=state, audit_path=audit) as sim:
        ask(sim, "GET", DISKS, key=SECRET)
        assert not sim.audit()[0]["key_elsewhere"]
        ask(sim, "GET", f"{DISKS}?key={SECRET}", key=SECRET)
        ask(sim, "GET", DISKS + SECRET, key=SECRET)
        ask(sim, "POST", DISKS, wanted(f"x{SECRET}"), key=SECRET)
        ask(sim, "GET", DISKS, key=SECRET, headers={"X-Key": SECRET})
        ask(sim, "GET", f"{DISKS}?key=sim-key")
        assert all(entry["key_elsewhere"] for entry in sim.audit()[1:])
        create(sim, "sim-key-cache")
        assert sim.audit()[-1]["body"]["disk"]["name"] == "sim-key-cache"
        assert not sim.audit()[-1]["key_elsewhere"]
    assert SECRET not in audit.read_text()
    assert SECRET.encode() not in state.read_bytes()


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    """Disks, clock, wallet, offers, audit, and which faults were already met."""
    state, fault = tmp_path / "state", "POST /disks/#2:402"
    start = datetime(2030, 1, 1, tzinfo=UTC)
    with market(state=state, now=start, faults=[fault], balance_usd="10") as sim:
        made = create(sim).json
        sim.advance(hours=10)
        sim.attach(made["id"])
        sim.change_offer({}, stock="Low")
        before = (sim.disks(), sim.audit(), sim.now, sim.balance_usd)
    again = Sim(state=state, clock_speed=0, faults=[fault])
    with again as sim:
        assert (sim.disks(), sim.audit(), sim.now, sim.balance_usd) == before
        assert sim.balance_usd == Decimal("9.5")
        assert ask(sim, "GET", f"{API}/availability/disks").json["items"][0]["stockStatus"] == "Low"
        assert create(sim).status == 402
        assert create(sim).status == 200
        assert sim.audit()[-1]["n"] == len(before[1]) + 3
    with Sim(state=state, clock_speed=0, balance_usd=5, offers_rows=[]) as sim:
        assert sim.balance_usd == 5
        assert len(sim.disks()) == 2
        assert create(sim).status == 422


def test_a_running_clock_goes_on_while_the_server_is_down(tmp_path: Path) -> None:
    """Disks bill whether or not anybody looks: after a restart it is not earlier than it was."""
    with market(state=tmp_path / "state", clock_speed=1) as sim:
        before = sim.now
    with market(state=tmp_path / "state", clock_speed=1) as sim:
        assert before < sim.now < datetime.now(UTC)


@pytest.mark.slow
def test_a_kill_loses_no_request_that_was_answered(tmp_path: Path) -> None:
    """SIGKILL at any moment: what was answered is in the state, and the state can be read."""
    state = tmp_path / "state"
    code = (
        "import sys, time; from planner import Sim; sim = Sim(state=sys.argv[1]); sim.start();"
        "print(sim.base_url, flush=True); time.sleep(60)"
    )
    names: list[str] = []
    for wait in (0.0, 0.02, 0.05):
        server = subprocess.Popen(
            [sys.executable, "-c", code, str(state)], stdout=subprocess.PIPE, text=True
        )
        with server:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            assert url
            killer = threading.Timer(0.05 + wait, os.kill, (server.pid, signal.SIGKILL))
            killer.start()
            names += _create_until_dead(url, f"w{wait}")
            killer.join()
    assert names
    with Sim(state=state) as sim:
        kept = [disk["name"] for disk in sim.disks()]
        assert set(names) <= set(kept)
        assert len(kept) <= len(names) + 3


def _create_until_dead(url: str, prefix: str) -> list[str]:
    names: list[str] = []
    line = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    place = {"dataCenterId": "US-CA-2", "country": "US"}
    try:
        while True:
            name = f"{prefix}-{len(names)}"
            body = {"disk": {"size": 1, "name": name, **place}, "provider": {"type": "runpod"}}
            head = {"Authorization": "Bearer sim-key"}
            line.request("POST", DISKS, json.dumps(body), head)
            answer = line.getresponse()
            answer.read()
            assert answer.status == 200
            names.append(name)
    except (OSError, http.client.HTTPException):
        return names
    finally:
        line.close()


@pytest.mark.parametrize("content", [b"not a database", b"SQLite format 3\x00" + b"x" * 99])
def test_a_state_that_is_none_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    """Nothing is written over what is not ours."""
    path = tmp_path / "state"
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be used as state"):
        market(state=path)
    assert path.read_bytes() == content
    with pytest.raises(InputError, match="cannot be used as state"):
        market(state=tmp_path)


def test_the_database_of_something_else_is_refused(tmp_path: Path) -> None:
    """A valid database that another program made is not taken for a state."""
    path = tmp_path / "other.db"
    base = sqlite3.connect(path)
    base.execute("CREATE TABLE mine (x)")
    base.close()
    with pytest.raises(InputError, match="something else"):
        market(state=path)


def test_one_process_uses_a_state_at_a_time(tmp_path: Path) -> None:
    """Two marketplaces on one file would contradict each other."""
    path = tmp_path / "state"
    with market(state=path), pytest.raises(InputError, match="locked"):
        market(state=path)


@pytest.mark.parametrize("over", [{"clock_speed": -1}, {"clock_speed": float("nan")}])
def test_a_pace_that_cannot_be_is_refused(over: dict[str, float]) -> None:
    """Time neither stands on its head nor is undefined."""
    with pytest.raises(InputError):
        market(**over)


def test_with_a_seed_ids_are_the_same_in_every_run() -> None:
    """For documents that show them; without one, no two runs share an id."""
    seen = []
    for seed in ("a", "a", None, None):
        with market(seed=seed) as sim:
            seen.append(create(sim).json["id"])
    assert seen[0] == seen[1]
    assert len(set(seen)) == 3


def test_what_is_done_beside_the_api_can_be_done_over_http() -> None:
    """GET /sim/ names every request; each of them is answered, without a key."""

    def beside(method: str, path: str, body: Any = None) -> Answer:
        return ask(sim, method, f"/sim/{path}", body, key=None)

    with market() as sim:
        assert len(beside("GET", "").json) == 14
        assert beside("GET", "clock").json["now"].endswith("Z")
        assert beside("POST", "clock", {"hours": 1, "seconds": 0.5}).status == 200
        disk_id = beside("POST", "disks", {"name": "theirs"}).json["id"]
        assert beside("PATCH", f"disks/{disk_id}", {"status": "STOPPED"}).status == 200
        assert beside("POST", f"disks/{disk_id}/attach", {"pod": "p"}).json["pods"] == ["p"]
        assert beside("POST", f"disks/{disk_id}/detach", {"pod": "p"}).json["pods"] == []
        assert beside("POST", f"disks/{disk_id}/detach", {"pod": "p"}).status == 404
        assert beside("GET", "disks").json["disks"][0]["status"] == "STOPPED"
        change = {"match": {"provider": "acme"}, "price": 0.5}
        assert beside("PATCH", "offers", change).json == {"changed": 1}
        assert beside("PATCH", "offers", {"match": {"provider": "x"}}).status == 404
        assert beside("POST", "wallet", {"balance_usd": -3}).json == {"balance_usd": -3}
        assert beside("POST", "faults", {"fault": "POST /disks/:402"}).status == 200
        assert beside("POST", "faults", {"fault": "nonsense"}).status == 422
        assert beside("GET", "faults").json["faults"] == [{"fault": "POST /disks/:402", "met": 0}]
        assert beside("DELETE", "faults").json == {"faults": []}
        assert beside("POST", "clock", {"days": 1}).status == 422
        assert beside("POST", "clock", {"hours": -1}).status == 422
        assert beside("POST", "clock", b"{").status == 422
        assert beside("GET", "nonsense").status == 404
        assert beside("GET", "audit").json == {"requests": []}


@pytest.mark.slow
def test_random_bytes_as_bodies_are_refused() -> None:
    """Whatever a body holds, the answer is a refusal and not a broken connection."""
    noise = random.Random(7)
    with market() as sim:
        for _ in range(60):
            body = noise.randbytes(noise.randrange(200))
            assert ask(sim, "POST", DISKS, body).status == 422
            assert ask(sim, "POST", "/sim/clock", b"\x00" + body).status == 422
