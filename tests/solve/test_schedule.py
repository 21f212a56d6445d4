"""Schedules of growing volumes equal the dynamic program of `growing`, to the last decimal."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from planner.demand.read import demand_from
from planner.errors import Infeasible
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.solve import apart
from planner.solve.existing import Kept
from planner.solve.optimise import optimise
from planner.solve.schedule import schedule
from planner.solve.stats import SolveStats
from planner.solve.tenures import Tenure, horizon_usd
from planner.solve.timeline import Timeline
from planner.solve.verify import verify
from tests.solve import growing, hand, instances

if TYPE_CHECKING:
    from planner.solve.solution import Placement

Row = dict[str, Any]


def file_of(demand: Row) -> Row:
    """Return a demand as a file says it: the tests' hours of overlap are a text there."""
    policy = dict(demand["policy"])
    if "move" in policy:
        move = dict(policy["move"])
        policy["move"] = {**move, "overlap": f"{move.pop('overlap_hours')} hours"}
        del policy["move"]["overlap_hours"]
    return {**demand, "policy": policy}


def solved(demand: Row, rows: list[Row]) -> tuple[Fraction | None, Timeline]:
    """Return the least cost that planner finds."""
    line = Timeline.of(demand_from(file_of(demand)), addressable(offers_frame(rows)), None)
    found = schedule(line, SolveStats())
    if found is None:
        return None, line
    assert found.bound_usd is None
    for v, volume in enumerate(demand["volumes"]):
        for month in range(line.horizon):
            here = [s for s in found.stays[v] if s.start <= month < s.end]
            assert len(here) == volume.get("replicas", 1)
            held = [line.instance.gb(v, stay.choice) for stay in here]
            assert min(held) >= growing.need_gb(volume, month)
    return Fraction(found.usd), line


def volume(rng: random.Random, name: str) -> Row:
    """Return a volume that grows, by per cent or by GB, or does not."""
    growth = rng.choice(
        ["0.7%/month", "5%/month", "12.5%/month", "60%/month", "1 GB/month", "2.5 GB/month", None]
    )
    replicas = rng.choice([1, 1, 2, 2, 3])
    spread = rng.choice(["none", "site", "data_center", "data_center", "provider", "region"])
    asked = {"name": name, "size_gb": rng.randint(1, 25), "replicas": replicas, "spread": spread}
    asked |= {"growth": growth} if growth else {}
    asked |= {"max_disks": 2} if rng.random() < 0.3 else {}
    asked |= {"headroom": f"{rng.choice([10, 33])}%"} if rng.random() < 0.3 else {}
    return asked | ({"owner": "ada"} if rng.random() < 0.5 else {})


def policy(rng: random.Random, horizon: int) -> Row:
    """Return a horizon, and what moving costs."""
    asked: Row = {"horizon": horizon}
    if rng.random() < 0.8:
        overlap, egress = rng.choice([0, 36, 72, 400]), rng.choice([0, 0.0001, 0.01])
        asked["move"] = {"overlap_hours": overlap, "egress_usd_gb": egress}
    return asked


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(60))
def test_one_volume_costs_what_the_dynamic_program_says(seed: int) -> None:
    """Replicas with spread, both kinds of growth, overlap, egress, several horizons."""
    rng = random.Random(seed)
    rows = instances.market(rng, 7)
    demand = {"version": 1, "volumes": [volume(rng, "v")], "policy": policy(rng, rng.randint(1, 4))}
    assert solved(demand, rows)[0] == growing.least_usd(demand, rows)


def spread_market(rng: random.Random) -> tuple[Row, list[Row], list[Kept]]:
    """Return a volume with copies apart, one or two of which exist, and a market."""
    rows = [
        hand.row(f"p{n % 4}", f"0.0001{rng.randint(0, 20):02}", str(n), spec={"maxCount": 10**5})
        for n in range(8)
    ]
    for each in rows:
        each["spec"]["step"] = rng.choice([1, 7, 40])
    replicas, growth = rng.choice([2, 3]), rng.choice(["4%/month", "11%/month", "13 GB/month"])
    size_gb = rng.randint(20, 200)
    asked: Row = {"name": "v", "size_gb": size_gb, "growth": growth, "replicas": replicas}
    asked["spread"] = rng.choice(["data_center", "site", "provider"])
    kept = [
        Kept("v", number, (f"disk-{number}",), (size_gb + rng.randint(10, 150),),
             Decimal(rng.randint(1, 30)) / 1000, None, **place)
        for number, place in enumerate(rng.sample(PLACES, rng.choice([0, 1, 2])), 1)
    ]  # fmt: skip
    moving = {"overlap": "2 days", "egress_usd_gb": rng.choice([0, 0.002])}
    policy = {"horizon": 7, "move": moving}
    return {"version": 1, "volumes": [asked], "policy": policy}, rows, kept


