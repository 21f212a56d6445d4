"""Disks and the wallet: created, listed, renamed, deleted, and billed by the clock."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from planner.errors import InputError
from planner.marketplace.sim.local import Sim
from tests.marketplace.sim.plain_http import API, DISKS, HERE, THERE, ask, create, offer, wanted

DISK_KEYS = {
    *("id", "name", "createdAt", "updatedAt", "terminatedAt", "status", "providerType", "size"),
    *("info", "priceHr", "stoppedPriceHr", "provisioningPriceHr", "userId", "teamId", "walletId"),
    *("pods", "clusters"),
}


def market(**over: Any) -> Sim:
    over = {"clock_speed": 0, "gpu_rows": [], **over}
    return Sim(over.pop("rows", [offer(), offer(THERE, "0.0002")]), **over)


@pytest.mark.parametrize(
    ("dialect", "status", "total"), [("openapi", 200, "total_count"), ("guide", 201, "totalCount")]
)
def test_a_disk_is_created_and_listed_in_both_dialects(
    dialect: Any, status: int, total: str
) -> None:
    """Each dialect has its own status for a create and its own name for the count."""
    with market(dialect=dialect) as sim:
        made = create(sim)
        assert made.status == status
        assert set(made.json) == DISK_KEYS
        assert made.json["priceHr"] == Decimal("0.05")
        assert (made.json["name"], made.json["size"]) == ("corpus", 500)
        assert made.json["info"] == {
            "cloudId": None,
            "country": "US",
            "isMultinode": False,
            "dataCenterId": "A-1",
        }
        listed = ask(sim, "GET", DISKS)
        assert listed.json == {
            total: 1,
            "data": [made.json],
            "limit": 50 if dialect == "guide" else 100,
            "offset": 0,
        }
        assert ask(sim, "GET", DISKS + made.json["id"]).json == made.json


def test_listings_have_pages_newest_first() -> None:
    """Offset and limit cut a window; the count is of all."""
    with market() as sim:
        ids = [create(sim, f"d{n}", 10).json["id"] for n in range(5)]
        page = ask(sim, "GET", f"{DISKS}?offset=1&limit=2").json
        assert [disk["id"] for disk in page["data"]] == [ids[3], ids[2]]
        assert (page["total_count"], page["offset"], page["limit"]) == (5, 1, 2)
        assert ask(sim, "GET", f"{DISKS}?offset=9").json["data"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "offset=1.5", "limit=9999"])
def test_a_window_that_makes_no_sense_is_refused(query: str) -> None:
    """The guide's bounds hold: at most 200 disks a page."""
    with market(dialect="guide") as sim:
        refused = ask(sim, "GET", f"{DISKS}?{query}")
        assert refused.status == 422
        assert refused.json["detail"][0]["loc"][0] == "query"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[" * 100_000, "body"),
        (b'{"disk": {"size": 1, "size": 2}}', "body"),
        ([], "body"),
        ({"disk": {"size": 10}}, "body.provider"),
        (wanted(size=0), "body.disk.size"),
        (wanted(size=-10), "body.disk.size"),
        (wanted(size=True), "body.disk.size"),
        (wanted(size="10"), "body.disk.size"),  # type: ignore[arg-type]
        (wanted(size=10.0), "body.disk.size"),  # type: ignore[arg-type]
        (wanted(size=505), "body.disk.size"),
        (wanted(size=1010), "body.disk.size"),
        (wanted(size=10**30), "body.disk.size"),
        (wanted("n" * 256), "body.disk.name"),
        (wanted(colour="red"), "body.disk.colour"),
        (wanted() | {"idempotencyKey": "x"}, "body.idempotencyKey"),
        (wanted() | {"provider": {"type": "nobody"}}, "body.disk.dataCenterId"),
        (wanted(dataCenterId=None), "body.disk.dataCenterId"),
        (wanted(cloudId="c"), "body.disk.dataCenterId"),
        (wanted(country="NO"), "body.disk.dataCenterId"),
    ],
)
def test_a_create_that_is_wrong_is_refused_and_says_where(body: Any, param: str) -> None:
    """Unknown keys, sizes off the offer's grid, offers that are not: 422, and nothing is made."""
    with market() as sim:
        refused = ask(sim, "POST", DISKS, body)
        assert refused.status == 422
        assert refused.json["errors"][0]["param"] == param
        assert sim.disks() == []


