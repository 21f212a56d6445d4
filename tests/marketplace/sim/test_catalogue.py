"""The availability listings: shapes, pages and filters."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from planner.marketplace.sim.local import Sim
from tests.marketplace.sim.plain_http import API, HERE, THERE, ask, create, gpu, offer

AVAILABLE = f"{API}/availability"
NOWHERE = {"provider": "acme", "dataCenter": None, "country": None, "region": None}


def rows(sim: Sim, path: str) -> Any:
    answer = ask(sim, "GET", f"{AVAILABLE}/{path}")
    assert answer.status == 200, answer.body
    return answer.json["items"]


def test_the_documented_market_is_sold_by_default() -> None:
    """13 disk offers, 9 GPU offers, and the last digit of each price."""
    with Sim() as sim:
        disks = rows(sim, "disks")
        assert len(disks) == 13
        assert disks[0]["spec"]["pricePerUnit"] == Decimal("0.0001111111111111111")
        assert len(rows(sim, "gpus")) == 9
        assert rows(sim, "multi-node") == []


def test_both_shapes_and_their_pages() -> None:
    """A bare list in the guide, items and their count in the API description."""
    offers = [offer({**HERE, "dataCenter": f"A-{n}"}) for n in range(250)]
    with Sim(offers, [], dialect="guide") as sim:
        sizes = [len(ask(sim, "GET", f"{AVAILABLE}/disks?page={n}").json) for n in (1, 2, 3, 4)]
        assert sizes == [100, 100, 50, 0]
    with Sim(offers, []) as sim:
        page = ask(sim, "GET", f"{AVAILABLE}/disks?page=5&page_size=60").json
        assert page["totalCount"] == 250
        assert [row["dataCenter"] for row in page["items"]] == [f"A-{n}" for n in range(240, 250)]


@pytest.mark.parametrize("query", ["page=0", "page_size=101", "page_size=0", "page=one", "page="])
def test_a_page_that_cannot_be_is_refused(query: str) -> None:
    """Pages count from 1 and have at most 100 rows."""
    with Sim([offer()], []) as sim:
        assert ask(sim, "GET", f"{AVAILABLE}/disks?{query}").status == 422


@pytest.mark.parametrize(
    ("query", "centers"),
    [
        ("", ["A-1", "B-1", None]),
        ("?regions=eu_north", ["B-1"]),
        ("?regions=eu_north&regions=united_states", ["A-1", "B-1"]),
        ("?regions=atlantis", []),
        ("?data_center_id=A-1", ["A-1"]),
        ("?cloud_id=c9", ["B-1"]),
        ("?gpu_type=ignored", ["A-1", "B-1", None]),
    ],
)
def test_disk_offers_are_filtered(query: str, centers: list[str | None]) -> None:
    """Regions may be repeated; a filter that the listing does not have changes nothing."""
    with Sim([offer(), offer(THERE, cloudId="c9"), offer(NOWHERE)], []) as sim:
        assert [row["dataCenter"] for row in rows(sim, f"disks{query}")] == centers


@pytest.mark.parametrize(
    ("query", "clouds"),
    [
        ("gpu_type=H100_80GB", ["h100"]),
        ("gpu_count=2", ["two"]),
        ("socket=PCIe", ["h100"]),
        ("security=community_cloud", ["two"]),
        ("cloud_id=two", ["two"]),
        ("data_center_id=B-1", ["h100"]),
        ("gpu_count=1&socket=SXM4", ["a100"]),
    ],
)
@pytest.mark.parametrize("listing", ["gpus", "multi-node"])
def test_gpu_offers_are_filtered(listing: str, query: str, clouds: list[str]) -> None:
    """By model, count, socket, security and place, in both listings."""
    offered = [
        gpu(),
        gpu(THERE, cloudId="h100", gpuType="H100_80GB", socket="PCIe"),
        gpu(cloudId="two", gpuCount=2, security="community_cloud"),
    ]
    with Sim([offer()], offered, offered) as sim:
        assert [row["cloudId"] for row in rows(sim, f"{listing}?{query}")] == clouds


def test_the_disks_filter_narrows_to_where_the_disks_are() -> None:
    """Provider and data centre as the disk's, country where both know it; no such disk is 404."""
    offered = [gpu(), gpu(THERE, cloudId="b"), gpu({**HERE, "country": None}, cloudId="c")]
    with Sim([offer(), offer(THERE)], offered) as sim:
        here = create(sim).json["id"]
        there = sim.add_disk(provider="acme", data_center="B-1", country="NO")["id"]
        assert [row["cloudId"] for row in rows(sim, f"gpus?disks={here}")] == ["a100", "c"]
        assert [row["cloudId"] for row in rows(sim, f"gpus?disks={there}")] == ["b"]
        assert rows(sim, f"gpus?disks={here}&disks={there}") == []
        assert ask(sim, "GET", f"{AVAILABLE}/gpus?disks=nonsense").status == 404


def test_an_implausible_row_is_listed_as_it_is() -> None:
    """Malformed rows are for the client to reject; they neither break a filter nor a create."""
    odd: list[Any] = [7, None, "row", {"provider": "acme"}, {"spec": []}, offer()]
    with Sim(odd, [*odd[:4], gpu()]) as sim:
        assert rows(sim, "disks")[:4] == odd[:4]
        assert len(rows(sim, "disks?regions=united_states")) == 1
        assert rows(sim, "gpus")[:3] == odd[:3]
        assert create(sim).status == 200


def test_the_market_moves() -> None:
    """A price doubles, a stock ends, an offer vanishes: by short id or by any key of a row."""
    with Sim(gpu_rows=[gpu()]) as sim:
        assert sim.change_offer({"offer_id": "c008ad"}, price="0.0002") == 1
        assert sim.change_offer({"provider": "hyperstack"}, stock="Low") == 2
        assert sim.change_offer({"dataCenter": "US-IL-1"}, vanish=True) == 1
        found = {row["dataCenter"]: row for row in rows(sim, "disks")}
        assert found["US-CA-2"]["spec"]["pricePerUnit"] == Decimal("0.0002")
        assert found["US-1"]["stockStatus"] == "Low"
        assert "US-IL-1" not in found
        assert sim.change_offer({"cloudId": "a100"}, listing="gpus", price=3) == 1
        assert rows(sim, "gpus")[0]["prices"]["onDemand"] == 3