PLACES: list[Row] = [
    {"provider": f"p{n}", "cloud_id": None, "data_center": f"p{n}-{n}", "country": "US"}
    for n in range(4)
]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_copies_that_are_apart_cost_what_the_program_says(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Month by month, at better prices, or in the program: also beside copies that exist."""
    demand, rows, kept = spread_market(random.Random(seed))
    market, runs, costs = addressable(offers_frame(rows)), [], []
    for each, most in ((10**6, 0), (0, 10**6), (0, 0)):
        monkeypatch.setattr(apart, "_EACH", each)
        monkeypatch.setattr(apart, "_ALL", 0)
        monkeypatch.setattr(apart, "_MOST", most)
        stats = SolveStats()
        line = Timeline.of(demand_from(demand), market, None, kept)
        plan = schedule(line, stats)
        costs.append(None if plan is None else (plan.usd, plan.bound_usd))
        runs.append(stats.runs)
    assert costs[0] == costs[1] == costs[2]
    assert costs[0] is not None
    assert not runs[0]


@pytest.mark.slow
@pytest.mark.parametrize(("price", "runs"), [("0.0003", 0), ("0.00001", 1)])
def test_offers_of_several_regions_need_a_program_only_where_they_matter(
    price: str, runs: int
) -> None:
    """An offer of two regions that is too dear stands in no way; a cheap one may."""
    both = hand.row("alpha", price, "A-1")
    rows = [both, {**both, "region": "eu_north"}]
    rows += [
        hand.row("beta", "0.0001", "B-1"),
        {**hand.row("gamma", "0.0001", "C-1"), "region": "eu_north"},
    ]
    asked: Row = {"name": "v", "size_gb": 100, "growth": "20%/month", "replicas": 2}
    policy_ = {"horizon": 3, "move": {"overlap_hours": 72, "egress_usd_gb": 0}}
    demand = {"version": 1, "volumes": [{**asked, "spread": "region"}], "policy": policy_}
    stats = SolveStats()
    line = Timeline.of(demand_from(file_of(demand)), addressable(offers_frame(rows)), None)
    made = schedule(line, stats)
    assert made is not None
    assert Fraction(made.usd) == growing.least_usd(demand, rows)
    assert bool(stats.runs) == bool(runs)


def coupled(rng: random.Random) -> tuple[Row, list[Row]]:
    """Return two growing volumes that budgets, caps, a share or a group couple, and a market."""
    rows = instances.coupled_market(rng)[:5]
    volumes = [{**volume(rng, "a"), "replicas": rng.choice([1, 2])}]
    volumes += [{**volume(rng, "b"), "replicas": 1}]
    policy_ = policy(rng, rng.choice([1, 2, 2, 3]))
    monthly = sum(each["size_gb"] * each["replicas"] for each in volumes) * 0.12
    wishes: Row = {
        "budget_usd_month": round(monthly * rng.uniform(0.6, 2), 2),
        "budgets": {"ada": round(monthly * rng.uniform(0.3, 1.5), 2)},
        "max_sites": rng.choice([1, 2]),
        "max_providers": rng.choice([1, 2]),
        "max_provider_share": rng.choice([0.5, 0.6, 0.75]),
    }
    policy_ |= {word: wishes[word] for word in rng.sample([*wishes], rng.choice([1, 1, 2]))}
    demand = {"version": 1, "volumes": volumes, "policy": policy_}
    if rng.random() < 0.4:
        group = {rng.choice(["same", "different"]): rng.choice(["site", "provider", "country"])}
        demand["groups"] = [{"volumes": ["a", "b"], **group}]
    return demand, rows


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(25))
def test_coupled_volumes_cost_what_the_dynamic_program_says(seed: int) -> None:
    """Budgets, caps, shares and groups hold in every month, at the least cost."""
    demand, rows = coupled(random.Random(seed))
    assert solved(demand, rows)[0] == growing.least_usd(demand, rows)


def one_disk(rng: random.Random) -> tuple[Row, list[Row]]:
    """Return two or three volumes that share every disk, maybe one that does not, and a market."""
    replicas, owner = rng.choice([1, 1, 2]), rng.choice([None, "ada"])
    volumes = []
    for name in "abc"[: rng.choice([2, 2, 3])]:
        each = {**volume(rng, name), "replicas": replicas, "size_gb": rng.randint(1, 15)}
        each["spread"] = rng.choice(["none", "site", "data_center", "provider"])
        each["owner"] = owner
        if rng.random() < 0.3:
            each["providers"] = sorted(rng.sample(instances.PROVIDERS, 2))
        if rng.random() < 0.2:
            each["exclude"] = {"providers": [rng.choice(instances.PROVIDERS)]}
        if rng.random() < 0.3:
            each["multinode" if rng.random() < 0.4 else "security"] = "secure_cloud"
            each |= {"multinode": True} if "multinode" in each else {}
        volumes.append({word: value for word, value in each.items() if value is not None})
    groups: list[Row] = [{"volumes": [each["name"] for each in volumes], "same": "disk"}]
    policy_ = policy(rng, rng.choice([1, 2, 3]) if replicas == 2 else rng.randint(1, 4))
    if replicas == 1 and rng.random() < 0.5:
        volumes.append({**volume(rng, "d"), "replicas": 1})
        word = rng.choice(["same", "different"])
        groups.append({"volumes": [rng.choice("ab"), "d"], word: rng.choice(["site", "provider"])})
        policy_["horizon"] = min(policy_["horizon"], 3)
    if rng.random() < 0.3:
        policy_["max_disks_per_site"] = rng.choice([1, 2])
    if rng.random() < 0.3:
        gb = sum(each["size_gb"] for each in volumes) * replicas
        policy_["budget_usd_month"] = round(gb * 0.12 * rng.uniform(0.8, 2.5), 2)
    demand = {"version": 1, "volumes": volumes, "groups": groups, "policy": policy_}
    return demand, instances.coupled_market(rng)[:6]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_volumes_of_one_disk_cost_what_the_dynamic_program_says(seed: int) -> None:
    """One disk that holds what all need in each month, where the rules of all hold."""
    asked, rows = one_disk(random.Random(seed))
    demand, market = demand_from(file_of(asked)), addressable(offers_frame(rows))
    try:
        made = optimise(demand, market)
    except Infeasible:
        assert growing.least_usd(asked, rows) is None
        return
    usd = horizon_usd(demand, made.placements, made.schedule)
    assert Fraction(usd) == growing.least_usd(asked, rows)
    assert verify(demand, market, made.placements, schedule=made.schedule) == ()
    group = tuple(asked["groups"][0]["volumes"])
    every: list[Placement | Tenure] = [*made.placements, *made.schedule]
    disks = [each for each in every if each.volume in group]
    assert {each.disk_group for each in disks} == {group}
    held = sum(each.provision_gb for each in disks)
    assert sum(sum(each.disk_sizes_gb) for each in disks if each.leads) == held


@pytest.mark.slow
def test_random_demands_are_worth_solving() -> None:
    """Most have a schedule, many of them with a move, and about half need no solver."""
    moves = plans = without = 0
    for seed in range(60):
        rng = random.Random(seed)
        rows = instances.market(rng, 7)
        asked = {"version": 1, "volumes": [volume(rng, "v")], "policy": policy(rng, 4)}
        line = Timeline.of(demand_from(file_of(asked)), addressable(offers_frame(rows)), None)
        stats = SolveStats()
        found = schedule(line, stats)
        plans += found is not None
        without += found is not None and not stats.runs
        moves += found is not None and any(stay.end < 4 for stay in found.stays[0])
    assert plans > 25
    assert moves > 15
    assert without > 15
