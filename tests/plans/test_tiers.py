"""Tiered prices: rows of one place that sell different sizes, from the listing to the plan."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.demand.read import demand_from
from planner.market.offers import offers_frame
from planner.market.view import Filter, list_offers
from planner.reports.insights import Insights
from planner.schema import records
from tests.market.rows import disk
from tests.solve.hand import demanded, volume

if TYPE_CHECKING:
    from planner.plans.plan import Plan

SMALL = disk(provider="tiered", spec={"minCount": 10, "pricePerUnit": Decimal("0.0001")})
LARGE = disk(
    provider="tiered",
    spec={"minCount": 1001, "maxCount": 4000, "pricePerUnit": Decimal("0.00006")},
)
FLAT = disk(
    provider="flat",
    dataCenter="B-1",
    spec={"maxCount": 100_000, "pricePerUnit": Decimal("0.00009")},
)
OVERLAP = LARGE | {"spec": {**LARGE["spec"], "minCount": 900}}
"""Sells 900 to 1,000 GB too, which the row of small disks sells at a higher price."""


def planned(size_gb: int, *rows: dict[str, Any], **wishes: Any) -> Plan:
    demand = demand_from(demanded(volume("x", size_gb=size_gb, **wishes)))
    return planner.plan(demand, offers_frame(rows))


@pytest.mark.parametrize(
    ("size_gb", "bought_gb", "usd_hr"),
    [
        (2000, 2000, "0.12"),
        (100, 100, "0.009"),
        (900, 1001, "0.06006"),
        (500, 500, "0.045"),
        (4000, 4000, "0.24"),
    ],
)
def test_each_size_costs_its_own_price(size_gb: int, bought_gb: int, usd_hr: str) -> None:
    """A tier is bought at its price, a larger disk where it is cheaper, another place else."""
    (placed,) = planned(size_gb, SMALL, LARGE, FLAT).placements
    assert (placed.provision_gb, placed.usd_hr) == (bought_gb, Decimal(usd_hr))


def test_a_price_cap_rules_out_only_the_tier_that_exceeds_it() -> None:
    """The dear tier is not admissible; the larger disk of the cheap tier is."""
    (placed,) = planned(100, SMALL, LARGE, max_usd_gb_hr="0.00007").placements
    assert placed.disk_sizes_gb == (1001,)


@pytest.mark.sweep
@pytest.mark.parametrize("size_gb", [100, 900, 950, 1000, 1001, 2000, 4000])
@pytest.mark.parametrize("large", [LARGE, OVERLAP], ids=["apart", "overlapping"])
def test_the_listing_and_the_plan_agree(size_gb: int, large: dict[str, Any]) -> None:
    """What the plan pays for a size is the least that the listing shows for it."""
    rows = [SMALL, large]
    (placed,) = planned(size_gb, *rows).placements
    listed = list_offers(offers_frame(rows), Filter(size_gb=size_gb), exact=True)
    shown = {(row["provision_gb"], row["usd_hr"]) for row in records(listed)}
    assert placed.usd_hr in {cost for gb, cost in shown if gb == placed.provision_gb}
    assert len({cost for gb, cost in shown if gb == placed.provision_gb}) == 1


@pytest.mark.sweep
@pytest.mark.parametrize("size_gb", [100, 900, 2000])
def test_the_order_of_tiers_does_not_matter(size_gb: int) -> None:
    """A plan has one id, whatever order the rows are listed in."""
    rows = [SMALL, OVERLAP, FLAT]
    assert len({planned(size_gb, *order).plan_id for order in permutations(rows)}) == 1


@pytest.mark.slow
def test_insights_mark_the_tier_that_is_chosen() -> None:
    """The market table marks one offer for one disk, though both tiers have one short id."""
    plan = planned(2000, SMALL, LARGE)
    assert plan.market.addressable["offer_id"].nunique() == 1
    (market,) = (one for one in Insights.of(plan).sections(None) if one.name == "market")
    assert [row[-1] for row in market.rows] == ["chosen", ""]
