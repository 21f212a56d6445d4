"""The independent check: it accepts every plan and rejects every mutated one."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.demand.model import Exclude
from planner.demand.read import demand_from
from planner.market.market import Sold, addressable
from planner.market.offers import offers_frame
from planner.schema import records
from planner.solve.verify import verify
from tests.solve import brute, instances
from tests.solve.plans import KEY, place

if TYPE_CHECKING:
    from planner.demand.model import Demand
    from planner.solve.solution import Placement

ROWS: list[dict[str, Any]] = [
    {
        "provider": provider,
        "dataCenter": f"{provider}-1",
        "country": country,
        "region": region,
        "stockStatus": stock,
        "security": "secure_cloud",
        "isMultinode": multinode,
        "spec": {"minCount": 10, "maxCount": 1000, "step": 10, "pricePerUnit": Decimal(price)},
    }
    for provider, country, region, stock, multinode, price in [
        ("alpha", "US", "united_states", "Available", True, "0.0001"),
        ("beta", "NO", "eu_north", "Available", True, "0.0002"),
        ("gamma", "US", "united_states", "Low", False, "0.00005"),
        ("delta", "IS", "eu_north", "Unavailable", True, "0.00001"),
    ]
]
DEMAND = demand_from(
    {
        "version": 1,
        "volumes": [
            {
                "name": "corpus",
                "size_gb": 1500,
                "replicas": 2,
                "spread": "country",
                "multinode": True,
                "stock": "Medium",
                "security": "secure_cloud",
                "max_disks": 3,
                "owner": "ada",
                "exclude": {"providers": ["gamma"]},
                "max_usd_gb_hr": "0.0002",
                "countries": ["US", "NO"],
            }
        ],
        "policy": {"budget_usd_month": 400, "budgets": {"ada": 400}},
    }
)


OFFERS = addressable(offers_frame(ROWS), exact=True)
AT = {offer["provider"]: offer for offer in records(OFFERS)}
SOLUTION = [place(DEMAND.volumes[0], n, AT[at]) for n, at in enumerate(("alpha", "beta"), 1)]


def check(*placements: Placement, demand: Demand = DEMAND) -> tuple[str, ...]:
    return verify(demand, OFFERS, placements)


def test_the_solution_passes() -> None:
    """The plan made by hand has no violation."""
    assert check(*SOLUTION) == ()


NOWHERE = "no such offer in this market"
MUTATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "another provider": ({"provider": "none"}, NOWHERE),
    "another data centre": ({"data_center": "alpha-2"}, NOWHERE),
    "another country": ({"country": "NO"}, NOWHERE),
    "a cloud id": ({"cloud_id": "c"}, NOWHERE),
    "another region": ({"region": "canada"}, "region is not the offer's"),
    "another offer id": ({"offer_id": "000000"}, "offer_id is not the offer's"),
    "a smaller provision": ({"provision_gb": 1490}, "provision_gb is not the sum"),
    "smaller disks": ({"disk_sizes_gb": (750, 740), "provision_gb": 1490}, "cannot hold 1500 GB"),
    "larger disks": (
        {"disk_sizes_gb": (760, 750), "provision_gb": 1510},
        "a step less would hold it",
    ),
    "more disks": ({"disk_sizes_gb": (500, 500, 500)}, "fewer disks would hold it"),
    "too many disks": ({"disk_sizes_gb": (400, 400, 400, 300)}, "4 disks, max_disks is 3"),
    "beyond the bound": ({"disk_sizes_gb": (1500,)}, "sells no disk of 1500 GB"),
    "off the grid": ({"disk_sizes_gb": (755, 745)}, "sells no disk of 755 GB"),
    "uneven sizes": ({"disk_sizes_gb": (1000, 500)}, "disks differ by more than a step"),
    "smaller first": ({"disk_sizes_gb": (740, 760)}, "the larger are not first"),
    "no disks": ({"disk_sizes_gb": (), "provision_gb": 0}, "0 disks, max_disks is 3"),
    "a lower price": ({"usd_gb_hr": Decimal("0.00009")}, "usd_gb_hr is not the offer's"),
    "a lower cost": ({"usd_hr": Decimal("0.1499999999999999")}, "usd_hr is not size times price"),
    "another replica": ({"replica": 3}, "corpus replica 1: is not placed"),
    "the other's replica": ({"replica": 2}, "was not asked for, or twice"),
    "another volume": ({"volume": "other"}, "other replica 1: is placed but was not asked for"),
    "another action": ({"action": "delete"}, "action delete is not known"),
    "another owner": ({"owner": "bob"}, "owner or tags are not the volume's"),
    "other tags": ({"tags": {"a": "b"}}, "owner or tags are not the volume's"),
}


def says(found: tuple[str, ...], sentence: str) -> bool:
    return any(sentence in one for one in found)


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutated_placement_is_rejected(mutation: str) -> None:
    """Changing any one field of a placement is a violation that names it."""
    first, *others = SOLUTION
    assert first.disk_sizes_gb == (750, 750)
    change, sentence = MUTATIONS[mutation]
    assert says(check(replace(first, **change), *others), sentence)


MARKETS: dict[str, tuple[dict[str, Any], str]] = {
    "out of stock": ({"stockStatus": "Unavailable"}, "the offer is out of stock"),
    "low stock": ({"stockStatus": "Low"}, "stock is Low, Medium was asked for"),
    "unknown stock": ({"stockStatus": "odd"}, "stock is odd, Medium was asked for"),
    "one node": ({"isMultinode": False}, "it is not multi-node, or unknown"),
    "unknown nodes": ({"isMultinode": None}, "it is not multi-node, or unknown"),
    "community": ({"security": "community_cloud"}, "security is community_cloud"),
    "unknown security": ({"security": None}, "security is None"),
    "malformed": ({"isMultinode": "yes"}, "the offer cannot be bought"),
    "unpriced": ({"spec": {**ROWS[0]["spec"], "pricePerUnit": None}}, "cannot be bought"),
    "dear": ({"spec": {**ROWS[0]["spec"], "pricePerUnit": 1}}, "more than max_usd_gb_hr"),
    "another grid": ({"spec": {**ROWS[0]["spec"], "step": 7}}, "sells no disk of 750 GB"),
    "a lower bound": ({"spec": {**ROWS[0]["spec"], "maxCount": 700}}, "sells no disk of 750 GB"),
    "a higher bound": ({"spec": {**ROWS[0]["spec"], "maxCount": 1500}}, "fewer disks would hold"),
}


@pytest.mark.parametrize("change", MARKETS)
def test_a_plan_on_another_market_is_rejected(change: str) -> None:
    """When the chosen offer is not what it was, the plan fails, and the reason is said."""
    fields, sentence = MARKETS[change]
    offers = addressable(offers_frame([{**ROWS[0], **fields}, *ROWS[1:]]), exact=True)
    assert says(verify(DEMAND, offers, SOLUTION), sentence)


def test_a_missing_or_repeated_placement_is_rejected() -> None:
    """Every replica is placed once."""
    assert says(check(*SOLUTION[1:]), "replica 1: is not placed")
    again = check(*SOLUTION, SOLUTION[0])
    assert says(again, "was not asked for, or twice")


DEMANDS: dict[str, tuple[dict[str, Any], str]] = {
    "stock and security": ({"security": "community_cloud"}, "community_cloud was asked for"),
    "size": ({"size_gb": 1501}, "1500 GB cannot hold 1501 GB"),
    "headroom": ({"headroom_percent": Decimal(1)}, "1500 GB cannot hold 1515 GB"),
    "fewer disks": ({"max_disks": 1}, "2 disks, max_disks is 1"),
    "price": ({"max_usd_gb_hr": Decimal("0.00015")}, "more than max_usd_gb_hr 0.00015"),
    "region": ({"regions": ("united_states",)}, "regions ('eu_north',) are not all allowed"),
    "country": ({"countries": ("US",)}, "countries ('NO',) are not all allowed"),
    "excluded": ({"exclude": Exclude(providers=("beta",))}, "providers ('beta',) are excluded"),
    "replicas": ({"replicas": 3}, "corpus replica 3: is not placed"),
    "fewer replicas": ({"replicas": 1}, "corpus replica 2: is placed but was not asked for"),
    "smaller": ({"size_gb": 1481}, "a step less would hold it"),
}


@pytest.mark.parametrize("change", DEMANDS)
def test_a_plan_for_another_demand_is_rejected(change: str) -> None:
    """Changing any wish that the plan rests on is a violation that names it."""
    fields, sentence = DEMANDS[change]
    (volume,) = DEMAND.volumes
    other = DEMAND.model_copy(update={"volumes": (volume.model_copy(update=fields),)})
    assert says(check(*SOLUTION, demand=other), sentence)


def test_a_place_that_nobody_knows_keeps_no_copies_apart() -> None:
    """Two copies spread over regions, one of them nowhere: not known to be apart."""
    (volume,) = DEMAND.volumes
    spread = volume.model_copy(update={"spread": "region"})
    demand = DEMAND.model_copy(update={"volumes": (spread,)})
    offers = addressable(offers_frame([{**ROWS[0], "region": None}, *ROWS[1:]]), exact=True)
    assert says(verify(demand, offers, SOLUTION), "a replica's region is unknown")


def test_order_and_numbers_of_replicas_are_checked() -> None:
    """Reversed placements and swapped replica numbers are another plan, and not this one."""
    first, second = SOLUTION
    assert says(check(second, first), "replicas are not in order")
    swapped = check(replace(second, replica=1), replace(first, replica=2))
    assert says(swapped, "not numbered by create key")


def test_order_of_volumes_is_checked() -> None:
    """Placements stand in the demand's order."""
    volumes = [{"name": name, "size_gb": 10} for name in ("b", "a")]
    demand = demand_from({"version": 1, "volumes": volumes})
    first, second = (place(volume, 1, AT["gamma"]) for volume in demand.volumes)
    assert check(first, second, demand=demand) == ()
    found = check(second, first, demand=demand)
    assert found == ("placements are not in the demand's order",)


