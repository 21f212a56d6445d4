"""Every kind of fault does what its sentence says, to the requests it was written for."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from planner.errors import InputError
from planner.formats import JsonError, parse
from planner.marketplace.sim.faults import KINDS, parse_fault
from planner.marketplace.sim.local import Sim
from tests.marketplace.sim.plain_http import API, DISKS, ask, create, offer, wanted

LOST = (http.client.RemoteDisconnected, http.client.IncompleteRead, TimeoutError, ConnectionError)
Check = Callable[[Sim], None]
CHECKS: dict[str, tuple[str, Check]] = {}
"""Of each kind: the value it is given, and what is seen."""


def market(*faults: str, **over: Any) -> Sim:
    return Sim([offer()], [], faults=faults, **{"clock_speed": 0, **over})


def of(*kinds: str) -> Callable[[Check], Check]:
    """Put a check in the table; ``kind=value`` gives the kind its value."""

    def put(check: Check) -> Check:
        for text in kinds:
            kind, _, value = text.partition("=")
            CHECKS[kind] = (f"={value}" if value else "", check)
        return check

    return put


def made(sim: Sim) -> list[Any]:
    """Return the disks that exist, as the server knows them."""
    return sim.live()


def listed(sim: Sim) -> Any:
    return ask(sim, "GET", DISKS).json


@of("drop-before")
def _(sim: Sim) -> None:
    with pytest.raises(LOST):
        create(sim)
    assert made(sim) == []
    assert sim.audit()[0]["status"] is None


@of("hang-before=0.3")
def _(sim: Sim) -> None:
    started = time.monotonic()
    caller = threading.Thread(target=create, args=(sim,))
    caller.start()
    while not sim.arrived:
        time.sleep(0.005)
    assert made(sim) == []
    caller.join()
    assert time.monotonic() - started >= 0.3
    assert len(made(sim)) == 1


def refused(status: int) -> Check:
    def check(sim: Sim) -> None:
        assert create(sim).status == status
        assert made(sim) == []

    return check


for _status in (401, 402, 403, 404, 409, 422):
    of(str(_status))(refused(_status))
of("status=503")(refused(503))
of("out-of-stock")(refused(409))


@of("429=7")
def _(sim: Sim) -> None:
    answer = create(sim)
    assert (answer.status, answer.headers["retry-after"]) == (429, "7")
    assert made(sim) == []


@of("hostile-error")
def _(sim: Sim) -> None:
    answer = create(sim)
    assert answer.status == 422
    assert "\x1b" in answer.json["errors"][0]["details"]
    assert made(sim) == []


@of("redirect=http://127.0.0.1:9/x")
def _(sim: Sim) -> None:
    answer = create(sim)
    assert (answer.status, answer.headers["location"]) == (307, "http://127.0.0.1:9/x")
    assert made(sim) == []


@of("double=9")
def _(sim: Sim) -> None:
    answered = create(sim).json
    assert listed(sim)["total_count"] == 1
    sim.advance(seconds=9)
    assert listed(sim)["total_count"] == 2
    both = made(sim)
    assert [disk["name"] for disk in both] == ["corpus", "corpus"]
    assert answered["id"] == both[0]["id"] != both[1]["id"]
    assert sim.audit()[0]["created"] == [disk["id"] for disk in both]


@of("late=60")
def _(sim: Sim) -> None:
    disk_id = create(sim).json["id"]
    assert listed(sim)["data"] == []
    assert ask(sim, "GET", DISKS + disk_id).status == 200
    sim.advance(seconds=60)
    assert [disk["id"] for disk in listed(sim)["data"]] == [disk_id]


@of("error-status")
def _(sim: Sim) -> None:
    create(sim)
    assert listed(sim)["data"][0]["status"] == "ERROR"


@of("stuck")
def _(sim: Sim) -> None:
    create(sim)
    sim.advance(hours=1000)
    assert listed(sim)["data"][0]["status"] == "PROVISIONING"


def differs(key: str, answered: Any, is_so: Any) -> Check:
    """Return a check that a create is answered with one value while another is true."""

    def check(sim: Sim) -> None:
        answer = create(sim).json
        assert _at(answer, key) == answered
        assert _at(ask(sim, "GET", DISKS + made(sim)[0]["id"]).json, key) == is_so

    return check


def _at(disk: Any, key: str) -> Any:
    return disk["info"]["dataCenterId"] if key == "place" else disk.get(key)


of("made-name")(differs("name", "other-corpus", "other-corpus"))
of("made-size")(differs("size", 501, 501))
of("made-place")(differs("place", "ELSEWHERE-1", "ELSEWHERE-1"))
of("made-price=1.5")(differs("priceHr", Decimal("0.075"), Decimal("0.075")))
of("wrong-name")(differs("name", "other-corpus", "corpus"))
of("wrong-size")(differs("size", 501, 500))
of("wrong-place")(differs("place", "ELSEWHERE-1", "A-1"))
of("wrong-provider")(differs("providerType", "other", "acme"))
of("wrong-price=2")(differs("priceHr", Decimal("0.1"), Decimal("0.05")))
of("no-name")(differs("name", None, "corpus"))


@of("wrong-id")
def _(sim: Sim) -> None:
    answered = create(sim).json["id"]
    assert re.fullmatch(r"[0-9a-f]{32}", answered)
    assert ask(sim, "GET", DISKS + answered).status == 404
    assert len(made(sim)) == 1


@of("no-id")
def _(sim: Sim) -> None:
    assert "id" not in create(sim).json
    assert len(made(sim)) == 1


@of("hostile-name")
def _(sim: Sim) -> None:
    assert "\x1b" in create(sim).json["name"]
    assert made(sim)[0]["name"] == "corpus"


@of("hostile-id")
def _(sim: Sim) -> None:
    assert create(sim).json["id"].startswith("../")
    assert len(made(sim)) == 1


@of("nan")
def _(sim: Sim) -> None:
    body = create(sim).body
    assert b'"priceHr": NaN' in body
    assert parse(body)["priceHr"].is_nan()


@of("no-price")
def _(sim: Sim) -> None:
    assert "priceHr" not in create(sim).json
    assert "priceHr" in made(sim)[0]


@of("retry-after=7")
def _(sim: Sim) -> None:
    assert create(sim).headers["retry-after"] == "7"
    assert len(made(sim)) == 1


@of("body=%7B%22id%22%3A7%7D")
def _(sim: Sim) -> None:
    assert create(sim).json == {"id": 7}
    assert len(made(sim)) == 1


@of("dupkeys", "deep", "garbage", "empty-body")
def _(sim: Sim) -> None:
    answer = create(sim)
    assert answer.status == 200
    with pytest.raises(JsonError):
        parse(answer.body)
    assert len(made(sim)) == 1


@of("huge")
def _(sim: Sim) -> None:
    assert len(create(sim).body) > 16 * 2**20
    assert len(made(sim)) == 1


@of("status-after=503")
def _(sim: Sim) -> None:
    assert create(sim).status == 503
    assert len(made(sim)) == 1


@of("hang-after=2")
def _(sim: Sim) -> None:
    caller = threading.Thread(target=create, args=(sim,))
    started = time.monotonic()
    caller.start()
    while not made(sim):
        time.sleep(0.005)
    assert caller.is_alive()
    caller.join()
    assert time.monotonic() - started >= 2


@of("drop-after", "truncate")
def _(sim: Sim) -> None:
    with pytest.raises(LOST):
        create(sim)
    assert len(made(sim)) == 1


@of("drip")
def _(sim: Sim) -> None:
    connection = http.client.HTTPConnection(sim.base_url[7:], timeout=5)
    head = {"Authorization": "Bearer sim-key"}
    connection.request("POST", DISKS, json.dumps(wanted()), head)
    answer = connection.getresponse()
    assert answer.read(3) == b"   "
    assert len(made(sim)) == 1
    answer.close()
    connection.close()


@of("slow-delete=60")
def _(sim: Sim) -> None:
    disk_id = create(sim).json["id"]
    sim.fault("DELETE /disks/*:slow-delete=60")
    assert ask(sim, "DELETE", DISKS + disk_id).json == {"status": "DELETING"}
    assert listed(sim)["data"][0]["status"] == "DELETING"
    sim.advance(seconds=60)
    assert ask(sim, "GET", DISKS + disk_id).json["status"] == "TERMINATED"


def shows(kind: str, numbers: list[int], total: int) -> None:
    """Put a check in the table: of disks 0, 1, 2, which are listed and how many are counted."""

    @of(kind)
    def _(sim: Sim) -> None:
        ids = [create(sim, f"d{n}").json["id"] for n in range(3)]
        sim.fault(f"GET /disks/#1:{kind}")
        page = listed(sim)
        assert [ids.index(disk["id"]) for disk in page["data"]] == numbers
        assert page["total_count"] == total
        assert len(listed(sim)["data"]) == 3


shows("list-omit", [1, 0], 2)
shows("list-dup", [2, 2, 1, 0], 4)
shows("list-shift", [1, 0], 3)
shows("list-short-total", [2, 1, 0], 2)
shows("list-empty", [], 0)


def test_every_kind_has_a_sentence_and_a_check() -> None:
    """Every kind is tried here and has a summary."""
    assert set(CHECKS) == set(KINDS)
    assert all(kind.summary for kind in KINDS.values())


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_does_what_it_says(kind: str) -> None:
    """Scripted for creates, seen from outside and in the server's own record."""
    value, check = CHECKS[kind]
    with market(f"POST /disks/#1:{kind}{value}") as sim:
        check(sim)


