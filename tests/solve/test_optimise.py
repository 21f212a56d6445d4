"""From demand and market to a solution: markets that can be worked out by hand, and brute force."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from planner.demand.read import demand_from
from planner.errors import Infeasible
from planner.market.market import Sold, addressable
from planner.market.offers import offers_frame
from planner.schema import records
from planner.solve.optimise import Solution, optimise
from planner.solve.verify import verify
from tests.solve import brute, instances
from tests.solve.hand import gpu, row, volume
from tests.solve.plans import listings


def solve(demand: dict[str, Any], rows: list[dict[str, Any]], **options: Any) -> Solution:
    return optimise(demand_from(demand), addressable(offers_frame(rows), exact=True), **options)


def demanded(*volumes: dict[str, Any], **policy: Any) -> dict[str, Any]:
    return {"version": 1, "volumes": list(volumes), "policy": policy}


@pytest.mark.slow
@pytest.mark.parametrize("block", range(2))
def test_cost_and_stock_equal_brute_force(block: int) -> None:
    """On random instances cost and stock are the enumerated optimum, or both say there is none."""
    feasible = 0
    for seed in range(block * 60, block * 60 + 60):
        rng = random.Random(seed)
        rows, demand = instances.market(rng), instances.demand(rng)
        expected = brute.best(demand, rows)
        if expected is None:
            with pytest.raises(Infeasible):
                solve(demand, rows)
            continue
        feasible += 1
        solution = solve(demand, rows)
        cost = sum((Fraction(one.usd_hr) for one in solution.placements), Fraction(0))
        assert (seed, cost) == (seed, expected[0])
        assert (seed, _penalty(solution)) == (seed, expected[1])
        assert solution.solver.status == "optimal"
        assert (
            verify(demand_from(demand), solution.instance.pairs.offers, solution.placements) == ()
        )
    assert feasible >= 10


def _penalty(solution: Solution) -> int:
    rank = {"unknown": 0, "Low": 1, "Medium": 2, "Available": 3, "High": 3}
    sold = Sold(records(solution.instance.pairs.offers))
    key = ("provider", "cloud_id", "data_center", "country")
    offers = [
        sold.offer([vars(one)[name] for name in key], one.disk_sizes_gb[0])
        for one in solution.placements
    ]
    return sum(3 - rank.get(offer["stock"], 0) for offer in offers if offer is not None)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"full": True}])
def test_every_way_of_solving_gives_the_same_plan(options: dict[str, Any]) -> None:
    """The full program gives the very placements of the pruned program."""
    compared = 0
    for seed in range(40):
        rng = random.Random(1000 + seed)
        rows, demand = instances.market(rng), instances.demand(rng)
        if brute.best(demand, rows) is None:
            continue
        compared += 1
        assert solve(demand, rows, **options).placements == solve(demand, rows).placements
    assert compared >= 8


@pytest.mark.slow
def test_rows_in_any_order_give_the_same_placements() -> None:
    """Permuting the listing changes nothing of the decision."""
    rng = random.Random(7)
    rows = [row(name, "0.0001", dataCenter=f"{name}-{n}") for name in "cab" for n in (2, 1)]
    demand = demanded({"name": "x", "size_gb": 10, "replicas": 3}, {"name": "y", "size_gb": 5})
    first = solve(demand, rows).placements
    for _ in range(10):
        rng.shuffle(rows)
        assert solve(demand, rows).placements == first


def test_a_difference_of_a_billionth_is_seen() -> None:
    """1e-9 USD a GB on one GB decides, beside a volume that costs a dollar an hour."""
    rows = [row("near", "0.000100000"), row("far", "0.000099999"), row("else", "0.00009")]
    tiny, large = volume("tiny", 1), volume("large", 8000, exclude={"providers": ["else"]})
    together = {"volumes": ["tiny", "large"], "same": "provider"}
    demand = {**demanded(tiny, large), "groups": [together]}
    solution = solve(demand, rows, full=True)
    assert {one.provider for one in solution.placements} == {"far"}
    assert solution.solver.gap == 0
    assert solution.solver.variables > 0


@pytest.mark.slow
def test_one_more_offer_never_costs_more() -> None:
    """A market that grows by an offer of a new place has no dearer optimum."""
    for seed in range(60):
        rng = random.Random(2000 + seed)
        rows, demand = instances.market(rng), instances.demand(rng)
        if brute.best(demand, rows) is None:
            continue
        more = [*rows, row("newcomer", rng.choice(instances.PRICES))]
        assert (
            solve(demand, more).solver.objective_usd_hr
            <= solve(demand, rows).solver.objective_usd_hr
        )


def test_equal_prices_take_better_stock_then_fewer_sites_then_least_key() -> None:
    """Ties end as DESIGN says: stock, the site tied for most volumes, the least create key."""
    rows = [
        row("alpha", "0.0001", stockStatus="Low"),
        row("beta", "0.0001"),
        row("gamma", "0.0001", isMultinode=True),
    ]
    shared = demanded({"name": "a", "size_gb": 1}, {"name": "b", "size_gb": 1, "multinode": True})
    assert [one.provider for one in solve(shared, rows).placements] == ["gamma", "gamma"]
    alone = demanded({"name": "a", "size_gb": 1})
    assert [one.provider for one in solve(alone, rows).placements] == ["beta"]


def test_no_spread_puts_every_replica_where_it_is_cheapest() -> None:
    """With spread none two copies may share the cheapest offer."""
    rows = [row("cheap", "0.0001"), row("dear", "0.0002")]
    volume = {"name": "x", "size_gb": 1, "replicas": 2, "spread": "none"}
    assert [one.provider for one in solve(demanded(volume), rows).placements] == ["cheap"] * 2


def test_an_offer_in_two_regions_stands_in_the_way_of_both() -> None:
    """Rows of one create key in two regions fill both, so copies go elsewhere or nowhere."""
    both = [
        row("twin", "0.00001", dataCenter="T", region=region)
        for region in ("united_states", "eu_north")
    ]
    others = [row("us", "0.0001"), row("no", "0.0001", region="eu_north", country="NO")]
    volume = {"name": "x", "size_gb": 1, "replicas": 2, "spread": "region"}
    assert [one.provider for one in solve(demanded(volume), both + others).placements] == [
        "no",
        "us",
    ]
    with pytest.raises(Infeasible):
        solve(demanded(volume), both + others[:1])


def test_a_large_volume_is_split_into_the_fewest_disks() -> None:
    """12,001 GB at 8,192 GB a disk are two disks, larger first, at the sum's price."""
    volume = {"name": "x", "size_gb": 12_001, "max_disks": 4}
    (placement,) = solve(demanded(volume), [row("alpha", "0.0001")]).placements
    assert placement.disk_sizes_gb == (6001, 6000)
    assert placement.usd_hr == Decimal("1.2001")