def test_a_split_without_need_is_rejected_where_sizes_have_no_bound() -> None:
    """One disk holds anything at an unbounded offer; two are not the fewest."""
    row = {**ROWS[0], "spec": {"pricePerUnit": Decimal("0.0001")}}
    volume = {"name": "x", "size_gb": 800, "max_disks": 2}
    demand = demand_from({"version": 1, "volumes": [volume]})
    offers = addressable(offers_frame([row]), exact=True)
    placement = place(demand.volumes[0], 1, records(offers)[0])
    assert placement.disk_sizes_gb == (800,)
    assert verify(demand, offers, [placement]) == ()
    split = replace(placement, disk_sizes_gb=(400, 400))
    assert verify(demand, offers, [split]) == ("x replica 1: fewer disks would hold it",)


def test_exceeded_budgets_are_rejected() -> None:
    """A budget a cent below the cost is a violation, whole and by owner."""
    cost = sum((one.usd_hr for one in SOLUTION), Decimal(0)) * 730
    for update in (
        {"budget_usd_month": cost - Decimal("0.01")},
        {"budgets": {"ada": cost - Decimal("0.01")}},
    ):
        policy = DEMAND.policy.model_copy(update=update)
        found = check(*SOLUTION, demand=DEMAND.model_copy(update={"policy": policy}))
        assert says(found, "USD a month, the budget is")