def test_a_create_needs_only_what_the_offer_has() -> None:
    """No name, no country, nulls as the vendor's client sends them; the name is made up."""
    with market(rows=[offer({**HERE, "dataCenter": None})]) as sim:
        body = {"disk": {"size": 10, "cloudId": None}, "provider": {"type": "acme"}, "team": None}
        made = ask(sim, "POST", DISKS, body)
        assert made.status == 200
        assert made.json["name"].startswith("disk-")
        team = {**body, "team": {"teamId": "team-1"}}
        assert ask(sim, "POST", DISKS, team).json["teamId"] == "team-1"


def test_of_offers_that_cannot_be_told_apart_the_dearest_sells() -> None:
    """A request names no offer; the marketplace here takes the worst reading."""
    rows = [offer(), offer(price="0.0003"), offer(price="0.0009", stockStatus="Unavailable")]
    with market(rows=rows) as sim:
        assert create(sim, size=100).json["priceHr"] == Decimal("0.03")


def test_an_offer_out_of_stock_is_a_conflict_and_an_unpriced_one_is_not_sold() -> None:
    """What cannot be sold is refused, each in its way."""
    with market() as sim:
        assert sim.change_offer({"dataCenter": "A-1"}, stock="Unavailable") == 1
        assert create(sim).status == 409
    spec = {"minCount": 0, "maxCount": 1000, "step": 10, "pricePerUnit": None}
    with market(rows=[offer(spec=spec)]) as sim:
        assert create(sim).status == 422


def test_without_a_balance_nothing_is_sold() -> None:
    """A wallet at zero is a 402; paid up, the same request goes through."""
    with market(balance_usd=0) as sim:
        assert create(sim).status == 402
        sim.balance_usd = Decimal("0.01")
        assert create(sim).status == 200


def test_a_disk_lives_by_the_clock() -> None:
    """PROVISIONING for its time, then ACTIVE; renamed; TERMINATED, and listed no more."""
    with market(provisioning_s=60) as sim:
        disk_id = create(sim).json["id"]
        assert ask(sim, "GET", DISKS + disk_id).json["status"] == "PROVISIONING"
        sim.advance(seconds=60)
        assert ask(sim, "GET", DISKS + disk_id).json["status"] == "ACTIVE"
        renamed = ask(sim, "PATCH", DISKS + disk_id, {"name": "other"})
        assert renamed.json == {"id": disk_id, "name": "other"}
        assert ask(sim, "PATCH", DISKS + disk_id, {"name": "x", "size": 9}).status == 422
        assert ask(sim, "DELETE", DISKS + disk_id).json == {"status": "TERMINATED"}
        gone = ask(sim, "GET", DISKS + disk_id).json
        assert (gone["status"], gone["name"]) == ("TERMINATED", "other")
        assert gone["terminatedAt"] is not None
        assert ask(sim, "GET", DISKS).json["data"] == []
        assert ask(sim, "DELETE", DISKS + disk_id).status == 404
        assert ask(sim, "PATCH", DISKS + disk_id, {"name": "x"}).status == 404
        assert ask(sim, "GET", f"{DISKS}nonsense").status == 404


