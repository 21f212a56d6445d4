"""The independent check: it accepts every plan and rejects every mutated one."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.demand import Demand, demand_from
from planner.market import addressable, offers_frame
from planner.solve import Placement, optimise, verify
from tests.solve import brute, instances

if TYPE_CHECKING:
    import pandas as pd

    from planner.solve import Solution

ROWS = [
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


@pytest.fixture(scope="module")
def solution() -> Solution:
    return optimise(DEMAND, addressable(offers_frame(ROWS)))


def check(solution: Solution, *placements: Placement, demand: Demand = DEMAND) -> tuple[str, ...]:
    return verify(demand, solution.pairs.offers, placements)


def test_the_solution_passes(solution: Solution) -> None:
    """What the program returns has no violation."""
    assert check(solution, *solution.placements) == ()


MUTATIONS: dict[str, dict[str, Any]] = {
    "another provider": {"provider": "delta"},
    "another data centre": {"data_center": "alpha-2"},
    "another country": {"country": "NO"},
    "another region": {"region": "canada"},
    "a cloud id": {"cloud_id": "c"},
    "another offer id": {"offer_id": "000000"},
    "a smaller provision": {"provision_gb": 1490},
    "smaller disks": {"disk_sizes_gb": (750, 740), "provision_gb": 1490},
    "larger disks": {"disk_sizes_gb": (760, 750), "provision_gb": 1510},
    "more disks": {"disk_sizes_gb": (500, 500, 500)},
    "too many disks": {"disk_sizes_gb": (400, 400, 400, 300)},
    "one disk beyond the bound": {"disk_sizes_gb": (1500,)},
    "sizes off the grid": {"disk_sizes_gb": (755, 745)},
    "uneven sizes": {"disk_sizes_gb": (1000, 500)},
    "no disks": {"disk_sizes_gb": (), "provision_gb": 0},
    "a lower price": {"usd_gb_hr": Decimal("0.00009")},
    "a lower cost": {"usd_hr": Decimal("0.1499999999999999")},
    "another replica": {"replica": 3},
    "the other's replica": {"replica": 2},
    "another volume": {"volume": "other"},
    "another action": {"action": "delete"},
    "another owner": {"owner": "bob"},
    "other tags": {"tags": {"a": "b"}},
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutated_placement_is_rejected(solution: Solution, mutation: str) -> None:
    """Changing any one field of a placement is a violation."""
    first, *others = solution.placements
    assert first.disk_sizes_gb == (750, 750)
    assert check(solution, replace(first, **MUTATIONS[mutation]), *others)


def test_a_missing_or_repeated_placement_is_rejected(solution: Solution) -> None:
    """Every replica is placed once."""
    assert check(solution, *solution.placements[1:])
    assert check(solution, *solution.placements, solution.placements[0])


DEMANDS: dict[str, dict[str, Any]] = {
    "stock": {"stock": "High", "security": "community_cloud"},
    "size": {"size_gb": 1501},
    "headroom": {"headroom_percent": Decimal(1)},
    "fewer disks": {"max_disks": 1},
    "price": {"max_usd_gb_hr": Decimal("0.00015")},
    "region": {"regions": ("united_states",)},
    "excluded country": {"countries": ("US",)},
    "replicas": {"replicas": 3},
}


@pytest.mark.parametrize("change", DEMANDS)
def test_a_plan_for_another_demand_is_rejected(solution: Solution, change: str) -> None:
    """Tightening any wish that the plan rests on is a violation."""
    (volume,) = DEMAND.volumes
    other = DEMAND.model_copy(update={"volumes": (volume.model_copy(update=DEMANDS[change]),)})
    assert check(solution, *solution.placements, demand=other)


def test_order_and_numbers_of_replicas_are_checked(solution: Solution) -> None:
    """Reversed placements and swapped replica numbers are another plan, and not this one."""
    first, second = solution.placements
    assert check(solution, second, first)
    assert check(solution, replace(second, replica=1), replace(first, replica=2))


def test_a_split_without_need_is_rejected_where_sizes_have_no_bound() -> None:
    """One disk holds anything at an unbounded offer; two are not the fewest."""
    row = {**ROWS[0], "spec": {"pricePerUnit": Decimal("0.0001")}}
    volume = {"name": "x", "size_gb": 800, "max_disks": 2}
    demand = demand_from({"version": 1, "volumes": [volume]})
    solution = optimise(demand, addressable(offers_frame([row])))
    (placement,) = solution.placements
    assert placement.disk_sizes_gb == (800,)
    split = replace(placement, disk_sizes_gb=(400, 400))
    assert check(solution, split, demand=demand) == ("x replica 1: fewer disks would hold it",)


def test_exceeded_budgets_are_rejected(solution: Solution) -> None:
    """A budget a cent below the cost is a violation, whole and by owner."""
    cost = sum((one.usd_hr for one in solution.placements), Decimal(0)) * 730
    for update in (
        {"budget_usd_month": cost - Decimal("0.01")},
        {"budgets": {"ada": cost - Decimal("0.01")}},
    ):
        policy = DEMAND.policy.model_copy(update=update)
        assert check(
            solution, *solution.placements, demand=DEMAND.model_copy(update={"policy": policy})
        )


def test_replicas_in_one_domain_are_rejected(solution: Solution) -> None:
    """Two copies in one country break spread, whichever they are."""
    first, second = solution.placements
    assert check(solution, first, replace(first, replica=second.replica))


def test_moving_any_replica_to_an_inadmissible_offer_is_rejected() -> None:
    """On random instances a replica moved to a rejected offer never passes."""
    moved = 0
    for seed in range(60):
        rng = random.Random(seed)
        rows, document = instances.market(rng), instances.demand(rng)
        if brute.best(document, rows) is None:
            continue
        demand = demand_from(document)
        solution = optimise(demand, addressable(offers_frame(rows)))
        first, *others = solution.placements
        offers = solution.pairs.offers
        for index in (solution.pairs.broken[0] != 0).nonzero()[0].tolist():
            elsewhere = _at(first, offers, index)
            assert verify(demand, offers, [elsewhere, *others]), (seed, index)
            moved += 1
    assert moved > 50


def _at(placement: Placement, offers: pd.DataFrame, index: int) -> Placement:
    offer: dict[str, Any] = {
        name: None if offers[name].isna().iloc[index] else offers[name].iloc[index]
        for name in ("offer_id", "provider", "cloud_id", "data_center", "country", "region")
    }
    price = offers["usd_gb_hr"].iloc[index] or Decimal(1)
    cost = placement.provision_gb * price
    return replace(placement, **offer, usd_gb_hr=price, usd_hr=cost)