def test_replicas_in_one_domain_are_rejected() -> None:
    """Two copies in one country break spread, whichever they are."""
    first, second = SOLUTION
    found = check(first, replace(first, replica=second.replica))
    assert says(found, "two replicas share a country")


@pytest.mark.slow
def test_moving_a_volume_to_an_inadmissible_offer_is_rejected() -> None:
    """On random instances a copy passes where the enumeration allows it, and nowhere else."""
    verdicts = [0, 0]
    for seed in range(60):
        rng = random.Random(seed)
        rows, document = instances.market(rng), instances.demand(rng)
        volume = {**document["volumes"][0], "replicas": 1}
        demand = demand_from({"version": 1, "volumes": [volume]})
        offers = addressable(offers_frame(rows), exact=True)
        sold = Sold(records(offers))
        for merged in brute.merge(rows):
            allowed = brute.provision_of(volume, merged) is not None
            offer = sold.offer([merged[name] for name in KEY], merged["sizes"][0])
            assert offer is not None
            if not allowed and (offer["usd_gb_hr"] is None or offer["problem"] is not None):
                offer = {**offer, "usd_gb_hr": Decimal(1), "max_gb": None}
            placed = place(demand.volumes[0], 1, offer)
            assert (verify(demand, offers, [placed]) == ()) == allowed, (seed, merged)
            verdicts[allowed] += 1
    assert min(verdicts) > 50