def test_a_fault_meets_the_requests_it_counts() -> None:
    """The second; the second and third; from the third on; every one."""
    for number, failed in (("#2", [2]), ("#2-3", [2, 3]), ("#3-", [3, 4]), ("#*", [1, 2, 3, 4])):
        with market(f"GET /disks/{number}:503".replace("503", "status=503")) as sim:
            seen = [ask(sim, "GET", DISKS).status for _ in range(4)]
            assert [n for n, status in enumerate(seen, 1) if status == 503] == failed
            assert ask(sim, "GET", f"{API}/availability/disks").status == 200


def test_several_faults_apply_to_one_request() -> None:
    """Done, lost and late: joined by + or written one by one; the audit names them."""
    with market("POST /disks/#1:late=9+drop-after", "* /api/v1/disks/*:double=3") as sim:
        with pytest.raises(LOST):
            create(sim)
        assert len(made(sim)) == 2
        assert listed(sim)["total_count"] == 0
        assert sim.audit()[0]["fault"] == ["late=9", "drop-after", "double=3"]


def test_a_fault_is_added_while_it_runs_and_counts_from_then() -> None:
    """Added again it counts anew; cleared, it is gone."""
    with market() as sim:
        for _ in range(2):
            create(sim)
            sim.fault("POST /disks/#1:402")
            assert [create(sim).status, create(sim).status] == [402, 200]
        sim.fault("POST /disks/:402")
        sim.clear_faults()
        assert create(sim).status == 200


@pytest.mark.parametrize(
    "text",
    [
        "",
        "POST",
        "POST /disks/",
        "POST /disks/:",
        "POST /disks/:nonsense",
        "POST /disks/#0:402",
        "POST /disks/#3-2:402",
        "POST /disks/#*-2:402",
        "POST /disks/:402=1",
        "POST /disks/:status",
        "POST /disks/:status=99",
        "POST /disks/:late=soon",
        "POST /disks/:late=1e9",
        "POST /disks/:late=99999999",
        "POST /disks/:402+",
        "disks:402",
        "post /disks/:402",
    ],
)
def test_what_is_no_fault_is_refused(text: str) -> None:
    """A typing mistake in a script must not make a test that tests nothing."""
    with pytest.raises(InputError) as caught:
        parse_fault(text)
    assert caught.value.hint


def test_a_misspelt_kind_is_answered_with_the_nearest() -> None:
    """The hint names what was probably meant."""
    with pytest.raises(InputError) as caught:
        parse_fault("POST /disks/:drop-affter")
    assert caught.value.hint == "did you mean drop-after?"