def test_a_budget_met_to_the_last_decimal_is_met() -> None:
    """A budget of exactly the cost holds; one unit of the last place less does not."""
    rows = [row("alpha", "0.00011545611010752688")]
    exact = Decimal("0.00011545611010752688") * 800 * 730
    volume = {"name": "x", "size_gb": 800, "owner": "ada"}
    assert solve(demanded(volume, budget_usd_month=str(exact)), rows).placements
    short = exact - Decimal("1e-18")
    for policy in ({"budget_usd_month": str(short)}, {"budgets": {"ada": str(short)}}):
        with pytest.raises(Infeasible):
            solve(demanded(volume, **policy), rows)


def test_an_empty_market_is_infeasible() -> None:
    """No offers at all is no plan."""
    with pytest.raises(Infeasible, match="No plan satisfies"):
        solve(demanded({"name": "x", "size_gb": 1}), [])


def test_names_that_the_solver_would_confuse_stay_apart() -> None:
    """``x-1`` and ``x_1`` are two volumes, and both are placed."""
    demand = demanded({"name": "x-1", "size_gb": 1}, {"name": "x_1", "size_gb": 2})
    placed = solve(demand, [row("alpha", "0.0001")]).placements
    assert Counter(one.volume for one in placed) == {"x-1": 1, "x_1": 1}


