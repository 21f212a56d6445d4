"""A plan's market, sold again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from planner.market.canonical import Market
from planner.market.gpus import FACTS, gpus_frame
from planner.market.offers import offers_frame
from planner.market.shapes import api_gpu_rows, api_rows
from planner.market.snapshot import join_gpus, read_offers
from planner.marketplace.sim.local import Sim
from tests.market.rows import market_rows
from tests.marketplace.sim.plain_http import HERE, THERE, create, gpu, offer


def test_a_plans_market_comes_back_as_it_was() -> None:
    """The documented market there and back: every fact and every short id."""
    kept = market_rows(read_offers("shipped:disk-offers"))
    assert market_rows(offers_frame(api_rows(kept))) == kept


def test_the_gpus_of_a_plan_come_back_too() -> None:
    """Both listings there and back: every fact but the short id, which hashes more than is kept."""
    varied = gpu(THERE, prices={"onDemand": 9, "communityPrice": 2, "currency": "USD"})
    prepaid = gpu({**HERE, "dataCenter": None}, prepaidTime=24, isSpot=True, stockStatus="Odd")
    frame = join_gpus(
        gpus_frame([gpu(), varied, gpu(prices=None)]),
        gpus_frame([prepaid], listing="multi-node"),
    )
    kept = Market.of(read_offers("shipped:disk-offers"), frame).gpu_rows
    rows = api_gpu_rows(kept)
    again = join_gpus(
        gpus_frame(rows["gpus"]), gpus_frame(rows["multi-node"], listing="multi-node")
    )
    assert len(kept) == 4
    facts = [name for name in FACTS if name not in {"offer_id", "problem"}]
    assert again[facts].to_dict("records") == frame[facts].to_dict("records")


def test_odd_offers_come_back_too() -> None:
    """Nulls, unknown stock, shared keys, bounds; what could not be believed is not sold."""
    spec = {"minCount": 10, "defaultCount": None, "maxCount": None, "pricePerUnit": Decimal("0.1")}
    rows: list[Any] = [
        offer(),
        offer(price="0.0009"),
        offer(THERE, spec=spec, stockStatus=None, security=None, isMultinode=None, cloudId="c"),
        offer({**HERE, "dataCenter": None, "region": None}, spec={**spec, "minCount": "10"}),
    ]
    kept = market_rows(offers_frame(rows))
    again = market_rows(offers_frame(api_rows(kept)))
    believed = [row for row in kept if row["problem"] is None]
    assert len(believed) == 3
    assert [row for row in again if row["usd_gb_hr"] is not None] == believed
    assert len(again) == 4
    with Sim(api_rows(kept), []) as sim:
        assert create(sim).json["priceHr"] == Decimal("0.45")
        assert create(sim, dataCenterId=None).status == 422