def test_an_attached_disk_is_not_deleted_nor_one_that_is_still_detaching() -> None:
    """Detaching lags behind; then the delete goes through."""
    with market(detaching_s=30) as sim:
        disk_id = create(sim).json["id"]
        sim.attach(disk_id, "pod-7")
        assert ask(sim, "GET", DISKS + disk_id).json["pods"] == ["pod-7"]
        assert ask(sim, "DELETE", DISKS + disk_id).status == 409
        sim.detach(disk_id, "pod-7")
        refused = ask(sim, "DELETE", DISKS + disk_id)
        assert (refused.status, "detaching" in refused.json["detail"]) == (409, True)
        sim.advance(seconds=30)
        assert ask(sim, "DELETE", DISKS + disk_id).status == 200


def test_the_wallet_pays_for_every_hour_exactly() -> None:
    """500 GB at 0.0001 and 100 GB at 0.0002: 10 h of both, 5 h of one, worked out by hand."""
    with market(balance_usd="20") as sim:
        first = create(sim).json["id"]
        second = ask(
            sim,
            "POST",
            DISKS,
            {"disk": {"size": 100, "dataCenterId": "B-1"}, "provider": {"type": "acme"}},
        ).json["id"]
        sim.advance(hours=10)
        assert ask(sim, "DELETE", DISKS + first).status == 200
        sim.advance(hours=5)
        wallet = ask(sim, "GET", f"{API}/billing/wallet").json
        # 500 * 0.0001 * 10 = 0.50 and 100 * 0.0002 * 15 = 0.30
        assert wallet["balance_usd"] == Decimal("19.2") == sim.balance_usd
        assert (wallet["currency"], wallet["total_billings"]) == ("USD", 2)
        bills = {bill["resource_id"]: bill["amount_usd"] for bill in wallet["recent_billings"]}
        assert bills == {first: Decimal("0.5"), second: Decimal("0.3")}
        assert {bill["resource_type"] for bill in wallet["recent_billings"]} == {"disks"}
        page = ask(sim, "GET", f"{API}/billing/wallet?limit=1&offset=1&teamId=t").json
        assert [bill["resource_id"] for bill in page["recent_billings"]] == [first]
        assert page["team_id"] == "t"
        assert ask(sim, "GET", f"{API}/billing/wallet?limit=101").status == 422


def test_a_price_of_many_digits_is_billed_to_the_last_one() -> None:
    """Nothing passes through a binary float: 16 digits times 500 GB times 0.001 h."""
    with market(rows=[offer(price="0.0001111111111111111")]) as sim:
        made = create(sim)
        assert made.json["priceHr"] == Decimal("0.05555555555555555")
        sim.advance(seconds=Decimal("7.3"))  # 2 whole thousandths of an hour
        assert sim.disks()[0]["cost_usd"] == Decimal("0.0001111111111111111")


def test_a_repriced_disk_is_settled_at_the_old_price() -> None:
    """Ten hours at 0.05, then ten at 0.10."""
    with market() as sim:
        disk_id = create(sim).json["id"]
        sim.advance(hours=10)
        sim.change_disk(disk_id, usd_hr="0.10")
        sim.advance(hours=10)
        assert sim.disks()[0]["cost_usd"] == Decimal("1.5")


def test_what_happens_beside_the_api_is_seen_through_it() -> None:
    """Foreign disks, other names, sizes and states, and disks that vanish."""
    with market() as sim:
        foreign = sim.add_disk(name="theirs", size=70, data_center=None, usd_hr="0.5")
        assert foreign["status"] == "ACTIVE"
        sim.change_disk(foreign["id"], name="ours", status="ERROR", size=71)
        seen = ask(sim, "GET", DISKS).json["data"][0]
        assert (seen["name"], seen["status"], seen["size"]) == ("ours", "ERROR", 71)
        assert sim.disks()[0]["origin"] == "admin"
        sim.change_disk(foreign["id"], vanish=True)
        assert ask(sim, "GET", DISKS).json["data"] == []
        assert sim.live() == []
        with pytest.raises(InputError, match="not found"):
            sim.attach(foreign["id"])