def test_headroom_counts_against_the_budget() -> None:
    """What is bought beyond the size is paid for."""
    volume = {"name": "x", "size_gb": 100, "headroom": "25%"}
    (placement,) = solve(demanded(volume), [row("alpha", "0.0001")]).placements
    assert placement.provision_gb == 125


JOB = {"name": "job", "gpu": "A100_80GB", "nodes": 2, "hours_per_month": 73, "mounts": ["x"]}


def test_the_gpus_of_a_workload_are_placed_beside_its_disks() -> None:
    """Two nodes want a disk that both can mount; what they cost is averaged over the month."""
    rows = [row("alpha", "0.0001"), row("beta", "0.0002", isMultinode=True)]
    gpus = listings([gpu("alpha", "1"), gpu("beta", "1.5")], [gpu("beta", "2")])
    demand = {**demanded(volume("x")), "workloads": [JOB]}
    solution = solve(demand, rows, gpus=gpus)
    (placement,), (rented,) = solution.placements, solution.gpus
    assert (placement.provider, rented.provider, rented.nodes) == ("beta", "beta", 2)
    assert (rented.usd_hr_on, rented.usd_hr) == (Decimal(3), Decimal("0.3"))
    assert solution.solver.objective_usd_hr == Decimal("0.32")
    offers = solution.instance.pairs.offers
    placed, chosen = solution.placements, solution.gpus
    assert verify(demand_from(demand), offers, placed, gpus=gpus, rented=chosen) == ()
    assert verify(demand_from(demand), offers, placed, gpus=gpus) != ()


def test_a_cost_slack_is_in_the_record() -> None:
    """What better stock was allowed to cost is said, and the bound is the least cost."""
    rows = [row("alpha", "0.0001", stockStatus="Low"), row("beta", "0.000104")]
    cheapest, stocked = (
        solve(demanded(volume("x")), rows, cost_slack=Decimal(percent)) for percent in (0, 5)
    )
    assert [one.provider for one in (*cheapest.placements, *stocked.placements)] == [
        "alpha",
        "beta",
    ]
    record = stocked.solver
    assert (record.status, record.cost_slack_percent) == ("optimal", Decimal(5))
    assert record.bound_usd_hr == cheapest.solver.objective_usd_hr == Decimal("0.01")
    assert record.objective_usd_hr == Decimal("0.0104")


@pytest.mark.parametrize("full", [False, True])
def test_what_presolve_left_out_is_counted(full: bool) -> None:
    """The record has the size of the largest program and the candidates it did not have."""
    rows = [row("alpha", f"0.000{n}", cloudId=f"c{n}") for n in range(1, 6)] + [row("b", "0.0003")]
    demand = demanded(*(volume(f"v{n}") for n in range(10)), max_provider_share=0.8)
    record = solve(demand, rows, full=full).solver
    assert record.dominated == (0 if full else 40)
    assert record.variables == (60 if full else 2)


def test_a_mounted_volume_takes_the_size_that_its_nodes_can_share() -> None:
    """The least size of a place is not multi-node; a job on two nodes gets the next one there."""
    rows = [
        row("alpha", "0.0001", spec=spec("0.0001", 1, 5)),
        row("alpha", "0.0001", spec=spec("0.0001", 6, 50), isMultinode=True),
        row("beta", "0.0009", isMultinode=True),
    ]
    job = {"name": "job", "gpu": "A100_80GB", "gpus": 1, "nodes": 2, "mounts": ["a"]}
    demand = demand_from({**demanded(volume("a", 2)), "workloads": [job]})
    gpus = listings([gpu("alpha", "1"), gpu("beta", "1")], [])
    solution = optimise(demand, addressable(offers_frame(rows), exact=True), gpus)
    (placement,) = solution.placements
    assert (placement.provider, placement.provision_gb) == ("alpha", 6)


def spec(price: str, least: int, most: int) -> dict[str, object]:
    """Return the sizes and the price of a tier."""
    return {"minCount": least, "maxCount": most, "step": 1, "pricePerUnit": Decimal(price)}
